// The sources of the trace viewer, as the build has put them into the program
// (cmake/VtlsimWeb.cmake).
#pragma once

#include <span>
#include <string_view>

namespace vtlsim::runner::web_text {

extern const std::string_view page;  // with marks where the other parts go
extern const std::string_view style;
extern const std::span<const std::string_view> scripts;

}  // namespace vtlsim::runner::web_text
