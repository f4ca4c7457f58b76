#include "runner/conform/approximate.hpp"

#include <algorithm>

namespace vtlsim::runner::conform {

Bound bound_of(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_RCPPS:
        case ZYDIS_MNEMONIC_RCPSS:
        case ZYDIS_MNEMONIC_RSQRTPS:
        case ZYDIS_MNEMONIC_RSQRTSS:
            return Bound::reciprocal;
        case ZYDIS_MNEMONIC_F2XM1:
        case ZYDIS_MNEMONIC_FCOS:
        case ZYDIS_MNEMONIC_FPATAN:
        case ZYDIS_MNEMONIC_FPTAN:
        case ZYDIS_MNEMONIC_FSIN:
        case ZYDIS_MNEMONIC_FSINCOS:
        case ZYDIS_MNEMONIC_FYL2X:
        case ZYDIS_MNEMONIC_FYL2XP1:
            return Bound::one_ulp;
        default:
            return Bound::none;
    }
}

bool within_one_ulp(const u8* a, const u8* b) {
    u64 x = 0;
    u64 y = 0;
    u16 x_exponent = 0;
    u16 y_exponent = 0;
    std::memcpy(&x, a, 8);
    std::memcpy(&x_exponent, a + 8, 2);
    std::memcpy(&y, b, 8);
    std::memcpy(&y_exponent, b + 8, 2);
    if (x_exponent == y_exponent) return x - y + 1 <= 2;
    // From all ones to 100..0 with the next exponent, or from the largest denormal to 1.
    constexpr u64 kInteger = u64{1} << 63;
    if (x_exponent > y_exponent) {
        std::swap(x, y);
        std::swap(x_exponent, y_exponent);
    }
    if (y_exponent - x_exponent != 1) return false;
    const u64 below = x_exponent % 0x8000 == 0 && x < kInteger ? kInteger - 1 : ~u64{0};
    return x == below && y == kInteger;
}

bool within_reciprocal_bound(const u8* a, const u8* b, unsigned lanes) {
    constexpr u32 kSign = 0x80000000, kSmallest = 0x00800000, kInfinity = 0x7F800000;
    if (std::memcmp(a + 4 * lanes, b + 4 * lanes, 16 - 4 * lanes) != 0) return false;
    for (std::size_t i = 0; i < 4 * lanes; i += 4) {
        u32 x = 0;
        u32 y = 0;
        std::memcpy(&x, a + i, 4);
        std::memcpy(&y, b + i, 4);
        if (x == y) continue;
        if (((x ^ y) & kSign) != 0) return false;
        x &= ~kSign;
        y &= ~kSign;
        if (x > y) std::swap(x, y);
        if (x == 0 && y == kSmallest) continue;
        if (x < kSmallest || y >= kInfinity) return false;
        // In units of the last place of x: (y - x) / significand <= 3 * 2^-12.
        const u64 significand = (x & 0x7FFFFF) | 0x800000;
        if (u64{y - x} << 12 > 3 * significand) return false;
    }
    return true;
}

}  // namespace vtlsim::runner::conform
