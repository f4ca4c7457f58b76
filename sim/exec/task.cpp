#include "sim/exec/task.hpp"

#include <cstring>

#include "sim/exec/breakpoints.hpp"
#include "sim/exec/cpu.hpp"
#include "sim/exec/segment.hpp"

namespace vtlsim::sim {
namespace {

constexpr u64 kBusy = 2;

// Where a TSS keeps what (SDM 3A figures 8-2, 8-10), in bytes. General registers are in the order
// of their numbers, segment registers in that of Seg; the 16-bit form ends with DS.
struct Layout {
    unsigned size;  // of an entry
    unsigned ip;
    unsigned flags;
    unsigned gprs;
    unsigned segments;
    unsigned segment_count;
    unsigned ldt;
    unsigned total;
};
constexpr Layout kLayout16{2, 0x0E, 0x10, 0x12, 0x22, 4, 0x2A, 0x2C};
constexpr Layout kLayout32{4, 0x20, 0x24, 0x28, 0x48, 6, 0x60, 0x68};
constexpr unsigned kCr3 = 0x1C, kTrapFlag = 0x64;

const Layout& layout_of(u64 attr) { return (attr & 8) != 0 ? kLayout32 : kLayout16; }

using Image = std::array<u8, kLayout32.total>;

u32 field(const Image& image, unsigned at, unsigned size) {
    u32 value = 0;
    std::memcpy(&value, image.data() + at, size);
    return value;
}

bool set_busy(Exec& x, u64 descriptor, bool busy) {
    u8 access = 0;
    if (!x.system_load(descriptor + 5, &access, 1)) return false;
    access = static_cast<u8>(busy ? access | kBusy : access & ~kBusy);
    return x.system_store(descriptor + 5, &access, 1);
}

// Only what the switch changes: the selectors' upper halves, CR3 and the LDT stay in memory.
bool save_task(Exec& x, const TaskSwitch& to) {
    const CpuState& s = x.s;
    const Layout& l = layout_of(s[Reg::tr_attr]);
    const u64 base = s[Reg::tr_base];
    const u64 flags = to.reason == TaskReason::iret ? to.rflags & ~flag::nt : to.rflags;
    bool good = x.system_store(base + l.ip, &to.rip, l.size) &&
                x.system_store(base + l.flags, &flags, l.size);
    for (unsigned i = 0; i < 8; ++i) {
        const u64 value = s[gpr(i)];
        good = good && x.system_store(base + l.gprs + i * l.size, &value, l.size);
    }
    for (unsigned i = 0; i < l.segment_count; ++i) {
        const u64 value = s[selector_of(static_cast<Seg>(i))];
        good = good && x.system_store(base + l.segments + i * l.size, &value, 2);
    }
    return good;
}

// General registers, flags, RIP, selectors; the hidden parts are unusable until they are loaded.
void load_registers(Exec& x, const Layout& l, const Image& image, u64 flags) {
    CpuState& s = x.s;
    s[Reg::rip] = field(image, l.ip, l.size);
    // The upper halves that a 16-bit TSS does not have are ones, as on processors.
    const u64 upper = l.size == 2 ? 0xFFFF0000 : 0;
    for (unsigned i = 0; i < 8; ++i) s[gpr(i)] = upper | field(image, l.gprs + i * l.size, l.size);
    for (unsigned i = 0; i < 6; ++i) {
        const Seg seg = static_cast<Seg>(i);
        const bool has = i < l.segment_count;
        set_null(x, seg, has ? static_cast<u16>(field(image, l.segments + i * l.size, 2)) : 0);
    }
    const u64 cpl = (flags & flag::vm) != 0 ? 3 : s[Reg::cs] & 3;
    s[Reg::ss_attr] |= cpl << 5;
    set_null(x, Seg::ldtr, static_cast<u16>(field(image, l.ldt, 2)));
    x.set_rflags(flags);
}

bool load_ldt(Exec& x, u32 ext) {
    const u16 selector = static_cast<u16>(x.s[Reg::ldtr]);
    if (is_null(selector)) return true;
    constexpr unsigned kLdt = 2;
    Descriptor d;
    const bool global = (selector & 4) == 0;
    if (global && !find_descriptor(x, selector, d, Vector::ts, ext)) return false;
    if (!global || d.code_or_data() || d.type() != kLdt || !d.present()) {
        x.fault(Vector::ts, selector_error(selector, ext));
        return false;
    }
    set_segment(x, Seg::ldtr, selector, d);
    return true;
}

// SDM 3A table 8-1.
bool load_one(Exec& x, Seg seg, u32 ext) {
    const u16 selector = static_cast<u16>(x.s[selector_of(seg)]);
    const unsigned rpl = selector & 3;
    const unsigned cpl = static_cast<unsigned>(x.cpl());
    const auto refuse = [&](Vector v) {
        x.fault(v, selector_error(selector, ext));
        return false;
    };
    if (is_null(selector)) {
        return seg != Seg::cs && seg != Seg::ss ? true : refuse(Vector::ts);
    }
    Descriptor d;
    if (!find_descriptor(x, selector, d, Vector::ts, ext)) return false;
    bool good = false;
    if (seg == Seg::cs) {
        good = d.code() && (d.conforming() ? d.dpl() <= rpl : d.dpl() == rpl);
    } else if (seg == Seg::ss) {
        good = d.writable_data() && d.dpl() == cpl && rpl == cpl;
    } else {
        const bool readable = d.code_or_data() && (!d.code() || (d.attr >> 1 & 1) != 0);
        const bool any_level = d.code() && d.conforming();
        good = readable && (any_level || (d.dpl() >= cpl && d.dpl() >= rpl));
    }
    if (!good) return refuse(Vector::ts);
    if (!d.present()) return refuse(seg == Seg::ss ? Vector::ss : Vector::np);
    if (!mark_accessed(x, d)) return false;
    set_segment(x, seg, selector, d);
    return true;
}

// Whoever handles an exit between two tasks could not go on with the rest of the switch.
void no_exit_now(Exec& x) {
    if (std::holds_alternative<Exit>(x.pending)) {
        x.not_modelled("an exit in the middle of a task switch");
    }
}

bool load_segments(Exec& x, u32 ext) {
    constexpr Seg kOrder[] = {Seg::cs, Seg::ss, Seg::ds, Seg::es, Seg::fs, Seg::gs};
    for (const Seg seg : kOrder) {
        if (virtual_8086(x)) {
            set_virtual_segment(x, seg, static_cast<u16>(x.s[selector_of(seg)]));
        } else if (!load_one(x, seg, ext)) {
            return false;
        }
    }
    return true;
}

}  // namespace

Switched switch_task(Exec& x, const TaskSwitch& to) {
    CpuState& s = x.s;
    const auto refuse = [&](Vector v) {
        x.fault(v, selector_error(to.selector, to.ext));
        return Switched::refused;
    };
    const bool back = to.reason == TaskReason::iret;
    const bool nested = to.reason == TaskReason::call || to.reason == TaskReason::interrupt;
    const Vector invalid = back ? Vector::ts : Vector::gp;
    if ((to.selector & 4) != 0) return refuse(invalid);
    Descriptor tss;
    if (!find_descriptor(x, to.selector, tss, invalid, to.ext)) return Switched::refused;
    constexpr unsigned kTss16 = 1, kTss32 = 9;
    const unsigned type = tss.type() & ~static_cast<unsigned>(kBusy);
    const bool busy = (tss.type() & kBusy) != 0;
    if (tss.code_or_data() || (type != kTss16 && type != kTss32) || busy != back) {
        return refuse(invalid);
    }
    if (!tss.present()) return refuse(Vector::np);
    const Layout& next = layout_of(tss.attr);
    if (tss.limit < next.total - 1) return refuse(Vector::ts);
    const Layout& last = layout_of(s[Reg::tr_attr]);
    if (s[Reg::tr_limit] < last.total - 1) {
        x.fault(Vector::ts, selector_error(static_cast<u16>(s[Reg::tr]), to.ext));
        return Switched::refused;
    }

    // All memory that the switch touches comes first, so that a page fault still finds the old
    // task.
    const u64 old_descriptor = s[Reg::gdtr_base] + (s[Reg::tr] & ~u64{7});
    Image image{};
    const bool reachable = x.system_probe(s[Reg::tr_base], last.total, Access::write) &&
                           x.system_load(tss.base, image.data(), next.total) &&
                           (!nested || x.system_probe(tss.base, 2, Access::write)) &&
                           (nested || x.system_probe(old_descriptor + 5, 1, Access::write)) &&
                           (back || x.system_probe(tss.address + 5, 1, Access::write));
    if (!reachable) return Switched::refused;
    if (!save_task(x, to)) return Switched::refused;
    if (nested && !x.system_store(tss.base, &s[Reg::tr], 2)) return Switched::refused;
    if (!nested && !set_busy(x, old_descriptor, false)) return Switched::refused;
    if (!back && !set_busy(x, tss.address, true)) return Switched::refused;

    // From here on it is the new task.
    tss.attr |= kBusy;
    set_segment(x, Seg::tr, to.selector, tss);
    s[Reg::cr0] |= cr0::ts;
    s[Reg::dr7] &= ~dr7::kLocalEnables;
    x.debug_registers_changed();
    const bool wide = next.size == 4;
    if (wide && (s[Reg::cr0] & cr0::pg) != 0) {
        s[Reg::cr3] = field(image, kCr3, 4);
        x.flush_tlb();
    }
    const u64 flags = field(image, next.flags, next.size) | (nested ? flag::nt : 0);
    load_registers(x, next, image, flags);
    s[Reg::shadow] = 0;
    if (wide && (image[kTrapFlag] & 1) != 0) s[Reg::pending_debug] |= dr6::kTaskSwitch;
    if (load_ldt(x, to.ext) && load_segments(x, to.ext)) return Switched::done;
    no_exit_now(x);
    return Switched::faulted;
}

Flow after_switch(Exec& x, Switched result) {
    if (result == Switched::refused) return Flow::stop;
    if (result == Switched::done) return Flow::branch;
    const auto* pending = std::get_if<Fault>(&x.pending);
    if (pending == nullptr || !x.deliver_faults) return Flow::done;
    const Fault fault = *pending;
    if (x.observer != nullptr) x.observer->delivering(*x.cpu, fault);
    const auto ended = x.cpu->inject_fault(fault);
    if (!ended) return Flow::branch;
    x.pending = *ended;
    no_exit_now(x);
    return Flow::done;
}

}  // namespace vtlsim::sim
