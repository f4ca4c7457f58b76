// What CPUID says of this machine: only what is implemented.
#pragma once

#include "sim/types.hpp"

namespace vtlsim::sim {

struct CpuidResult {
    u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidResult cpuid(u32 leaf, u32 subleaf);

}  // namespace vtlsim::sim
