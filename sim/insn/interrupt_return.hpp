// IRETQ (insn/interrupt_return.cpp).
#pragma once

#include "sim/decode/op.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::sim {

bool translate_iretq(const Decoded& d, Op& op);

}  // namespace vtlsim::sim
