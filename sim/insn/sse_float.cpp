// SSE floating-point arithmetic and comparison. All of it computes through FpUnit.
#include "sim/insn/sse_float.hpp"

#include "sim/fp/host.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/sse_move.hpp"

namespace vtlsim::sim {
namespace {

using fp::Number;

// --- lane by lane: static Bits apply(Unit&, Bits a, Bits b) -------------------------------------
// Operations that the host may do have a type Host, of fp/host.hpp.
template <fp::Result (*F)(const Number&, const Number&, const fp::Context&), class HostOperation>
struct Arithmetic {
    using Host = HostOperation;
    template <class Bits>
    static Bits apply(FpUnit& unit, Bits a, Bits b) {
        return unit.take<Bits>(F(unit.unpack(a), unit.unpack(b), unit.context<Bits>()));
    }
};
struct SquareRoot {
    using Host = fp::host::SquareRoot;
    template <class Bits>
    static Bits apply(FpUnit& unit, Bits, Bits b) {
        return unit.take<Bits>(fp::sqrt(unit.unpack(b), unit.context<Bits>()));
    }
};

// The second operand, unchanged, if either is a NaN or both are zeros (SDM 2A MAXPS, MINPS).
template <fp::Relation Wanted>
struct Select {
    template <class Bits>
    static Bits apply(FpUnit& unit, Bits a, Bits b) {
        const Number x = unit.unpack(a);
        const Number y = unit.unpack(b);
        const fp::Comparison c = fp::compare(x, y, false);
        unit.raise(c.flags);
        if (c.relation == Wanted) return FpUnit::pack<Bits>(x);
        return y.is_nan() ? b : FpUnit::pack<Bits>(y);
    }
};

// The eight legacy predicates: all ones or zeros. LT LE NLT NLE (and no others) signal QNaNs.
struct Compare {
    template <class Bits>
    static Bits apply(FpUnit& unit, Bits a, Bits b, unsigned predicate) {
        using fp::Relation;
        const bool signals = (predicate & 3) == 1 || (predicate & 3) == 2;
        const fp::Comparison c = fp::compare(unit.unpack(a), unit.unpack(b), !signals);
        unit.raise(c.flags);
        bool holds = false;
        switch (predicate & 3) {
            case 0:
                holds = c.relation == Relation::equal;
                break;
            case 1:
                holds = c.relation == Relation::less;
                break;
            case 2:
                holds = c.relation == Relation::less || c.relation == Relation::equal;
                break;
            default:
                holds = c.relation == Relation::unordered;
                break;
        }
        return holds != ((predicate & 4) != 0) ? static_cast<Bits>(~Bits{0}) : Bits{0};
    }
};

// Bits 1:0 of the immediate are the rounding, unless bit 2 says MXCSR; bit 3 hides inexactness.
// Denormals are not reported (SDM 2B ROUNDPD).
struct RoundIntegral {
    template <class Bits>
    static Bits apply(FpUnit& unit, Bits, Bits b, unsigned imm) {
        fp::Context c = unit.context<Bits>();
        if ((imm & 4) == 0) c.rounding = static_cast<fp::Rounding>(imm & 3);
        fp::Result r = fp::round_to_integral(unit.unpack(b), c);
        r.flags &= static_cast<u8>(~fp::kDenormal);
        if ((imm & 8) != 0) r.flags &= static_cast<u8>(~fp::kInexact);
        return unit.take<Bits>(r);
    }
};

template <class Operation, class Bits>
Bits apply_lane(FpUnit& unit, Bits a, Bits b, unsigned imm) {
    if constexpr (requires { Operation::template apply<Bits>(unit, a, b, imm); }) {
        return Operation::template apply<Bits>(unit, a, b, imm);
    } else {
        return Operation::template apply<Bits>(unit, a, b);
    }
}

template <class Operation, class Bits>
concept OnHost = requires(Bits lane, bool inexact) {
    Operation::Host::apply(lane, lane, lane, inexact);
};

// --- whole instructions: static Vec128 apply(FpUnit&, a, b, imm) --------------------------------
// Those with try_host() answer there whether the host could do all lanes.
template <class Operation, class Bits>
struct Packed {
    using Memory = Vec128;
    static Vec128 apply(FpUnit& unit, const Vec128& a, const Vec128& b, unsigned imm) {
        auto r = lanes<Bits>(a);
        const auto y = lanes<Bits>(b);
        for (std::size_t i = 0; i < r.size(); ++i) {
            r[i] = apply_lane<Operation, Bits>(unit, r[i], y[i], imm);
        }
        return from_lanes<Vec128>(r);
    }
    static bool try_host(const Vec128& a, const Vec128& b, Vec128& out,
                         bool& inexact) requires OnHost<Operation, Bits> {
        auto r = lanes<Bits>(a);
        const auto y = lanes<Bits>(b);
        for (std::size_t i = 0; i < r.size(); ++i) {
            if (!Operation::Host::apply(r[i], y[i], r[i], inexact)) return false;
        }
        out = from_lanes<Vec128>(r);
        return true;
    }
};
// The lowest lane only; the destination keeps the others.
template <class Operation, class Bits>
struct Scalar {
    using Memory = Bits;
    static Vec128 apply(FpUnit& unit, const Vec128& a, const Vec128& b, unsigned imm) {
        auto r = lanes<Bits>(a);
        r[0] = apply_lane<Operation, Bits>(unit, r[0], lanes<Bits>(b)[0], imm);
        return from_lanes<Vec128>(r);
    }
    static bool try_host(const Vec128& a, const Vec128& b, Vec128& out,
                         bool& inexact) requires OnHost<Operation, Bits> {
        auto r = lanes<Bits>(a);
        if (!Operation::Host::apply(r[0], lanes<Bits>(b)[0], r[0], inexact)) return false;
        out = from_lanes<Vec128>(r);
        return true;
    }
};

using Add = Arithmetic<fp::add, fp::host::Add>;
using Subtract = Arithmetic<fp::sub, fp::host::Subtract>;
using Multiply = Arithmetic<fp::mul, fp::host::Multiply>;
using Divide = Arithmetic<fp::div, fp::host::Divide>;

// ADDSUBPS and ADDSUBPD: even lanes subtract, odd ones add.
template <class Bits>
struct AddSubtract {
    using Memory = Vec128;
    static Vec128 apply(FpUnit& unit, const Vec128& a, const Vec128& b, unsigned) {
        auto r = lanes<Bits>(a);
        const auto y = lanes<Bits>(b);
        for (std::size_t i = 0; i < r.size(); i += 2) {
            r[i] = Subtract::apply(unit, r[i], y[i]);
            r[i + 1] = Add::apply(unit, r[i + 1], y[i + 1]);
        }
        return from_lanes<Vec128>(r);
    }
};
// Adjacent pairs of the first operand, then of the second.
template <class Operation, class Bits>
struct HorizontalPairs {
    using Memory = Vec128;
    static Vec128 apply(FpUnit& unit, const Vec128& a, const Vec128& b, unsigned) {
        const auto x = lanes<Bits>(a);
        const auto y = lanes<Bits>(b);
        LanesOf<Bits, Vec128> r{};
        constexpr std::size_t kHalf = kLanes<Bits, Vec128> / 2;
        for (std::size_t i = 0; i < kHalf; ++i) {
            r[i] = Operation::apply(unit, x[2 * i], x[2 * i + 1]);
            r[kHalf + i] = Operation::apply(unit, y[2 * i], y[2 * i + 1]);
        }
        return from_lanes<Vec128>(r);
    }
};

// DPPS and DPPD: imm[7:4] says which products count, imm[3:0] which lanes get the sum. Exceptions
// of the products come before the additions (SDM 2A DPPS).
template <class Bits>
struct DotProduct {
    using Memory = Vec128;
    static Vec128 apply(FpUnit& unit, const Vec128& a, const Vec128& b, unsigned imm) {
        const auto x = lanes<Bits>(a);
        const auto y = lanes<Bits>(b);
        LanesOf<Bits, Vec128> r{};
        for (std::size_t i = 0; i < r.size(); ++i) {
            if ((imm >> (4 + i) & 1) != 0) r[i] = Multiply::apply(unit, x[i], y[i]);
        }
        if (!unit.settle()) return a;
        Bits sum = Add::apply(unit, r[0], r[1]);
        if constexpr (sizeof(Bits) == 4) {
            const Bits high = Add::apply(unit, r[2], r[3]);
            if (!unit.settle()) return a;
            sum = Add::apply(unit, sum, high);
        }
        for (std::size_t i = 0; i < r.size(); ++i) r[i] = (imm >> i & 1) != 0 ? sum : Bits{0};
        return from_lanes<Vec128>(r);
    }
};

template <class Operation>
[[gnu::noinline]] Flow compute_softly(Exec& x, const Op& op, Vec128 b) {
    FpUnit unit(x);
    const Vec128 r = Operation::apply(unit, xmm(x, op.dst), b, static_cast<unsigned>(op.imm));
    if (!unit.finish()) return Flow::stop;
    xmm(x, op.dst) = r;
    return Flow::next;
}

template <class Operation, class Memory>
Flow compute(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    Vec128 b{};
    if (!load_source<XmmFile, Memory>(x, op, b)) return Flow::stop;
    if constexpr (requires(Vec128 v, bool flag) { Operation::try_host(v, v, v, flag); }) {
        u64& control = x.s[Reg::mxcsr];
        constexpr u64 kNeeded = u64{fp::kInexact} << mxcsr::kMaskShift;  // or it might trap
        constexpr u64 kChecked = kNeeded | u64{3} << mxcsr::kRoundingShift;
        Vec128 r{};
        bool inexact = false;
        if ((control & kChecked) == kNeeded && Operation::try_host(xmm(x, op.dst), b, r, inexact)) {
            if (inexact) control |= fp::kInexact;
            xmm(x, op.dst) = r;
            return Flow::next;
        }
    }
    return compute_softly<Operation>(x, op, b);
}
template <class Operation>
bool translate(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    return set_handlers(op, d.is_mem(1) ? threaded<compute<Operation, typename Operation::Memory>>()
                                        : threaded<compute<Operation, Register>>());
}

// COMISS and its like: ZF PF CF; OF SF AF become 0. An unmasked exception changes no flag.
template <class Bits, bool Quiet, class Memory>
Flow compare_flags(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    Vec128 b{};
    if (!load_source<XmmFile, Memory>(x, op, b)) return Flow::stop;
    FpUnit unit(x);
    const fp::Comparison c = fp::compare(unit.unpack(lanes<Bits>(xmm(x, op.dst))[0]),
                                         unit.unpack(lanes<Bits>(b)[0]), Quiet);
    unit.raise(c.flags);
    if (!unit.finish()) return Flow::stop;
    using fp::Relation;
    x.flags.set_status(c.relation == Relation::unordered ? flag::zf | flag::pf | flag::cf
                       : c.relation == Relation::less    ? flag::cf
                       : c.relation == Relation::equal   ? flag::zf
                                                         : 0);
    return Flow::next;
}
template <class Bits, bool Quiet>
bool translate_compare_flags(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    op.handler =
        d.is_mem(1) ? compare_flags<Bits, Quiet, Bits> : compare_flags<Bits, Quiet, Register>;
    return true;
}

using Minimum = Select<fp::Relation::less>;
using Maximum = Select<fp::Relation::greater>;

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_ADDPD, translate<Packed<Add, u64>>, "SDM 2A ADDPD"},
    {ZYDIS_MNEMONIC_ADDPS, translate<Packed<Add, u32>>, "SDM 2A ADDPS"},
    {ZYDIS_MNEMONIC_ADDSD, translate<Scalar<Add, u64>>, "SDM 2A ADDSD"},
    {ZYDIS_MNEMONIC_ADDSS, translate<Scalar<Add, u32>>, "SDM 2A ADDSS"},
    {ZYDIS_MNEMONIC_ADDSUBPD, translate<AddSubtract<u64>>, "SDM 2A ADDSUBPD"},
    {ZYDIS_MNEMONIC_ADDSUBPS, translate<AddSubtract<u32>>, "SDM 2A ADDSUBPS"},
    {ZYDIS_MNEMONIC_CMPPD, translate<Packed<Compare, u64>>, "SDM 2A CMPPD"},
    {ZYDIS_MNEMONIC_CMPPS, translate<Packed<Compare, u32>>, "SDM 2A CMPPS"},
    {ZYDIS_MNEMONIC_CMPSS, translate<Scalar<Compare, u32>>, "SDM 2A CMPSS"},
    {ZYDIS_MNEMONIC_COMISD, translate_compare_flags<u64, false>, "SDM 2A COMISD"},
    {ZYDIS_MNEMONIC_COMISS, translate_compare_flags<u32, false>, "SDM 2A COMISS"},
    {ZYDIS_MNEMONIC_DIVPD, translate<Packed<Divide, u64>>, "SDM 2A DIVPD"},
    {ZYDIS_MNEMONIC_DIVPS, translate<Packed<Divide, u32>>, "SDM 2A DIVPS"},
    {ZYDIS_MNEMONIC_DIVSD, translate<Scalar<Divide, u64>>, "SDM 2A DIVSD"},
    {ZYDIS_MNEMONIC_DIVSS, translate<Scalar<Divide, u32>>, "SDM 2A DIVSS"},
    {ZYDIS_MNEMONIC_DPPD, translate<DotProduct<u64>>, "SDM 2A DPPD"},
    {ZYDIS_MNEMONIC_DPPS, translate<DotProduct<u32>>, "SDM 2A DPPS"},
    {ZYDIS_MNEMONIC_HADDPD, translate<HorizontalPairs<Add, u64>>, "SDM 2A HADDPD"},
    {ZYDIS_MNEMONIC_HADDPS, translate<HorizontalPairs<Add, u32>>, "SDM 2A HADDPS"},
    {ZYDIS_MNEMONIC_HSUBPD, translate<HorizontalPairs<Subtract, u64>>, "SDM 2A HSUBPD"},
    {ZYDIS_MNEMONIC_HSUBPS, translate<HorizontalPairs<Subtract, u32>>, "SDM 2A HSUBPS"},
    {ZYDIS_MNEMONIC_MAXPD, translate<Packed<Maximum, u64>>, "SDM 2B MAXPD"},
    {ZYDIS_MNEMONIC_MAXPS, translate<Packed<Maximum, u32>>, "SDM 2B MAXPS"},
    {ZYDIS_MNEMONIC_MAXSD, translate<Scalar<Maximum, u64>>, "SDM 2B MAXSD"},
    {ZYDIS_MNEMONIC_MAXSS, translate<Scalar<Maximum, u32>>, "SDM 2B MAXSS"},
    {ZYDIS_MNEMONIC_MINPD, translate<Packed<Minimum, u64>>, "SDM 2B MINPD"},
    {ZYDIS_MNEMONIC_MINPS, translate<Packed<Minimum, u32>>, "SDM 2B MINPS"},
    {ZYDIS_MNEMONIC_MINSD, translate<Scalar<Minimum, u64>>, "SDM 2B MINSD"},
    {ZYDIS_MNEMONIC_MINSS, translate<Scalar<Minimum, u32>>, "SDM 2B MINSS"},
    {ZYDIS_MNEMONIC_MULPD, translate<Packed<Multiply, u64>>, "SDM 2B MULPD"},
    {ZYDIS_MNEMONIC_MULPS, translate<Packed<Multiply, u32>>, "SDM 2B MULPS"},
    {ZYDIS_MNEMONIC_MULSD, translate<Scalar<Multiply, u64>>, "SDM 2B MULSD"},
    {ZYDIS_MNEMONIC_MULSS, translate<Scalar<Multiply, u32>>, "SDM 2B MULSS"},
    {ZYDIS_MNEMONIC_ROUNDPD, translate<Packed<RoundIntegral, u64>>, "SDM 2B ROUNDPD"},
    {ZYDIS_MNEMONIC_ROUNDPS, translate<Packed<RoundIntegral, u32>>, "SDM 2B ROUNDPS"},
    {ZYDIS_MNEMONIC_ROUNDSD, translate<Scalar<RoundIntegral, u64>>, "SDM 2B ROUNDSD"},
    {ZYDIS_MNEMONIC_ROUNDSS, translate<Scalar<RoundIntegral, u32>>, "SDM 2B ROUNDSS"},
    {ZYDIS_MNEMONIC_SQRTPD, translate<Packed<SquareRoot, u64>>, "SDM 2B SQRTPD"},
    {ZYDIS_MNEMONIC_SQRTPS, translate<Packed<SquareRoot, u32>>, "SDM 2B SQRTPS"},
    {ZYDIS_MNEMONIC_SQRTSD, translate<Scalar<SquareRoot, u64>>, "SDM 2B SQRTSD"},
    {ZYDIS_MNEMONIC_SQRTSS, translate<Scalar<SquareRoot, u32>>, "SDM 2B SQRTSS"},
    {ZYDIS_MNEMONIC_SUBPD, translate<Packed<Subtract, u64>>, "SDM 2B SUBPD"},
    {ZYDIS_MNEMONIC_SUBPS, translate<Packed<Subtract, u32>>, "SDM 2B SUBPS"},
    {ZYDIS_MNEMONIC_SUBSD, translate<Scalar<Subtract, u64>>, "SDM 2B SUBSD"},
    {ZYDIS_MNEMONIC_SUBSS, translate<Scalar<Subtract, u32>>, "SDM 2B SUBSS"},
    {ZYDIS_MNEMONIC_UCOMISD, translate_compare_flags<u64, true>, "SDM 2D UCOMISD"},
    {ZYDIS_MNEMONIC_UCOMISS, translate_compare_flags<u32, true>, "SDM 2D UCOMISS"},
};

}  // namespace

bool translate_cmpsd_sse(const Decoded& d, Op& op) {
    return translate<Scalar<Compare, u64>>(d, op);
}

std::span<const InsnRow> sse_float_rows() { return kRows; }

}  // namespace vtlsim::sim
