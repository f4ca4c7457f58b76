// The stacks of inner levels that a TSS names.
#pragma once

#include "sim/exec/segment.hpp"

namespace vtlsim::sim {

// From a 32- or 16-bit TSS, with the checks of its segment (SDM 3A 7.2.1, 7.6). False: a fault is
// pending.
bool find_inner_stack(Exec& x, unsigned level, u16& ss, u64& esp, Descriptor& d, u32 ext = 0);

}  // namespace vtlsim::sim
