// What all SSE instructions share.
#pragma once

#include "sim/exec/exec.hpp"

namespace vtlsim::sim {

// SDM 3A table 14-1: #UD before #NM. False: `pending` is set.
inline bool sse_usable(Exec& x) {
    const u64 undefined = (x.s[Reg::cr0] & cr0::em) | (~x.s[Reg::cr4] & cr4::osfxsr);
    const u64 not_available = x.s[Reg::cr0] & cr0::ts;
    if ((undefined | not_available) == 0) [[likely]]
        return true;
    x.fault(undefined != 0 ? Vector::ud : Vector::nm);
    return false;
}

}  // namespace vtlsim::sim
