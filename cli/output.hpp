// Output files: written under a temporary name, then renamed.
#pragma once

#include <string>
#include <string_view>

namespace vtlsim::cli {

// To standard output if `path` is empty. False: it failed, and a message is on standard error.
bool write_output(const std::string& path, std::string_view text);

}  // namespace vtlsim::cli
