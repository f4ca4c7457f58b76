// XSAVE XRSTOR XGETBV XSETBV for x87 and SSE state (SDM 1 chapter 13), without the compacted
// format.
#include <algorithm>
#include <cstddef>

#include "sim/insn/fpu_state.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

constexpr u64 kX87 = 1, kSse = 2;

struct XsaveArea {
    FxsaveArea legacy;
    u64 xstate_bv;
    u64 xcomp_bv;
    u64 reserved[6];
};
static_assert(sizeof(XsaveArea) == 576);

bool enabled(Exec& x) {
    if ((x.s[Reg::cr4] & cr4::osxsave) != 0) return true;
    x.fault(Vector::ud);
    return false;
}

// What the instruction is asked for and may touch. False: a fault is pending.
bool request(Exec& x, const Op& op, u64& components) {
    if (!xsave_usable(x)) return false;
    // Unlike FXSAVE's, comes before what is not canonical; as on an AMD EPYC.
    if (x.linear(op) % 64 != 0) {
        x.fault(Vector::gp, 0);
        return false;
    }
    const u64 mask = x.s[Reg::rdx] << 32 | (x.s[Reg::rax] & 0xFFFFFFFF);
    components = mask & x.s[Reg::xcr0];
    return true;
}

// x87 state after FNINIT, registers included; XMM registers all zero (SDM 1 13.6).
u64 in_use(const Exec& x) {
    u64 components = 0;
    bool initial = x.s[Reg::fcw] == 0x37F;
    for (const Reg reg : {Reg::fsw, Reg::ftw, Reg::fop, Reg::fip, Reg::fdp}) {
        initial = initial && x.s[reg] == 0;
    }
    for (unsigned i = 0; i < 8; ++i) initial = initial && x.s.vec(offset(Reg::fpr0, i)) == Vec128{};
    if (!initial) components |= kX87;
    for (unsigned i = 0; i < 16; ++i) {
        if (!(x.s.vec(offset(Reg::xmm0, i)) == Vec128{})) components |= kSse;
    }
    return components;
}

template <bool Wide>
Flow xsave(Exec& x, const Op& op) {
    u64 components = 0;
    if (!request(x, op, components)) return Flow::stop;
    const u64 address = x.linear(op);
    XsaveArea area{};
    if (!x.load_for_store(address, area, op.stack_segment)) return Flow::stop;
    if ((components & kX87) != 0) save_x87(x, area.legacy, Wide);
    if ((components & kSse) != 0) {
        save_mxcsr(x, area.legacy);
        save_xmm(x, area.legacy);
    }
    area.xstate_bv = (area.xstate_bv & ~components) | (in_use(x) & components);
    return x.store(address, area, op.stack_segment) ? Flow::next : Flow::stop;
}

template <bool Wide>
Flow xrstor(Exec& x, const Op& op) {
    u64 components = 0;
    if (!request(x, op, components)) return Flow::stop;
    XsaveArea area{};
    if (!x.load_operand(op, area)) return Flow::stop;
    // Of the reserved bytes the first eight are looked at (SDM 2D XRSTOR); a compacted image is
    // for those who have XSAVEC.
    if ((area.xstate_bv & ~x.s[Reg::xcr0]) != 0 || area.xcomp_bv != 0 || area.reserved[0] != 0) {
        return x.fault(Vector::gp, 0);
    }
    const bool sse = (components & kSse) != 0;
    if (sse && (area.legacy.mxcsr & ~kMxcsrMask) != 0) return x.fault(Vector::gp, 0);
    // What the image says is in its initial state is loaded as that; MXCSR always from the image.
    if ((area.xstate_bv & kX87) == 0) {
        const u32 mxcsr = area.legacy.mxcsr;
        std::memset(static_cast<void*>(&area.legacy), 0, offsetof(FxsaveArea, xmm));
        area.legacy.fcw = 0x37F;
        area.legacy.mxcsr = mxcsr;
    }
    if ((area.xstate_bv & kSse) == 0) std::fill_n(area.legacy.xmm, 16, Vec128{});
    if ((components & kX87) != 0) restore_x87(x, area.legacy, Wide);
    if (sse) {
        x.s[Reg::mxcsr] = area.legacy.mxcsr;
        restore_xmm(x, area.legacy);
    }
    return Flow::next;
}

Flow xgetbv(Exec& x, const Op&) {
    if (!enabled(x)) return Flow::stop;
    if ((x.s[Reg::rcx] & 0xFFFFFFFF) != 0) return x.fault(Vector::gp, 0);
    x.s[Reg::rax] = x.s[Reg::xcr0] & 0xFFFFFFFF;
    x.s[Reg::rdx] = x.s[Reg::xcr0] >> 32;
    return Flow::next;
}

Flow xsetbv(Exec& x, const Op&) {
    if (!enabled(x)) return Flow::stop;
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    const u64 value = x.s[Reg::rdx] << 32 | (x.s[Reg::rax] & 0xFFFFFFFF);
    if ((x.s[Reg::rcx] & 0xFFFFFFFF) != 0 || (value & kX87) == 0 || value > (kX87 | kSse)) {
        return x.fault(Vector::gp, 0);
    }
    x.s[Reg::xcr0] = value;
    return Flow::next;
}

template <Flow (*Body)(Exec&, const Op&)>
bool translate_area(const Decoded& d, Op& op) {
    set_memory(d[0], op);
    op.handler = Body;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_XGETBV, translate_plain<xgetbv>, "SDM 2D XGETBV"},
    {ZYDIS_MNEMONIC_XRSTOR, translate_area<xrstor<false>>, "SDM 2D XRSTOR"},
    {ZYDIS_MNEMONIC_XRSTOR64, translate_area<xrstor<true>>, "SDM 2D XRSTOR64"},
    {ZYDIS_MNEMONIC_XSAVE, translate_area<xsave<false>>, "SDM 2D XSAVE"},
    {ZYDIS_MNEMONIC_XSAVE64, translate_area<xsave<true>>, "SDM 2D XSAVE64"},
    {ZYDIS_MNEMONIC_XSETBV, translate_plain<xsetbv>, "SDM 2D XSETBV"},
};

}  // namespace

bool xsave_usable(Exec& x) {
    if (!enabled(x)) return false;
    if ((x.s[Reg::cr0] & cr0::ts) == 0) return true;
    x.fault(Vector::nm);
    return false;
}

std::span<const InsnRow> xsave_rows() { return kRows; }

}  // namespace vtlsim::sim
