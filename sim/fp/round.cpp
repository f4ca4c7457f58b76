#include "sim/fp/round.hpp"

namespace vtlsim::sim::fp {
namespace {

struct Rounded {
    U128 significand;  // bit 127 set, or 0
    i32 exponent;
    bool inexact;
    bool up;
};

// Keeps `kept` leading bits, 0 to 127, of significand * 2^(exponent - 127).
Rounded keep_bits(Rounding rounding, bool sign, i32 exponent, U128 significand, u32 kept) {
    const u32 dropped = 128 - kept;
    const U128 half = U128{1} << (dropped - 1);
    const U128 mask = half | (half - 1);
    const U128 rest = significand & mask;
    const bool odd = kept != 0 && (significand >> (dropped & 127) & 1) != 0;
    Rounded r{significand & ~mask, exponent, rest != 0, false};
    if (rounds_up(rounding, sign, odd, rest, half)) {
        r.up = true;
        r.significand += mask;  // of which all but the carry out of it is still to be added
        r.significand += 1;
        if (r.significand == 0 || kept == 0) {  // carried out of bit 127
            r.significand = U128{1} << 127;
            ++r.exponent;
        }
    }
    return r;
}

Result overflow(bool sign, const Context& c) {
    Result r;
    r.flags = kOverflow | kInexact;
    r.rounded_up =
        c.rounding == Rounding::nearest || c.rounding == (sign ? Rounding::down : Rounding::up);
    r.value = infinity(sign);
    if (!r.rounded_up) {
        r.value = {Kind::finite, sign, false, c.max_exponent, ~u64{0} << (64 - c.precision)};
    }
    return r;
}

// SDM 1 table 4-7. The x87 rule for two NaNs of equal significands: the positive one.
Number choose_nan(const Number& a, const Number& b, NanRule rule) {
    if (!b.is_nan()) return a;
    if (!a.is_nan()) return b;
    if (rule == NanRule::first) return a;
    if (a.kind != b.kind) return a.kind == Kind::quiet_nan ? a : b;
    if (a.significand != b.significand) return a.significand > b.significand ? a : b;
    return a.sign ? b : a;
}

}  // namespace

Result round_wide(bool sign, i32 exponent, U128 significand, const Context& c) {
    const int shift = high(significand) != 0 ? std::countl_zero(high(significand))
                                             : 64 + std::countl_zero(low(significand));
    significand <<= shift;
    exponent -= shift;

    Rounded r = keep_bits(c.rounding, sign, exponent, significand, c.precision);
    u8 flags = 0;
    if (r.exponent > c.max_exponent) {
        if (!c.trap_overflow) return overflow(sign, c);
        flags |= kOverflow;
        r.exponent -= c.wrap;
    } else if (r.exponent < c.min_exponent) {  // tiny after rounding (SDM 1 4.9.1.5)
        if (c.trap_underflow) {
            flags |= kUnderflow;
            r.exponent += c.wrap;
        } else if (c.flush_to_zero) {
            return {zero(sign), kUnderflow | kInexact, false};
        } else {
            const u32 below = static_cast<u32>(c.min_exponent - exponent);
            if (below > c.precision) {
                // Less than half of the smallest denormal: only the sticky bit counts.
                r = keep_bits(c.rounding, sign, c.min_exponent - c.precision, 1, 0);
            } else {
                r = keep_bits(c.rounding, sign, exponent, significand, c.precision - below);
            }
            if (r.inexact) flags |= kUnderflow;
        }
    }
    if (r.inexact) flags |= kInexact;
    if (r.significand == 0) return {zero(sign), flags, r.up};
    return {{Kind::finite, sign, false, r.exponent, high(r.significand)}, flags, r.up};
}

Result round(bool sign, i32 exponent, u64 significand, u64 low, bool sticky, const Context& c) {
    return round_wide(sign, exponent, wide(significand, low) | (sticky ? 1 : 0), c);
}

bool settle_nan(const Number& a, const Context& c, Result& out) {
    return settle_nans(a, zero(false), c, out);
}

bool settle_nans(const Number& a, const Number& b, const Context& c, Result& out) {
    if (a.kind == Kind::unsupported || b.kind == Kind::unsupported) {
        out = invalid();
        return true;
    }
    if (!a.is_nan() && !b.is_nan()) return false;
    const bool signaling = a.kind == Kind::signaling_nan || b.kind == Kind::signaling_nan;
    out = {quieted(choose_nan(a, b, c.nan_rule)), signaling ? kInvalid : u8{0}, false};
    return true;
}

}  // namespace vtlsim::sim::fp
