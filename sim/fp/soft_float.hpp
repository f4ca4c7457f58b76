// Binary floating point in integers only: binary32, binary64 and the 80-bit extended format, exact
// to the bit and independent of the host (SDM 1 chapter 4, 8.5 and 11.5; IEEE 754-2008).
//
// An operand is unpacked to a Number, an operation rounds its exact result to the precision and
// exponent range of a Context, and the rounded Number packs without loss into that format:
//
//   const Result r = add(unpack32(a), unpack32(b), binary32(Rounding::nearest));
//   if ((r.flags & kPreComputation & ~masks) ...) // deliver #XM, write nothing
//   store(pack32(r.value));
//
// Operations report all exceptions that they detect; masks, sticky flags and #MF/#XM are the
// caller's. Whoever unmasks IE, ZE or DE stops before the computation: of the flags that come with
// such an exception only those in kPreComputation are then to be set.
#pragma once

#include "sim/types.hpp"

namespace vtlsim::sim::fp {

// Values of the rounding control field of FCW, MXCSR and the ROUND* immediates.
enum class Rounding : u8 { nearest, down, up, zero };

// Exception flags, at their places in FSW and MXCSR.
inline constexpr u8 kInvalid = 1, kDenormal = 2, kZeroDivide = 4, kOverflow = 8, kUnderflow = 16,
                    kInexact = 32;
inline constexpr u8 kPreComputation = kInvalid | kDenormal | kZeroDivide;

// `unsupported`: encodings of the extended format with a wrong integer bit (SDM 1 table 8-3);
// every operation takes them as invalid.
enum class Kind : u8 { zero, finite, infinity, quiet_nan, signaling_nan, unsupported };

struct Number {
    Kind kind = Kind::zero;
    bool sign = false;
    bool denormal = false;  // was encoded as a denormal: reason for kDenormal
    i32 exponent = 0;       // finite: the value is significand * 2^(exponent - 63)
    u64 significand = 0;    // bit 63 is set in finite numbers; NaNs: 63 set, 62 = quiet, payload

    bool is_nan() const { return kind == Kind::quiet_nan || kind == Kind::signaling_nan; }
    friend bool operator==(const Number&, const Number&) = default;
};

// The extended format as in an x87 register or ten bytes of memory.
struct Float80 {
    u64 significand = 0;
    u16 sign_exponent = 0;
    friend bool operator==(const Float80&, const Float80&) = default;
};

// `zero_denormals` is MXCSR.DAZ: denormals become zeros of their sign and raise nothing.
Number unpack32(u32 bits, bool zero_denormals = false);
Number unpack64(u64 bits, bool zero_denormals = false);
Number unpack80(Float80 bits);
// The value must be one that the format holds: the result of an operation in its Context, or a
// NaN, which is cut to the width.
u32 pack32(const Number& n);
u64 pack64(const Number& n);
Float80 pack80(const Number& n);

// The QNaN floating-point indefinite (SDM 1 table 4-3).
Number indefinite();
Number infinity(bool sign);
Number zero(bool sign);
// The NaN with the quiet bit set.
Number quieted(Number nan);

// Which of two NaN operands is the result (SDM 1 table 4-7).
enum class NanRule : u8 {
    first,               // SSE: the first source operand
    larger_significand,  // x87: a QNaN before an SNaN, then by significand, then the positive one
};

// Where results go. Exponents are those of Number.
struct Context {
    u8 precision;      // bits of the significand
    i32 min_exponent;  // of the smallest normal number
    i32 max_exponent;  // of the largest finite number
    Rounding rounding = Rounding::nearest;
    NanRule nan_rule = NanRule::first;
    // The exception is unmasked. The result is then the one with unbounded exponent, divided
    // (overflow) or multiplied (underflow) by 2^wrap, and underflow is raised for exact tiny
    // results too (SDM 1 8.5.4, 8.5.5). SSE, which then writes nothing, has use for the flags only.
    bool trap_overflow = false;
    bool trap_underflow = false;
    i32 wrap = 24576;
    // MXCSR.FTZ: tiny results become zeros with underflow and inexact. Ignored where underflow is
    // trapped (SDM 1 10.2.3.3).
    bool flush_to_zero = false;
};

constexpr Context binary32(Rounding rounding) { return {24, -126, 127, rounding}; }
constexpr Context binary64(Rounding rounding) { return {53, -1022, 1023, rounding}; }
// x87 registers: the range of the extended format at 24, 53 or 64 bits of precision.
constexpr Context extended(Rounding rounding, u8 precision = 64) {
    return {precision, -16382, 16383, rounding, NanRule::larger_significand};
}

struct Result {
    Number value{};
    u8 flags = 0;
    bool rounded_up = false;  // away from zero: C1 of the x87 status word
};

Result add(const Number& a, const Number& b, const Context& c);
Result sub(const Number& a, const Number& b, const Context& c);
Result mul(const Number& a, const Number& b, const Context& c);
Result div(const Number& a, const Number& b, const Context& c);
Result sqrt(const Number& a, const Context& c);
// To a format: also the rounding of from_integer(). FST, which does not raise kDenormal, clears
// a.denormal before.
Result convert(const Number& a, const Context& c);
// To an integral value of the same format, by c.rounding. `kInexact` if that changed the value.
Result round_to_integral(const Number& a, const Context& c);
// a * 2^truncate(b), as FSCALE: whatever c.precision, at 64 bits.
Result scale(const Number& a, const Number& b, const Context& c);

// The exponent and the significand (in [1, 2), with the sign) as FXTRACT: of zero, minus infinity
// and that zero with kZeroDivide.
struct Extracted {
    Number exponent;
    Number significand;
    u8 flags = 0;
};
Extracted extract(const Number& a);

// Exact remainders, at 64 bits whatever c.precision. `complete` is false when only part of the
// exponent difference was worked off; the value is then what another step has to start from.
enum class Quotient : u8 { truncated, nearest };  // FPREM, FPREM1 (the IEEE remainder)
struct Remainder {
    Number value;
    u8 flags = 0;
    bool rounded_up = false;
    bool complete = true;
    u64 quotient = 0;  // of a complete one: magnitude modulo 2^64; else 0
};
Remainder remainder(const Number& a, const Number& b, Quotient kind, const Context& c);

enum class Relation : u8 { less, equal, greater, unordered };
struct Comparison {
    Relation relation;
    u8 flags = 0;
};
// `quiet`: only SNaNs are invalid (UCOMI, FUCOM, CMPEQ), else all NaNs (COMI, FCOM, CMPLT).
Comparison compare(const Number& a, const Number& b, bool quiet);

// To a signed integer of 16, 32 or 64 bits. Out of range and NaN: kInvalid, and the value is the
// integer indefinite 100..0b. Denormal operands raise only kInexact.
struct Integer {
    i64 value = 0;
    u8 flags = 0;
    bool rounded_up = false;
};
Integer to_integer(const Number& a, unsigned bits, Rounding rounding);
// Exact.
Number from_integer(i64 value);
Number from_unsigned(u64 magnitude, bool sign);

// Rounds the exact value +-significand * 2^(exponent - 63), significand not 0 with bit 63 set,
// plus `sticky` if something less than the last bit of `low` has been cut off, where `low` holds
// the next 64 bits.
Result round(bool sign, i32 exponent, u64 significand, u64 low, bool sticky, const Context& c);

}  // namespace vtlsim::sim::fp
