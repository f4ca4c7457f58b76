// Forms of JMP, CALL and RET (insn/far.cpp), MOV, PUSH and POP (insn/segment_move.cpp) that have to
// do with segments, and the checks that far returns share with IRET (insn/interrupt_return.cpp).
#pragma once

#include "sim/exec/descriptor.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::sim {

bool translate_far_jmp(const Decoded& d, Op& op);
bool translate_far_call(const Decoded& d, Op& op);
bool translate_far_ret(const Decoded& d, Op& op);
bool translate_mov_segment(const Decoded& d, Op& op);  // to a segment register
bool translate_pop_segment(const Decoded& d, Op& op);
bool translate_push_segment(const Decoded& d, Op& op);

// CS of a return to the same or an outer level (SDM 2A IRET, 2B RET). False: a fault is pending.
bool check_return_code(Exec& x, u16 selector, Descriptor& cs);
// SS of a return to level `rpl`; null is allowed in 64-bit code below level 3.
bool check_return_stack(Exec& x, u16 selector, unsigned rpl, bool to_long, Descriptor& ss);
// Loads CS, RIP, SS and RSP of an outer level and makes segments null that it may not use.
void enter_outer(Exec& x, u16 selector, const Descriptor& cs, u64 rip, u16 ss_selector,
                 const Descriptor& ss, u64 rsp);

}  // namespace vtlsim::sim
