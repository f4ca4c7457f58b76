// Between the encodings and Number.
#include "sim/fp/soft_float.hpp"

namespace vtlsim::sim::fp {
namespace {

constexpr u64 kIntegerBit = u64{1} << 63;
constexpr u64 kQuietBit = u64{1} << 62;
constexpr u32 kBias80 = 16383;

// A subnormal or normal number; `significand` not 0.
Number normalised(bool sign, i32 exponent, u64 significand) {
    const int shift = std::countl_zero(significand);
    return {Kind::finite, sign, false, exponent - shift, significand << shift};
}

// binary32 and binary64: `fraction_bits` explicit bits of significand, exponents of `bias`.
Number unpack(u64 bits, unsigned fraction_bits, u32 bias, bool zero_denormals) {
    const u32 exponent_mask = 2 * bias + 1;
    const u64 fraction = bits & ((u64{1} << fraction_bits) - 1);
    const u32 exponent = static_cast<u32>(bits >> fraction_bits) & exponent_mask;
    const bool sign = (bits >> fraction_bits & (exponent_mask + 1)) != 0;
    const u64 aligned = fraction << (63 - fraction_bits);
    if (exponent == exponent_mask) {
        if (fraction == 0) return infinity(sign);
        return {(aligned & kQuietBit) != 0 ? Kind::quiet_nan : Kind::signaling_nan, sign, false, 0,
                aligned | kIntegerBit};
    }
    if (exponent == 0) {
        if (fraction == 0 || zero_denormals) return zero(sign);
        Number n = normalised(sign, 1 - static_cast<i32>(bias), aligned);
        n.denormal = true;
        return n;
    }
    return {Kind::finite, sign, false, static_cast<i32>(exponent) - static_cast<i32>(bias),
            aligned | kIntegerBit};
}

u64 pack(const Number& n, unsigned fraction_bits, u32 bias) {
    const u64 exponent_mask = 2 * u64{bias} + 1;
    u64 exponent = 0;
    u64 fraction = 0;
    switch (n.kind) {
        case Kind::zero:
            break;
        case Kind::finite: {
            i32 biased = n.exponent + static_cast<i32>(bias);
            u64 significand = n.significand;
            if (biased <= 0) {
                // A trapped underflow's result may be far below the format; nobody stores it then.
                const auto shift = static_cast<unsigned>(1 - biased);
                significand = shift < 64 ? significand >> shift : 0;
                biased = 0;
            }
            exponent = static_cast<u64>(biased);
            fraction = significand;
            break;
        }
        case Kind::infinity:
            exponent = exponent_mask;
            break;
        default:
            exponent = exponent_mask;
            fraction = n.significand;
            break;
    }
    fraction = (fraction & ~kIntegerBit) >> (63 - fraction_bits);
    const u64 sign = n.sign ? exponent_mask + 1 : 0;
    return (sign | exponent) << fraction_bits | fraction;
}

}  // namespace

Number unpack32(u32 bits, bool zero_denormals) { return unpack(bits, 23, 127, zero_denormals); }
Number unpack64(u64 bits, bool zero_denormals) { return unpack(bits, 52, 1023, zero_denormals); }

Number unpack80(Float80 bits) {
    const bool sign = (bits.sign_exponent & 0x8000) != 0;
    const u32 exponent = bits.sign_exponent & 0x7FFF;
    const u64 significand = bits.significand;
    if (exponent == 0) {
        if (significand == 0) return zero(sign);
        // With the integer bit set it is a pseudo-denormal, of the same exponent.
        Number n = normalised(sign, 1 - static_cast<i32>(kBias80), significand);
        n.denormal = true;
        return n;
    }
    if ((significand & kIntegerBit) == 0) return {Kind::unsupported, sign, false, 0, significand};
    if (exponent == 0x7FFF) {
        if (significand == kIntegerBit) return infinity(sign);
        const bool quiet = (significand & kQuietBit) != 0;
        return {quiet ? Kind::quiet_nan : Kind::signaling_nan, sign, false, 0, significand};
    }
    return {Kind::finite, sign, false, static_cast<i32>(exponent) - static_cast<i32>(kBias80),
            significand};
}

u32 pack32(const Number& n) { return static_cast<u32>(pack(n, 23, 127)); }
u64 pack64(const Number& n) { return pack(n, 52, 1023); }

Float80 pack80(const Number& n) {
    u32 exponent = 0;
    u64 significand = n.significand;
    switch (n.kind) {
        case Kind::zero:
            significand = 0;
            break;
        case Kind::finite: {
            const i32 biased = n.exponent + static_cast<i32>(kBias80);
            if (biased > 0) {
                exponent = static_cast<u32>(biased);
            } else {
                // A trapped underflow's result may be far below the format; nobody stores it then.
                const auto shift = static_cast<unsigned>(1 - biased);
                significand = shift < 64 ? significand >> shift : 0;
            }
            break;
        }
        case Kind::infinity:
            exponent = 0x7FFF;
            significand = kIntegerBit;
            break;
        default:
            exponent = 0x7FFF;
            break;
    }
    return {significand, static_cast<u16>(exponent | (n.sign ? 0x8000 : 0))};
}

Number indefinite() { return {Kind::quiet_nan, true, false, 0, kIntegerBit | kQuietBit}; }
Number infinity(bool sign) { return {Kind::infinity, sign, false, 0, 0}; }
Number zero(bool sign) { return {Kind::zero, sign, false, 0, 0}; }

Number quieted(Number nan) {
    nan.kind = Kind::quiet_nan;
    nan.significand |= kQuietBit;
    return nan;
}

Number from_unsigned(u64 magnitude, bool sign) {
    return magnitude == 0 ? zero(sign) : normalised(sign, 63, magnitude);
}

Number from_integer(i64 value) {
    const u64 bits = static_cast<u64>(value);
    return from_unsigned(value < 0 ? ~bits + 1 : bits, value < 0);
}

}  // namespace vtlsim::sim::fp
