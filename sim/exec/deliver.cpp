// Interrupts and exceptions through a 64-bit IDT (SDM 3A 6.14), double and triple faults (6.15).
#include "sim/exec/deliver.hpp"

#include "sim/exec/breakpoints.hpp"
#include "sim/exec/cpu.hpp"
#include "sim/exec/segment.hpp"

namespace vtlsim::sim {
namespace {

enum class Kind : u8 { benign, contributory, page_fault };

// SDM 3A table 6-4.
Kind kind_of(const Fault& f, bool external) {
    if (external || f.software) return Kind::benign;
    switch (f.vector) {
        case Vector::de:
        case Vector::ts:
        case Vector::np:
        case Vector::ss:
        case Vector::gp:
            return Kind::contributory;
        case Vector::pf:
            return Kind::page_fault;
        default:
            return Kind::benign;
    }
}

bool deliver_long(Exec& x, const Fault& f, bool external) {
    CpuState& s = x.s;
    const u32 number = static_cast<u32>(f.vector);
    const u32 ext = external || !f.software ? 1 : 0;
    const auto gate_fault = [&](Vector v) {
        x.fault(v, number * 8 + 2 + ext);
        return false;
    };
    if (u64{number} * 16 + 15 > s[Reg::idtr_limit]) return gate_fault(Vector::gp);
    std::array<u64, 2> gate{};
    if (!x.system_load(s[Reg::idtr_base] + u64{number} * 16, gate.data(), 16)) return false;
    const u64 type = gate[0] >> 40 & 0x1F;
    const u64 gate_dpl = gate[0] >> 45 & 3;
    const unsigned old_cpl = static_cast<unsigned>(x.cpl());
    if (type != 0xE && type != 0xF) return gate_fault(Vector::gp);
    if (f.software && gate_dpl < old_cpl) return gate_fault(Vector::gp);
    if ((gate[0] >> 47 & 1) == 0) return gate_fault(Vector::np);

    const u16 selector = static_cast<u16>(gate[0] >> 16);
    const u64 target = (gate[0] & 0xFFFF) | (gate[0] >> 32 & 0xFFFF0000) | gate[1] << 32;
    Descriptor cs;
    if (!find_code(x, selector, cs, ext)) return false;
    if (!cs.code() || cs.dpl() > old_cpl || !cs.long_code() || cs.big()) {
        return selector_fault(x, Vector::gp, selector, ext);
    }
    if (!cs.present()) return selector_fault(x, Vector::np, selector, ext);
    const unsigned new_cpl = cs.conforming() ? old_cpl : cs.dpl();

    // The stack: an IST entry, the inner level's RSP, or the current one (SDM 3A 6.14.4, 6.14.5).
    const u64 ist = gate[0] >> 32 & 7;
    u64 rsp = s[Reg::rsp];
    if (ist != 0 || new_cpl != old_cpl) {
        const u64 at = ist != 0 ? 0x1C + 8 * ist : 4 + u64{8} * new_cpl;
        if (at + 7 > s[Reg::tr_limit]) {
            x.fault(Vector::ts, (static_cast<u32>(s[Reg::tr]) & 0xFFFCu) | ext);
            return false;
        }
        if (!x.system_load(s[Reg::tr_base] + at, &rsp, 8)) return false;
    }
    rsp &= ~u64{15};
    if (!Exec::canonical(target)) {
        x.fault(Vector::gp, ext);
        return false;
    }
    if (!Exec::canonical(rsp - 8)) {
        x.fault(Vector::ss, ext);
        return false;
    }

    u64 flags = x.rflags();
    const u64 pushed = flags_image(x, f, external);
    std::array<u64, 6> frame{f.error_code, s[Reg::rip] + f.length, s[Reg::cs], pushed, s[Reg::rsp],
                             s[Reg::ss]};
    const std::size_t skip = f.has_error_code ? 0 : 1;
    const std::size_t bytes = (frame.size() - skip) * 8;
    // Pushed with the rights of the new level, which is a supervisor one unless CPL stays 3.
    const bool system = new_cpl != 3;
    if (!x.prepare_store(rsp - bytes, bytes, system) || !mark_accessed(x, cs)) return false;
    if (system) {
        x.system_store(rsp - bytes, &frame[skip], bytes);
    } else {
        x.store_slow(rsp - bytes, &frame[skip], bytes, true);
    }

    s[Reg::rsp] = rsp - bytes;
    s[Reg::rip] = target;
    s[Reg::cs] = (selector & ~3u) | new_cpl;
    s[Reg::cs_base] = cs.base;
    s[Reg::cs_limit] = cs.limit;
    s[Reg::cs_attr] = cs.attr;
    if (new_cpl != old_cpl) {
        s[Reg::ss] = new_cpl;  // a null selector with the new RPL
        s[Reg::ss_attr] = attr::kUnusable | u64{new_cpl} << 5;
    }
    flags &= ~(flag::tf | flag::nt | flag::rf | flag::vm);
    if (type == 0xE) flags &= ~flag::if_;
    x.set_rflags(flags);
    s[Reg::shadow] = 0;
    return true;
}

bool deliver_once(Exec& x, const Fault& f, bool external) {
    if ((x.s[Reg::cr0] & cr0::pe) == 0) return deliver_real(x, f);
    return long_mode(x) ? deliver_long(x, f, external) : deliver_protected(x, f, external);
}

}  // namespace

bool Cpu::deliver(Fault f, bool external) {
    Exec& x = *x_;
    const u64 old_cr2 = x.s[Reg::cr2];
    if (f.vector == Vector::pf && !external && !f.software) x.s[Reg::cr2] = f.cr2;
    for (;;) {
        if (deliver_once(x, f, external)) {
            // Debug handlers may use the debug registers (SDM 3B 18.2.4).
            if (f.vector == Vector::db && !f.software) x.s[Reg::dr7] &= ~dr7::kGeneralDetect;
            return false;
        }
        const auto* next = std::get_if<Fault>(&x.pending);
        if (next == nullptr) {  // an exit or a gap: nothing has happened yet
            x.s[Reg::cr2] = old_cr2;
            return true;
        }
        // Also where it becomes a double fault or a shutdown (SDM 3A 6.15, interrupt 14).
        if (next->vector == Vector::pf) x.s[Reg::cr2] = next->cr2;
        const Kind first = kind_of(f, external);
        const Kind second = kind_of(*next, false);
        if (f.vector == Vector::df && !external && !f.software && second != Kind::benign) {
            x.s[Reg::activity] = 2;
            x.pending = Shutdown{};
            return true;
        }
        // SDM 3A table 6-5.
        const bool twice = (first == Kind::contributory && second == Kind::contributory) ||
                           (first == Kind::page_fault && second != Kind::benign);
        f = twice ? Fault{.vector = Vector::df, .has_error_code = true} : *next;
        external = false;
        if (x.observer != nullptr) x.observer->delivering(*this, f);
    }
}

}  // namespace vtlsim::sim
