// Instructions about descriptors and the machine status word: SLDT STR SMSW LLDT LTR LMSW LAR LSL
// VERR VERW ARPL.
#include "sim/exec/segment.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/umip.hpp"

namespace vtlsim::sim {
namespace {

// The 16-bit source, dst or memory.
template <bool Memory>
bool load_selector(Exec& x, const Op& op, u16& selector) {
    selector = x.reg<u16>(op.src);
    return !Memory || x.load_operand(op, selector);
}

void set_zf(Exec& x, bool zf) {
    x.flags.set_status((x.flags.status() & ~flag::zf) | (zf ? flag::zf : 0));
}

// --- SLDT STR SMSW: 16 bits to memory, the operand's size to a register --------------------------

// SMSW works in every mode, the others only where there are descriptors.
template <Reg Source>
bool may_store(Exec& x) {
    if (Source != Reg::cr0 && !protected_mode(x)) {
        x.fault(Vector::ud);
        return false;
    }
    return umip_allows(x);
}

template <Reg Source, class T>
Flow read_system(Exec& x, const Op& op) {
    if (!may_store<Source>(x)) return Flow::stop;
    x.set_reg<T>(op.dst, static_cast<T>(x.s[Source]));
    return Flow::next;
}
template <Reg Source>
Flow store_system(Exec& x, const Op& op) {
    if (!may_store<Source>(x)) return Flow::stop;
    return x.store_operand(op, static_cast<u16>(x.s[Source])) ? Flow::next : Flow::stop;
}

template <Reg Source>
bool translate_read_system(const Decoded& d, Op& op) {
    if (d.is_mem(0)) {
        set_memory(d[0], op);
        op.handler = store_system<Source>;
        return true;
    }
    op.dst = gpr_slot(d[0].reg.value);
    op.handler =
        by_size(d[0].size / 8u, []<class T>() -> Handler { return read_system<Source, T>; });
    return op.handler != nullptr;
}

// --- LMSW LLDT LTR -------------------------------------------------------------------------------

// PE, MP, EM, TS; PE can be set but not cleared (SDM 2A LMSW).
template <bool Memory>
Flow lmsw(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    u16 value = 0;
    if (!load_selector<Memory>(x, op, value)) return Flow::stop;
    constexpr u64 kWritten = cr0::mp | cr0::em | cr0::ts;
    x.s[Reg::cr0] = (x.s[Reg::cr0] & ~kWritten) | (value & (kWritten | cr0::pe));
    x.flush_tlb();
    x.update_context();
    x.s[Reg::rip] = x.next_rip(op);
    return Flow::branch;
}

// The system descriptor that LLDT and LTR load. False: a fault is pending.
bool system_segment(Exec& x, u16 selector, u64 types, Descriptor& d) {
    const bool local = (selector & 4) != 0;
    if (local) return selector_fault(x, Vector::gp, selector);
    if (!find_system_descriptor(x, selector, d)) return false;
    // The type field of the second half must be zero (SDM 3A 8.2.3), the base canonical.
    if (d.code_or_data() || (types >> d.type() & 1) == 0 || (d.upper >> 40 & 0x1F) != 0 ||
        !Exec::canonical(d.base)) {
        return selector_fault(x, Vector::gp, selector);
    }
    if (!d.present()) return selector_fault(x, Vector::np, selector);
    return true;
}

template <bool Memory>
Flow lldt(Exec& x, const Op& op) {
    if (!protected_mode(x)) return x.fault(Vector::ud);
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    u16 selector = 0;
    if (!load_selector<Memory>(x, op, selector)) return Flow::stop;
    if ((selector & ~3u) == 0) {
        set_null(x, Seg::ldtr, selector);
        return Flow::next;
    }
    constexpr u64 kLdt = 1u << 2;
    Descriptor d;
    if (!system_segment(x, selector, kLdt, d)) return Flow::stop;
    set_segment(x, Seg::ldtr, selector, d);
    return Flow::next;
}

template <bool Memory>
Flow ltr(Exec& x, const Op& op) {
    if (!protected_mode(x)) return x.fault(Vector::ud);
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    u16 selector = 0;
    if (!load_selector<Memory>(x, op, selector)) return Flow::stop;
    if ((selector & ~3u) == 0) return x.fault(Vector::gp, 0);
    constexpr u64 kAvailable16 = 1u << 1, kAvailable = 1u << 9, kBusy = 2;
    Descriptor d;
    const u64 types = long_mode(x) ? kAvailable : kAvailable | kAvailable16;
    if (!system_segment(x, selector, types, d)) return Flow::stop;
    d.attr |= kBusy;
    const u8 byte = static_cast<u8>(d.attr & 0xFF);
    if (!x.system_store(d.address + 5, &byte, 1)) return Flow::stop;
    set_segment(x, Seg::tr, selector, d);
    return Flow::next;
}

// --- LAR LSL VERR VERW ARPL ----------------------------------------------------------------------

enum class Look : u8 { hidden, visible, failed };

// Whether the program may see the selector's descriptor, of a system segment if its type is in
// `types`. No fault but those of the read itself.
Look look_up(Exec& x, u16 selector, u64 types, Descriptor& d) {
    if ((selector & ~3u) == 0) return Look::hidden;
    const Lookup found = read_descriptor(x, selector, d);
    if (found == Lookup::failed) return Look::failed;
    if (found == Lookup::outside) return Look::hidden;
    if (!d.code_or_data() && (types >> d.type() & 1) == 0) return Look::hidden;
    const bool any_level = d.code() && d.conforming();
    const bool allowed = any_level || (x.cpl() <= d.dpl() && (selector & 3u) <= d.dpl());
    return allowed ? Look::visible : Look::hidden;
}

// Types that LAR and LSL know (SDM 2A tables 3-53, 3-56).
constexpr u64 kLimitLegacy = 0xA0E, kLimitLong = 0xA04;      // TSS and LDT
constexpr u64 kRightsLegacy = 0x1A3E, kRightsLong = 0x1A04;  // and call and task gates

// Both read a register as a whole, memory as 16 bits.
template <bool Limit, class T, bool Memory>
Flow look(Exec& x, const Op& op) {
    if (!protected_mode(x)) return x.fault(Vector::ud);
    u16 selector = 0;
    if (!load_selector<Memory>(x, op, selector)) return Flow::stop;
    const u64 types = Limit          ? long_mode(x) ? kLimitLong : kLimitLegacy
                      : long_mode(x) ? kRightsLong
                                     : kRightsLegacy;
    Descriptor d;
    const Look seen = look_up(x, selector, types, d);
    if (seen == Look::failed) return Flow::stop;
    set_zf(x, seen == Look::visible);
    if (seen == Look::hidden) return Flow::next;
    if constexpr (Limit) {
        x.set_reg<T>(op.dst, static_cast<T>(d.limit));
    } else {
        // Bytes 5 and 6 of the descriptor; the limit's bits among them, which the manual leaves
        // open, are those that processors give.
        u32 rights = 0;
        if (!x.system_load(d.address + 4, &rights, 4)) return Flow::stop;
        x.set_reg<T>(op.dst, static_cast<T>(rights & 0x00FFFF00));
    }
    return Flow::next;
}

template <bool Limit>
bool translate_look(const Decoded& d, Op& op) {
    op.dst = gpr_slot(d[0].reg.value);
    const bool memory = d.is_mem(1);
    if (memory) {
        set_memory(d[1], op);
    } else {
        op.src = gpr_slot(d[1].reg.value);
    }
    op.handler = by_size(d[0].size / 8u, [&]<class T>() -> Handler {
        return memory ? look<Limit, T, true> : look<Limit, T, false>;
    });
    return op.handler != nullptr;
}

template <bool Write, bool Memory>
Flow verify(Exec& x, const Op& op) {
    if (!protected_mode(x)) return x.fault(Vector::ud);
    u16 selector = 0;
    if (!load_selector<Memory>(x, op, selector)) return Flow::stop;
    Descriptor d;
    const Look seen = look_up(x, selector, 0, d);
    if (seen == Look::failed) return Flow::stop;
    const bool readable = !d.code() || (d.attr >> 1 & 1) != 0;
    set_zf(x, seen == Look::visible && (Write ? d.writable_data() : readable));
    return Flow::next;
}

// The destination's RPL is raised to the source's.
template <bool Memory>
Flow arpl(Exec& x, const Op& op) {
    if (!protected_mode(x)) return x.fault(Vector::ud);
    const u16 floor = x.reg<u16>(op.src) & 3;
    u16 selector = x.reg<u16>(op.dst);
    const u64 address = x.linear(op);
    // A plain read: the destination is written only if its RPL is raised.
    const u64 in_segment = address - x.s.scalar[op.segment_base];
    if (Memory && !check_access(x, op.segment, in_segment, sizeof(u16), Access::read)) {
        return Flow::stop;
    }
    if (Memory && !x.load(address, selector, op.stack_segment)) return Flow::stop;
    const bool raised = (selector & 3) < floor;
    const u16 value = static_cast<u16>(raised ? (selector & ~3u) | floor : selector);
    if (!Memory) {
        x.set_reg<u16>(op.dst, value);
    } else if (raised && (!check_access(x, op.segment, in_segment, sizeof(u16), Access::write) ||
                          !x.store(address, value, op.stack_segment))) {
        return Flow::stop;
    }
    set_zf(x, raised);
    return Flow::next;
}

bool translate_arpl(const Decoded& d, Op& op) {
    op.src = gpr_slot(d[1].reg.value);
    if (d.is_mem(0)) {
        set_memory(d[0], op);
    } else {
        op.dst = gpr_slot(d[0].reg.value);
    }
    op.handler = d.is_mem(0) ? arpl<true> : arpl<false>;
    return true;
}

template <Flow (*FromRegister)(Exec&, const Op&), Flow (*FromMemory)(Exec&, const Op&)>
bool translate_selector(const Decoded& d, Op& op) {
    if (d.is_mem(0)) {
        set_memory(d[0], op);
    } else {
        op.src = gpr_slot(d[0].reg.value);
    }
    op.handler = d.is_mem(0) ? FromMemory : FromRegister;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_ARPL, translate_arpl, "SDM 2A ARPL"},
    {ZYDIS_MNEMONIC_LAR, translate_look<false>, "SDM 2A LAR"},
    {ZYDIS_MNEMONIC_LLDT, translate_selector<lldt<false>, lldt<true>>, "SDM 2A LLDT"},
    {ZYDIS_MNEMONIC_LMSW, translate_selector<lmsw<false>, lmsw<true>>, "SDM 2A LMSW"},
    {ZYDIS_MNEMONIC_LSL, translate_look<true>, "SDM 2A LSL"},
    {ZYDIS_MNEMONIC_LTR, translate_selector<ltr<false>, ltr<true>>, "SDM 2A LTR"},
    {ZYDIS_MNEMONIC_SLDT, translate_read_system<Reg::ldtr>, "SDM 2B SLDT"},
    {ZYDIS_MNEMONIC_SMSW, translate_read_system<Reg::cr0>, "SDM 2B SMSW"},
    {ZYDIS_MNEMONIC_STR, translate_read_system<Reg::tr>, "SDM 2B STR"},
    {ZYDIS_MNEMONIC_VERR, translate_selector<verify<false, false>, verify<false, true>>,
     "SDM 2B VERR"},
    {ZYDIS_MNEMONIC_VERW, translate_selector<verify<true, false>, verify<true, true>>,
     "SDM 2B VERW"},
};

}  // namespace

std::span<const InsnRow> protection_rows() { return kRows; }

}  // namespace vtlsim::sim
