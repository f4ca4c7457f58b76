// The segment check of an instruction's memory operand, outside of 64-bit mode.
#pragma once

#include "sim/decode/op.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::sim {

// Puts the check in front of the Op's handler, where the instruction has an explicit memory operand
// whose check it does not make itself.
void add_segment_check(const Decoded& d, Op& op);

}  // namespace vtlsim::sim
