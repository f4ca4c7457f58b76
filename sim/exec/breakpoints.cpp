#include "sim/exec/breakpoints.hpp"

#include "sim/memory/memory.hpp"

namespace vtlsim::sim {
namespace {

// R/Wn of DR7.
enum class Condition : u8 { execute, write, port, access };

struct Breakpoint {
    Condition condition;
    u64 first;
    u64 size;
    bool overlaps(u64 address, u64 length) const {
        return address - first < size || first - address < length;
    }
};

// Calls use(i, breakpoint) for each enabled one; answers the bits of those for which it is true.
template <class Use>
u64 hits(const CpuState& s, Use use) {
    u64 bits = 0;
    for (unsigned i = 0; i < 4; ++i) {
        const u64 control = s[Reg::dr7];
        if ((control >> 2 * i & 3) == 0) continue;
        constexpr u64 kSizes[] = {1, 2, 8, 4};  // by LENn
        const u64 size = kSizes[control >> (18 + 4 * i) & 3];
        const Breakpoint b{static_cast<Condition>(control >> (16 + 4 * i) & 3),
                           s[offset(Reg::dr0, i)] & ~(size - 1), size};
        if (use(b)) bits |= u64{1} << i;
    }
    return bits;
}

bool on_data(const Breakpoint& b) {
    return b.condition == Condition::write || b.condition == Condition::access;
}

}  // namespace

// LEN has to be 0 for these (SDM 3B 18.2.4).
u64 code_breakpoints(const CpuState& s, u64 linear) {
    return hits(s, [&](const Breakpoint& b) {
        return b.condition == Condition::execute && b.first == linear;
    });
}

u64 data_breakpoints(const CpuState& s, u64 linear, std::size_t size, Access access) {
    return hits(s, [&](const Breakpoint& b) {
        const bool kind = access == Access::write ? on_data(b) : b.condition == Condition::access;
        return kind && b.overlaps(linear, size);
    });
}

u64 port_breakpoints(const CpuState& s, u16 port, unsigned size) {
    if ((s[Reg::cr4] & cr4::de) == 0) return 0;
    return hits(s, [&](const Breakpoint& b) {
        return b.condition == Condition::port && b.overlaps(port, size);
    });
}

bool page_has_data_breakpoint(const CpuState& s, u64 linear) {
    const u64 page = linear >> kPageShift;
    return hits(s, [&](const Breakpoint& b) {
               return on_data(b) && b.first >> kPageShift == page;
           }) != 0;
}

}  // namespace vtlsim::sim
