// MOV to and from control, debug and segment registers (insn/system_moves.cpp).
#pragma once

#include "sim/decode/op.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::sim {

bool is_system_move(const Decoded& d);
bool translate_system_move(const Decoded& d, Op& op);

}  // namespace vtlsim::sim
