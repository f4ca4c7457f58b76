// 128-bit integers for the floating point core.
#pragma once

#include "sim/types.hpp"

namespace vtlsim::sim::fp {

__extension__ using U128 = unsigned __int128;

constexpr U128 wide(u64 high, u64 low) { return U128{high} << 64 | low; }
constexpr u64 high(U128 v) { return static_cast<u64>(v >> 64); }
constexpr u64 low(U128 v) { return static_cast<u64>(v); }

// v >> n for any n, with the bits that fall out ORed into the lowest one.
constexpr U128 shift_right_jam(U128 v, u32 n) {
    if (n == 0) return v;
    if (n > 127) return v != 0 ? 1 : 0;
    const bool lost = (v << (128 - n)) != 0;
    return v >> n | (lost ? 1 : 0);
}

}  // namespace vtlsim::sim::fp
