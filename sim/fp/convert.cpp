// Integers, comparison, and the operations that take exponents and significands apart.
#include "sim/fp/round.hpp"

namespace vtlsim::sim::fp {
namespace {

struct IntegralPart {
    u64 magnitude;  // of a number below 2^64, rounded
    bool carry;     // it is 2^64
    bool inexact;
    bool up;
};

// `a` is finite and below 2^64.
IntegralPart integral_part(const Number& a, Rounding rounding) {
    const U128 fixed = shift_right_jam(wide(a.significand, 0), static_cast<u32>(63 - a.exponent));
    const bool up = rounds_up(rounding, a.sign, (high(fixed) & 1) != 0, low(fixed), U128{1} << 63);
    const u64 magnitude = high(fixed) + (up ? 1 : 0);
    return {magnitude, up && magnitude == 0, low(fixed) != 0, up};
}

int compare_magnitudes(const Number& a, const Number& b) {
    if (a.exponent != b.exponent) return a.exponent < b.exponent ? -1 : 1;
    if (a.significand != b.significand) return a.significand < b.significand ? -1 : 1;
    return 0;
}

// -1, 0 or 1 as the magnitude is zero, finite, infinite.
int size_class(const Number& a) {
    if (a.kind == Kind::zero) return -1;
    return a.kind == Kind::infinity ? 1 : 0;
}

// FSCALE: b truncated to an integer, cut to what makes any finite number overflow or vanish.
i32 scale_exponent(const Number& b) {
    constexpr i32 kEnough = 1 << 17;
    if (b.kind == Kind::zero || b.exponent < 0) return 0;
    if (b.exponent > 16) return b.sign ? -kEnough : kEnough;
    const i32 magnitude = static_cast<i32>(integral_part(b, Rounding::zero).magnitude);
    return b.sign ? -magnitude : magnitude;
}

}  // namespace

Result round_to_integral(const Number& a, const Context& c) {
    Result out;
    if (settle_nan(a, c, out)) return out;
    const u8 denormal = denormal_flag(a);
    if (a.kind != Kind::finite || a.exponent >= 63) return {a, denormal, false};
    const IntegralPart part = integral_part(a, c.rounding);
    Number value = from_unsigned(part.magnitude, a.sign);
    if (part.carry) value = {Kind::finite, a.sign, false, 64, u64{1} << 63};
    return {value, static_cast<u8>(denormal | (part.inexact ? kInexact : 0)), part.up};
}

Integer to_integer(const Number& a, unsigned bits, Rounding rounding) {
    const i64 indefinite_integer = static_cast<i64>(~u64{0} << (bits - 1));
    const Integer bad{indefinite_integer, kInvalid, false};
    if (a.kind == Kind::zero) return {};
    if (a.kind != Kind::finite || a.exponent >= 64) return bad;
    const IntegralPart part = integral_part(a, rounding);
    const u64 limit = u64{1} << (bits - 1);
    if (part.carry || part.magnitude > limit - (a.sign ? 0 : 1)) return bad;
    const u64 value = a.sign ? ~part.magnitude + 1 : part.magnitude;
    return {static_cast<i64>(value), part.inexact ? kInexact : u8{0}, part.up};
}

Comparison compare(const Number& a, const Number& b, bool quiet) {
    if (a.kind == Kind::unsupported || b.kind == Kind::unsupported) {
        return {Relation::unordered, kInvalid};
    }
    if (a.is_nan() || b.is_nan()) {
        const bool signaling = a.kind == Kind::signaling_nan || b.kind == Kind::signaling_nan;
        return {Relation::unordered, signaling || !quiet ? kInvalid : u8{0}};
    }
    const u8 denormal = denormal_flag(a, b);
    int order = 0;
    if (a.kind == Kind::zero && b.kind == Kind::zero) {
        order = 0;
    } else if (a.kind == Kind::zero || (b.kind != Kind::zero && a.sign != b.sign)) {
        order = (a.kind == Kind::zero ? b.sign : !a.sign) ? 1 : -1;
    } else if (b.kind == Kind::zero) {
        order = a.sign ? -1 : 1;
    } else {
        order = size_class(a) - size_class(b);
        if (order == 0 && a.kind == Kind::finite) order = compare_magnitudes(a, b);
        if (a.sign) order = -order;
    }
    return {order < 0 ? Relation::less : order > 0 ? Relation::greater : Relation::equal, denormal};
}

Result scale(const Number& a, const Number& b, const Context& c) {
    Result out;
    if (settle_nans(a, b, c, out)) return out;
    const u8 denormal = denormal_flag(a, b);
    if (b.kind == Kind::infinity) {
        // Infinity times 0 in either order (SDM 1 table 8-5, FSCALE).
        if (a.kind == (b.sign ? Kind::infinity : Kind::zero)) return invalid();
        return {b.sign ? zero(a.sign) : infinity(a.sign), denormal, false};
    }
    if (a.kind != Kind::finite) return {a, denormal, false};
    Context full = c;
    full.precision = 64;
    out = round_wide(a.sign, a.exponent + scale_exponent(b), wide(a.significand, 0), full);
    // Beyond what the wrapped exponent can hold (SDM 1 8.5.4, 8.5.5).
    if (out.value.kind == Kind::finite && c.trap_overflow && out.value.exponent > c.max_exponent) {
        out = {infinity(a.sign), kOverflow | kInexact, true};
    }
    if (out.value.kind == Kind::finite && c.trap_underflow && out.value.exponent < c.min_exponent) {
        out = {zero(a.sign), kUnderflow | kInexact, false};
    }
    out.flags |= denormal;
    return out;
}

Extracted extract(const Number& a) {
    Result out;
    if (settle_nan(a, extended(Rounding::nearest), out)) return {out.value, out.value, out.flags};
    if (a.kind == Kind::infinity) return {infinity(false), a, 0};
    if (a.kind == Kind::zero) return {infinity(true), a, kZeroDivide};
    return {from_integer(a.exponent),
            {Kind::finite, a.sign, false, 0, a.significand},
            denormal_flag(a)};
}

Remainder remainder(const Number& a, const Number& b, Quotient kind, const Context& c) {
    Result out;
    if (settle_nans(a, b, c, out)) return {out.value, out.flags, false, true, 0};
    if (a.kind == Kind::infinity || b.kind == Kind::zero)
        return {indefinite(), kInvalid, false, true, 0};
    const u8 denormal = denormal_flag(a, b);
    if (a.kind == Kind::zero) return {a, denormal, false, true, 0};

    Remainder r;
    const i32 difference = b.kind == Kind::infinity ? -2 : a.exponent - b.exponent;
    u64 rest = a.significand;
    i32 exponent = a.exponent;  // of rest and, where it matters, of the divisor
    bool negative = a.sign;
    if (difference >= 64) {
        // Works off 32 to 63 of the difference; which number is the implementation's choice.
        const i32 steps = (difference & 31) | 32;
        rest = low((U128{rest} << steps) % b.significand);
        exponent -= steps;
        r.complete = false;
    } else if (difference >= 0) {
        const U128 dividend = U128{rest} << difference;
        r.quotient = low(dividend / b.significand);
        rest = low(dividend % b.significand);
        exponent = b.exponent;
    }
    if (r.complete && kind == Quotient::nearest && difference >= -1) {
        // Compare with half of the divisor; for difference -1 on the grid below it.
        const U128 twice = difference == -1 ? U128{rest} : U128{rest} << 1;
        const bool up = twice > b.significand || (twice == b.significand && (r.quotient & 1) != 0);
        if (up) {
            ++r.quotient;
            negative = !negative;
            const U128 divisor = difference == -1 ? U128{b.significand} << 1 : U128{b.significand};
            rest = low(divisor - rest);
        }
    }
    r.flags = denormal;
    if (rest == 0) {
        r.value = zero(a.sign);
        return r;
    }
    Context full = c;
    full.precision = 64;
    out = round_wide(negative, exponent, wide(rest, 0), full);
    r.value = out.value;
    r.flags |= out.flags;
    return r;
}

}  // namespace vtlsim::sim::fp
