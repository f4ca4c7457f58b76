// The integer names used everywhere, and the one 128-bit value type.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace vtlsim {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

// Registers and memory are moved with memcpy, so the host must share the guest's byte order.
static_assert(std::endian::native == std::endian::little);

// A vector register (XMM) or an 80-bit x87 register in its low ten bytes.
struct alignas(16) Vec128 {
    u64 lo = 0;
    u64 hi = 0;
    friend bool operator==(const Vec128&, const Vec128&) = default;
};
static_assert(sizeof(Vec128) == 16);

}  // namespace vtlsim
