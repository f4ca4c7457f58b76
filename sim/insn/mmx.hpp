// MOVD and MOVQ with an MMX operand, whose mnemonics are also those of SSE2 (insn/sse_move.cpp).
#pragma once

#include "sim/decode/op.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::sim {

bool translate_movd_movq_mmx(const Decoded& d, Op& op);

}  // namespace vtlsim::sim
