// The layout of scenario files, as `vtlsim fmt` makes it: comments stay.
#pragma once

#include <string>
#include <string_view>

namespace vtlsim::runner {

// `text` is JSON with comments and without errors (JsonDocument::parse takes it). Two blanks a
// level, lines up to kFormatWidth where that is possible; an object or array that begins a new line
// behind its bracket keeps doing so; one empty line at most between two members. Formatting twice
// changes nothing, and no value, key or comment is lost.
inline constexpr std::size_t kFormatWidth = 100;
std::string format_json(std::string_view text);

}  // namespace vtlsim::runner
