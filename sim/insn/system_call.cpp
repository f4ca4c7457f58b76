// SYSCALL SYSRET SYSENTER SYSEXIT: control transfers that read no descriptors. Where vendors differ
// these are Intel's: SYSCALL and SYSRET in 64-bit mode only, SYSENTER and SYSEXIT in every mode.
#include "sim/exec/segment.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

constexpr u64 kDr6SingleStep = 1u << 14;

// Flat CS, and the SS behind it in the table (SDM 2B SYSCALL).
void set_flat(Exec& x, u64 cs, u64 ss, u64 level, bool long_code) {
    constexpr u64 kFlatCode32 = 0xC09B;
    for (const Seg seg : {Seg::cs, Seg::ss}) {
        x.s[selector_of(seg)] = (seg == Seg::cs ? cs : ss) & 0xFFFF;
        x.s[base_of(seg)] = 0;
        x.s[limit_of(seg)] = 0xFFFFFFFF;
    }
    x.s[Reg::cs_attr] = (long_code ? attr::kFlatCode64 : kFlatCode32) | level << 5;
    x.s[Reg::ss_attr] = attr::kFlatData | level << 5;
}

// TF counts as it is after SYSCALL and SYSRET: a kernel that masks it is not stepped into, and
// a program to which it is restored traps before its first instruction.
void single_step_by(Exec& x, bool stepping, u64 rflags) {
    x.step_decided = stepping;
    if ((rflags & flag::tf) != 0) x.s[Reg::pending_debug] |= kDr6SingleStep;
}

Flow syscall(Exec& x, const Op& op) {
    if (!x.long_code || (x.s[Reg::efer] & efer::sce) == 0) return x.fault(Vector::ud);
    const u64 flags = x.rflags();
    const u64 cs = x.s[Reg::star] >> 32 & 0xFFFC;
    x.s[Reg::rcx] = x.next_rip(op);
    x.s[Reg::r11] = flags;
    x.s[Reg::rip] = x.s[Reg::lstar];
    set_flat(x, cs, cs + 8, 0, true);
    const u64 kept = flags & ~x.s[Reg::sfmask];
    x.set_rflags(kept);
    single_step_by(x, (flags & flag::tf) != 0, kept);
    return Flow::branch;
}

template <bool Wide>
Flow sysret(Exec& x, const Op&) {
    if (!x.long_code || (x.s[Reg::efer] & efer::sce) == 0) return x.fault(Vector::ud);
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    const u64 target = Wide ? x.s[Reg::rcx] : x.s[Reg::rcx] & 0xFFFFFFFF;
    if (!Exec::canonical(target)) return x.fault(Vector::gp, 0);
    const u64 base = x.s[Reg::star] >> 48;
    x.s[Reg::rip] = target;
    set_flat(x, (base + (Wide ? 16 : 0)) | 3, (base + 8) | 3, 3, Wide);
    constexpr u64 kRestored = 0x3C7FD7;  // neither RF nor VM
    const bool stepping = (x.s[Reg::rflags] & flag::tf) != 0;
    const u64 flags = x.s[Reg::r11] & kRestored;
    x.set_rflags(flags);
    single_step_by(x, stepping, flags);
    return Flow::branch;
}

// CS of the MSR. Zero: #GP(0) is pending.
u64 sysenter_code(Exec& x) {
    const u64 cs = x.s[Reg::sysenter_cs] & 0xFFFC;
    if ((x.s[Reg::cr0] & cr0::pe) == 0 || cs == 0) {
        x.fault(Vector::gp, 0);
        return 0;
    }
    return cs;
}

Flow sysenter(Exec& x, const Op&) {
    const u64 cs = sysenter_code(x);
    if (cs == 0) return Flow::stop;
    const bool wide = long_mode(x);
    const u64 mask = wide ? ~u64{0} : 0xFFFFFFFF;
    x.s[Reg::rsp] = x.s[Reg::sysenter_esp] & mask;
    x.s[Reg::rip] = x.s[Reg::sysenter_eip] & mask;
    set_flat(x, cs, cs + 8, 0, wide);
    x.set_rflags(x.rflags() & ~(flag::vm | flag::if_));
    return Flow::branch;
}

template <bool Wide>
Flow sysexit(Exec& x, const Op&) {
    const u64 cs = sysenter_code(x);
    if (cs == 0) return Flow::stop;
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    const u64 mask = Wide ? ~u64{0} : 0xFFFFFFFF;
    const u64 rsp = x.s[Reg::rcx] & mask;
    const u64 rip = x.s[Reg::rdx] & mask;
    if (!Exec::canonical(rsp) || !Exec::canonical(rip)) return x.fault(Vector::gp, 0);
    x.s[Reg::rsp] = rsp;
    x.s[Reg::rip] = rip;
    const u64 code = cs + (Wide ? 32 : 16);
    set_flat(x, code | 3, (code + 8) | 3, 3, Wide);
    x.update_context();
    return Flow::branch;
}

// REX.W returns to 64-bit code.
template <Flow (*Narrow)(Exec&, const Op&), Flow (*Wide)(Exec&, const Op&)>
bool translate_by_width(const Decoded& d, Op& op) {
    op.handler =
        (d.insn.attributes & ZYDIS_ATTRIB_HAS_REX) != 0 && d.insn.raw.rex.W != 0 ? Wide : Narrow;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_SYSCALL, translate_plain<syscall>, "SDM 2B SYSCALL"},
    {ZYDIS_MNEMONIC_SYSENTER, translate_plain<sysenter>, "SDM 2B SYSENTER"},
    {ZYDIS_MNEMONIC_SYSEXIT, translate_by_width<sysexit<false>, sysexit<true>>, "SDM 2B SYSEXIT"},
    {ZYDIS_MNEMONIC_SYSRET, translate_by_width<sysret<false>, sysret<true>>, "SDM 2B SYSRET"},
};

}  // namespace

std::span<const InsnRow> system_call_rows() { return kRows; }

}  // namespace vtlsim::sim
