// Page-table walks of the three paging modes (SDM 3A 4.3, 4.4, 4.5), without side effects.
#pragma once

#include "sim/exec/cpu.hpp"

namespace vtlsim::sim {

namespace pte {
inline constexpr u64 present = 1, writable = 2, user = 4, accessed = 32, dirty = 64, large = 128,
                     no_execute = u64{1} << 63;
inline constexpr u64 kAddress = 0x000FFFFFFFFFF000;
}  // namespace pte

// What a paging mode's tables look like.
struct PagingMode {
    unsigned levels = 0;      // 0: no paging, linear is physical
    unsigned index_bits = 9;  // of the linear address, per level
    unsigned entry_size = 8;  // bytes
};
PagingMode paging_mode(const CpuState& s);

// What MOV to CR0, CR3 and CR4 checks of PAE paging's four top entries (SDM 3A 4.4.1); true in the
// other modes. `s` is the state with the new value.
bool pdptes_valid(const Machine& machine, u8 address_space, const CpuState& s);

struct Walk {
    enum class End : u8 { mapped, not_present, reserved, outside_ram };
    End end = End::mapped;
    unsigned entries = 0;  // read, top level first
    std::array<u64, 4> entry_at{};
    std::array<u64, 4> entry{};
    u64 physical = 0;  // of the linear address if mapped; of the entry if outside_ram
    // Over all levels that have the bit.
    bool writable = true;
    bool user = true;
    bool no_execute = false;
};
Walk walk_tables(const Machine& machine, u8 address_space, const CpuState& s, u64 linear);

}  // namespace vtlsim::sim
