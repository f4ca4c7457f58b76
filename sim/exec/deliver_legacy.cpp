// Interrupts and exceptions through the real-mode vector table (SDM 3A 20.1.4) and through the IDT
// of 16- and 32-bit protected mode (SDM 3A 6.12).
#include "sim/exec/deliver.hpp"
#include "sim/exec/inner_stack.hpp"
#include "sim/exec/stack.hpp"
#include "sim/exec/task.hpp"

namespace vtlsim::sim {
namespace {

void enter_handler(Exec& x, u64 flags, u64 cleared) {
    x.set_rflags(flags & ~(cleared | flag::tf | flag::rf));
    x.s[Reg::shadow] = 0;
}

}  // namespace

bool deliver_real(Exec& x, const Fault& f) {
    const u64 number = static_cast<u64>(f.vector);
    if (number * 4 + 3 > x.s[Reg::idtr_limit]) {
        x.fault(Vector::gp, 0);  // real mode pushes no error code: delivery ignores it
        return false;
    }
    u32 vector = 0;
    if (!x.system_load(x.s[Reg::idtr_base] + number * 4, &vector, 4)) return false;
    const u64 flags = x.rflags();
    Stack stack(x);
    if (!stack.push(flags & 0xFFFF, 2) || !stack.push(x.s[Reg::cs], 2) ||
        !stack.push((x.s[Reg::rip] + f.length) & 0xFFFF, 2)) {
        return false;
    }
    stack.commit();
    x.s[Reg::cs] = vector >> 16;
    x.s[Reg::cs_base] = u64{vector >> 16} << 4;
    x.s[Reg::rip] = vector & 0xFFFF;
    enter_handler(x, flags, flag::if_ | flag::ac);
    return true;
}

namespace {

// The error code goes to the stack of the new task.
bool deliver_to_task(Exec& x, const Fault& f, bool external, u16 selector) {
    const u32 ext = external || !f.software ? 1 : 0;
    const Switched result = switch_task(x, {.reason = TaskReason::interrupt,
                                            .selector = selector,
                                            .rip = x.s[Reg::rip] + f.length,
                                            .rflags = flags_image(x, f, external),
                                            .ext = ext});
    if (result != Switched::done) return false;
    if (!f.has_error_code) return true;
    Stack stack(x);
    if (!stack.push(f.error_code, (x.s[Reg::tr_attr] & 8) != 0 ? 4 : 2)) return false;
    stack.commit();
    return true;
}

}  // namespace

bool deliver_protected(Exec& x, const Fault& f, bool external) {
    CpuState& s = x.s;
    const u32 number = static_cast<u32>(f.vector);
    const u32 ext = external || !f.software ? 1 : 0;
    const auto gate_fault = [&](Vector v) {
        x.fault(v, number * 8 + 2 + ext);
        return false;
    };
    if (number * 8 + 7 > s[Reg::idtr_limit]) return gate_fault(Vector::gp);
    u64 gate = 0;
    if (!x.system_load(s[Reg::idtr_base] + number * 8, &gate, 8)) return false;
    const u64 type = gate >> 40 & 0x1F;
    const unsigned old_cpl = static_cast<unsigned>(x.cpl());
    constexpr u64 kTaskGate = 5, kInterrupt16 = 6, kTrap16 = 7, kInterrupt32 = 14, kTrap32 = 15;
    if (type != kTaskGate && type != kInterrupt16 && type != kTrap16 && type != kInterrupt32 &&
        type != kTrap32) {
        return gate_fault(Vector::gp);
    }
    if (f.software && (gate >> 45 & 3) < old_cpl) return gate_fault(Vector::gp);
    if ((gate >> 47 & 1) == 0) return gate_fault(Vector::np);
    const u16 selector = static_cast<u16>(gate >> 16);
    if (type == kTaskGate) return deliver_to_task(x, f, external, selector);
    const bool wide = type == kInterrupt32 || type == kTrap32;
    const u64 target = (gate & 0xFFFF) | (wide ? gate >> 32 & 0xFFFF0000 : 0);
    Descriptor cs;
    if (!find_code(x, selector, cs, ext)) return false;
    // Virtual-8086 mode is left for level 0 only.
    const bool from_virtual = virtual_8086(x);
    if (!cs.code() || cs.dpl() > old_cpl || (from_virtual && (cs.conforming() || cs.dpl() != 0))) {
        return selector_fault(x, Vector::gp, selector, ext);
    }
    if (!cs.present()) return selector_fault(x, Vector::np, selector, ext);
    const unsigned new_cpl = cs.conforming() ? old_cpl : cs.dpl();
    const unsigned size = wide ? 4 : 2;
    const u64 image = flags_image(x, f, external);
    constexpr Seg kVirtualSegments[] = {Seg::gs, Seg::fs, Seg::ds, Seg::es};
    const auto push_frame = [&](Stack& stack, bool switched) {
        for (const Seg seg : kVirtualSegments) {
            if (from_virtual && !stack.push(s[selector_of(seg)], size)) return false;
        }
        if (switched && !(stack.push(s[Reg::ss], size) && stack.push(s[Reg::rsp], size)))
            return false;
        return stack.push(image, size) && stack.push(s[Reg::cs], size) &&
               stack.push(s[Reg::rip] + f.length, size) &&
               (!f.has_error_code || stack.push(f.error_code, size));
    };
    // A stack without room is reported with EXT, a new one also with its selector (SDM 2A INT n).
    const auto stack_fault = [&](u32 code) {
        auto* fault = std::get_if<Fault>(&x.pending);
        if (fault != nullptr && fault->vector == Vector::ss) fault->error_code = code;
        return false;
    };
    if (target > cs.limit) {
        x.fault(Vector::gp, ext);
        return false;
    }
    if (new_cpl != old_cpl) {
        u16 ss = 0;
        u64 esp = 0;
        Descriptor d;
        if (!find_inner_stack(x, new_cpl, ss, esp, d, ext)) return false;
        Stack stack(x, d, esp);
        if (!push_frame(stack, true)) return stack_fault(selector_error(ss, ext));
        if (!mark_accessed(x, d) || !mark_accessed(x, cs)) return false;
        set_segment(x, Seg::ss, ss, d);
        stack.commit();
    } else {
        Stack stack(x);
        if (!push_frame(stack, false)) return stack_fault(ext);
        if (!mark_accessed(x, cs)) return false;
        stack.commit();
    }
    for (const Seg seg : kVirtualSegments) {
        if (from_virtual) set_null(x, seg, 0);
    }
    const u64 flags = x.rflags();
    set_segment(x, Seg::cs, static_cast<u16>((selector & ~3u) | new_cpl), cs);
    s[Reg::rip] = target;
    const bool interrupt_gate = type == kInterrupt32 || type == kInterrupt16;
    enter_handler(x, flags, flag::nt | flag::vm | (interrupt_gate ? flag::if_ : 0));
    return true;
}

}  // namespace vtlsim::sim
