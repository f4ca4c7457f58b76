// CPUID, MSRs, time, hypercalls, HLT, interrupt flag, descriptor-table registers, FS and GS base,
// fences and caches.
#include "sim/exec/cpuid.hpp"
#include "sim/exec/msr.hpp"
#include "sim/insn/interrupt_return.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/umip.hpp"

namespace vtlsim::sim {
namespace {

Flow exec_cpuid(Exec& x, const Op& op) {
    if (x.exits.cpuid) return x.exit(Exit{.kind = ExitKind::cpuid}, op);
    const CpuidResult r =
        cpuid(x.s, static_cast<u32>(x.s[Reg::rax]), static_cast<u32>(x.s[Reg::rcx]));
    x.s[Reg::rax] = r.eax;
    x.s[Reg::rbx] = r.ebx;
    x.s[Reg::rcx] = r.ecx;
    x.s[Reg::rdx] = r.edx;
    return Flow::next;
}

Flow rdmsr(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    const u32 msr = static_cast<u32>(x.s[Reg::rcx]);
    x.advance_tsc(op.imm);
    const auto value = read_msr(x, msr);
    if (!value) {
        if (!x.exits.unknown_msr) return x.fault(Vector::gp, 0);
        return x.exit(Exit{.kind = ExitKind::rdmsr, .msr = msr}, op);
    }
    x.s[Reg::rax] = *value & 0xFFFFFFFF;
    x.s[Reg::rdx] = *value >> 32;
    return Flow::next;
}

Flow wrmsr(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    const u32 msr = static_cast<u32>(x.s[Reg::rcx]);
    const u64 value = x.s[Reg::rdx] << 32 | (x.s[Reg::rax] & 0xFFFFFFFF);
    x.advance_tsc(op.imm);
    switch (write_msr(x, msr, value)) {
        case MsrWrite::done:
            x.s[Reg::rip] = x.next_rip(op);  // leave the block: EFER decides what may be executed
            return Flow::branch;
        case MsrWrite::invalid:
            return x.fault(Vector::gp, 0);
        case MsrWrite::not_modelled:
            return not_modelled(x, op);
        case MsrWrite::unknown:
            break;
    }
    if (!x.exits.unknown_msr) return x.fault(Vector::gp, 0);
    return x.exit(Exit{.kind = ExitKind::wrmsr, .msr = msr, .value = value}, op);
}

// RDMSR, WRMSR, RDTSC, RDTSCP: imm is the place in the block, which the time depends on.
template <Flow (*Body)(Exec&, const Op&)>
bool translate_timed(const Decoded& d, Op& op) {
    op.imm = d.position;
    op.handler = Body;
    return true;
}

template <bool Aux>
Flow rdtsc(Exec& x, const Op& op) {
    if ((x.s[Reg::cr4] & cr4::tsd) != 0 && x.cpl() != 0) return x.fault(Vector::gp, 0);
    x.advance_tsc(op.imm);
    x.s[Reg::rax] = x.s[Reg::tsc] & 0xFFFFFFFF;
    x.s[Reg::rdx] = x.s[Reg::tsc] >> 32;
    if (Aux) x.s[Reg::rcx] = x.s[Reg::tsc_aux];
    return Flow::next;
}

Flow rdpid(Exec& x, const Op& op) {
    x.s.scalar[op.dst] = x.s[Reg::tsc_aux];
    return Flow::next;
}

// There are no performance counters (CPUID leaf 0Ah is empty): every number is a wrong one.
Flow rdpmc(Exec& x, const Op&) { return x.fault(Vector::gp, 0); }

// Who may call, and what an unprivileged caller gets, is the hypervisor's to say.
Flow vmcall(Exec& x, const Op& op) { return x.exit(Exit{.kind = ExitKind::hypercall}, op); }
Flow vmmcall(Exec& x, const Op& op) {
    return x.exit(Exit{.kind = ExitKind::hypercall, .vmmcall = true}, op);
}

Flow hlt(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    x.s[Reg::activity] = 1;
    x.s[Reg::rip] = x.next_rip(op);
    x.pending = Halted{};
    return Flow::done;
}

bool may_change_if(Exec& x) { return x.cpl() <= (x.s[Reg::rflags] >> 12 & 3); }

// With CR4.PVI level 3 gets VIF instead of IF (SDM 3A 20.4).
Flow may_not_change_if(Exec& x) {
    const bool virtual_if = x.cpl() == 3 && (x.s[Reg::cr4] & cr4::pvi) != 0;
    return virtual_if ? x.not_modelled("CLI or STI with CR4.PVI set") : x.fault(Vector::gp, 0);
}

Flow cli(Exec& x, const Op&) {
    if (!may_change_if(x)) return may_not_change_if(x);
    x.s[Reg::rflags] &= ~flag::if_;
    return Flow::next;
}

// Interrupts stay off for one more instruction if IF was 0 (SDM 2B STI).
Flow sti(Exec& x, const Op& op) {
    if (!may_change_if(x)) return may_not_change_if(x);
    if ((x.s[Reg::rflags] & flag::if_) == 0) {
        x.s[Reg::rflags] |= flag::if_;
        x.s[Reg::shadow] = 1;
        x.shadow_set = true;
    }
    x.s[Reg::rip] = x.next_rip(op);
    return Flow::branch;
}

Flow clts(Exec& x, const Op&) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    x.s[Reg::cr0] &= ~cr0::ts;
    return Flow::next;
}

// The whole TLB goes: more than asked is always allowed (SDM 3A 4.10.4).
Flow invlpg(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    x.flush_tlb();
    x.s[Reg::rip] = x.next_rip(op);  // leave the block: its own page may have moved
    return Flow::branch;
}

// There are no caches to write back or to lose.
Flow invd(Exec& x, const Op&) { return x.cpl() != 0 ? x.fault(Vector::gp, 0) : Flow::next; }

// The line is read as by a load of one byte, and there is no cache to flush it from.
Flow clflush(Exec& x, const Op& op) {
    return x.probe(x.linear(op), 1, Access::read, op.stack_segment) ? Flow::next : Flow::stop;
}

template <bool Set>
Flow change_ac(Exec& x, const Op&) {
    if (x.cpl() != 0) return x.fault(Vector::ud);
    x.set_rflags(Set ? x.rflags() | flag::ac : x.rflags() & ~flag::ac);
    return Flow::next;
}

// --- FS and GS base ------------------------------------------------------------------------------

bool base_usable(Exec& x) {
    if (x.long_code && (x.s[Reg::cr4] & cr4::fsgsbase) != 0) return true;
    x.fault(Vector::ud);
    return false;
}

template <Reg Base, class T>
Flow read_base(Exec& x, const Op& op) {
    if (!base_usable(x)) return Flow::stop;
    x.set_reg<T>(op.dst, static_cast<T>(x.s[Base]));
    return Flow::next;
}
template <Reg Base, class T>
Flow write_base(Exec& x, const Op& op) {
    if (!base_usable(x)) return Flow::stop;
    const u64 value = x.reg<T>(op.dst);
    if (!Exec::canonical(value)) return x.fault(Vector::gp, 0);
    x.s[Base] = value;
    return Flow::next;
}

template <Reg Base, bool Write>
bool translate_base(const Decoded& d, Op& op) {
    op.dst = gpr_slot(d[0].reg.value);
    const bool wide = d[0].size == 64;
    if (Write) {
        op.handler = wide ? write_base<Base, u64> : write_base<Base, u32>;
    } else {
        op.handler = wide ? read_base<Base, u64> : read_base<Base, u32>;
    }
    return true;
}

Flow swapgs(Exec& x, const Op&) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    std::swap(x.s[Reg::gs_base], x.s[Reg::kernel_gs_base]);
    return Flow::next;
}

