#include "runner/conform/values.hpp"

namespace vtlsim::runner::conform {

u64 Random::edge() {
    const u64 bits = next();
    switch (bits & 7) {
        case 0:
            return bits >> 3 & 0xF;
        case 1:
            return u64{0} - (bits >> 3 & 0xF);
        case 2: {  // around a power of two
            const u64 power = u64{1} << (bits >> 3 & 63);
            return power + (bits >> 9 & 3) - 2;
        }
        case 3:
            return static_cast<u64>(static_cast<i64>(static_cast<i32>(next())));
        case 4:
            return (bits & 8) != 0 ? 0x7F7F7F7F7F7F7F7F : 0x8080808080808080;
        default:
            return next();
    }
}

namespace {

// A float of that many bits: special values, small integers and noise.
u64 float_bits(Random& r, unsigned mantissa, unsigned exponent_bits) {
    const u64 sign = r.next() & 1;
    const u64 exponents = (u64{1} << exponent_bits) - 1;
    const u64 bias = exponents >> 1;
    const u64 fraction_mask = (u64{1} << mantissa) - 1;
    u64 exponent = 0;
    u64 fraction = 0;
    switch (r.below(8)) {
        case 0:
            exponent = r.one_in(2) ? 0 : exponents;  // zero, infinity
            break;
        case 1:  // NaN of both kinds
            exponent = exponents;
            fraction = r.next() & fraction_mask;
            break;
        case 2:  // denormal
            fraction = r.next() >> r.below(64) & fraction_mask;
            break;
        case 3:  // near overflow or underflow
            exponent = r.one_in(2) ? exponents - 1 - r.below(3) : 1 + r.below(3);
            fraction = r.next() & fraction_mask;
            break;
        case 4:  // few bits set
            exponent = bias + r.below(70) - 5;
            fraction = (r.next() & 7) << (mantissa - 3);
            break;
        case 5:  // all ones below: rounding carries
            exponent = bias + r.below(20) - 10;
            fraction = fraction_mask << r.below(3) & fraction_mask;
            break;
        default:
            exponent = bias + r.below(140) - 70;
            fraction = r.next() & fraction_mask;
            break;
    }
    exponent &= exponents;
    return sign << (mantissa + exponent_bits) | exponent << mantissa | fraction;
}

void random_extended(Random& r, std::array<u8, 512>& fx, std::size_t at) {
    // An 80-bit register: a double's kind of value with the explicit integer bit, or any bits.
    u64 fraction = 0;
    u16 exponent = 0;
    switch (r.below(8)) {
        case 0:  // any, the encodings that the x87 does not support too
            fraction = r.next();
            exponent = static_cast<u16>(r.next());
            break;
        case 1:  // zero, infinity, denormal
            exponent = static_cast<u16>(r.one_in(2) ? 0x7FFF : 0);
            fraction = exponent != 0 ? u64{1} << 63 : r.one_in(2) ? 0 : r.next() >> r.below(63);
            break;
        case 2:  // NaN
            exponent = 0x7FFF;
            fraction = r.next() | u64{1} << 63;
            break;
        case 3:  // edges of the range
            exponent = static_cast<u16>(r.one_in(2) ? 0x7FFE - r.below(70) : 1 + r.below(70));
            fraction = r.next() | u64{1} << 63;
            break;
        case 4:  // small integers
            exponent = static_cast<u16>(0x3FFF + r.below(64));
            fraction = u64{1} << 63 | (r.next() & 0xF) << 59;
            break;
        default:
            exponent = static_cast<u16>(0x3FFF - 70 + r.below(140));
            fraction = r.next() | u64{1} << 63;
            break;
    }
    exponent = static_cast<u16>((exponent & 0x7FFF) | (r.next() & 1) << 15);
    put(fx, at, fraction);
    put(fx, at + 8, exponent);
}

}  // namespace

u64 lane(Random& r, unsigned kind) {
    switch (kind) {
        case 0:
            return r.edge();
        case 1:
            return float_bits(r, 52, 11);
        case 2:
            return float_bits(r, 23, 8) | float_bits(r, 23, 8) << 32;
        default:
            return r.next();
    }
}

void random_fpu(Random& r, std::array<u8, 512>& fx) {
    const bool masked = !r.one_in(4);
    const u64 masks = masked ? 0x3F : r.next() & 0x3F;
    put(fx, kFcw, static_cast<u16>(0x40 | masks | (r.next() & 0xF00)));
    // Rarely a pending exception: flags that are not masked, with ES and B.
    u64 status = (r.one_in(4) ? r.next() & masks : 0) | (r.next() & 0x7F00);
    if ((status & 0x3F) != 0) status |= r.next() & 0x40;
    if (r.one_in(16)) status |= r.next() & 0x3F;
    if ((status & ~masks & 0x3F) != 0) status |= 0x8080;
    put(fx, kFsw, static_cast<u16>(status));
    const u64 tags = r.one_in(2) ? 0xFF : r.one_in(4) ? 0 : r.next();
    put(fx, kFtw, static_cast<u8>(tags));
    for (std::size_t i = 0; i < 8; ++i) random_extended(r, fx, kSt + 16 * i);
    u64 mxcsr = 0x1F80 | (r.next() & 0x6000);
    if (r.one_in(8)) mxcsr |= r.next() & 0x8040;
    if (r.one_in(4)) mxcsr &= ~(r.next() & 0x1F80);
    if (r.one_in(4)) mxcsr |= r.next() & 0x3F;
    put(fx, kMxcsr, static_cast<u32>(mxcsr));
    for (std::size_t i = 0; i < 32; ++i) {
        put(fx, kXmm + 8 * i, lane(r, static_cast<unsigned>(r.below(4))));
    }
}

}  // namespace vtlsim::runner::conform
