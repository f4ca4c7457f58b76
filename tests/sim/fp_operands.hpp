// Random floating point operands, mostly edges: few significant bits, exponents at the ends of the
// formats, NaNs, denormals, pairs that cancel.
#pragma once

#include <random>

#include "sim/fp/soft_float.hpp"

namespace vtlsim::tests {

class FpSource {
  public:
    explicit FpSource(u64 seed) : engine_(seed) {}
    u64 bits() { return engine_(); }
    u64 below(u64 n) { return engine_() % n; }

    // Few bits, runs of ones, or anything.
    u64 fraction(unsigned width) {
        u64 v = 0;
        switch (below(6)) {
            case 0:
                break;
            case 1:
                v = u64{1} << below(64);
                break;
            case 2:
                v = (u64{1} << below(64)) | (u64{1} << below(64));
                break;
            case 3:
                v = ~u64{0} << below(64);
                break;
            case 4:
                v = ~(u64{1} << below(64)) - below(3);
                break;
            default:
                v = bits();
        }
        return width == 64 ? v : v & ((u64{1} << width) - 1);
    }
    u32 exponent(u32 maximum, u32 bias, u32 near) {
        switch (below(8)) {
            case 0:
                return 0;
            case 1:
                return maximum;
            case 2:
                return static_cast<u32>(below(70)) % maximum;
            case 3:
                return maximum - static_cast<u32>(below(70)) % maximum;
            case 4:
            case 5:
                return bias + static_cast<u32>(below(140)) % bias -
                       static_cast<u32>(below(70)) % bias;
            case 6:
                return near;
            default:
                return static_cast<u32>(below(maximum + 1));
        }
    }
    // Sign, exponent and fraction of the formats.
    u32 binary32() {
        return static_cast<u32>(below(2) << 31 | u64{exponent(255, 127, 100)} << 23 | fraction(23));
    }
    u64 binary64() { return below(2) << 63 | u64{exponent(2047, 1023, 900)} << 52 | fraction(52); }
    sim::fp::Float80 extended() {
        u32 e = exponent(0x7FFF, 0x3FFF, last_exponent_);
        if (below(4) == 0) e = last_exponent_ + static_cast<u32>(below(131)) - 65;
        switch (below(16)) {  // the edges of binary32 and binary64
            case 0:
                e = 0x3FFF - 126 + 4 - static_cast<u32>(below(60));
                break;
            case 1:
                e = 0x3FFF - 1022 + 4 - static_cast<u32>(below(60));
                break;
            case 2:
                e = 0x3FFF + 127 + 2 - static_cast<u32>(below(4));
                break;
            case 3:
                e = 0x3FFF + 1023 + 2 - static_cast<u32>(below(4));
                break;
            default:
                break;
        }
        e &= 0x7FFF;
        last_exponent_ = e;
        u64 significand = fraction(64) | u64{1} << 63;
        if (e == 0) significand = fraction(63);
        if (below(32) == 0) significand ^= u64{1} << 63;
        return {significand, static_cast<u16>(below(2) << 15 | e)};
    }
    // A value of FCW; most have all exceptions masked.
    u16 control() {
        const u64 precision = below(3) == 0 ? below(4) : 3;
        const u64 mask = below(3) == 0 ? bits() & 0x3F : 0x3F;
        return static_cast<u16>(0x40 | mask | precision << 8 | below(4) << 10);
    }

  private:
    std::mt19937_64 engine_;
    u32 last_exponent_ = 0x3FFF;
};

}  // namespace vtlsim::tests
