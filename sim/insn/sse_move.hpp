// MOVSD and CMPSD of SSE2, whose mnemonics are also those of string instructions (insn/string.cpp).
#pragma once

#include "sim/decode/op.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::sim {

// Whether an operand is an XMM register.
bool is_sse(const Decoded& d);
bool translate_movsd_sse(const Decoded& d, Op& op);
bool translate_cmpsd_sse(const Decoded& d, Op& op);

}  // namespace vtlsim::sim
