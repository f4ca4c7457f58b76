// Which name a message suggests for a misspelt one.
// Run: build/<preset>/vtlsim_tests "[nearest]"
#include "sim/nearest.hpp"

#include <array>
#include <string>
#include <string_view>

#include "tests/catch.hpp"

namespace vtlsim::sim {

TEST_CASE("the nearest name is the one with the fewest typing errors", "[nearest]") {
    constexpr std::array<std::string_view, 6> kNames{"mov",   "movd",  "wrmsr",
                                                     "rdmsr", "cpuid", "intercepts"};
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"mvo", "mov"},      // neighbours swapped
        {"moov", "mov"},     // one too many; the first on a tie
        {"cpid", "cpuid"},   // one missing
        {"wrnsr", "wrmsr"},  // one wrong
        {"CPUID", "cpuid"},  // case does not count
        {"interceptions", "intercepts"},
        {"xyz", ""},
        {"c", ""},
        {"", ""},
        {"vmlaunch", ""},
    };
    for (const auto& [wanted, expected] : cases) {
        INFO(wanted);
        CHECK(nearest_name(wanted, kNames) == expected);
    }
    CHECK(nearest_name("mov", {}).empty());
}

TEST_CASE("very long names get no suggestion", "[nearest]") {
    const std::string longest(64, 'x');
    const std::string too_long(65, 'x');
    const std::array<std::string_view, 1> names{longest};
    CHECK(nearest_name(longest, names) == longest);
    CHECK(nearest_name(too_long, names).empty());
    const std::array<std::string_view, 1> long_names{too_long};
    CHECK(nearest_name(longest, long_names).empty());
}

}  // namespace vtlsim::sim