// Memory order is that of the schedule: within one processor fences have nothing to do.
Flow fence(Exec&, const Op&) { return Flow::next; }

// LGDT, LIDT, SGDT, SIDT: a 16-bit limit and a base of 64 bits, or 32 outside of 64-bit mode, of
// which a load with 16-bit operands takes 24. op.dst: slot of the base.
Flow load_table(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    u16 limit = 0;
    u64 base = 0;
    const u64 address = x.linear(op);
    if (!x.load(address, limit, op.stack_segment) ||
        !x.load_slow(address + 2, &base, x.long_code ? 8 : 4, op.stack_segment)) {
        return Flow::stop;
    }
    if (!x.long_code && op.size == 2) base &= 0xFFFFFF;
    if (!Exec::canonical(base)) return x.fault(Vector::gp, 0);
    x.s.scalar[op.dst] = base;
    x.s.scalar[op.dst + 1u] = limit;
    return Flow::next;
}

Flow store_table(Exec& x, const Op& op) {
    if (!umip_allows(x)) return Flow::stop;
    std::array<u8, 10> image{};
    std::memcpy(image.data(), &x.s.scalar[op.dst + 1u], 2);
    std::memcpy(image.data() + 2, &x.s.scalar[op.dst], 8);
    const std::size_t size = x.long_code ? 10 : 6;
    return x.store_slow(x.linear(op), image.data(), size, op.stack_segment) ? Flow::next
                                                                            : Flow::stop;
}
static_assert(offset(Reg::gdtr_base, 1) == Reg::gdtr_limit);
static_assert(offset(Reg::idtr_base, 1) == Reg::idtr_limit);

template <Reg Base, Flow (*Body)(Exec&, const Op&)>
bool translate_table(const Decoded& d, Op& op) {
    set_memory(d[0], op);
    op.dst = static_cast<u8>(index_of(Base));
    op.handler = Body;
    return true;
}

