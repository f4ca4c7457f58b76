// Lane by lane: packed integer arithmetic, comparison, shifts and logic of MMX and SSE to SSE4.2.
#include <algorithm>

#include "sim/insn/rows.hpp"
#include "sim/insn/sse_operands.hpp"

namespace vtlsim::sim {
namespace {

template <class T>
using Signed = std::make_signed_t<T>;

// Both operands lane by lane.
template <class T, T (*F)(T, T)>
struct Each {
    template <class V>
    static V apply(const V& a, const V& b, u8) {
        LanesOf<T, V> r = lanes<T>(a);
        const LanesOf<T, V> y = lanes<T>(b);
        for (std::size_t i = 0; i < r.size(); ++i) r[i] = F(r[i], y[i]);
        return from_lanes<V>(r);
    }
};

template <class T>
T add(T a, T b) {
    return static_cast<T>(a + b);
}
template <class T>
T subtract(T a, T b) {
    return static_cast<T>(a - b);
}
template <class T>
T add_saturated(T a, T b) {
    return saturate<T>(i64{a} + b);
}
template <class T>
T subtract_saturated(T a, T b) {
    return saturate<T>(i64{a} - b);
}
template <class T>
T average(T a, T b) {
    return static_cast<T>((a + b + 1) >> 1);
}
template <class T>
T minimum(T a, T b) {
    return std::min(a, b);
}
template <class T>
T maximum(T a, T b) {
    return std::max(a, b);
}
template <class T>
T equal(T a, T b) {
    return static_cast<T>(a == b ? -1 : 0);
}
template <class T>
T greater(T a, T b) {
    return static_cast<T>(a > b ? -1 : 0);
}
template <class T>
T absolute(T, T b) {
    return static_cast<T>(static_cast<Signed<T>>(b) < 0 ? -b : b);
}
template <class T>
T sign(T a, T b) {
    const auto s = static_cast<Signed<T>>(b);
    return s < 0 ? static_cast<T>(-a) : s == 0 ? T{0} : a;
}
u16 multiply_low16(u16 a, u16 b) { return static_cast<u16>(u32{a} * b); }
u32 multiply_low32(u32 a, u32 b) { return a * b; }
u16 multiply_high_unsigned(u16 a, u16 b) { return static_cast<u16>((u32{a} * b) >> 16); }
i16 multiply_high(i16 a, i16 b) { return static_cast<i16>((a * b) >> 16); }
i16 multiply_high_rounded(i16 a, i16 b) { return static_cast<i16>(((a * b >> 14) + 1) >> 1); }
u64 multiply_even_unsigned(u64 a, u64 b) { return (a & 0xFFFFFFFF) * (b & 0xFFFFFFFF); }
u64 multiply_even(u64 a, u64 b) {
    return static_cast<u64>(i64{static_cast<i32>(a)} * static_cast<i32>(b));
}

u64 bit_and(u64 a, u64 b) { return a & b; }
u64 bit_and_not(u64 a, u64 b) { return ~a & b; }
u64 bit_or(u64 a, u64 b) { return a | b; }
u64 bit_xor(u64 a, u64 b) { return a ^ b; }

// Shifts take one count for all lanes: the low 64 bits of the second operand, or the immediate.
// Counts of the lane's width and more give 0, arithmetic ones all sign bits.
template <class T, T (*F)(T, unsigned), bool Arithmetic = false>
struct Shift {
    template <class V>
    static V apply(const V& a, const V& b, u8) {
        constexpr u64 kWidth = sizeof(T) * 8;
        u64 count = lanes<u64>(b)[0];
        if (count >= kWidth) {
            if (!Arithmetic) return V{};
            count = kWidth - 1;
        }
        LanesOf<T, V> r = lanes<T>(a);
        for (T& lane : r) lane = F(lane, static_cast<unsigned>(count));
        return from_lanes<V>(r);
    }
};
template <class T>
T left(T a, unsigned count) {
    return static_cast<T>(a << count);
}
template <class T>
T right(T a, unsigned count) {
    return static_cast<T>(a >> count);
}

// PSLLDQ and PSRLDQ: whole bytes.
template <bool Left>
struct ShiftBytes {
    template <class V>
    static V apply(const V& a, const V& b, u8) {
        const auto from = lanes<u8>(a);
        const std::size_t count = lanes<u64>(b)[0];
        LanesOf<u8, V> r{};
        for (std::size_t i = count; i < r.size(); ++i) {
            (Left ? r[i] : r[i - count]) = Left ? from[i - count] : from[i];
        }
        return from_lanes<V>(r);
    }
};

// Products of adjacent pairs, added.
struct MultiplyAdd {
    template <class V>
    static V apply(const V& a, const V& b, u8) {
        const auto x = lanes<i16>(a);
        const auto y = lanes<i16>(b);
        LanesOf<u32, V> r{};
        for (std::size_t i = 0; i < r.size(); ++i) {
            r[i] = static_cast<u32>(x[2 * i] * y[2 * i]) +
                   static_cast<u32>(x[2 * i + 1] * y[2 * i + 1]);
        }
        return from_lanes<V>(r);
    }
};
struct MultiplyAddBytes {
    template <class V>
    static V apply(const V& a, const V& b, u8) {
        const auto x = lanes<u8>(a);
        const auto y = lanes<i8>(b);
        LanesOf<i16, V> r{};
        for (std::size_t i = 0; i < r.size(); ++i) {
            r[i] = saturate<i16>(x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1]);
        }
        return from_lanes<V>(r);
    }
};

// Adjacent pairs of the first operand, then of the second.
template <class T, T (*F)(T, T)>
struct Horizontal {
    template <class V>
    static V apply(const V& a, const V& b, u8) {
        const auto x = lanes<T>(a);
        const auto y = lanes<T>(b);
        constexpr std::size_t kHalf = kLanes<T, V> / 2;
        LanesOf<T, V> r{};
        for (std::size_t i = 0; i < kHalf; ++i) {
            r[i] = F(x[2 * i], x[2 * i + 1]);
            r[kHalf + i] = F(y[2 * i], y[2 * i + 1]);
        }
        return from_lanes<V>(r);
    }
};

u32 distance(u8 a, u8 b) { return static_cast<u32>(a > b ? a - b : b - a); }

// Sums of absolute differences: of each eight bytes, in 64-bit lanes.
struct SumDifferences {
    template <class V>
    static V apply(const V& a, const V& b, u8) {
        const auto x = lanes<u8>(a);
        const auto y = lanes<u8>(b);
        LanesOf<u64, V> r{};
        for (std::size_t i = 0; i < x.size(); ++i) r[i / 8] += distance(x[i], y[i]);
        return from_lanes<V>(r);
    }
};
// MPSADBW: four bytes of the source against eight overlapping groups of the destination.
struct SumDifferencesOverlapping {
    static Vec128 apply(const Vec128& a, const Vec128& b, u8 imm) {
        const auto x = lanes<u8>(a);
        const auto y = lanes<u8>(b);
        const std::size_t from_x = (imm >> 2 & 1u) * 4;
        const std::size_t from_y = (imm & 3u) * 4;
        std::array<u16, 8> r{};
        for (std::size_t i = 0; i < 8; ++i) {
            u32 sum = 0;
            for (std::size_t k = 0; k < 4; ++k) sum += distance(x[from_x + i + k], y[from_y + k]);
            r[i] = static_cast<u16>(sum);
        }
        return from_lanes<Vec128>(r);
    }
};
struct HorizontalMinimum {
    static Vec128 apply(const Vec128&, const Vec128& b, u8) {
        const auto x = lanes<u16>(b);
        const auto least = std::min_element(x.begin(), x.end());
        return {*least | static_cast<u64>(least - x.begin()) << 16, 0};
    }
};

// PTEST: ZF and CF, the other status flags become 0.
template <class Memory>
Flow test(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    Vec128 b{};
    if (!load_source<XmmFile, Memory>(x, op, b)) return Flow::stop;
    const Vec128& a = xmm(x, op.dst);
    const bool zero = ((a.lo & b.lo) | (a.hi & b.hi)) == 0;
    const bool carry = ((~a.lo & b.lo) | (~a.hi & b.hi)) == 0;
    x.flags.set_status((zero ? flag::zf : 0) | (carry ? flag::cf : 0));
    return Flow::next;
}
bool translate_test(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    op.handler = d.is_mem(1) ? test<Vec128> : test<Register>;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_ANDNPD, translate_xmm<Each<u64, bit_and_not>>, "SDM 2A ANDNPD"},
    {ZYDIS_MNEMONIC_ANDNPS, translate_xmm<Each<u64, bit_and_not>>, "SDM 2A ANDNPS"},
    {ZYDIS_MNEMONIC_ANDPD, translate_xmm<Each<u64, bit_and>>, "SDM 2A ANDPD"},
    {ZYDIS_MNEMONIC_ANDPS, translate_xmm<Each<u64, bit_and>>, "SDM 2A ANDPS"},
    {ZYDIS_MNEMONIC_MPSADBW, translate_xmm<SumDifferencesOverlapping>, "SDM 2B MPSADBW"},
    {ZYDIS_MNEMONIC_ORPD, translate_xmm<Each<u64, bit_or>>, "SDM 2B ORPD"},
    {ZYDIS_MNEMONIC_ORPS, translate_xmm<Each<u64, bit_or>>, "SDM 2B ORPS"},
    {ZYDIS_MNEMONIC_PABSB, translate_packed<Each<u8, absolute>>, "SDM 2B PABSB"},
    {ZYDIS_MNEMONIC_PABSD, translate_packed<Each<u32, absolute>>, "SDM 2B PABSD"},
    {ZYDIS_MNEMONIC_PABSW, translate_packed<Each<u16, absolute>>, "SDM 2B PABSW"},
    {ZYDIS_MNEMONIC_PADDB, translate_packed<Each<u8, add>>, "SDM 2B PADDB"},
    {ZYDIS_MNEMONIC_PADDD, translate_packed<Each<u32, add>>, "SDM 2B PADDD"},
    {ZYDIS_MNEMONIC_PADDQ, translate_packed<Each<u64, add>>, "SDM 2B PADDQ"},
    {ZYDIS_MNEMONIC_PADDSB, translate_packed<Each<i8, add_saturated>>, "SDM 2B PADDSB"},
    {ZYDIS_MNEMONIC_PADDSW, translate_packed<Each<i16, add_saturated>>, "SDM 2B PADDSW"},
    {ZYDIS_MNEMONIC_PADDUSB, translate_packed<Each<u8, add_saturated>>, "SDM 2B PADDUSB"},
    {ZYDIS_MNEMONIC_PADDUSW, translate_packed<Each<u16, add_saturated>>, "SDM 2B PADDUSW"},
    {ZYDIS_MNEMONIC_PADDW, translate_packed<Each<u16, add>>, "SDM 2B PADDW"},
    {ZYDIS_MNEMONIC_PAND, translate_packed<Each<u64, bit_and>>, "SDM 2B PAND"},
    {ZYDIS_MNEMONIC_PANDN, translate_packed<Each<u64, bit_and_not>>, "SDM 2B PANDN"},
    {ZYDIS_MNEMONIC_PAVGB, translate_packed<Each<u8, average>>, "SDM 2B PAVGB"},
    {ZYDIS_MNEMONIC_PAVGW, translate_packed<Each<u16, average>>, "SDM 2B PAVGW"},
    {ZYDIS_MNEMONIC_PCMPEQB, translate_packed<Each<u8, equal>>, "SDM 2B PCMPEQB"},
    {ZYDIS_MNEMONIC_PCMPEQD, translate_packed<Each<u32, equal>>, "SDM 2B PCMPEQD"},
    {ZYDIS_MNEMONIC_PCMPEQQ, translate_xmm<Each<u64, equal>>, "SDM 2B PCMPEQQ"},
    {ZYDIS_MNEMONIC_PCMPEQW, translate_packed<Each<u16, equal>>, "SDM 2B PCMPEQW"},
    {ZYDIS_MNEMONIC_PCMPGTB, translate_packed<Each<i8, greater>>, "SDM 2B PCMPGTB"},
    {ZYDIS_MNEMONIC_PCMPGTD, translate_packed<Each<i32, greater>>, "SDM 2B PCMPGTD"},
    {ZYDIS_MNEMONIC_PCMPGTQ, translate_xmm<Each<i64, greater>>, "SDM 2B PCMPGTQ"},
    {ZYDIS_MNEMONIC_PCMPGTW, translate_packed<Each<i16, greater>>, "SDM 2B PCMPGTW"},
    {ZYDIS_MNEMONIC_PHADDD, translate_packed<Horizontal<u32, add>>, "SDM 2B PHADDD"},
    {ZYDIS_MNEMONIC_PHADDSW, translate_packed<Horizontal<i16, add_saturated>>, "SDM 2B PHADDSW"},
    {ZYDIS_MNEMONIC_PHADDW, translate_packed<Horizontal<u16, add>>, "SDM 2B PHADDW"},
    {ZYDIS_MNEMONIC_PHMINPOSUW, translate_xmm<HorizontalMinimum>, "SDM 2B PHMINPOSUW"},
    {ZYDIS_MNEMONIC_PHSUBD, translate_packed<Horizontal<u32, subtract>>, "SDM 2B PHSUBD"},
    {ZYDIS_MNEMONIC_PHSUBSW, translate_packed<Horizontal<i16, subtract_saturated>>,
     "SDM 2B PHSUBSW"},
    {ZYDIS_MNEMONIC_PHSUBW, translate_packed<Horizontal<u16, subtract>>, "SDM 2B PHSUBW"},
    {ZYDIS_MNEMONIC_PMADDUBSW, translate_packed<MultiplyAddBytes>, "SDM 2B PMADDUBSW"},
    {ZYDIS_MNEMONIC_PMADDWD, translate_packed<MultiplyAdd>, "SDM 2B PMADDWD"},
    {ZYDIS_MNEMONIC_PMAXSB, translate_xmm<Each<i8, maximum>>, "SDM 2B PMAXSB"},
    {ZYDIS_MNEMONIC_PMAXSD, translate_xmm<Each<i32, maximum>>, "SDM 2B PMAXSD"},
    {ZYDIS_MNEMONIC_PMAXSW, translate_packed<Each<i16, maximum>>, "SDM 2B PMAXSW"},
    {ZYDIS_MNEMONIC_PMAXUB, translate_packed<Each<u8, maximum>>, "SDM 2B PMAXUB"},
    {ZYDIS_MNEMONIC_PMAXUD, translate_xmm<Each<u32, maximum>>, "SDM 2B PMAXUD"},
    {ZYDIS_MNEMONIC_PMAXUW, translate_xmm<Each<u16, maximum>>, "SDM 2B PMAXUW"},
    {ZYDIS_MNEMONIC_PMINSB, translate_xmm<Each<i8, minimum>>, "SDM 2B PMINSB"},
    {ZYDIS_MNEMONIC_PMINSD, translate_xmm<Each<i32, minimum>>, "SDM 2B PMINSD"},
    {ZYDIS_MNEMONIC_PMINSW, translate_packed<Each<i16, minimum>>, "SDM 2B PMINSW"},
    {ZYDIS_MNEMONIC_PMINUB, translate_packed<Each<u8, minimum>>, "SDM 2B PMINUB"},
    {ZYDIS_MNEMONIC_PMINUD, translate_xmm<Each<u32, minimum>>, "SDM 2B PMINUD"},
    {ZYDIS_MNEMONIC_PMINUW, translate_xmm<Each<u16, minimum>>, "SDM 2B PMINUW"},
    {ZYDIS_MNEMONIC_PMULDQ, translate_xmm<Each<u64, multiply_even>>, "SDM 2B PMULDQ"},
    {ZYDIS_MNEMONIC_PMULHRSW, translate_packed<Each<i16, multiply_high_rounded>>,
     "SDM 2B PMULHRSW"},
    {ZYDIS_MNEMONIC_PMULHUW, translate_packed<Each<u16, multiply_high_unsigned>>, "SDM 2B PMULHUW"},
    {ZYDIS_MNEMONIC_PMULHW, translate_packed<Each<i16, multiply_high>>, "SDM 2B PMULHW"},
    {ZYDIS_MNEMONIC_PMULLD, translate_xmm<Each<u32, multiply_low32>>, "SDM 2B PMULLD"},
    {ZYDIS_MNEMONIC_PMULLW, translate_packed<Each<u16, multiply_low16>>, "SDM 2B PMULLW"},
    {ZYDIS_MNEMONIC_PMULUDQ, translate_packed<Each<u64, multiply_even_unsigned>>, "SDM 2B PMULUDQ"},
    {ZYDIS_MNEMONIC_POR, translate_packed<Each<u64, bit_or>>, "SDM 2B POR"},
    {ZYDIS_MNEMONIC_PSADBW, translate_packed<SumDifferences>, "SDM 2B PSADBW"},
    {ZYDIS_MNEMONIC_PSIGNB, translate_packed<Each<u8, sign>>, "SDM 2B PSIGNB"},
    {ZYDIS_MNEMONIC_PSIGND, translate_packed<Each<u32, sign>>, "SDM 2B PSIGND"},
    {ZYDIS_MNEMONIC_PSIGNW, translate_packed<Each<u16, sign>>, "SDM 2B PSIGNW"},
    {ZYDIS_MNEMONIC_PSLLD, translate_packed<Shift<u32, left>>, "SDM 2B PSLLD"},
    {ZYDIS_MNEMONIC_PSLLDQ, translate_xmm<ShiftBytes<true>>, "SDM 2B PSLLDQ"},
    {ZYDIS_MNEMONIC_PSLLQ, translate_packed<Shift<u64, left>>, "SDM 2B PSLLQ"},
    {ZYDIS_MNEMONIC_PSLLW, translate_packed<Shift<u16, left>>, "SDM 2B PSLLW"},
    {ZYDIS_MNEMONIC_PSRAD, translate_packed<Shift<i32, right, true>>, "SDM 2B PSRAD"},
    {ZYDIS_MNEMONIC_PSRAW, translate_packed<Shift<i16, right, true>>, "SDM 2B PSRAW"},
    {ZYDIS_MNEMONIC_PSRLD, translate_packed<Shift<u32, right>>, "SDM 2B PSRLD"},
    {ZYDIS_MNEMONIC_PSRLDQ, translate_xmm<ShiftBytes<false>>, "SDM 2B PSRLDQ"},
    {ZYDIS_MNEMONIC_PSRLQ, translate_packed<Shift<u64, right>>, "SDM 2B PSRLQ"},
    {ZYDIS_MNEMONIC_PSRLW, translate_packed<Shift<u16, right>>, "SDM 2B PSRLW"},
    {ZYDIS_MNEMONIC_PSUBB, translate_packed<Each<u8, subtract>>, "SDM 2B PSUBB"},
    {ZYDIS_MNEMONIC_PSUBD, translate_packed<Each<u32, subtract>>, "SDM 2B PSUBD"},
    {ZYDIS_MNEMONIC_PSUBQ, translate_packed<Each<u64, subtract>>, "SDM 2B PSUBQ"},
    {ZYDIS_MNEMONIC_PSUBSB, translate_packed<Each<i8, subtract_saturated>>, "SDM 2B PSUBSB"},
    {ZYDIS_MNEMONIC_PSUBSW, translate_packed<Each<i16, subtract_saturated>>, "SDM 2B PSUBSW"},
    {ZYDIS_MNEMONIC_PSUBUSB, translate_packed<Each<u8, subtract_saturated>>, "SDM 2B PSUBUSB"},
    {ZYDIS_MNEMONIC_PSUBUSW, translate_packed<Each<u16, subtract_saturated>>, "SDM 2B PSUBUSW"},
    {ZYDIS_MNEMONIC_PSUBW, translate_packed<Each<u16, subtract>>, "SDM 2B PSUBW"},
    {ZYDIS_MNEMONIC_PTEST, translate_test, "SDM 2B PTEST"},
    {ZYDIS_MNEMONIC_PXOR, translate_packed<Each<u64, bit_xor>>, "SDM 2B PXOR"},
    {ZYDIS_MNEMONIC_XORPD, translate_xmm<Each<u64, bit_xor>>, "SDM 2D XORPD"},
    {ZYDIS_MNEMONIC_XORPS, translate_xmm<Each<u64, bit_xor>>, "SDM 2D XORPS"},
};

}  // namespace

std::span<const InsnRow> sse_integer_rows() { return kRows; }

}  // namespace vtlsim::sim
