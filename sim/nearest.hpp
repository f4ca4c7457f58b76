// The "did you mean" helper behind every message about an unknown name.
#pragma once

#include <span>
#include <string_view>

namespace vtlsim::sim {

// The candidate with the smallest edit distance to `wanted` (insert, delete, replace, or swap of
// two neighbours; letter case ignored), the first one on a tie. Empty when none is within a third
// of the length of `wanted`, or when `wanted` is over 64 characters long.
std::string_view nearest_name(std::string_view wanted,
                              std::span<const std::string_view> candidates);

}  // namespace vtlsim::sim
