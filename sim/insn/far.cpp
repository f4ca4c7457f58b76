// Far control transfer and loads of segment registers: JMP CALL RET far, call gates, MOV PUSH POP
// of segment registers, LDS LES LFS LGS LSS.
#include "sim/insn/far.hpp"

#include "sim/exec/stack.hpp"
#include "sim/exec/task.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

Flow selector_fault(Exec& x, Vector v, u16 selector) {
    return x.fault(v, selector_error(selector));
}

// RIP's limit in the code segment it will run in (SDM 2A JMP).
bool target_in_segment(Exec& x, const Descriptor& cs, u64 target) {
    const bool fits = long_mode(x) && cs.long_code() ? Exec::canonical(target) : target <= cs.limit;
    if (!fits) x.fault(Vector::gp, 0);
    return fits;
}

// Reads and checks the code segment of a transfer that stays at its privilege level.
bool same_level_code(Exec& x, u16 selector, const Descriptor& cs) {
    const unsigned cpl = static_cast<unsigned>(x.cpl());
    const bool level =
        cs.conforming() ? cs.dpl() <= cpl : (selector & 3u) <= cpl && cs.dpl() == cpl;
    if (!cs.code() || !level || (long_mode(x) && cs.long_code() && cs.big())) {
        selector_fault(x, Vector::gp, selector);
        return false;
    }
    if (!cs.present()) {
        selector_fault(x, Vector::np, selector);
        return false;
    }
    return true;
}

Flow enter_code(Exec& x, u16 selector, const Descriptor& cs, u64 target, unsigned cpl) {
    set_segment(x, Seg::cs, static_cast<u16>((selector & ~3u) | cpl), cs);
    x.s[Reg::rip] = target;
    return Flow::branch;
}

bool push_return(Exec& x, Stack& stack, const Op& op, unsigned size) {
    return stack.push(x.s[Reg::cs], size) && stack.push(x.next_rip(op), size);
}

// --- call gates (SDM 3A 5.8.3)
// -----------------------------------------------------------------------

struct Gate {
    u16 selector;
    u64 target;
    unsigned parameters;
    bool wide;
};

// CALL to a more privileged level: the parameters are copied to the inner stack.
Flow call_inner(Exec& x, const Op& op, const Gate& gate, Descriptor& cs) {
    const unsigned level = cs.dpl();
    const bool wide_tss = (x.s[Reg::tr_attr] & 8) != 0;
    const u64 at = wide_tss ? 4 + u64{8} * level : 2 + u64{4} * level;
    const unsigned tss_size = wide_tss ? 4 : 2;
    u64 esp = 0;
    u16 ss = 0;
    if (at + tss_size + 1 > x.s[Reg::tr_limit]) {
        return selector_fault(x, Vector::ts, static_cast<u16>(x.s[Reg::tr]));
    }
    if (!x.system_load(x.s[Reg::tr_base] + at, &esp, tss_size) ||
        !x.system_load(x.s[Reg::tr_base] + at + tss_size, &ss, 2)) {
        return Flow::stop;
    }
    Descriptor d;
    if ((ss & ~3u) == 0) return selector_fault(x, Vector::ts, ss);
    switch (read_descriptor(x, ss, d)) {
        case Lookup::failed:
            return Flow::stop;
        case Lookup::outside:
            return selector_fault(x, Vector::ts, ss);
        case Lookup::found:
            break;
    }
    if ((ss & 3u) != level || d.dpl() != level || !d.writable_data()) {
        return selector_fault(x, Vector::ts, ss);
    }
    if (!d.present()) return selector_fault(x, Vector::ss, ss);
    const unsigned size = gate.wide ? 4 : 2;
    Stack inner(x, d, esp);
    // An inner stack without room is reported with its selector (SDM 2A CALL).
    const auto inner_push = [&](u64 value) {
        if (inner.push(value, size)) return true;
        auto* fault = std::get_if<Fault>(&x.pending);
        if (fault != nullptr && fault->vector == Vector::ss) fault->error_code = selector_error(ss);
        return false;
    };
    if (!inner_push(x.s[Reg::ss]) || !inner_push(x.s[Reg::rsp])) return Flow::stop;
    for (unsigned i = gate.parameters; i > 0; --i) {
        Stack outer(x);
        outer.skip(u64{size} * (i - 1));
        u64 parameter = 0;
        if (!outer.pop(parameter, size) || !inner_push(parameter)) return Flow::stop;
    }
    if (!inner_push(x.s[Reg::cs]) || !inner_push(x.next_rip(op))) return Flow::stop;
    if (!target_in_segment(x, cs, gate.target)) return Flow::stop;
    if (!mark_accessed(x, d) || !mark_accessed(x, cs)) return Flow::stop;
    const Flow flow = enter_code(x, gate.selector, cs, gate.target, level);
    set_segment(x, Seg::ss, ss, d);
    inner.commit();
    return flow;
}

