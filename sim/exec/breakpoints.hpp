// Breakpoints of the debug registers (SDM 3B 18.2). All answers are bits B0-B3 of DR6.
//
// Accesses that the CPU makes itself (descriptor tables, TSS, stacks of inner levels) hit nothing.
#pragma once

#include "sim/exec/outcome.hpp"
#include "sim/state/cpu_state.hpp"

namespace vtlsim::sim {

namespace dr6 {
inline constexpr u64 kBreakpoints = 0xF, kGeneralDetect = 1u << 13, kSingleStep = 1u << 14,
                     kTaskSwitch = 1u << 15;
}  // namespace dr6
namespace dr7 {
inline constexpr u64 kEnables = 0xFF, kLocalEnables = 0x155, kGeneralDetect = 1u << 13;
}  // namespace dr7

inline bool breakpoints_enabled(const CpuState& s) { return (s[Reg::dr7] & dr7::kEnables) != 0; }

u64 code_breakpoints(const CpuState& s, u64 linear);
u64 data_breakpoints(const CpuState& s, u64 linear, std::size_t size, Access access);
// Needs CR4.DE.
u64 port_breakpoints(const CpuState& s, u16 port, unsigned size);

bool page_has_data_breakpoint(const CpuState& s, u64 linear);

}  // namespace vtlsim::sim
