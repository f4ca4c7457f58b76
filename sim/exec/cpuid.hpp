// What CPUID says of this machine: only what is implemented.
#pragma once

#include "sim/state/cpu_state.hpp"

namespace vtlsim::sim {

struct CpuidResult {
    u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// CR4 and XCR0 show in it.
CpuidResult cpuid(const CpuState& s, u32 leaf, u32 subleaf);

}  // namespace vtlsim::sim
