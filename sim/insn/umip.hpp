// CR4.UMIP: SGDT SIDT SLDT STR SMSW at level 0 only (SDM 3A 2.5).
#pragma once

#include "sim/exec/exec.hpp"

namespace vtlsim::sim {

// False: #GP(0) is pending.
inline bool umip_allows(Exec& x) {
    if ((x.s[Reg::cr4] & cr4::umip) == 0 || x.cpl() == 0) return true;
    x.fault(Vector::gp, 0);
    return false;
}

}  // namespace vtlsim::sim
