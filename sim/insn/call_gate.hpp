// Far JMP and CALL through what is no code segment (insn/call_gate.cpp), and what they share with
// those that name one (insn/far.cpp).
#pragma once

#include "sim/exec/stack.hpp"

namespace vtlsim::sim {

// A call gate, a task gate or a TSS.
Flow through_gate(Exec& x, const Op& op, bool call, u16 selector, Descriptor& descriptor);

// False: #GP(0), for RIP is outside of its new segment (SDM 2A JMP).
bool target_in_segment(Exec& x, const Descriptor& cs, u64 target);
bool push_return(Exec& x, Stack& stack, const Op& op, unsigned size);
Flow enter_code(Exec& x, u16 selector, const Descriptor& cs, u64 target, unsigned cpl);
// To a segment that is fine, at the same level. Return addresses of `pushed` bytes; 0 for JMP.
Flow transfer(Exec& x, const Op& op, u16 selector, Descriptor& cs, u64 target, unsigned pushed);

}  // namespace vtlsim::sim
