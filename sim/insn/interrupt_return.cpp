#include "sim/insn/interrupt_return.hpp"

#include "sim/exec/descriptor.hpp"

namespace vtlsim::sim {
namespace {

bool gp_selector(Exec& x, u16 selector) {
    x.fault(Vector::gp, selector & 0xFFFCu);
    return false;
}

// CS of the return (SDM 2A IRET, IA-32e mode).
bool check_cs(Exec& x, u16 selector, Descriptor& cs) {
    if ((selector & ~3u) == 0) {
        x.fault(Vector::gp, 0);
        return false;
    }
    switch (read_descriptor(x, selector, cs)) {
        case Lookup::failed:
            return false;
        case Lookup::outside:
            return gp_selector(x, selector);
        case Lookup::found:
            break;
    }
    const unsigned rpl = selector & 3;
    if (!cs.code() || rpl < x.cpl() || (cs.conforming() ? cs.dpl() > rpl : cs.dpl() != rpl) ||
        (cs.long_code() && cs.big())) {
        return gp_selector(x, selector);
    }
    if (!cs.present()) {
        x.fault(Vector::np, selector & 0xFFFCu);
        return false;
    }
    return true;
}

// A null SS is allowed in 64-bit code below CPL 3 whose RPL matches.
bool check_ss(Exec& x, u16 selector, unsigned rpl, bool to_long, Descriptor& ss) {
    if ((selector & ~3u) == 0) {
        if (to_long && rpl != 3 && (selector & 3u) == rpl) {
            ss.attr = attr::kUnusable | u64{rpl} << 5;
            return true;
        }
        x.fault(Vector::gp, 0);
        return false;
    }
    switch (read_descriptor(x, selector, ss)) {
        case Lookup::failed:
            return false;
        case Lookup::outside:
            return gp_selector(x, selector);
        case Lookup::found:
            break;
    }
    if ((selector & 3u) != rpl || !ss.writable_data() || ss.dpl() != rpl) {
        return gp_selector(x, selector);
    }
    if (!ss.present()) {
        x.fault(Vector::ss, selector & 0xFFFCu);
        return false;
    }
    return true;
}

Flow iretq(Exec& x, const Op&) {
    CpuState& s = x.s;
    if ((s[Reg::rflags] & flag::nt) != 0) return x.fault(Vector::gp, 0);
    // RIP CS RFLAGS RSP SS, always five in 64-bit mode.
    std::array<u64, 5> frame{};
    if (!x.load(s[Reg::rsp], frame, true)) return Flow::stop;
    const u16 cs_selector = static_cast<u16>(frame[1]);
    const u16 ss_selector = static_cast<u16>(frame[4]);
    const unsigned rpl = cs_selector & 3;
    Descriptor cs;
    Descriptor ss;
    if (!check_cs(x, cs_selector, cs)) return Flow::stop;
    if (!check_ss(x, ss_selector, rpl, cs.long_code(), ss)) return Flow::stop;
    if (cs.long_code() ? !Exec::canonical(frame[0]) : (frame[0] & 0xFFFFFFFF) > cs.limit) {
        return x.fault(Vector::gp, 0);
    }
    if (!mark_accessed(x, cs)) return Flow::stop;
    if ((ss.attr & attr::kUnusable) == 0 && !mark_accessed(x, ss)) return Flow::stop;

    const u64 old_cpl = x.cpl();
    const u64 old = x.rflags();
    u64 writable = flag::kStatus | flag::tf | flag::df | flag::nt | flag::rf | flag::ac | flag::id;
    if (old_cpl <= (old >> 12 & 3)) writable |= flag::if_;
    if (old_cpl == 0) writable |= flag::iopl | flag::vif | flag::vip;
    s[Reg::rip] = cs.long_code() ? frame[0] : frame[0] & 0xFFFFFFFF;
    s[Reg::rsp] = frame[3];
    s[Reg::cs] = cs_selector;
    s[Reg::cs_base] = cs.base;
    s[Reg::cs_limit] = cs.limit;
    s[Reg::cs_attr] = cs.attr;
    s[Reg::ss] = ss_selector;
    s[Reg::ss_base] = ss.base;
    s[Reg::ss_limit] = ss.limit;
    s[Reg::ss_attr] = ss.attr;
    if (rpl > old_cpl) {
        // Segments that the outer level may not use become null (SDM 2A IRET).
        for (Seg seg : {Seg::es, Seg::fs, Seg::gs, Seg::ds}) {
            const u64 a = s[attr_of(seg)];
            const bool nonconforming = (a >> 3 & 1) == 0 || (a >> 2 & 1) == 0;
            if ((a & attr::kUnusable) == 0 && nonconforming && attr::dpl(a) < rpl) {
                s[selector_of(seg)] = 0;
                s[attr_of(seg)] = attr::kUnusable;
            }
        }
    }
    x.set_rflags((old & ~writable) | (frame[2] & writable));
    s[Reg::nmi_blocked] = 0;
    return Flow::branch;
}

}  // namespace

bool translate_iretq(const Decoded&, Op& op) {
    op.handler = iretq;
    return true;
}

}  // namespace vtlsim::sim
