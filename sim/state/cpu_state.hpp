// The whole architectural state of one virtual processor, as a value.
#pragma once

#include <type_traits>

#include "sim/state/registers.hpp"

namespace vtlsim::sim {

// Scalars wider than their row's width never occur: writers mask. A register slot is 64 bits.
struct CpuState {
    // One slot more than there are registers: it is always zero and stands for "no register" in
    // address arithmetic, which therefore needs no branch.
    std::array<u64, kScalarCount + 1> scalar{};
    std::array<Vec128, kVectorCount> vector{};

    u64& operator[](Reg reg) { return scalar[index_of(reg)]; }
    u64 operator[](Reg reg) const { return scalar[index_of(reg)]; }
    Vec128& vec(Reg reg) { return vector[index_of(reg) - kScalarCount]; }
    const Vec128& vec(Reg reg) const { return vector[index_of(reg) - kScalarCount]; }

    // Any register of the list; scalars come back with hi = 0.
    Vec128 get(Reg reg) const { return is_vector(reg) ? vec(reg) : Vec128{(*this)[reg], 0}; }
    // Cuts the value to the register's width.
    void set(Reg reg, Vec128 value);

    friend bool operator==(const CpuState&, const CpuState&) = default;
};
static_assert(std::is_trivially_copyable_v<CpuState>);

inline constexpr std::size_t kNoReg = kScalarCount;

// After RESET# (SDM 3A table 10-1).
CpuState reset_state();

// 64-bit mode at CPL 0 with flat segments and no page tables: what a bare machine starts from
// (docs/design: CR0=80010033h, CR4=PAE|OSFXSR|OSXMMEXCPT, EFER=LME|LMA|NXE, FCW=37Fh).
CpuState long_mode_state();

// Hidden attribute bits (VMX access rights, SDM 3C 25.4.1).
namespace attr {
inline constexpr u64 kFlatCode64 = 0xA09B;  // present, DPL 0, code, accessed, L, G
inline constexpr u64 kFlatData = 0xC093;    // present, DPL 0, data, accessed, B, G
inline constexpr u64 kRealData = 0x93;      // present, DPL 0, data, writable, accessed: after reset
inline constexpr u64 kTss64Busy = 0x8B;
inline constexpr u64 kUnusable = 1u << 16;
inline constexpr u64 dpl(u64 attr) { return attr >> 5 & 3; }
inline constexpr bool long_code(u64 attr) { return (attr >> 13 & 1) != 0; }
}  // namespace attr

// CPL is the DPL of SS's hidden part (SDM 3A 5.5; VMX keeps it there too).
inline u64 cpl(const CpuState& s) { return attr::dpl(s[Reg::ss_attr]); }

}  // namespace vtlsim::sim
