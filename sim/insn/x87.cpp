#include "sim/insn/x87.hpp"

#include "sim/insn/operands.hpp"

namespace vtlsim::sim::x87 {

bool usable(Exec& x) {
    if ((x.s[Reg::cr0] & (cr0::em | cr0::ts)) == 0) return true;
    x.fault(Vector::nm);
    return false;
}

bool ready(Exec& x) {
    if (!usable(x)) return false;
    if ((fsw(x) & kSummary) == 0) return true;
    if ((x.s[Reg::cr0] & cr0::ne) != 0) {
        x.fault(Vector::mf);
    } else {
        x.not_modelled("x87 exception with CR0.NE = 0 (FERR#)");
    }
    return false;
}

void note(Exec& x, const Op& op) {
    x.s[Reg::fop] = op.imm;
    x.s[Reg::fip] = x.s[Reg::rip] + op.offset;
}

void note_memory(Exec& x, const Op& op) {
    note(x, op);
    x.s[Reg::fdp] = (x.linear(op) - x.s.scalar[op.segment_base]) & op.address_mask;
}

fp::Float80 st(const Exec& x, unsigned st) {
    const Vec128& r = x.s.vec(offset(Reg::fpr0, physical(x, st)));
    return {r.lo, static_cast<u16>(r.hi)};
}

void set_st(Exec& x, unsigned st, fp::Float80 value) {
    const unsigned r = physical(x, st);
    x.s.vec(offset(Reg::fpr0, r)) = {value.significand, value.sign_exponent};
    x.s[Reg::ftw] |= u64{1} << r;
}

void set_empty(Exec& x, unsigned st) { x.s[Reg::ftw] &= ~(u64{1} << physical(x, st)); }

void move_top(Exec& x, unsigned by) {
    constexpr u64 kTop = 7u << 11;
    x.s[Reg::fsw] = (x.s[Reg::fsw] & ~kTop) | u64{physical(x, by)} << 11;
}

void push(Exec& x, fp::Float80 value) {
    move_top(x, 7);
    set_st(x, 0, value);
}

void pop(Exec& x) {
    set_empty(x, 0);
    move_top(x, 1);
}

bool raise(Exec& x, u16 flags, bool c1) {
    const unsigned unmasked = flags & ~fcw(x) & kExceptions;
    const bool stop = (unmasked & fp::kPreComputation) != 0;
    if (stop) {
        flags &= fp::kPreComputation | kStackFault;
        if ((flags & kStackFault) == 0) c1 = false;
    }
    u64& status = x.s[Reg::fsw];
    status = (status & ~u64{kC1}) | flags | (c1 ? kC1 : 0u);
    if (unmasked != 0) status |= kSummary | kBusy;
    return !stop;
}

void update_summary(Exec& x) {
    u64& status = x.s[Reg::fsw];
    status &= ~u64{kSummary | kBusy};
    if ((status & ~x.s[Reg::fcw] & kExceptions) != 0) status |= kSummary | kBusy;
}

void set_conditions(Exec& x, u16 bits) {
    x.s[Reg::fsw] = (x.s[Reg::fsw] & ~u64{kC0 | kC2 | kC3}) | bits;
}

fp::Rounding rounding(const Exec& x) { return static_cast<fp::Rounding>(fcw(x) >> 10 & 3); }

fp::Context context(const Exec& x) {
    // 01b is reserved; processors take it as 64 bits.
    constexpr u8 kPrecisions[] = {24, 64, 53, 64};
    fp::Context c = fp::extended(rounding(x), kPrecisions[fcw(x) >> 8 & 3]);
    c.trap_overflow = (fcw(x) & fp::kOverflow) == 0;
    c.trap_underflow = (fcw(x) & fp::kUnderflow) == 0;
    return c;
}

fp::Float80 indefinite() { return fp::pack80(fp::indefinite()); }

void set_operands(const Decoded& d, Op& op) {
    const u8 modrm = static_cast<u8>(d.insn.raw.modrm.mod << 6 | d.insn.raw.modrm.reg << 3 |
                                     d.insn.raw.modrm.rm);
    op.imm = (d.insn.opcode & 7u) << 8 | modrm;
    if (d.insn.raw.modrm.mod == 3) {
        op.src = d.insn.raw.modrm.rm;
        op.dst = (d.insn.opcode & 4) != 0 ? op.src : 0;
    } else {
        op.size = static_cast<u8>(d[0].size / 8);
        set_memory(d[0], op);
    }
}

}  // namespace vtlsim::sim::x87
