// Far control transfer: JMP CALL RET.
#include "sim/insn/far.hpp"

#include "sim/exec/segment.hpp"
#include "sim/insn/call_gate.hpp"
#include "sim/insn/operands.hpp"

namespace vtlsim::sim {
namespace {

// Reads and checks the code segment of a transfer that stays at its privilege level.
bool same_level_code(Exec& x, u16 selector, const Descriptor& cs) {
    const unsigned cpl = static_cast<unsigned>(x.cpl());
    const bool level =
        cs.conforming() ? cs.dpl() <= cpl : (selector & 3u) <= cpl && cs.dpl() == cpl;
    if (!cs.code() || !level || (long_mode(x) && cs.long_code() && cs.big())) {
        return selector_fault(x, Vector::gp, selector);
    }
    if (!cs.present()) return selector_fault(x, Vector::np, selector);
    return true;
}

// Real and virtual-8086 mode.
Flow enter_real(Exec& x, Stack& stack, u16 selector, u64 target) {
    stack.commit();
    x.s[Reg::cs] = selector;
    x.s[Reg::cs_base] = u64{selector} << 4;
    x.s[Reg::rip] = target;
    return Flow::branch;
}

template <bool Call>
Flow far_transfer(Exec& x, const Op& op, u16 selector, u64 target) {
    if (!protected_mode(x)) {
        if (target > x.s[Reg::cs_limit]) return x.fault(Vector::gp, 0);
        Stack stack(x);
        if (Call && !push_return(x, stack, op, op.size)) return Flow::stop;
        return enter_real(x, stack, selector, target);
    }
    Descriptor cs;
    if (!find_code(x, selector, cs)) return Flow::stop;
    if (!cs.code_or_data()) return through_gate(x, op, Call, selector, cs);
    if (!same_level_code(x, selector, cs)) return Flow::stop;
    return transfer(x, op, selector, cs, target, Call ? op.size : 0);
}

// ptr16:16, ptr16:32. imm: the offset; disp: the selector.
template <bool Call>
Flow far_immediate(Exec& x, const Op& op) {
    return far_transfer<Call>(x, op, static_cast<u16>(op.disp), op.imm);
}

// m16:16, m16:32, m16:64: two accesses, as those of LDS (insn/segment_move.cpp).
template <bool Call>
Flow far_memory(Exec& x, const Op& op) {
    u64 target = 0;
    u16 selector = 0;
    const u64 base = x.s.scalar[op.segment_base];
    const u64 first = x.linear(op);
    const u64 second = x.linear(op, op.size);
    if (!check_access(x, op.segment, first - base, op.size, Access::read) ||
        !x.load_slow(first, &target, op.size, op.stack_segment) ||
        !check_access(x, op.segment, second - base, sizeof(selector), Access::read) ||
        !x.load(second, selector, op.stack_segment)) {
        return Flow::stop;
    }
    return far_transfer<Call>(x, op, selector, target);
}

template <bool Call>
bool translate_far(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d.insn.operand_width / 8);
    if (d[0].type == ZYDIS_OPERAND_TYPE_POINTER) {
        op.imm = d[0].ptr.offset;
        op.disp = d[0].ptr.segment;
        op.handler = far_immediate<Call>;
        return true;
    }
    if (!d.is_mem(0)) return false;
    set_memory(d[0], op);
    op.handler = far_memory<Call>;
    return true;
}

// --- RET far (SDM 2B RET) ------------------------------------------------------------------------

Flow ret_far(Exec& x, const Op& op) {
    Stack stack(x);
    u64 target = 0;
    u64 selector_slot = 0;
    if (!stack.pop(target, op.size) || !stack.pop(selector_slot, op.size)) return Flow::stop;
    const u16 selector = static_cast<u16>(selector_slot);
    if (!protected_mode(x)) {
        if (target > x.s[Reg::cs_limit]) return x.fault(Vector::gp, 0);
        stack.skip(op.imm);
        return enter_real(x, stack, selector, target);
    }
    Descriptor cs;
    if (!check_return_code(x, selector, cs)) return Flow::stop;
    if (!target_in_segment(x, cs, target)) return Flow::stop;
    const unsigned rpl = selector & 3;
    stack.skip(op.imm);
    if (rpl == x.cpl()) {
        if (!mark_accessed(x, cs)) return Flow::stop;
        stack.commit();
        return enter_code(x, selector, cs, target, rpl);
    }
    u64 rsp = 0;
    u64 ss_slot = 0;
    Descriptor ss;
    const bool read = stack.pop(rsp, op.size) && stack.pop(ss_slot, op.size);
    const u16 ss_selector = static_cast<u16>(ss_slot);
    if (!read || !check_return_stack(x, ss_selector, rpl, long_mode(x) && cs.long_code(), ss)) {
        return Flow::stop;
    }
    const bool stack_marked = (ss.attr & attr::kUnusable) != 0 || mark_accessed(x, ss);
    if (!stack_marked || !mark_accessed(x, cs)) return Flow::stop;
    enter_outer(x, selector, cs, target, ss_selector, ss, rsp + op.imm);
    return Flow::branch;
}

bool translate_ret_far(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d.insn.operand_width / 8);
    if (d.visible() != 0) op.imm = d[0].imm.value.u;
    op.handler = ret_far;
    return true;
}

}  // namespace

// RIP's limit in the code segment it will run in (SDM 2A JMP).
bool target_in_segment(Exec& x, const Descriptor& cs, u64 target) {
    const bool fits = long_mode(x) && cs.long_code() ? Exec::canonical(target) : target <= cs.limit;
    if (!fits) x.fault(Vector::gp, 0);
    return fits;
}

Flow enter_code(Exec& x, u16 selector, const Descriptor& cs, u64 target, unsigned cpl) {
    set_segment(x, Seg::cs, static_cast<u16>((selector & ~3u) | cpl), cs);
    x.s[Reg::rip] = target;
    return Flow::branch;
}

Flow transfer(Exec& x, const Op& op, u16 selector, Descriptor& cs, u64 target, unsigned pushed) {
    if (!target_in_segment(x, cs, target)) return Flow::stop;
    Stack stack(x);
    if (pushed != 0 && !push_return(x, stack, op, pushed)) return Flow::stop;
    if (!mark_accessed(x, cs)) return Flow::stop;
    stack.commit();
    return enter_code(x, selector, cs, target, static_cast<unsigned>(x.cpl()));
}

bool push_return(Exec& x, Stack& stack, const Op& op, unsigned size) {
    return stack.push(x.s[Reg::cs], size) && stack.push(x.next_rip(op), size);
}

bool translate_far_jmp(const Decoded& d, Op& op) { return translate_far<false>(d, op); }
bool translate_far_call(const Decoded& d, Op& op) { return translate_far<true>(d, op); }
bool translate_far_ret(const Decoded& d, Op& op) { return translate_ret_far(d, op); }

}  // namespace vtlsim::sim
