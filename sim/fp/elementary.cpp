#include "sim/fp/elementary.hpp"

#define MPFR_USE_INTMAX_T
#include <cstdint>
#include <mpfr.h>

#include "sim/fp/round.hpp"

namespace vtlsim::sim::fp {
namespace {

// Results are cut to this many bits, which with a sticky bit is enough to round them in any way.
constexpr mpfr_prec_t kBits = 128;

class Big {
  public:
    explicit Big(mpfr_prec_t bits = kBits) { mpfr_init2(value_, bits); }
    explicit Big(const Number& n) : Big(64) {
        if (n.kind == Kind::infinity) {
            mpfr_set_inf(value_, n.sign ? -1 : 1);
            return;
        }
        mpfr_set_uj_2exp(value_, n.kind == Kind::zero ? 0 : n.significand, n.exponent - 63,
                         MPFR_RNDN);
        mpfr_setsign(value_, value_, n.sign ? 1 : 0, MPFR_RNDN);
    }
    ~Big() { mpfr_clear(value_); }
    Big(const Big&) = delete;
    Big& operator=(const Big&) = delete;

    operator mpfr_ptr() { return value_; }

  private:
    mpfr_t value_;
};

// `value` has kBits; `cut`: some more follow.
Result round_big(Big& value, bool cut, u8 denormal, const Context& c) {
    const bool sign = mpfr_signbit(value) != 0;
    if (mpfr_zero_p(value) != 0) return {zero(sign), denormal, false};
    mpz_t digits;
    mpz_init(digits);
    const mpfr_exp_t exponent = mpfr_get_z_2exp(digits, value);
    std::array<u64, 2> words{};  // the less significant first
    mpz_export(words.data(), nullptr, -1, sizeof(u64), 0, 0, digits);
    mpz_clear(digits);
    Context full = c;
    full.precision = 64;
    Result r = round(sign, static_cast<i32>(exponent) + 127, words[1], words[0], cut, full);
    r.flags |= denormal;
    return r;
}

// --- angles --------------------------------------------------------------------------------------

// a = quadrant * pi/2 + rest with the 66-bit pi, |rest| at most pi/4; exact.
unsigned reduce(const Number& a, Big& rest) {
    Big half_pi(66);
    mpfr_set_uj_2exp(half_pi, 0xC90FDAA22168C234, -63, MPFR_RNDN);  // pi/2 to 64 bits
    Big last(64);
    mpfr_set_uj_2exp(last, 3, -65, MPFR_RNDN);
    mpfr_add(half_pi, half_pi, last, MPFR_RNDN);
    Big angle(a);
    long quotient = 0;
    mpfr_remquo(rest, &quotient, angle, half_pi, MPFR_RNDN);
    return static_cast<unsigned>(quotient) & 3;
}

using Function = int (*)(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t);

// f(a) as `functions` have it in the four quadrants; odd ones are zero at zero.
Result trigonometric(const Number& a, const Context& c, const Function (&functions)[4],
                     const bool (&negative)[4], const Number& at_zero) {
    Result out;
    if (settle_nan(a, c, out)) return out;
    if (a.kind == Kind::infinity) return invalid();
    if (a.kind == Kind::zero) return {at_zero, 0, false};
    Big rest(192);
    const unsigned quadrant = reduce(a, rest);
    Big value;
    const bool cut = functions[quadrant](value, rest, MPFR_RNDZ) != 0;
    if (negative[quadrant]) mpfr_neg(value, value, MPFR_RNDN);
    return round_big(value, cut, denormal_flag(a), c);
}

// --- logarithms ----------------------------------------------------------------------------------

// y * log(x) where `logarithm` of x is finite and not zero.
Result multiply_logarithm(Function logarithm, const Number& x, const Number& y, const Context& c) {
    Big operand(x);
    Big factor(y);
    for (mpfr_prec_t bits = 192;; bits *= 2) {
        Big log(bits);
        const bool exact = logarithm(log, operand, MPFR_RNDN) == 0;
        Big product(bits);
        mpfr_mul(product, log, factor, MPFR_RNDN);  // exact if log is: at most 15 + 64 bits
        // Two roundings of half a unit each; an irrational number is told from the border in the
        // end.
        if (exact || mpfr_can_round(product, bits - 3, MPFR_RNDN, MPFR_RNDZ, kBits) != 0) {
            Big value;
            const bool cut = mpfr_set(value, product, MPFR_RNDZ) != 0 || !exact;
            return round_big(value, cut, denormal_flag(x, y), c);
        }
    }
}

// The product of y and a logarithm that is infinite or zero, or of an infinite y.
Result special_product(Kind log_kind, bool log_sign, const Number& y, u8 denormal) {
    const bool sign = log_sign != y.sign;
    if (log_kind == Kind::zero || y.kind == Kind::zero) {
        if (log_kind == Kind::infinity || y.kind == Kind::infinity) return invalid();
        return {zero(sign), denormal, false};
    }
    return {infinity(sign), denormal, false};
}

}  // namespace

bool angle_out_of_range(const Number& a) { return a.kind == Kind::finite && a.exponent >= 63; }

Result sine(const Number& a, const Context& c) {
    return trigonometric(a, c, {mpfr_sin, mpfr_cos, mpfr_sin, mpfr_cos}, {false, false, true, true},
                         a);
}

Result cosine(const Number& a, const Context& c) {
    return trigonometric(a, c, {mpfr_cos, mpfr_sin, mpfr_cos, mpfr_sin}, {false, true, true, false},
                         from_integer(1));
}

Result tangent(const Number& a, const Context& c) {
    return trigonometric(a, c, {mpfr_tan, mpfr_cot, mpfr_tan, mpfr_cot}, {false, true, false, true},
                         a);
}

Result arctangent(const Number& y, const Number& x, const Context& c) {
    Result out;
    if (settle_nans(y, x, c, out)) return out;
    Big rise(y);
    Big run(x);
    Big value;
    const bool cut = mpfr_atan2(value, rise, run, MPFR_RNDZ) != 0;
    return round_big(value, cut, denormal_flag(y, x), c);
}

Result exp2_minus_1(const Number& a, const Context& c) {
    Result out;
    if (settle_nan(a, c, out)) return out;
    if (a.kind == Kind::zero) return {a, 0, false};
    if (a.kind == Kind::infinity) return {a.sign ? from_integer(-1) : a, 0, false};
    const bool one = a.exponent == 0 && a.significand == u64{1} << 63;
    if (a.exponent >= 0 && !one) return {a, kInexact, false};
    Big operand(a);
    Big value;
    const bool cut = mpfr_exp2m1(value, operand, MPFR_RNDZ) != 0;
    return round_big(value, cut, denormal_flag(a), c);
}

Result y_log2(const Number& x, const Number& y, const Context& c) {
    Result out;
    if (settle_nans(x, y, c, out)) return out;
    const u8 denormal = denormal_flag(x, y);
    if (x.kind == Kind::zero) {
        if (y.kind == Kind::finite) return {infinity(!y.sign), kZeroDivide, false};
        return special_product(Kind::infinity, true, y, denormal);
    }
    if (x.sign) return invalid();
    if (x.kind == Kind::infinity) return special_product(Kind::infinity, false, y, denormal);
    const bool one = x.exponent == 0 && x.significand == u64{1} << 63;
    if (one || y.kind != Kind::finite) {
        return special_product(one ? Kind::zero : Kind::finite, x.exponent < 0, y, denormal);
    }
    return multiply_logarithm(mpfr_log2, x, y, c);
}

Result y_log2_plus_1(const Number& x, const Number& y, const Context& c) {
    Result out;
    if (settle_nans(x, y, c, out)) return out;
    const u8 denormal = denormal_flag(x, y);
    // From -1 down it is undefined.
    if (x.sign && (x.kind == Kind::infinity || (x.kind == Kind::finite && x.exponent >= 0))) {
        return invalid();
    }
    if (x.kind != Kind::finite || y.kind != Kind::finite) {
        return special_product(x.kind, x.sign, y, denormal);
    }
    return multiply_logarithm(mpfr_log2p1, x, y, c);
}

}  // namespace vtlsim::sim::fp
