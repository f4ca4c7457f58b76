// x87 comparisons, FXAM, FCMOVcc.
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/x87.hpp"

namespace vtlsim::sim {
namespace {

using namespace x87;
using fp::Number;
using fp::Relation;

// SDM 2A FCOM: C3, C2, C0.
u16 conditions(Relation r) {
    switch (r) {
        case Relation::less:
            return kC0;
        case Relation::equal:
            return kC3;
        case Relation::greater:
            return 0;
        case Relation::unordered:
            break;
    }
    return kC0 | kC2 | kC3;
}

// SDM 2A FCOMI: ZF, PF, CF; the other status flags become 0.
u64 status_flags(Relation r) {
    const u16 c = conditions(r);
    return ((c & kC3) != 0 ? flag::zf : 0) | ((c & kC2) != 0 ? flag::pf : 0) |
           ((c & kC0) != 0 ? flag::cf : 0);
}

// Compares unless a register is empty. False: an unmasked exception, nothing else happens.
bool relate(Exec& x, bool any_empty, const Number& a, const Number& b, bool quiet, Relation& out) {
    out = Relation::unordered;
    if (any_empty) return stack_underflow(x);
    const fp::Comparison r = fp::compare(a, b, quiet);
    out = r.relation;
    return raise(x, r.flags, false);
}

bool relate_registers(Exec& x, unsigned i, bool quiet, Relation& out) {
    return relate(x, empty(x, 0) || empty(x, i), fp::unpack80(st(x, 0)), fp::unpack80(st(x, i)),
                  quiet, out);
}

template <unsigned Pops>
void pop_times(Exec& x) {
    for (unsigned i = 0; i < Pops; ++i) pop(x);
}

template <bool Quiet, unsigned Pops>
Flow fcom(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    Relation relation{};
    if (!relate_registers(x, op.src, Quiet, relation)) return Flow::next;
    set_conditions(x, conditions(relation));
    pop_times<Pops>(x);
    return Flow::next;
}

template <unsigned Pops, class Operand>
Flow fcom_memory(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    typename Operand::Type bits{};
    if (!x.load_operand(op, bits)) return Flow::stop;
    note_memory(x, op);
    Relation relation{};
    if (!relate(x, empty(x, 0), fp::unpack80(st(x, 0)), Operand::number(bits), false, relation)) {
        return Flow::next;
    }
    set_conditions(x, conditions(relation));
    pop_times<Pops>(x);
    return Flow::next;
}

template <bool Quiet, unsigned Pops>
Flow fcomi(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    Relation relation{};
    if (!relate_registers(x, op.src, Quiet, relation)) {
        // OF, SF and AF are cleared whether or not there is an exception.
        x.flags.set_status(x.flags.status() & (flag::zf | flag::pf | flag::cf));
        return Flow::next;
    }
    x.flags.set_status(status_flags(relation));
    pop_times<Pops>(x);
    return Flow::next;
}

Flow ftst(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    Relation relation{};
    if (relate(x, empty(x, 0), fp::unpack80(st(x, 0)), fp::zero(false), false, relation)) {
        set_conditions(x, conditions(relation));
    }
    return Flow::next;
}

// SDM 2A FXAM: C3, C2, C0 by class; C1 is the sign even of an empty register.
Flow fxam(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    const Number n = fp::unpack80(st(x, 0));
    u16 bits = 0;
    if (empty(x, 0)) {
        bits = kC3 | kC0;
    } else {
        switch (n.kind) {
            case fp::Kind::unsupported:
                break;
            case fp::Kind::quiet_nan:
            case fp::Kind::signaling_nan:
                bits = kC0;
                break;
            case fp::Kind::finite:
                bits = n.denormal ? kC3 | kC2 : kC2;
                break;
            case fp::Kind::infinity:
                bits = kC2 | kC0;
                break;
            case fp::Kind::zero:
                bits = kC3;
                break;
        }
    }
    raise(x, 0, n.sign);
    set_conditions(x, bits);
    return Flow::next;
}

// Taken if any of the flags is set, or with `Negate` if none is.
template <u64 Flags, bool Negate>
Flow fcmov(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    if (empty(x, 0) || empty(x, op.src)) {
        if (stack_underflow(x)) set_st(x, 0, indefinite());
        return Flow::next;
    }
    if (((x.flags.status() & Flags) != 0) != Negate) set_st(x, 0, st(x, op.src));
    return Flow::next;
}

template <unsigned Pops>
bool translate_fcom(const Decoded& d, Op& op) {
    set_operands(d, op);
    if (!d.is_mem(0)) {
        op.handler = fcom<false, Pops>;
    } else {
        op.handler = op.size == 4 ? fcom_memory<Pops, Real32> : fcom_memory<Pops, Real64>;
    }
    return true;
}

template <unsigned Pops>
bool translate_ficom(const Decoded& d, Op& op) {
    set_operands(d, op);
    op.handler = op.size == 2 ? fcom_memory<Pops, Integer<i16>> : fcom_memory<Pops, Integer<i32>>;
    return true;
}

template <Flow (*Body)(Exec&, const Op&)>
bool translate_registers(const Decoded& d, Op& op) {
    set_operands(d, op);
    op.handler = Body;
    return true;
}

constexpr u64 kBelowEqual = flag::cf | flag::zf;

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_FCMOVB, translate_registers<fcmov<flag::cf, false>>, "SDM 2A FCMOVcc"},
    {ZYDIS_MNEMONIC_FCMOVBE, translate_registers<fcmov<kBelowEqual, false>>, "SDM 2A FCMOVcc"},
    {ZYDIS_MNEMONIC_FCMOVE, translate_registers<fcmov<flag::zf, false>>, "SDM 2A FCMOVcc"},
    {ZYDIS_MNEMONIC_FCMOVNB, translate_registers<fcmov<flag::cf, true>>, "SDM 2A FCMOVcc"},
    {ZYDIS_MNEMONIC_FCMOVNBE, translate_registers<fcmov<kBelowEqual, true>>, "SDM 2A FCMOVcc"},
    {ZYDIS_MNEMONIC_FCMOVNE, translate_registers<fcmov<flag::zf, true>>, "SDM 2A FCMOVcc"},
    {ZYDIS_MNEMONIC_FCMOVNU, translate_registers<fcmov<flag::pf, true>>, "SDM 2A FCMOVcc"},
    {ZYDIS_MNEMONIC_FCMOVU, translate_registers<fcmov<flag::pf, false>>, "SDM 2A FCMOVcc"},
    {ZYDIS_MNEMONIC_FCOM, translate_fcom<0>, "SDM 2A FCOM"},
    {ZYDIS_MNEMONIC_FCOMI, translate_registers<fcomi<false, 0>>, "SDM 2A FCOMI"},
    {ZYDIS_MNEMONIC_FCOMIP, translate_registers<fcomi<false, 1>>, "SDM 2A FCOMIP"},
    {ZYDIS_MNEMONIC_FCOMP, translate_fcom<1>, "SDM 2A FCOMP"},
    {ZYDIS_MNEMONIC_FCOMPP, translate_registers<fcom<false, 2>>, "SDM 2A FCOMPP"},
    {ZYDIS_MNEMONIC_FICOM, translate_ficom<0>, "SDM 2A FICOM"},
    {ZYDIS_MNEMONIC_FICOMP, translate_ficom<1>, "SDM 2A FICOMP"},
    {ZYDIS_MNEMONIC_FTST, translate_registers<ftst>, "SDM 2A FTST"},
    {ZYDIS_MNEMONIC_FUCOM, translate_registers<fcom<true, 0>>, "SDM 2A FUCOM"},
    {ZYDIS_MNEMONIC_FUCOMI, translate_registers<fcomi<true, 0>>, "SDM 2A FUCOMI"},
    {ZYDIS_MNEMONIC_FUCOMIP, translate_registers<fcomi<true, 1>>, "SDM 2A FUCOMIP"},
    {ZYDIS_MNEMONIC_FUCOMP, translate_registers<fcom<true, 1>>, "SDM 2A FUCOMP"},
    {ZYDIS_MNEMONIC_FUCOMPP, translate_registers<fcom<true, 2>>, "SDM 2A FUCOMPP"},
    {ZYDIS_MNEMONIC_FXAM, translate_registers<fxam>, "SDM 2A FXAM"},
};

}  // namespace

std::span<const InsnRow> x87_compare_rows() { return kRows; }

}  // namespace vtlsim::sim
