// Texts that are kept in files and must not change unnoticed.
#pragma once

#include <string>
#include <string_view>

namespace vtlsim::tests {

// The whole file, as in the source tree: "docs/trace.md". Throws if it cannot be read.
std::string source_file(const std::string& path);

// Compares the file with `actual` and gives the difference. With VTLSIM_BLESS=1 in the environment,
// and never where CI is set, it writes `actual` to the file instead.
std::string golden_diff(const std::string& path, const std::string& actual);

// The same for a part of a file: the lines between `<!-- name -->` and `<!-- end -->`.
std::string golden_part_diff(const std::string& path, std::string_view name,
                             const std::string& actual);

}  // namespace vtlsim::tests
