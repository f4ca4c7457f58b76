// MOVSD of SSE2, whose mnemonic is also that of a string instruction (insn/string.cpp).
#pragma once

#include "sim/decode/op.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::sim {

// Whether an operand is an XMM register.
bool is_sse(const Decoded& d);
bool translate_movsd_sse(const Decoded& d, Op& op);

}  // namespace vtlsim::sim
