// IRET, IRETD, IRETQ (insn/interrupt_return.cpp).
#pragma once

#include "sim/decode/op.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::sim {

bool translate_iret(const Decoded& d, Op& op);

}  // namespace vtlsim::sim
