#include "sim/nearest.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace vtlsim::sim {
namespace {

constexpr std::size_t kMaxLength = 64;

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Optimal string alignment distance; both lengths are at most kMaxLength.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    using Row = std::array<std::size_t, kMaxLength + 1>;
    Row before_previous{};
    Row previous{};
    Row current{};
    for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        current[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const char ca = to_lower(a[i - 1]);
            const char cb = to_lower(b[j - 1]);
            current[j] = std::min(
                {previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (ca == cb ? 0U : 1U)});
            const bool swapped =
                i > 1 && j > 1 && ca == to_lower(b[j - 2]) && cb == to_lower(a[i - 2]);
            if (swapped) current[j] = std::min(current[j], before_previous[j - 2] + 1);
        }
        before_previous = previous;
        previous = current;
    }
    return previous[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view wanted,
                              std::span<const std::string_view> candidates) {
    if (wanted.empty() || wanted.size() > kMaxLength) return {};
    std::size_t best_distance = std::max<std::size_t>(1, wanted.size() / 3) + 1;
    std::string_view best;
    for (const std::string_view candidate : candidates) {
        const std::size_t longer = std::max(candidate.size(), wanted.size());
        const std::size_t shorter = std::min(candidate.size(), wanted.size());
        if (candidate.empty() || longer > kMaxLength || longer - shorter >= best_distance) continue;
        const std::size_t distance = edit_distance(wanted, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

}  // namespace vtlsim::sim