bool translate_clflush(const Decoded& d, Op& op) {
    set_memory(d[0], op);
    op.handler = clflush;
    return true;
}

bool translate_rdpid(const Decoded& d, Op& op) {
    op.dst = gpr_slot(d[0].reg.value);
    op.handler = rdpid;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_CLAC, translate_plain<change_ac<false>>, "SDM 2A CLAC"},
    {ZYDIS_MNEMONIC_CLFLUSH, translate_clflush, "SDM 2A CLFLUSH"},
    {ZYDIS_MNEMONIC_CLI, translate_plain<cli>, "SDM 2A CLI"},
    {ZYDIS_MNEMONIC_CLTS, translate_plain<clts>, "SDM 2A CLTS"},
    {ZYDIS_MNEMONIC_CPUID, translate_plain<exec_cpuid>, "SDM 2A CPUID"},
    {ZYDIS_MNEMONIC_HLT, translate_plain<hlt>, "SDM 2A HLT"},
    {ZYDIS_MNEMONIC_INVD, translate_plain<invd>, "SDM 2A INVD"},
    {ZYDIS_MNEMONIC_INVLPG, translate_plain<invlpg>, "SDM 2A INVLPG"},
    {ZYDIS_MNEMONIC_IRET, translate_iret, "SDM 2A IRET"},
    {ZYDIS_MNEMONIC_IRETD, translate_iret, "SDM 2A IRETD"},
    {ZYDIS_MNEMONIC_IRETQ, translate_iret, "SDM 2A IRETQ"},
    {ZYDIS_MNEMONIC_LFENCE, translate_plain<fence>, "SDM 2A LFENCE"},
    {ZYDIS_MNEMONIC_LGDT, translate_table<Reg::gdtr_base, load_table>, "SDM 2A LGDT"},
    {ZYDIS_MNEMONIC_LIDT, translate_table<Reg::idtr_base, load_table>, "SDM 2A LIDT"},
    {ZYDIS_MNEMONIC_MFENCE, translate_plain<fence>, "SDM 2B MFENCE"},
    {ZYDIS_MNEMONIC_RDFSBASE, translate_base<Reg::fs_base, false>, "SDM 2B RDFSBASE"},
    {ZYDIS_MNEMONIC_RDGSBASE, translate_base<Reg::gs_base, false>, "SDM 2B RDGSBASE"},
    {ZYDIS_MNEMONIC_RDMSR, translate_timed<rdmsr>, "SDM 2B RDMSR"},
    {ZYDIS_MNEMONIC_RDPID, translate_rdpid, "SDM 2B RDPID"},
    {ZYDIS_MNEMONIC_RDPMC, translate_plain<rdpmc>, "SDM 2B RDPMC"},
    {ZYDIS_MNEMONIC_RDTSC, translate_timed<rdtsc<false>>, "SDM 2B RDTSC"},
    {ZYDIS_MNEMONIC_RDTSCP, translate_timed<rdtsc<true>>, "SDM 2B RDTSCP"},
    {ZYDIS_MNEMONIC_SFENCE, translate_plain<fence>, "SDM 2B SFENCE"},
    {ZYDIS_MNEMONIC_SGDT, translate_table<Reg::gdtr_base, store_table>, "SDM 2B SGDT"},
    {ZYDIS_MNEMONIC_SIDT, translate_table<Reg::idtr_base, store_table>, "SDM 2B SIDT"},
    {ZYDIS_MNEMONIC_STAC, translate_plain<change_ac<true>>, "SDM 2B STAC"},
    {ZYDIS_MNEMONIC_STI, translate_plain<sti>, "SDM 2B STI"},
    {ZYDIS_MNEMONIC_SWAPGS, translate_plain<swapgs>, "SDM 2B SWAPGS"},
    {ZYDIS_MNEMONIC_VMCALL, translate_plain<vmcall>, "SDM 3C VMCALL"},
    {ZYDIS_MNEMONIC_VMMCALL, translate_plain<vmmcall>, "APM 3 VMMCALL"},
    {ZYDIS_MNEMONIC_WBINVD, translate_plain<invd>, "SDM 2D WBINVD"},
    {ZYDIS_MNEMONIC_WRFSBASE, translate_base<Reg::fs_base, true>, "SDM 2D WRFSBASE"},
    {ZYDIS_MNEMONIC_WRGSBASE, translate_base<Reg::gs_base, true>, "SDM 2D WRGSBASE"},
    {ZYDIS_MNEMONIC_WRMSR, translate_timed<wrmsr>, "SDM 2D WRMSR"},
};

}  // namespace

std::span<const InsnRow> system_rows() { return kRows; }

}  // namespace vtlsim::sim
