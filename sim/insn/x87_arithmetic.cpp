// x87 arithmetic: FADD FSUB FMUL FDIV in all their forms, and the operations on the stack's top.
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/x87.hpp"

namespace vtlsim::sim {
namespace {

using namespace x87;
using fp::Number;

using Binary = fp::Result (*)(const Number&, const Number&, const fp::Context&);

void write_result(Exec& x, unsigned dst, const fp::Result& r) {
    if (raise(x, r.flags, r.rounded_up)) set_st(x, dst, fp::pack80(r.value));
}

// ST(0) and ST(i): ST(dst) = ST(dst) OP ST(src).
template <Binary Operation, bool Reverse, bool Pop>
Flow registers(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    const unsigned other = op.dst == 0 ? op.src : 0;
    if (empty(x, 0) || empty(x, op.src)) {
        if (!stack_underflow(x)) return Flow::next;
        set_st(x, op.dst, indefinite());
    } else {
        const Number a = fp::unpack80(st(x, op.dst));
        const Number b = fp::unpack80(st(x, other));
        const fp::Result r = Reverse ? Operation(b, a, context(x)) : Operation(a, b, context(x));
        if (!raise(x, r.flags, r.rounded_up)) return Flow::next;
        set_st(x, op.dst, fp::pack80(r.value));
    }
    if (Pop) pop(x);
    return Flow::next;
}

template <Binary Operation, bool Reverse, class Operand>
Flow memory(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    typename Operand::Type bits{};
    if (!x.load_operand(op, bits)) return Flow::stop;
    note_memory(x, op);
    if (empty(x, 0)) {
        if (stack_underflow(x)) set_st(x, 0, indefinite());
        return Flow::next;
    }
    const Number a = fp::unpack80(st(x, 0));
    const Number b = Operand::number(bits);
    write_result(x, 0, Reverse ? Operation(b, a, context(x)) : Operation(a, b, context(x)));
    return Flow::next;
}

template <Binary Operation, bool Reverse, bool Pop = false>
bool translate_real(const Decoded& d, Op& op) {
    set_operands(d, op);
    if (!d.is_mem(0)) {
        op.handler = registers<Operation, Reverse, Pop>;
    } else {
        op.handler =
            op.size == 4 ? memory<Operation, Reverse, Real32> : memory<Operation, Reverse, Real64>;
    }
    return true;
}

template <Binary Operation, bool Reverse>
bool translate_integer(const Decoded& d, Op& op) {
    set_operands(d, op);
    op.handler = op.size == 2 ? memory<Operation, Reverse, Integer<i16>>
                              : memory<Operation, Reverse, Integer<i32>>;
    return true;
}

// --- ST(0) = OP ST(0) ---------------------------------------------------------------------------

template <fp::Result (*Operation)(const Number&, const fp::Context&)>
Flow unary(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    if (empty(x, 0)) {
        if (stack_underflow(x)) set_st(x, 0, indefinite());
        return Flow::next;
    }
    write_result(x, 0, Operation(fp::unpack80(st(x, 0)), context(x)));
    return Flow::next;
}

// FABS and FCHS work on the sign bit of any encoding.
template <u16 Keep, u16 Flip>
Flow change_sign(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    if (empty(x, 0)) {
        if (stack_underflow(x)) set_st(x, 0, indefinite());
        return Flow::next;
    }
    raise(x, 0, false);
    fp::Float80 value = st(x, 0);
    value.sign_exponent = static_cast<u16>((value.sign_exponent & Keep) ^ Flip);
    set_st(x, 0, value);
    return Flow::next;
}

Flow fscale(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    if (empty(x, 0) || empty(x, 1)) {
        if (stack_underflow(x)) set_st(x, 0, indefinite());
        return Flow::next;
    }
    write_result(x, 0, fp::scale(fp::unpack80(st(x, 0)), fp::unpack80(st(x, 1)), context(x)));
    return Flow::next;
}

// The quotient's last bits go to C0, C3 and C1 (SDM 1 table 8-8 notes, SDM 2A FPREM).
template <fp::Quotient Kind>
Flow fprem(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    x.s[Reg::fsw] &= ~u64{kC2};
    if (empty(x, 0) || empty(x, 1)) {
        if (stack_underflow(x)) set_st(x, 0, indefinite());
        return Flow::next;
    }
    const fp::Remainder r =
        fp::remainder(fp::unpack80(st(x, 0)), fp::unpack80(st(x, 1)), Kind, context(x));
    if (!raise(x, r.flags, r.rounded_up || (r.quotient & 1) != 0)) return Flow::next;
    set_st(x, 0, fp::pack80(r.value));
    if (!r.value.is_nan()) {
        set_conditions(x, static_cast<u16>((r.quotient & 4 ? kC0 : 0) | (r.quotient & 2 ? kC3 : 0) |
                                           (r.complete ? 0 : kC2)));
    }
    return Flow::next;
}

Flow fxtract(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    fp::Extracted parts{fp::indefinite(), fp::indefinite(), 0};
    if (empty(x, 0)) {
        if (!stack_underflow(x)) return Flow::next;
    } else if (!empty(x, 7)) {
        if (!stack_overflow(x)) return Flow::next;
    } else {
        parts = fp::extract(fp::unpack80(st(x, 0)));
        if (!raise(x, parts.flags, false)) return Flow::next;
    }
    set_st(x, 0, fp::pack80(parts.exponent));
    push(x, fp::pack80(parts.significand));
    return Flow::next;
}

template <Flow (*Body)(Exec&, const Op&)>
bool translate_stack(const Decoded& d, Op& op) {
    set_operands(d, op);
    op.handler = Body;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_FABS, translate_stack<change_sign<0x7FFF, 0>>, "SDM 2A FABS"},
    {ZYDIS_MNEMONIC_FADD, translate_real<fp::add, false>, "SDM 2A FADD"},
    {ZYDIS_MNEMONIC_FADDP, translate_real<fp::add, false, true>, "SDM 2A FADDP"},
    {ZYDIS_MNEMONIC_FCHS, translate_stack<change_sign<0xFFFF, 0x8000>>, "SDM 2A FCHS"},
    {ZYDIS_MNEMONIC_FDIV, translate_real<fp::div, false>, "SDM 2A FDIV"},
    {ZYDIS_MNEMONIC_FDIVP, translate_real<fp::div, false, true>, "SDM 2A FDIVP"},
    {ZYDIS_MNEMONIC_FDIVR, translate_real<fp::div, true>, "SDM 2A FDIVR"},
    {ZYDIS_MNEMONIC_FDIVRP, translate_real<fp::div, true, true>, "SDM 2A FDIVRP"},
    {ZYDIS_MNEMONIC_FIADD, translate_integer<fp::add, false>, "SDM 2A FIADD"},
    {ZYDIS_MNEMONIC_FIDIV, translate_integer<fp::div, false>, "SDM 2A FIDIV"},
    {ZYDIS_MNEMONIC_FIDIVR, translate_integer<fp::div, true>, "SDM 2A FIDIVR"},
    {ZYDIS_MNEMONIC_FIMUL, translate_integer<fp::mul, false>, "SDM 2A FIMUL"},
    {ZYDIS_MNEMONIC_FISUB, translate_integer<fp::sub, false>, "SDM 2A FISUB"},
    {ZYDIS_MNEMONIC_FISUBR, translate_integer<fp::sub, true>, "SDM 2A FISUBR"},
    {ZYDIS_MNEMONIC_FMUL, translate_real<fp::mul, false>, "SDM 2A FMUL"},
    {ZYDIS_MNEMONIC_FMULP, translate_real<fp::mul, false, true>, "SDM 2A FMULP"},
    {ZYDIS_MNEMONIC_FPREM, translate_stack<fprem<fp::Quotient::truncated>>, "SDM 2A FPREM"},
    {ZYDIS_MNEMONIC_FPREM1, translate_stack<fprem<fp::Quotient::nearest>>, "SDM 2A FPREM1"},
    {ZYDIS_MNEMONIC_FRNDINT, translate_stack<unary<fp::round_to_integral>>, "SDM 2A FRNDINT"},
    {ZYDIS_MNEMONIC_FSCALE, translate_stack<fscale>, "SDM 2A FSCALE"},
    {ZYDIS_MNEMONIC_FSQRT, translate_stack<unary<fp::sqrt>>, "SDM 2A FSQRT"},
    {ZYDIS_MNEMONIC_FSUB, translate_real<fp::sub, false>, "SDM 2A FSUB"},
    {ZYDIS_MNEMONIC_FSUBP, translate_real<fp::sub, false, true>, "SDM 2A FSUBP"},
    {ZYDIS_MNEMONIC_FSUBR, translate_real<fp::sub, true>, "SDM 2A FSUBR"},
    {ZYDIS_MNEMONIC_FSUBRP, translate_real<fp::sub, true, true>, "SDM 2A FSUBRP"},
    {ZYDIS_MNEMONIC_FXTRACT, translate_stack<fxtract>, "SDM 2A FXTRACT"},
};

}  // namespace

std::span<const InsnRow> x87_arithmetic_rows() { return kRows; }

}  // namespace vtlsim::sim
