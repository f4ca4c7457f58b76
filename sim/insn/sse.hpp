// What all SSE instructions share.
#pragma once

#include "sim/exec/exec.hpp"

namespace vtlsim::sim {

// SDM 3A table 14-1: #UD before #NM. False: `pending` is set.
inline bool sse_usable(Exec& x) {
    if ((x.s[Reg::cr0] & cr0::em) != 0 || (x.s[Reg::cr4] & cr4::osfxsr) == 0) {
        x.fault(Vector::ud);
        return false;
    }
    if ((x.s[Reg::cr0] & cr0::ts) != 0) {
        x.fault(Vector::nm);
        return false;
    }
    return true;
}

}  // namespace vtlsim::sim
