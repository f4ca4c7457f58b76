// What the operations of the floating point core share.
#pragma once

#include "sim/fp/soft_float.hpp"
#include "sim/fp/wide.hpp"

namespace vtlsim::sim::fp {

// Whether a magnitude that lies `rest` above the kept bits is rounded up; `half` is the value of
// half a unit of the last kept bit.
constexpr bool rounds_up(Rounding rounding, bool sign, bool odd, U128 rest, U128 half) {
    switch (rounding) {
        case Rounding::nearest:
            return rest > half || (rest == half && odd);
        case Rounding::down:
            return sign && rest != 0;
        case Rounding::up:
            return !sign && rest != 0;
        case Rounding::zero:
            break;
    }
    return false;
}

// Rounds significand * 2^(exponent - 127), not 0 and not necessarily normalised, whose lowest bit
// is sticky.
Result round_wide(bool sign, i32 exponent, U128 significand, const Context& c);

constexpr u8 denormal_flag(const Number& a) { return a.denormal ? kDenormal : u8{0}; }
constexpr u8 denormal_flag(const Number& a, const Number& b) {
    return a.denormal || b.denormal ? kDenormal : u8{0};
}
inline Result invalid() { return {indefinite(), kInvalid, false}; }
// Zero that is the exact sum of two non-zero numbers or of zeros of different signs.
inline Number cancelled(Rounding rounding) { return zero(rounding == Rounding::down); }

// NaNs and unsupported encodings. True: `out` is the answer.
bool settle_nan(const Number& a, const Context& c, Result& out);
bool settle_nans(const Number& a, const Number& b, const Context& c, Result& out);

}  // namespace vtlsim::sim::fp
