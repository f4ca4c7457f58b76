// What moves lanes about: shuffle, unpack, pack, blend, align, widen, insert, extract, masks.
#include "sim/insn/rows.hpp"
#include "sim/insn/sse_operands.hpp"

namespace vtlsim::sim {
namespace {

// --- by one or two whole operands ---------------------------------------------------------------
// Lanes of both operands by turns, from their low or high halves.
template <class T, bool High>
struct Unpack {
    template <class V>
    static V apply(const V& a, const V& b, u8) {
        const auto x = lanes<T>(a);
        const auto y = lanes<T>(b);
        constexpr std::size_t kFrom = High ? kLanes<T, V> / 2 : 0;
        LanesOf<T, V> r{};
        for (std::size_t i = 0; i < r.size() / 2; ++i) {
            r[2 * i] = x[kFrom + i];
            r[2 * i + 1] = y[kFrom + i];
        }
        return from_lanes<V>(r);
    }
};

// Both operands' lanes, saturated to half their width.
template <class From, class To>
struct Pack {
    template <class V>
    static V apply(const V& a, const V& b, u8) {
        const auto x = lanes<From>(a);
        const auto y = lanes<From>(b);
        LanesOf<To, V> r{};
        for (std::size_t i = 0; i < x.size(); ++i) {
            r[i] = saturate<To>(x[i]);
            r[x.size() + i] = saturate<To>(y[i]);
        }
        return from_lanes<V>(r);
    }
};

struct ShuffleBytes {
    template <class V>
    static V apply(const V& a, const V& b, u8) {
        const auto x = lanes<u8>(a);
        auto r = lanes<u8>(b);
        for (u8& byte : r) byte = (byte & 0x80) != 0 ? u8{0} : x[byte % x.size()];
        return from_lanes<V>(r);
    }
};

// Four lanes of the source from First on, each chosen by two bits of the immediate; others stay.
template <class T, std::size_t First>
struct ShuffleFour {
    template <class V>
    static V apply(const V&, const V& b, u8 imm) {
        const auto from = lanes<T>(b);
        auto r = from;
        for (std::size_t i = 0; i < 4; ++i) r[First + i] = from[First + (imm >> 2 * i & 3u)];
        return from_lanes<V>(r);
    }
};

struct ShufflePs {
    static Vec128 apply(const Vec128& a, const Vec128& b, u8 imm) {
        const auto x = lanes<u32>(a);
        const auto y = lanes<u32>(b);
        return from_lanes<Vec128>(
            std::array<u32, 4>{x[imm & 3u], x[imm >> 2 & 3u], y[imm >> 4 & 3u], y[imm >> 6 & 3u]});
    }
};
struct ShufflePd {
    static Vec128 apply(const Vec128& a, const Vec128& b, u8 imm) {
        return {(imm & 1) != 0 ? a.hi : a.lo, (imm & 2) != 0 ? b.hi : b.lo};
    }
};

// The operands side by side, shifted right by bytes.
struct Align {
    template <class V>
    static V apply(const V& a, const V& b, u8 imm) {
        const auto high = lanes<u8>(a);
        const auto low = lanes<u8>(b);
        constexpr std::size_t kBytes = sizeof(V);
        LanesOf<u8, V> r{};
        for (std::size_t i = 0; i < kBytes; ++i) {
            const std::size_t at = i + imm;
            r[i] = at < kBytes ? low[at] : at < 2 * kBytes ? high[at - kBytes] : u8{0};
        }
        return from_lanes<V>(r);
    }
};

// Bit i of the immediate takes lane i from the source.
template <class T>
struct Blend {
    static Vec128 apply(const Vec128& a, const Vec128& b, u8 imm) {
        auto r = lanes<T>(a);
        const auto y = lanes<T>(b);
        for (std::size_t i = 0; i < r.size(); ++i) {
            if ((imm >> i & 1) != 0) r[i] = y[i];
        }
        return from_lanes<Vec128>(r);
    }
};

// The low lanes of the source, sign- or zero-extended.
template <class From, class To>
struct Widen {
    using Memory = std::conditional_t<sizeof(To) / sizeof(From) == 2, u64,
                                      std::conditional_t<sizeof(To) / sizeof(From) == 4, u32, u16>>;
    static Vec128 apply(const Vec128&, const Vec128& b, u8) {
        const auto from = lanes<From>(b);
        LanesOf<To, Vec128> r{};
        for (std::size_t i = 0; i < r.size(); ++i) r[i] = from[i];
        return from_lanes<Vec128>(r);
    }
};
template <class From, class To>
constexpr Translate kWiden = translate_xmm<Widen<From, To>, typename Widen<From, To>::Memory>;

// MOVSLDUP, MOVSHDUP and MOVDDUP.
template <std::size_t Odd>
struct Duplicate32 {
    static Vec128 apply(const Vec128&, const Vec128& b, u8) {
        const auto y = lanes<u32>(b);
        return from_lanes<Vec128>(std::array<u32, 4>{y[Odd], y[Odd], y[2 + Odd], y[2 + Odd]});
    }
};
struct Duplicate64 {
    static Vec128 apply(const Vec128&, const Vec128& b, u8) { return {b.lo, b.lo}; }
};

// MOVHLPS and MOVLHPS, registers only.
struct HighToLow {
    static Vec128 apply(const Vec128& a, const Vec128& b, u8) { return {b.hi, a.hi}; }
};
struct LowToHigh {
    static Vec128 apply(const Vec128& a, const Vec128& b, u8) { return {a.lo, b.lo}; }
};

// INSERTPS: lane imm[7:6] of the source to lane imm[5:4], then those in imm[3:0] become 0.
struct InsertPs {
    static Vec128 apply(const Vec128& a, const Vec128& b, u8 imm) {
        auto r = lanes<u32>(a);
        r[imm >> 4 & 3u] = lanes<u32>(b)[imm >> 6 & 3u];
        for (std::size_t i = 0; i < 4; ++i) {
            if ((imm >> i & 1) != 0) r[i] = 0;
        }
        return from_lanes<Vec128>(r);
    }
};
bool translate_insertps(const Decoded& d, Op& op) {
    if (!translate_xmm<InsertPs, u32>(d, op)) return false;
    if (d.is_mem(1)) op.imm &= 0x3F;  // the one lane that was loaded
    return true;
}

// --- lanes chosen by XMM0 -----------------------------------------------------------------------
template <class T, class Memory>
Flow blend_variable(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    Vec128 b{};
    if (!load_source<XmmFile, Memory>(x, op, b)) return Flow::stop;
    auto r = lanes<T>(xmm(x, op.dst));
    const auto y = lanes<T>(b);
    const auto mask = lanes<std::make_signed_t<T>>(xmm(x, 0));
    for (std::size_t i = 0; i < r.size(); ++i) {
        if (mask[i] < 0) r[i] = y[i];
    }
    xmm(x, op.dst) = from_lanes<Vec128>(r);
    return Flow::next;
}
template <class T>
bool translate_blend_variable(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    op.handler = d.is_mem(1) ? blend_variable<T, Vec128> : blend_variable<T, Register>;
    return true;
}

// --- lanes and general registers ----------------------------------------------------------------
// A register source is a whole general register, of which the low part counts.
template <class T, class File, bool Memory>
Flow insert(Exec& x, const Op& op) {
    if (!File::usable(x)) return Flow::stop;
    T value{};
    if constexpr (Memory) {
        if (!x.load_operand(op, value)) return Flow::stop;
    } else {
        value = static_cast<T>(x.reg<u64>(op.src));
    }
    auto r = lanes<T>(File::get(x, op.dst));
    r[op.imm % r.size()] = value;
    File::set(x, op.dst, from_lanes<typename File::Value>(r));
    return Flow::next;
}
template <class T>
bool translate_insert(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    if (is_mmx(d[0])) {
        op.handler = d.is_mem(1) ? insert<T, MmxFile, true> : insert<T, MmxFile, false>;
    } else {
        op.handler = d.is_mem(1) ? insert<T, XmmFile, true> : insert<T, XmmFile, false>;
    }
    return true;
}

// General registers get the lane zero-extended to their full width.
template <class T, class File, bool Memory>
Flow extract(Exec& x, const Op& op) {
    if (!File::usable(x)) return Flow::stop;
    const auto from = lanes<T>(File::get(x, op.src));
    const T value = from[op.imm % from.size()];
    if constexpr (Memory) return x.store_operand(op, value) ? Flow::next : Flow::stop;
    x.set_reg<u64>(op.dst, value);
    File::read_done(x);
    return Flow::next;
}
template <class T>
bool translate_extract(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    if (is_mmx(d[1])) {
        op.handler = extract<T, MmxFile, false>;
    } else {
        op.handler = d.is_mem(0) ? extract<T, XmmFile, true> : extract<T, XmmFile, false>;
    }
    return true;
}

// The lanes' sign bits.
template <class T, class File>
Flow sign_mask(Exec& x, const Op& op) {
    if (!File::usable(x)) return Flow::stop;
    const auto from = lanes<T>(File::get(x, op.src));
    u64 mask = 0;
    for (std::size_t i = 0; i < from.size(); ++i) mask |= u64{from[i] < 0} << i;
    x.set_reg<u64>(op.dst, mask);
    File::read_done(x);
    return Flow::next;
}
template <class T>
bool translate_sign_mask(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    op.handler = is_mmx(d[1]) ? sign_mask<T, MmxFile> : sign_mask<T, XmmFile>;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_BLENDPD, translate_xmm<Blend<u64>>, "SDM 2A BLENDPD"},
    {ZYDIS_MNEMONIC_BLENDPS, translate_xmm<Blend<u32>>, "SDM 2A BLENDPS"},
    {ZYDIS_MNEMONIC_BLENDVPD, translate_blend_variable<u64>, "SDM 2A BLENDVPD"},
    {ZYDIS_MNEMONIC_BLENDVPS, translate_blend_variable<u32>, "SDM 2A BLENDVPS"},
    {ZYDIS_MNEMONIC_EXTRACTPS, translate_extract<u32>, "SDM 2A EXTRACTPS"},
    {ZYDIS_MNEMONIC_INSERTPS, translate_insertps, "SDM 2A INSERTPS"},
    {ZYDIS_MNEMONIC_MOVDDUP, translate_xmm<Duplicate64, u64>, "SDM 2B MOVDDUP"},
    {ZYDIS_MNEMONIC_MOVHLPS, translate_xmm<HighToLow>, "SDM 2B MOVHLPS"},
    {ZYDIS_MNEMONIC_MOVLHPS, translate_xmm<LowToHigh>, "SDM 2B MOVLHPS"},
    {ZYDIS_MNEMONIC_MOVMSKPD, translate_sign_mask<i64>, "SDM 2B MOVMSKPD"},
    {ZYDIS_MNEMONIC_MOVMSKPS, translate_sign_mask<i32>, "SDM 2B MOVMSKPS"},
    {ZYDIS_MNEMONIC_MOVSHDUP, translate_xmm<Duplicate32<1>>, "SDM 2B MOVSHDUP"},
    {ZYDIS_MNEMONIC_MOVSLDUP, translate_xmm<Duplicate32<0>>, "SDM 2B MOVSLDUP"},
    {ZYDIS_MNEMONIC_PACKSSDW, translate_packed<Pack<i32, i16>>, "SDM 2B PACKSSDW"},
    {ZYDIS_MNEMONIC_PACKSSWB, translate_packed<Pack<i16, i8>>, "SDM 2B PACKSSWB"},
    {ZYDIS_MNEMONIC_PACKUSDW, translate_xmm<Pack<i32, u16>>, "SDM 2B PACKUSDW"},
    {ZYDIS_MNEMONIC_PACKUSWB, translate_packed<Pack<i16, u8>>, "SDM 2B PACKUSWB"},
    {ZYDIS_MNEMONIC_PALIGNR, translate_packed<Align>, "SDM 2B PALIGNR"},
    {ZYDIS_MNEMONIC_PBLENDVB, translate_blend_variable<u8>, "SDM 2B PBLENDVB"},
    {ZYDIS_MNEMONIC_PBLENDW, translate_xmm<Blend<u16>>, "SDM 2B PBLENDW"},
    {ZYDIS_MNEMONIC_PEXTRB, translate_extract<u8>, "SDM 2B PEXTRB"},
    {ZYDIS_MNEMONIC_PEXTRD, translate_extract<u32>, "SDM 2B PEXTRD"},
    {ZYDIS_MNEMONIC_PEXTRQ, translate_extract<u64>, "SDM 2B PEXTRQ"},
    {ZYDIS_MNEMONIC_PEXTRW, translate_extract<u16>, "SDM 2B PEXTRW"},
    {ZYDIS_MNEMONIC_PINSRB, translate_insert<u8>, "SDM 2B PINSRB"},
    {ZYDIS_MNEMONIC_PINSRD, translate_insert<u32>, "SDM 2B PINSRD"},
    {ZYDIS_MNEMONIC_PINSRQ, translate_insert<u64>, "SDM 2B PINSRQ"},
    {ZYDIS_MNEMONIC_PINSRW, translate_insert<u16>, "SDM 2B PINSRW"},
    {ZYDIS_MNEMONIC_PMOVMSKB, translate_sign_mask<i8>, "SDM 2B PMOVMSKB"},
    {ZYDIS_MNEMONIC_PMOVSXBD, kWiden<i8, i32>, "SDM 2B PMOVSX"},
    {ZYDIS_MNEMONIC_PMOVSXBQ, kWiden<i8, i64>, "SDM 2B PMOVSX"},
    {ZYDIS_MNEMONIC_PMOVSXBW, kWiden<i8, i16>, "SDM 2B PMOVSX"},
    {ZYDIS_MNEMONIC_PMOVSXDQ, kWiden<i32, i64>, "SDM 2B PMOVSX"},
    {ZYDIS_MNEMONIC_PMOVSXWD, kWiden<i16, i32>, "SDM 2B PMOVSX"},
    {ZYDIS_MNEMONIC_PMOVSXWQ, kWiden<i16, i64>, "SDM 2B PMOVSX"},
    {ZYDIS_MNEMONIC_PMOVZXBD, kWiden<u8, u32>, "SDM 2B PMOVZX"},
    {ZYDIS_MNEMONIC_PMOVZXBQ, kWiden<u8, u64>, "SDM 2B PMOVZX"},
    {ZYDIS_MNEMONIC_PMOVZXBW, kWiden<u8, u16>, "SDM 2B PMOVZX"},
    {ZYDIS_MNEMONIC_PMOVZXDQ, kWiden<u32, u64>, "SDM 2B PMOVZX"},
    {ZYDIS_MNEMONIC_PMOVZXWD, kWiden<u16, u32>, "SDM 2B PMOVZX"},
    {ZYDIS_MNEMONIC_PMOVZXWQ, kWiden<u16, u64>, "SDM 2B PMOVZX"},
    {ZYDIS_MNEMONIC_PSHUFB, translate_packed<ShuffleBytes>, "SDM 2B PSHUFB"},
    {ZYDIS_MNEMONIC_PSHUFD, translate_xmm<ShuffleFour<u32, 0>>, "SDM 2B PSHUFD"},
    {ZYDIS_MNEMONIC_PSHUFHW, translate_xmm<ShuffleFour<u16, 4>>, "SDM 2B PSHUFHW"},
    {ZYDIS_MNEMONIC_PSHUFLW, translate_xmm<ShuffleFour<u16, 0>>, "SDM 2B PSHUFLW"},
    {ZYDIS_MNEMONIC_PSHUFW, translate_mmx<ShuffleFour<u16, 0>>, "SDM 2B PSHUFW"},
    {ZYDIS_MNEMONIC_PUNPCKHBW, translate_packed<Unpack<u8, true>>, "SDM 2B PUNPCKH"},
    {ZYDIS_MNEMONIC_PUNPCKHDQ, translate_packed<Unpack<u32, true>>, "SDM 2B PUNPCKH"},
    {ZYDIS_MNEMONIC_PUNPCKHQDQ, translate_xmm<Unpack<u64, true>>, "SDM 2B PUNPCKH"},
    {ZYDIS_MNEMONIC_PUNPCKHWD, translate_packed<Unpack<u16, true>>, "SDM 2B PUNPCKH"},
    // The MMX forms read 32 bits of memory only.
    {ZYDIS_MNEMONIC_PUNPCKLBW, translate_packed<Unpack<u8, false>, u32>, "SDM 2B PUNPCKL"},
    {ZYDIS_MNEMONIC_PUNPCKLDQ, translate_packed<Unpack<u32, false>, u32>, "SDM 2B PUNPCKL"},
    {ZYDIS_MNEMONIC_PUNPCKLQDQ, translate_xmm<Unpack<u64, false>>, "SDM 2B PUNPCKL"},
    {ZYDIS_MNEMONIC_PUNPCKLWD, translate_packed<Unpack<u16, false>, u32>, "SDM 2B PUNPCKL"},
    {ZYDIS_MNEMONIC_SHUFPD, translate_xmm<ShufflePd>, "SDM 2B SHUFPD"},
    {ZYDIS_MNEMONIC_SHUFPS, translate_xmm<ShufflePs>, "SDM 2B SHUFPS"},
    {ZYDIS_MNEMONIC_UNPCKHPD, translate_xmm<Unpack<u64, true>>, "SDM 2D UNPCKHPD"},
    {ZYDIS_MNEMONIC_UNPCKHPS, translate_xmm<Unpack<u32, true>>, "SDM 2D UNPCKHPS"},
    {ZYDIS_MNEMONIC_UNPCKLPD, translate_xmm<Unpack<u64, false>>, "SDM 2D UNPCKLPD"},
    {ZYDIS_MNEMONIC_UNPCKLPS, translate_xmm<Unpack<u32, false>>, "SDM 2D UNPCKLPS"},
};

}  // namespace

std::span<const InsnRow> sse_shuffle_rows() { return kRows; }

}  // namespace vtlsim::sim