template <bool Call>
Flow go_to_task(Exec& x, const Op& op, u16 selector) {
    return after_switch(x, switch_task(x, {.reason = Call ? TaskReason::call : TaskReason::jump,
                                           .selector = selector,
                                           .rip = x.next_rip(op),
                                           .rflags = x.rflags()}));
}

// CALL to a more privileged level in long mode: no parameters, a null SS (SDM 3A 5.8.5.1).
Flow call_inner_long(Exec& x, const Op& op, u16 selector, u64 target, Descriptor& cs) {
    CpuState& s = x.s;
    const unsigned level = cs.dpl();
    const u64 at = 4 + u64{8} * level;
    if (at + 7 > s[Reg::tr_limit]) {
        return selector_fault(x, Vector::ts, static_cast<u16>(s[Reg::tr]));
    }
    u64 rsp = 0;
    if (!x.system_load(s[Reg::tr_base] + at, &rsp, 8)) return Flow::stop;
    const std::array<u64, 4> frame{x.next_rip(op), s[Reg::cs], s[Reg::rsp], s[Reg::ss]};
    rsp -= sizeof(frame);
    if (!Exec::canonical(rsp)) return x.fault(Vector::ss, selector_error(static_cast<u16>(level)));
    if (!x.prepare_store(rsp, sizeof(frame), true)) return Flow::stop;
    if (!mark_accessed(x, cs)) return Flow::stop;
    x.system_store(rsp, frame.data(), sizeof(frame));
    s[Reg::rsp] = rsp;
    s[Reg::ss] = level;
    s[Reg::ss_attr] = attr::kUnusable | u64{level} << 5;
    return enter_code(x, selector, cs, target, level);
}

// A gate of 16 bytes, which leads to 64-bit code only (SDM 3A 5.8.3.1).
template <bool Call>
Flow through_long_gate(Exec& x, const Op& op, u16 selector, Descriptor gate) {
    switch (read_system_descriptor(x, selector, gate)) {
        case Lookup::failed:
            return Flow::stop;
        case Lookup::outside:
            return selector_fault(x, Vector::gp, selector);
        case Lookup::found:
            break;
    }
    if ((gate.upper >> 40 & 0x1F) != 0) return selector_fault(x, Vector::gp, selector);
    if (!gate.present()) return selector_fault(x, Vector::np, selector);
    u64 raw = 0;
    if (!x.system_load(gate.address, &raw, 8)) return Flow::stop;
    const u16 code = static_cast<u16>(raw >> 16);
    const u64 target = (raw & 0xFFFF) | (raw >> 32 & 0xFFFF0000) | gate.upper << 32;
    if ((code & ~3u) == 0) return x.fault(Vector::gp, 0);
    Descriptor cs;
    switch (read_descriptor(x, code, cs)) {
        case Lookup::failed:
            return Flow::stop;
        case Lookup::outside:
            return selector_fault(x, Vector::gp, code);
        case Lookup::found:
            break;
    }
    const unsigned cpl = static_cast<unsigned>(x.cpl());
    const bool inward = !cs.conforming() && cs.dpl() < cpl;
    if (!cs.code() || !cs.long_code() || cs.big() || cs.dpl() > cpl || (!Call && inward)) {
        return selector_fault(x, Vector::gp, code);
    }
    if (!cs.present()) return selector_fault(x, Vector::np, code);
    if (!target_in_segment(x, cs, target)) return Flow::stop;
    if (inward) return call_inner_long(x, op, code, target, cs);
    Stack stack(x);
    if (Call && !push_return(x, stack, op, 8)) return Flow::stop;
    if (!mark_accessed(x, cs)) return Flow::stop;
    stack.commit();
    return enter_code(x, code, cs, target, cpl);
}

