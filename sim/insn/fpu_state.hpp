// The memory image that FXSAVE and XSAVE share, and its parts.
#pragma once

#include "sim/exec/exec.hpp"

namespace vtlsim::sim {

// SDM 1 table 10-2. The 64-bit form (REX.W) holds 64-bit pointers, the other 32-bit ones followed
// by a selector, which this CPU saves as 0 (as CPUID.7.EBX[13] processors do).
struct FxsaveArea {
    u16 fcw;
    u16 fsw;
    u8 ftw;
    u8 reserved;
    u16 fop;
    u64 fip;
    u64 fdp;
    u32 mxcsr;
    u32 mxcsr_mask;
    Vec128 st[8];
    Vec128 xmm[16];
    u8 unused[96];
};
static_assert(sizeof(FxsaveArea) == 512);

inline constexpr u32 kMxcsrMask = 0xFFFF;

// CR4.OSXSAVE and CR0.TS. False: #UD or #NM is pending.
bool xsave_usable(Exec& x);

// `wide`: the 64-bit form of the pointers. Reserved bytes become 0, as on silicon.
void save_x87(const Exec& x, FxsaveArea& area, bool wide);
void save_mxcsr(const Exec& x, FxsaveArea& area);
void save_xmm(const Exec& x, FxsaveArea& area);
void restore_x87(Exec& x, const FxsaveArea& area, bool wide);
void restore_xmm(Exec& x, const FxsaveArea& area);

}  // namespace vtlsim::sim
