#include "sim/insn/call_gate.hpp"

#include "sim/exec/inner_stack.hpp"
#include "sim/exec/task.hpp"

namespace vtlsim::sim {
namespace {

struct Gate {
    u16 selector;
    u64 target;
    unsigned parameters;
    unsigned size;  // of what is pushed
};

// CALL to a more privileged level: the parameters are copied to the inner stack (SDM 3A 5.8.5).
Flow call_inner(Exec& x, const Op& op, const Gate& gate, Descriptor& cs) {
    const unsigned level = cs.dpl();
    u64 esp = 0;
    u16 ss = 0;
    Descriptor d;
    if (!find_inner_stack(x, level, ss, esp, d)) return Flow::stop;
    Stack inner(x, d, esp);
    // An inner stack without room is reported with its selector (SDM 2A CALL).
    const auto push = [&](u64 value) {
        if (inner.push(value, gate.size)) return true;
        auto* fault = std::get_if<Fault>(&x.pending);
        if (fault != nullptr && fault->vector == Vector::ss) fault->error_code = selector_error(ss);
        return false;
    };
    if (!push(x.s[Reg::ss]) || !push(x.s[Reg::rsp])) return Flow::stop;
    for (unsigned i = gate.parameters; i > 0; --i) {
        Stack outer(x);
        outer.skip(u64{gate.size} * (i - 1));
        u64 parameter = 0;
        if (!outer.pop(parameter, gate.size) || !push(parameter)) return Flow::stop;
    }
    if (!push(x.s[Reg::cs]) || !push(x.next_rip(op))) return Flow::stop;
    if (!target_in_segment(x, cs, gate.target)) return Flow::stop;
    if (!mark_accessed(x, d) || !mark_accessed(x, cs)) return Flow::stop;
    const Flow flow = enter_code(x, gate.selector, cs, gate.target, level);
    set_segment(x, Seg::ss, ss, d);
    inner.commit();
    return flow;
}

// CALL to a more privileged level in long mode: no parameters, a null SS (SDM 3A 5.8.5.1).
Flow call_inner_long(Exec& x, const Op& op, const Gate& gate, Descriptor& cs) {
    CpuState& s = x.s;
    const unsigned level = cs.dpl();
    const u64 at = 4 + u64{8} * level;
    if (at + 7 > s[Reg::tr_limit]) {
        return x.fault(Vector::ts, selector_error(static_cast<u16>(s[Reg::tr])));
    }
    u64 rsp = 0;
    if (!x.system_load(s[Reg::tr_base] + at, &rsp, 8)) return Flow::stop;
    const std::array<u64, 4> frame{x.next_rip(op), s[Reg::cs], s[Reg::rsp], s[Reg::ss]};
    rsp -= sizeof(frame);
    if (!Exec::canonical(rsp)) return x.fault(Vector::ss, selector_error(static_cast<u16>(level)));
    if (!x.prepare_store(rsp, sizeof(frame), true) || !mark_accessed(x, cs)) return Flow::stop;
    x.system_store(rsp, frame.data(), sizeof(frame));
    s[Reg::rsp] = rsp;
    s[Reg::ss] = level;
    s[Reg::ss_attr] = attr::kUnusable | u64{level} << 5;
    return enter_code(x, gate.selector, cs, gate.target, level);
}

// SDM 3A 5.8.4. A gate of long mode leads to 64-bit code only (SDM 3A 5.8.3.1).
Flow through_call_gate(Exec& x, const Op& op, bool call, const Gate& gate) {
    Descriptor cs;
    if (!find_code(x, gate.selector, cs)) return Flow::stop;
    const unsigned cpl = static_cast<unsigned>(x.cpl());
    const bool inward = !cs.conforming() && cs.dpl() < cpl;
    const bool fits = !long_mode(x) || (cs.long_code() && !cs.big());
    if (!cs.code() || !fits || cs.dpl() > cpl || (!call && inward)) {
        return x.fault(Vector::gp, selector_error(gate.selector));
    }
    if (!cs.present()) return x.fault(Vector::np, selector_error(gate.selector));
    if (!inward) return transfer(x, op, gate.selector, cs, gate.target, call ? gate.size : 0);
    if (!long_mode(x)) return call_inner(x, op, gate, cs);
    if (!target_in_segment(x, cs, gate.target)) return Flow::stop;
    return call_inner_long(x, op, gate, cs);
}

Flow go_to_task(Exec& x, const Op& op, bool call, u16 selector) {
    return after_switch(x, switch_task(x, {.reason = call ? TaskReason::call : TaskReason::jump,
                                           .selector = selector,
                                           .rip = x.next_rip(op),
                                           .rflags = x.rflags()}));
}

}  // namespace

Flow through_gate(Exec& x, const Op& op, bool call, u16 selector, Descriptor& descriptor) {
    constexpr unsigned kTss16 = 1, kCallGate16 = 4, kTaskGate = 5, kTss32 = 9, kCallGate32 = 12;
    const unsigned type = descriptor.type();
    // Long mode has neither task switches nor 16-bit gates. A busy TSS is #GP, too.
    const bool tss = (type & ~2u) == kTss16 || (type & ~2u) == kTss32;
    const bool known = long_mode(x)
                           ? type == kCallGate32
                           : tss || type == kTaskGate || type == kCallGate16 || type == kCallGate32;
    if (!known || descriptor.dpl() < x.cpl() || (selector & 3u) > descriptor.dpl()) {
        return x.fault(Vector::gp, selector_error(selector));
    }
    if (tss) return go_to_task(x, op, call, selector);
    if (!find_system_descriptor(x, selector, descriptor)) return Flow::stop;
    constexpr u64 kUpperType = u64{0x1F} << 40;
    if ((descriptor.upper & kUpperType) != 0) {
        return x.fault(Vector::gp, selector_error(selector));
    }
    if (!descriptor.present()) return x.fault(Vector::np, selector_error(selector));
    u64 raw = 0;
    if (!x.system_load(descriptor.address, &raw, sizeof(raw))) return Flow::stop;
    const u16 to = static_cast<u16>(raw >> 16);
    if (type == kTaskGate) return go_to_task(x, op, call, to);
    const u64 low = raw & 0xFFFF;
    if (type == kCallGate16) {
        const auto parameters = static_cast<unsigned>(raw >> 32 & 31);
        return through_call_gate(x, op, call, {to, low, parameters, 2});
    }
    const u64 offset = low | (raw >> 32 & 0xFFFF0000) | descriptor.upper << 32;
    const auto parameters = static_cast<unsigned>(raw >> 32 & 31);
    return through_call_gate(x, op, call, {to, offset, parameters, long_mode(x) ? 8u : 4u});
}

}  // namespace vtlsim::sim