template <bool Call>
Flow through_gate(Exec& x, const Op& op, u16 selector, const Descriptor& descriptor) {
    const unsigned type = static_cast<unsigned>(descriptor.attr & 0xF);
    constexpr unsigned kTss16 = 1, kCallGate16 = 4, kTaskGate = 5, kTss32 = 9, kCallGate32 = 12;
    // Long mode has neither task switches nor 16-bit gates. A busy TSS is #GP, too.
    const bool tss = (type & ~2u) == kTss16 || (type & ~2u) == kTss32;
    const bool task = tss || type == kTaskGate;
    const bool known =
        long_mode(x) ? type == kCallGate32 : task || type == kCallGate16 || type == kCallGate32;
    const unsigned cpl = static_cast<unsigned>(x.cpl());
    if (!known || descriptor.dpl() < cpl || (selector & 3u) > descriptor.dpl()) {
        return selector_fault(x, Vector::gp, selector);
    }
    if (tss) return go_to_task<Call>(x, op, selector);
    if (long_mode(x)) return through_long_gate<Call>(x, op, selector, descriptor);
    if (!descriptor.present()) return selector_fault(x, Vector::np, selector);
    u64 raw = 0;
    if (!x.system_load(descriptor.address, &raw, 8)) return Flow::stop;
    Gate gate{.selector = static_cast<u16>(raw >> 16),
              .target = raw & 0xFFFF,
              .parameters = static_cast<unsigned>(raw >> 32 & 31),
              .wide = type == kCallGate32};
    if (task) return go_to_task<Call>(x, op, gate.selector);
    if (gate.wide) gate.target |= raw >> 32 & 0xFFFF0000;
    if ((gate.selector & ~3u) == 0) return x.fault(Vector::gp, 0);
    Descriptor cs;
    switch (read_descriptor(x, gate.selector, cs)) {
        case Lookup::failed:
            return Flow::stop;
        case Lookup::outside:
            return selector_fault(x, Vector::gp, gate.selector);
        case Lookup::found:
            break;
    }
    const bool inward = !cs.conforming() && cs.dpl() < cpl;
    if (!cs.code() || cs.dpl() > cpl || (!Call && inward)) {
        return selector_fault(x, Vector::gp, gate.selector);
    }
    if (!cs.present()) return selector_fault(x, Vector::np, gate.selector);
    if (inward) return call_inner(x, op, gate, cs);
    if (!target_in_segment(x, cs, gate.target)) return Flow::stop;
    Stack stack(x);
    if (Call && !push_return(x, stack, op, gate.wide ? 4 : 2)) return Flow::stop;
    if (!mark_accessed(x, cs)) return Flow::stop;
    stack.commit();
    return enter_code(x, gate.selector, cs, gate.target, cpl);
}

// --- JMP and CALL far
// ---------------------------------------------------------------------------------

template <bool Call>
Flow far_transfer(Exec& x, const Op& op, u16 selector, u64 target) {
    if (!protected_mode(x)) {
        if (target > x.s[Reg::cs_limit]) return x.fault(Vector::gp, 0);
        if constexpr (Call) {
            Stack stack(x);
            if (!push_return(x, stack, op, op.size)) return Flow::stop;
            stack.commit();
        }
        x.s[Reg::cs] = selector;
        x.s[Reg::cs_base] = u64{selector} << 4;
        x.s[Reg::rip] = target;
        return Flow::branch;
    }
    if ((selector & ~3u) == 0) return x.fault(Vector::gp, 0);
    Descriptor cs;
    switch (read_descriptor(x, selector, cs)) {
        case Lookup::failed:
            return Flow::stop;
        case Lookup::outside:
            return selector_fault(x, Vector::gp, selector);
        case Lookup::found:
            break;
    }
    if (!cs.code_or_data()) return through_gate<Call>(x, op, selector, cs);
    if (!same_level_code(x, selector, cs)) return Flow::stop;
    if (!target_in_segment(x, cs, target)) return Flow::stop;
    Stack stack(x);
    if (Call && !push_return(x, stack, op, op.size)) return Flow::stop;
    if (!mark_accessed(x, cs)) return Flow::stop;
    stack.commit();
    return enter_code(x, selector, cs, target, static_cast<unsigned>(x.cpl()));
}

// ptr16:16, ptr16:32. imm: the offset; disp: the selector.
template <bool Call>
Flow far_immediate(Exec& x, const Op& op) {
    return far_transfer<Call>(x, op, static_cast<u16>(op.disp), op.imm);
}

