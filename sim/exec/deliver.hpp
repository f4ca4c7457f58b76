// One attempt to deliver an event, by mode. False: `pending` says what came in between, and nothing
// of the processor's state has changed.
#pragma once

#include "sim/exec/exec.hpp"

namespace vtlsim::sim {

bool deliver_real(Exec& x, const Fault& f);
bool deliver_protected(Exec& x, const Fault& f, bool external);

// RF is set in the image of a fault, so that the instruction can be restarted past its breakpoint;
// but not for the breakpoint itself and for traps (SDM 3B 18.3.1.1).
inline u64 flags_image(const Exec& x, const Fault& f, bool external) {
    const bool fault = !external && !f.software && f.vector != Vector::df &&
                       (f.vector != Vector::db || f.general_detect);
    return x.rflags() | (fault ? flag::rf : 0);
}

}  // namespace vtlsim::sim
