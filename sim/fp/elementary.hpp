// The x87's transcendental functions, correctly rounded to 64 bits by way of MPFR.
//
// Processors are off by up to one unit in the last place and differ from each other (SDM 1 8.3.10);
// the correctly rounded value is what none of them is wrong against. As in them, angles are reduced
// with a 66-bit pi (SDM 1 8.3.8), so that sines near its multiples are those of the hardware.
//
// Operands and results as in soft_float.hpp; a context's precision is ignored.
#pragma once

#include "sim/fp/soft_float.hpp"

namespace vtlsim::sim::fp {

// Angles from 2^63 on are not reduced: FSIN, FCOS, FSINCOS and FPTAN then set C2 and do nothing.
bool angle_out_of_range(const Number& a);
Result sine(const Number& a, const Context& c);
Result cosine(const Number& a, const Context& c);
Result tangent(const Number& a, const Context& c);
// The angle of the point (x, y), in [-pi, pi].
Result arctangent(const Number& y, const Number& x, const Context& c);
// 2^a - 1 for -1 <= a <= 1. Numbers beyond, for which F2XM1 is undefined, come back unchanged.
Result exp2_minus_1(const Number& a, const Context& c);
// y * log2(x), y * log2(1 + x).
Result y_log2(const Number& x, const Number& y, const Context& c);
Result y_log2_plus_1(const Number& x, const Number& y, const Context& c);

}  // namespace vtlsim::sim::fp