template <bool Call>
Flow far_memory(Exec& x, const Op& op) {
    u64 target = 0;
    u16 selector = 0;
    const u64 address = x.linear(op);
    if (!x.load_slow(address, &target, op.size, op.stack_segment) ||
        !x.load(address + op.size, selector, op.stack_segment)) {
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

// --- RET far (SDM 2B RET)
// -----------------------------------------------------------------------------

Flow ret_far(Exec& x, const Op& op) {
    Stack stack(x);
    u64 target = 0;
    u64 selector_slot = 0;
    if (!stack.pop(target, op.size) || !stack.pop(selector_slot, op.size)) return Flow::stop;
    const u16 selector = static_cast<u16>(selector_slot);
    if (!protected_mode(x)) {
        if (target > x.s[Reg::cs_limit]) return x.fault(Vector::gp, 0);
        stack.skip(op.imm);
        stack.commit();
        x.s[Reg::cs] = selector;
        x.s[Reg::cs_base] = u64{selector} << 4;
        x.s[Reg::rip] = target;
        return Flow::branch;
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

// --- segment registers
// --------------------------------------------------------------------------------

// dst: the segment's number. Interrupts stay off for one instruction after SS is loaded.
Flow load_and_shadow(Exec& x, const Op& op, u16 selector) {
    const Seg seg = static_cast<Seg>(op.dst);
    if (!load_segment(x, seg, selector)) return Flow::stop;
    if (seg == Seg::ss) {
        x.s[Reg::shadow] = 2;
        x.shadow_set = true;
    }
    x.s[Reg::rip] = x.next_rip(op);
    return Flow::branch;
}

template <bool Memory>
Flow mov_to_segment(Exec& x, const Op& op) {
    u16 selector = x.reg<u16>(op.src);
    if (Memory && !x.load_operand(op, selector)) return Flow::stop;
    return load_and_shadow(x, op, selector);
}

Flow pop_segment(Exec& x, const Op& op) {
    Stack stack(x);
    u64 selector = 0;
    if (!stack.pop(selector, op.size)) return Flow::stop;
    const Flow flow = load_and_shadow(x, op, static_cast<u16>(selector));
    if (flow == Flow::branch) stack.commit();
    return flow;
}

// src: slot of the selector.
Flow push_segment(Exec& x, const Op& op) {
    Stack stack(x);
    if (!stack.push(x.s.scalar[op.src] & 0xFFFF, op.size)) return Flow::stop;
    stack.commit();
    return Flow::next;
}

// LDS and its like: imm is the segment's number, dst the general register.
template <class T>
Flow load_far_pointer(Exec& x, const Op& op) {
    T offset{};
    u16 selector = 0;
    const u64 address = x.linear(op);
    if (!x.load(address, offset, op.stack_segment) ||
        !x.load(address + sizeof(T), selector, op.stack_segment) ||
        !load_segment(x, static_cast<Seg>(op.imm), selector)) {
        return Flow::stop;
    }
    x.set_reg<T>(op.dst, offset);
    x.s[Reg::rip] = x.next_rip(op);
    return Flow::branch;
}

template <Seg S>
bool translate_far_pointer(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d[0].size / 8);
    op.dst = gpr_slot(d[0].reg.value);
    op.imm = static_cast<u64>(S);
    set_memory(d[1], op);
    op.handler = by_size(op.size, []<class T>() -> Handler { return load_far_pointer<T>; });
    return op.handler != nullptr;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_LDS, translate_far_pointer<Seg::ds>, "SDM 2A LDS"},
    {ZYDIS_MNEMONIC_LES, translate_far_pointer<Seg::es>, "SDM 2A LES"},
    {ZYDIS_MNEMONIC_LFS, translate_far_pointer<Seg::fs>, "SDM 2A LFS"},
    {ZYDIS_MNEMONIC_LGS, translate_far_pointer<Seg::gs>, "SDM 2A LGS"},
    {ZYDIS_MNEMONIC_LSS, translate_far_pointer<Seg::ss>, "SDM 2A LSS"},
};

}  // namespace

std::span<const InsnRow> far_rows() { return kRows; }

bool translate_far_jmp(const Decoded& d, Op& op) { return translate_far<false>(d, op); }
bool translate_far_call(const Decoded& d, Op& op) { return translate_far<true>(d, op); }
bool translate_far_ret(const Decoded& d, Op& op) { return translate_ret_far(d, op); }

bool translate_mov_segment(const Decoded& d, Op& op) {
    const Seg seg = segment_of(d[0].reg.value);
    if (seg == Seg::cs) return false;
    op.dst = static_cast<u8>(seg);
    if (d.is_mem(1)) {
        set_memory(d[1], op);
    } else {
        op.src = gpr_slot(d[1].reg.value);
    }
    op.handler = d.is_mem(1) ? mov_to_segment<true> : mov_to_segment<false>;
    return true;
}

bool translate_pop_segment(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d.insn.operand_width / 8);
    op.dst = static_cast<u8>(segment_of(d[0].reg.value));
    op.handler = pop_segment;
    return true;
}

bool translate_push_segment(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d.insn.operand_width / 8);
    op.src = static_cast<u8>(index_of(selector_of(segment_of(d[0].reg.value))));
    op.handler = push_segment;
    return true;
}

}  // namespace vtlsim::sim
