// The host's own arithmetic where IEEE 754 leaves no choice: binary32 and binary64, rounding to
// nearest (the host's mode, which nobody here changes), ordinary operands and an ordinary result.
// Everything else is soft_float.hpp's, and so is every doubt.
#pragma once

#include <cfloat>
#include <cmath>
#include <type_traits>

#include "sim/types.hpp"

namespace vtlsim::sim::fp::host {

static_assert(FLT_EVAL_METHOD == 0 && __FLT_RADIX__ == 2);
#ifdef __FAST_MATH__
#error "the results must be those of IEEE 754"
#endif

template <class Bits>
using Float = std::conditional_t<sizeof(Bits) == 4, float, double>;
template <class Bits>
inline constexpr unsigned kFractionBits = sizeof(Bits) == 4 ? 23 : 52;
template <class Bits>
inline constexpr Bits kExponentMask = (sizeof(Bits) == 4 ? Bits{0xFF} : Bits{0x7FF})
                                      << kFractionBits<Bits>;

template <class Bits>
bool is_normal(Bits bits) {
    const Bits exponent = bits & kExponentMask<Bits>;
    return exponent != 0 && exponent != kExponentMask<Bits>;
}
template <class Bits>
bool is_zero(Bits bits) {
    return static_cast<Bits>(bits << 1) == 0;
}
template <class Bits>
bool is_ordinary(Bits bits) {
    return is_normal(bits) || is_zero(bits);
}
// Beyond the smallest normal number: neither tiny nor rounded up from what was (SDM 1 4.9.1.5).
template <class Bits>
bool is_surely_normal(Bits bits) {
    return is_normal(bits) && static_cast<Bits>(bits << 1) != Bits{2} << kFractionBits<Bits>;
}

// Each answers false where it cannot tell; else `r` is the result, and `inexact` is set if that is
// not the exact value (and else left alone). There are no other exceptions.

struct Add {
    template <class Bits>
    static bool apply(Bits a, Bits b, Bits& r, bool& inexact) {
        using F = Float<Bits>;
        const F x = std::bit_cast<F>(a);
        const F y = std::bit_cast<F>(b);
        const F sum = x + y;
        r = std::bit_cast<Bits>(sum);
        if (!is_ordinary(a) || !is_ordinary(b) || !(is_surely_normal(r) || is_zero(r))) {
            return false;
        }
        // Knuth's 2Sum: what rounding has cut off, exactly.
        const F y_part = sum - x;
        const F x_part = sum - y_part;
        inexact = inexact || (x - x_part) + (y - y_part) != 0;
        return true;
    }
};

struct Subtract {
    template <class Bits>
    static bool apply(Bits a, Bits b, Bits& r, bool& inexact) {
        constexpr Bits kSign = Bits{1} << (sizeof(Bits) * 8 - 1);
        return Add::apply<Bits>(a, b ^ kSign, r, inexact);
    }
};

struct Multiply {
    template <class Bits>
    static bool apply(Bits a, Bits b, Bits& r, bool& inexact) {
        using F = Float<Bits>;
        r = std::bit_cast<Bits>(std::bit_cast<F>(a) * std::bit_cast<F>(b));
        if (!is_ordinary(a) || !is_ordinary(b)) return false;
        if (is_zero(a) || is_zero(b)) return true;
        if (!is_surely_normal(r)) return false;
        inexact = inexact || loses_bits(a, b);
        return true;
    }

  private:
    // Whether the product of the significands has more bits than fit.
    template <class Bits>
    static bool loses_bits(Bits a, Bits b) {
        __extension__ using Wide = std::conditional_t<sizeof(Bits) == 4, u64, unsigned __int128>;
        constexpr unsigned n = kFractionBits<Bits>;
        constexpr Bits kHidden = Bits{1} << n;
        const Wide product = Wide{(a & (kHidden - 1)) | kHidden} * ((b & (kHidden - 1)) | kHidden);
        const unsigned cut = n + static_cast<unsigned>(product >> (2 * n + 1));
        return (product & ((Wide{1} << cut) - 1)) != 0;
    }
};

// binary32 only: the square or product that tells whether it was exact fits binary64.
struct Divide {
    static bool apply(u32 a, u32 b, u32& r, bool& inexact) {
        const float x = std::bit_cast<float>(a);
        const float y = std::bit_cast<float>(b);
        if (!is_ordinary(a) || !is_normal(b)) return false;
        r = std::bit_cast<u32>(x / y);
        if (is_zero(a)) return true;
        if (!is_surely_normal(r)) return false;
        inexact = inexact || double{std::bit_cast<float>(r)} * double{y} != double{x};
        return true;
    }
};

struct SquareRoot {
    static bool apply(u32, u32 b, u32& r, bool& inexact) {
        if (!is_normal(b) || b >> 31 != 0) return false;
        const float root = std::sqrt(std::bit_cast<float>(b));
        r = std::bit_cast<u32>(root);
        inexact = inexact || double{root} * double{root} != double{std::bit_cast<float>(b)};
        return true;
    }
};

}  // namespace vtlsim::sim::fp::host
