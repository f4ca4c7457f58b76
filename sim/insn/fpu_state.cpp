// FXSAVE FXRSTOR, and MXCSR.
#include "sim/insn/fpu_state.hpp"

#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/sse.hpp"
#include "sim/insn/x87.hpp"

namespace vtlsim::sim {
namespace {

constexpr u64 kSt80Mask = 0xFFFF;

// XMM8-15 exist in 64-bit mode only; elsewhere their bytes are left alone.
unsigned xmm_count(const Exec& x) { return x.long_code ? 16 : 8; }

// An address that is not canonical comes first: the access itself will say so.
bool misaligned(const Exec& x, u64 address) {
    return address % 16 != 0 && (!x.long_code || Exec::canonical(address));
}

template <bool Wide>
Flow fxsave(Exec& x, const Op& op) {
    if (!x87::usable(x)) return Flow::stop;
    if ((x.s[Reg::cr4] & cr4::osfxsr) == 0) return x.not_modelled("fxsave with CR4.OSFXSR = 0");
    const u64 address = x.linear(op);
    if (misaligned(x, address)) return x.fault(Vector::gp, 0);
    FxsaveArea area{};
    // The unused bytes of the area stay what they were.
    if (!x.load_for_store(address, area, op.stack_segment)) return Flow::stop;
    save_x87(x, area, Wide);
    save_mxcsr(x, area);
    save_xmm(x, area);
    return x.store(address, area, op.stack_segment) ? Flow::next : Flow::stop;
}

template <bool Wide>
Flow fxrstor(Exec& x, const Op& op) {
    if (!x87::usable(x)) return Flow::stop;
    if ((x.s[Reg::cr4] & cr4::osfxsr) == 0) return x.not_modelled("fxrstor with CR4.OSFXSR = 0");
    const u64 address = x.linear(op);
    if (misaligned(x, address)) return x.fault(Vector::gp, 0);
    FxsaveArea area{};
    if (!x.load(address, area, op.stack_segment)) return Flow::stop;
    if ((area.mxcsr & ~kMxcsrMask) != 0) return x.fault(Vector::gp, 0);
    restore_x87(x, area, Wide);
    x.s[Reg::mxcsr] = area.mxcsr;
    restore_xmm(x, area);
    return Flow::next;
}

Flow stmxcsr(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    return x.store_operand(op, static_cast<u32>(x.s[Reg::mxcsr])) ? Flow::next : Flow::stop;
}

Flow ldmxcsr(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    u32 value = 0;
    if (!x.load_operand(op, value)) return Flow::stop;
    if ((value & ~kMxcsrMask) != 0) return x.fault(Vector::gp, 0);
    x.s[Reg::mxcsr] = value;
    return Flow::next;
}

template <Flow (*Body)(Exec&, const Op&)>
bool translate_memory(const Decoded& d, Op& op) {
    set_memory(d[0], op);
    op.handler = Body;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_FXRSTOR, translate_memory<fxrstor<false>>, "SDM 2A FXRSTOR"},
    {ZYDIS_MNEMONIC_FXRSTOR64, translate_memory<fxrstor<true>>, "SDM 2A FXRSTOR64"},
    {ZYDIS_MNEMONIC_FXSAVE, translate_memory<fxsave<false>>, "SDM 2A FXSAVE"},
    {ZYDIS_MNEMONIC_FXSAVE64, translate_memory<fxsave<true>>, "SDM 2A FXSAVE64"},
    {ZYDIS_MNEMONIC_LDMXCSR, translate_memory<ldmxcsr>, "SDM 2A LDMXCSR"},
    {ZYDIS_MNEMONIC_STMXCSR, translate_memory<stmxcsr>, "SDM 2B STMXCSR"},
};

}  // namespace

void save_x87(const Exec& x, FxsaveArea& area, bool wide) {
    area.fcw = static_cast<u16>(x.s[Reg::fcw]);
    area.fsw = static_cast<u16>(x.s[Reg::fsw]);
    area.ftw = static_cast<u8>(x.s[Reg::ftw]);
    area.reserved = 0;
    area.fop = static_cast<u16>(x.s[Reg::fop]);
    area.fip = wide ? x.s[Reg::fip] : x.s[Reg::fip] & 0xFFFFFFFF;
    area.fdp = wide ? x.s[Reg::fdp] : x.s[Reg::fdp] & 0xFFFFFFFF;
    for (unsigned i = 0; i < 8; ++i) {
        const Vec128& r = x.s.vec(offset(Reg::fpr0, x87::physical(x, i)));
        area.st[i] = r;
    }
}

void save_mxcsr(const Exec& x, FxsaveArea& area) {
    area.mxcsr = static_cast<u32>(x.s[Reg::mxcsr]);
    area.mxcsr_mask = kMxcsrMask;
}

void save_xmm(const Exec& x, FxsaveArea& area) {
    for (unsigned i = 0; i < xmm_count(x); ++i) area.xmm[i] = x.s.vec(offset(Reg::xmm0, i));
}

void restore_x87(Exec& x, const FxsaveArea& area, bool wide) {
    x.s[Reg::fcw] = (area.fcw & 0x1F3F) | 0x40;  // bit 6 reads as 1, undefined bits as 0
    x.s[Reg::fsw] = area.fsw;
    x87::update_summary(x);  // ES and B follow from the rest, whatever the image says
    x.s[Reg::ftw] = area.ftw;
    x.s[Reg::fop] = area.fop & 0x7FF;
    x.s[Reg::fip] = wide ? area.fip : area.fip & 0xFFFFFFFF;
    x.s[Reg::fdp] = wide ? area.fdp : area.fdp & 0xFFFFFFFF;
    for (unsigned i = 0; i < 8; ++i) {
        x.s.vec(offset(Reg::fpr0, x87::physical(x, i))) = {area.st[i].lo,
                                                           area.st[i].hi & kSt80Mask};
    }
}

void restore_xmm(Exec& x, const FxsaveArea& area) {
    for (unsigned i = 0; i < xmm_count(x); ++i) x.s.vec(offset(Reg::xmm0, i)) = area.xmm[i];
}

std::span<const InsnRow> fpu_state_rows() { return kRows; }

}  // namespace vtlsim::sim
