// Sum, product, quotient, square root.
#include "sim/fp/round.hpp"

namespace vtlsim::sim::fp {
namespace {

// The last step of an operation whose operands were `denormal`.
Result finish(bool sign, i32 exponent, U128 significand, u8 denormal, const Context& c) {
    Result r = round_wide(sign, exponent, significand, c);
    r.flags |= denormal;
    return r;
}

Result round_number(const Number& a, u8 denormal, const Context& c) {
    return finish(a.sign, a.exponent, wide(a.significand, 0), denormal, c);
}

Result add_finite(const Number& a, const Number& b, u8 denormal, const Context& c) {
    const bool swap =
        a.exponent < b.exponent || (a.exponent == b.exponent && a.significand < b.significand);
    const Number& big = swap ? b : a;
    const Number& small = swap ? a : b;
    // One bit of headroom above, 63 below: bits are only lost where at most one can cancel.
    const U128 x = wide(big.significand, 0) >> 1;
    const U128 y = shift_right_jam(wide(small.significand, 0) >> 1,
                                   static_cast<u32>(big.exponent - small.exponent));
    const U128 sum = a.sign == b.sign ? x + y : x - y;
    if (sum == 0) return {cancelled(c.rounding), denormal, false};
    return finish(big.sign, big.exponent + 1, sum, denormal, c);
}

// floor(sqrt(n)) and what is left; bit 127 or 126 of n is set.
u64 integer_sqrt(U128 n, U128& rest) {
    U128 root = 0;
    for (U128 bit = U128{1} << 126; bit != 0; bit >>= 2) {
        const bool fits = n >= root + bit;
        if (fits) n -= root + bit;
        root = (root >> 1) + (fits ? bit : 0);
    }
    rest = n;
    return low(root);
}

}  // namespace

Result add(const Number& a, const Number& b, const Context& c) {
    Result out;
    if (settle_nans(a, b, c, out)) return out;
    const u8 denormal = denormal_flag(a, b);
    if (a.kind == Kind::infinity || b.kind == Kind::infinity) {
        if (a.kind == b.kind && a.sign != b.sign) return invalid();
        return {a.kind == Kind::infinity ? a : b, denormal, false};
    }
    if (a.kind == Kind::zero && b.kind == Kind::zero) {
        return {a.sign == b.sign ? a : cancelled(c.rounding), 0, false};
    }
    if (a.kind == Kind::zero) return round_number(b, denormal, c);
    if (b.kind == Kind::zero) return round_number(a, denormal, c);
    return add_finite(a, b, denormal, c);
}

Result sub(const Number& a, const Number& b, const Context& c) {
    Number negated = b;
    if (!b.is_nan()) negated.sign = !b.sign;
    return add(a, negated, c);
}

Result mul(const Number& a, const Number& b, const Context& c) {
    Result out;
    if (settle_nans(a, b, c, out)) return out;
    const bool sign = a.sign != b.sign;
    const u8 denormal = denormal_flag(a, b);
    if (a.kind == Kind::infinity || b.kind == Kind::infinity) {
        if (a.kind == Kind::zero || b.kind == Kind::zero) return invalid();
        return {infinity(sign), denormal, false};
    }
    if (a.kind == Kind::zero || b.kind == Kind::zero) return {zero(sign), denormal, false};
    return finish(sign, a.exponent + b.exponent + 1, U128{a.significand} * b.significand, denormal,
                  c);
}

Result div(const Number& a, const Number& b, const Context& c) {
    Result out;
    if (settle_nans(a, b, c, out)) return out;
    const bool sign = a.sign != b.sign;
    const u8 denormal = denormal_flag(a, b);
    if (a.kind == Kind::infinity) {
        if (b.kind == Kind::infinity) return invalid();
        return {infinity(sign), denormal, false};
    }
    if (b.kind == Kind::infinity) return {zero(sign), denormal, false};
    if (b.kind == Kind::zero) {
        if (a.kind == Kind::zero) return invalid();
        return {infinity(sign), kZeroDivide, false};
    }
    if (a.kind == Kind::zero) return {zero(sign), denormal, false};
    // 63 or 64 bits of quotient, then 64 more.
    const U128 divisor = b.significand;
    const U128 dividend = wide(a.significand, 0) >> 1;
    const U128 rest = dividend % divisor << 64;
    const U128 quotient = dividend / divisor << 64 | rest / divisor;
    const U128 sticky = rest % divisor != 0 ? 1 : 0;
    return finish(sign, a.exponent - b.exponent, quotient | sticky, denormal, c);
}

Result sqrt(const Number& a, const Context& c) {
    Result out;
    if (settle_nan(a, c, out)) return out;
    if (a.kind == Kind::zero) return {a, 0, false};
    if (a.sign) return invalid();
    if (a.kind == Kind::infinity) return {a, 0, false};
    // An even exponent, so that the root's is half of it.
    const bool odd = (a.exponent & 1) != 0;
    U128 rest = 0;
    const u64 root = integer_sqrt(wide(a.significand, 0) >> (odd ? 0 : 1), rest);
    // (root + 1/2)^2 = root^2 + root + 1/4: half of the last bit is reached if rest > root.
    const u64 below = (rest > root ? u64{1} << 63 : 0) | (rest != 0 ? 1 : 0);
    return finish(false, (a.exponent - (odd ? 1 : 0)) / 2, wide(root, below), denormal_flag(a), c);
}

Result convert(const Number& a, const Context& c) {
    Result out;
    if (settle_nan(a, c, out)) return out;
    if (a.kind != Kind::finite) return {a, 0, false};
    return round_number(a, denormal_flag(a), c);
}

}  // namespace vtlsim::sim::fp
