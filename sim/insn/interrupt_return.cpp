#include "sim/insn/interrupt_return.hpp"

#include "sim/exec/stack.hpp"
#include "sim/exec/task.hpp"
#include "sim/insn/far.hpp"

namespace vtlsim::sim {
namespace {

// Flags that an IRET of this size may change (SDM 2A IRET).
u64 writable_flags(const Exec& x, u64 old, unsigned size) {
    u64 writable = flag::kStatus | flag::tf | flag::df | flag::nt;
    if (size > 2) writable |= flag::rf | flag::ac | flag::id;
    if (virtual_8086(x)) return writable | flag::if_;
    if (!protected_mode(x) || x.cpl() <= (old >> 12 & 3)) writable |= flag::if_;
    if (!protected_mode(x) || x.cpl() == 0) {
        writable |= flag::iopl;
        if (size > 2 && protected_mode(x)) writable |= flag::vif | flag::vip;
    }
    return writable;
}

// Also of virtual-8086 mode, where it needs IOPL 3 (SDM 3A 21.2.7).
Flow iret_real(Exec& x, const Op& op) {
    if (virtual_8086(x) && !iopl3(x)) return x.fault(Vector::gp, 0);
    Stack stack(x);
    u64 rip = 0, cs = 0, image = 0;
    if (!stack.pop(rip, op.size) || !stack.pop(cs, op.size) || !stack.pop(image, op.size)) {
        return Flow::stop;
    }
    if (rip > x.s[Reg::cs_limit]) return x.fault(Vector::gp, 0);
    const u64 old = x.rflags();
    const u64 writable = writable_flags(x, old, op.size);
    stack.commit();
    x.s[Reg::rip] = rip;
    x.s[Reg::cs] = cs & 0xFFFF;
    x.s[Reg::cs_base] = (cs & 0xFFFF) << 4;
    x.set_rflags((old & ~writable) | (image & writable));
    return Flow::branch;
}

// The task that was interrupted or has called: its TSS's selector is in this one's.
Flow return_to_task(Exec& x, const Op& op) {
    u16 link = 0;
    if (!x.system_load(x.s[Reg::tr_base], &link, 2)) return Flow::stop;
    return after_switch(x, switch_task(x, {.reason = TaskReason::iret,
                                           .selector = link,
                                           .rip = x.next_rip(op),
                                           .rflags = x.rflags()}));
}

// SDM 3A 21.2.2: ESP, SS, ES, DS, FS and GS are still on the stack.
Flow enter_virtual(Exec& x, Stack& stack, u64 rip, u64 cs, u64 image) {
    constexpr Seg kOrder[] = {Seg::ss, Seg::es, Seg::ds, Seg::fs, Seg::gs};
    u64 rsp = 0;
    std::array<u64, 5> selectors{};
    if (!stack.pop(rsp, 4)) return Flow::stop;
    for (u64& selector : selectors) {
        if (!stack.pop(selector, 4)) return Flow::stop;
    }
    if (rip > 0xFFFF) return x.fault(Vector::gp, 0);
    x.s[Reg::rip] = rip;
    x.s[Reg::rsp] = rsp;
    set_virtual_segment(x, Seg::cs, static_cast<u16>(cs));
    for (std::size_t i = 0; i < std::size(kOrder); ++i) {
        set_virtual_segment(x, kOrder[i], static_cast<u16>(selectors[i]));
    }
    x.set_rflags(image);
    return Flow::branch;
}

Flow iret(Exec& x, const Op& op) {
    CpuState& s = x.s;
    s[Reg::nmi_blocked] = 0;  // even if the IRET faults (SDM 3A 6.7.1)
    if (!protected_mode(x)) return iret_real(x, op);
    const u64 old = x.rflags();
    if ((old & flag::nt) != 0) {
        return long_mode(x) ? x.fault(Vector::gp, 0) : return_to_task(x, op);
    }
    Stack stack(x);
    u64 rip = 0, cs_slot = 0, image = 0, rsp = 0, ss_slot = 0;
    if (!stack.pop(rip, op.size) || !stack.pop(cs_slot, op.size) || !stack.pop(image, op.size)) {
        return Flow::stop;
    }
    if ((image & flag::vm) != 0 && op.size == 4 && !long_mode(x) && x.cpl() == 0) {
        return enter_virtual(x, stack, rip, cs_slot, image);
    }
    const u16 cs_selector = static_cast<u16>(cs_slot);
    const unsigned rpl = cs_selector & 3;
    Descriptor cs;
    Descriptor ss;
    if (!check_return_code(x, cs_selector, cs)) return Flow::stop;
    const bool to_long = long_mode(x) && cs.long_code();
    // 64-bit code always pops SS and RSP; other code only for an outer level.
    const bool pops_stack = x.long_code || rpl != x.cpl();
    if (pops_stack) {
        if (!stack.pop(rsp, op.size) || !stack.pop(ss_slot, op.size) ||
            !check_return_stack(x, static_cast<u16>(ss_slot), rpl, to_long, ss)) {
            return Flow::stop;
        }
    }
    if (to_long ? !Exec::canonical(rip) : rip > cs.limit) return x.fault(Vector::gp, 0);
    if (!mark_accessed(x, cs)) return Flow::stop;
    if (pops_stack && (ss.attr & attr::kUnusable) == 0 && !mark_accessed(x, ss)) return Flow::stop;

    const u64 writable = writable_flags(x, old, op.size);
    if (rpl != x.cpl()) {
        enter_outer(x, cs_selector, cs, rip, static_cast<u16>(ss_slot), ss, rsp);
    } else {
        s[Reg::rip] = rip;
        if (pops_stack) {
            s[Reg::rsp] = rsp;
            set_segment(x, Seg::ss, static_cast<u16>(ss_slot), ss);
        } else {
            stack.commit();
        }
        set_segment(x, Seg::cs, cs_selector, cs);
    }
    x.set_rflags((old & ~writable) | (image & writable));
    return Flow::branch;
}

}  // namespace

bool check_return_code(Exec& x, u16 selector, Descriptor& cs) {
    if (!find_code(x, selector, cs)) return false;
    const unsigned rpl = selector & 3;
    if (!cs.code() || rpl < x.cpl() || (cs.conforming() ? cs.dpl() > rpl : cs.dpl() != rpl) ||
        (long_mode(x) && cs.long_code() && cs.big())) {
        return selector_fault(x, Vector::gp, selector);
    }
    if (!cs.present()) return selector_fault(x, Vector::np, selector);
    return true;
}

bool check_return_stack(Exec& x, u16 selector, unsigned rpl, bool to_long, Descriptor& ss) {
    if (is_null(selector)) {
        if (to_long && rpl != 3 && (selector & 3u) == rpl) {
            ss.attr = attr::kUnusable | u64{rpl} << 5;
            return true;
        }
        x.fault(Vector::gp, 0);
        return false;
    }
    if (!find_descriptor(x, selector, ss)) return false;
    if ((selector & 3u) != rpl || !ss.writable_data() || ss.dpl() != rpl) {
        return selector_fault(x, Vector::gp, selector);
    }
    if (!ss.present()) return selector_fault(x, Vector::ss, selector);
    return true;
}

void enter_outer(Exec& x, u16 selector, const Descriptor& cs, u64 rip, u16 ss_selector,
                 const Descriptor& ss, u64 rsp) {
    set_segment(x, Seg::cs, selector, cs);
    set_segment(x, Seg::ss, ss_selector, ss);
    x.s[Reg::rip] = rip;
    // A 16-bit stack leaves the upper half of ESP as it was; that of RSP does not outlive 64-bit
    // code.
    const u64 kept = x.long_code ? 0 : x.s[Reg::rsp] & ~x.stack_mask & 0xFFFFFFFF;
    x.s[Reg::rsp] = kept | (rsp & x.stack_mask);
    for (Seg seg : {Seg::es, Seg::fs, Seg::gs, Seg::ds}) {
        const u64 a = x.s[attr_of(seg)];
        const bool nonconforming = (a >> 3 & 1) == 0 || (a >> 2 & 1) == 0;
        if ((a & attr::kUnusable) == 0 && nonconforming && attr::dpl(a) < x.cpl()) {
            x.s[selector_of(seg)] = 0;
            x.s[attr_of(seg)] = attr::kUnusable;
        }
    }
}

bool translate_iret(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d.insn.operand_width / 8);
    op.handler = iret;
    return true;
}

}  // namespace vtlsim::sim
