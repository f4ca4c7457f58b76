// F2XM1 FYL2X FYL2XP1 FPATAN FSIN FCOS FSINCOS FPTAN.
#include "sim/fp/elementary.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/x87.hpp"

namespace vtlsim::sim {
namespace {

using namespace x87;
using fp::Number;
using fp::Result;

void set_c2(Exec& x, bool on) { x.s[Reg::fsw] = (x.s[Reg::fsw] & ~u64{kC2}) | (on ? kC2 : 0u); }

// ST(0) = f(ST(0)). C2 tells of angles that are too large, which are left alone.
template <Result (*Function)(const Number&, const fp::Context&), bool Angle>
Flow unary(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    if (Angle) set_c2(x, false);
    if (empty(x, 0)) {
        if (stack_underflow(x)) set_st(x, 0, indefinite());
        return Flow::next;
    }
    const Number a = fp::unpack80(st(x, 0));
    if (Angle && fp::angle_out_of_range(a)) {
        raise(x, 0, false);
        set_c2(x, true);
        return Flow::next;
    }
    const Result r = Function(a, context(x));
    if (raise(x, r.flags, r.rounded_up)) set_st(x, 0, fp::pack80(r.value));
    return Flow::next;
}

// ST(0) = f(angle), and another value is pushed: FSINCOS the cosine, FPTAN 1.
template <Result (*Function)(const Number&, const fp::Context&),
          Result (*Pushed)(const Number&, const fp::Context&)>
Flow angle_and_push(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    set_c2(x, false);
    Result r{fp::indefinite(), 0, false};
    Result second = r;
    if (empty(x, 0)) {
        if (!stack_underflow(x)) return Flow::next;
    } else if (!empty(x, 7)) {
        if (!stack_overflow(x)) return Flow::next;
    } else {
        const Number a = fp::unpack80(st(x, 0));
        if (fp::angle_out_of_range(a)) {
            raise(x, 0, false);
            set_c2(x, true);
            return Flow::next;
        }
        r = Function(a, context(x));
        second = Pushed(a, context(x));
        const u16 flags = static_cast<u16>(r.flags | second.flags);
        if (!raise(x, flags, r.rounded_up)) return Flow::next;
    }
    set_st(x, 0, fp::pack80(r.value));
    push(x, fp::pack80(second.value));
    return Flow::next;
}

// What FPTAN pushes: 1, or like the tangent a NaN.
Result one(const Number& a, const fp::Context& c) {
    if (a.kind == fp::Kind::finite || a.kind == fp::Kind::zero) return {fp::from_integer(1), 0};
    return fp::tangent(a, c);
}

// ST(1) = f(ST(0), ST(1)), pop.
template <Result (*Function)(const Number& top, const Number& below, const fp::Context&)>
Flow binary(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    if (empty(x, 0) || empty(x, 1)) {
        if (!stack_underflow(x)) return Flow::next;
        set_st(x, 1, indefinite());
    } else {
        const Result r = Function(fp::unpack80(st(x, 0)), fp::unpack80(st(x, 1)), context(x));
        if (!raise(x, r.flags, r.rounded_up)) return Flow::next;
        set_st(x, 1, fp::pack80(r.value));
    }
    pop(x);
    return Flow::next;
}

Result angle_of(const Number& top, const Number& below, const fp::Context& c) {
    return fp::arctangent(below, top, c);
}

template <Flow (*Body)(Exec&, const Op&)>
bool translate_stack(const Decoded& d, Op& op) {
    set_operands(d, op);
    op.handler = Body;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_F2XM1, translate_stack<unary<fp::exp2_minus_1, false>>, "SDM 2A F2XM1"},
    {ZYDIS_MNEMONIC_FCOS, translate_stack<unary<fp::cosine, true>>, "SDM 2A FCOS"},
    {ZYDIS_MNEMONIC_FPATAN, translate_stack<binary<angle_of>>, "SDM 2A FPATAN"},
    {ZYDIS_MNEMONIC_FPTAN, translate_stack<angle_and_push<fp::tangent, one>>, "SDM 2A FPTAN"},
    {ZYDIS_MNEMONIC_FSIN, translate_stack<unary<fp::sine, true>>, "SDM 2A FSIN"},
    {ZYDIS_MNEMONIC_FSINCOS, translate_stack<angle_and_push<fp::sine, fp::cosine>>,
     "SDM 2A FSINCOS"},
    {ZYDIS_MNEMONIC_FYL2X, translate_stack<binary<fp::y_log2>>, "SDM 2A FYL2X"},
    {ZYDIS_MNEMONIC_FYL2XP1, translate_stack<binary<fp::y_log2_plus_1>>, "SDM 2A FYL2XP1"},
};

}  // namespace

std::span<const InsnRow> x87_transcendental_rows() { return kRows; }

}  // namespace vtlsim::sim
