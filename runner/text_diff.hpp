#pragma once

#include <string>
#include <string_view>

namespace vtlsim::runner {

// What changed, as in a unified diff of one hunk; empty if nothing did. Long hunks are cut.
std::string text_diff(std::string_view expected, std::string_view actual);

}  // namespace vtlsim::runner
