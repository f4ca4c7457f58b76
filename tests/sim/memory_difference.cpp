// Memory::for_each_difference.
#include <vector>

#include "sim/memory/memory.hpp"
#include "tests/catch.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;

namespace {

bool write_byte(Memory& memory, u64 address, u8 value) {
    return memory.write(address, {&value, 1});
}

struct Difference {
    u64 page;
    u8 before, after;  // the page's first byte
    friend bool operator==(const Difference&, const Difference&) = default;
};
std::vector<Difference> differences(const Memory& before, const Memory& after) {
    std::vector<Difference> out;
    after.for_each_difference(before, [&](u64 page, const u8* a, const u8* b) {
        out.push_back({page, a[0], b[0]});
    });
    return out;
}

}  // namespace

TEST_CASE("memory differences: pages written since the copy, in ascending order", "[sim]") {
    Memory before;
    REQUIRE(write_byte(before, 0x1000, 1));
    REQUIRE(write_byte(before, 0x2000, 2));
    Memory after = before;
    CHECK(differences(before, after).empty());
    REQUIRE(write_byte(after, 0x2000, 9));
    REQUIRE(write_byte(after, 0x5000, 5));
    CHECK(differences(before, after) == std::vector<Difference>{{2, 2, 9}, {5, 0, 5}});
    CHECK(differences(after, before) == std::vector<Difference>{{2, 9, 2}, {5, 5, 0}});
}

TEST_CASE("memory differences: trees of different heights", "[sim]") {
    Memory low;
    REQUIRE(write_byte(low, 0x1000, 1));
    Memory high = low;
    REQUIRE(write_byte(high, u64{1} << 40, 7));
    REQUIRE(write_byte(high, 0x3000, 3));
    const u64 far = u64{1} << (40 - kPageShift);
    CHECK(differences(low, high) == std::vector<Difference>{{3, 0, 3}, {far, 0, 7}});
    CHECK(differences(high, low) == std::vector<Difference>{{3, 3, 0}, {far, 7, 0}});
    CHECK(differences(Memory{}, high) ==
          std::vector<Difference>{{1, 0, 1}, {3, 0, 3}, {far, 0, 7}});
    CHECK(differences(high, Memory{}).size() == 3);
}

TEST_CASE("memory differences: a page written with what it holds is none", "[sim]") {
    Memory before;
    Memory after = before;
    REQUIRE(write_byte(after, 0x1000, 0));
    CHECK(differences(before, after).empty());
}
