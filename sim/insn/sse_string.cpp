// The text instructions of SSE4.2: PCMPESTRI PCMPESTRM PCMPISTRI PCMPISTRM, and CRC32.
#include "sim/insn/rows.hpp"
#include "sim/insn/sse_operands.hpp"

namespace vtlsim::sim {
namespace {

// Fields of the immediate (SDM 2B 4.1.1).
constexpr u8 kWords = 1, kSignedLanes = 2, kNegative = 0x10, kMasked = 0x20, kLastOrExpand = 0x40;
enum class Aggregation : u8 { equal_any, ranges, equal_each, equal_ordered };

// A string operand: lanes as numbers, and how many of them are valid.
struct Text {
    std::array<i32, 16> lane{};
    unsigned count = 16;  // lanes of a register
    unsigned length = 0;  // valid ones
};

template <class T>
Text text_of(const Vec128& v) {
    Text text;
    const auto from = lanes<T>(v);
    text.count = static_cast<unsigned>(from.size());
    for (std::size_t i = 0; i < from.size(); ++i) text.lane[i] = from[i];
    return text;
}
Text text_of(const Vec128& v, u8 imm) {
    if ((imm & kWords) != 0) return (imm & kSignedLanes) != 0 ? text_of<i16>(v) : text_of<u16>(v);
    return (imm & kSignedLanes) != 0 ? text_of<i8>(v) : text_of<u8>(v);
}
unsigned implicit_length(const Text& text) {
    unsigned n = 0;
    while (n < text.count && text.lane[n] != 0) ++n;
    return n;
}

// Explicit lengths are the absolute values of registers, at most the number of lanes.
unsigned explicit_length(i64 value, unsigned most) {
    const u64 magnitude = value < 0 ? -static_cast<u64>(value) : static_cast<u64>(value);
    return magnitude < most ? static_cast<unsigned>(magnitude) : most;
}

// Whether lane j of the second operand (text) and lane i of the first (pattern) compare true,
// with the rules for lanes past the ends (SDM 2B table 4-7).
bool lanes_match(const Text& pattern, unsigned i, const Text& text, unsigned j, Aggregation how) {
    const bool pattern_valid = i < pattern.length;
    const bool text_valid = j < text.length;
    if (!pattern_valid || !text_valid) {
        switch (how) {
            case Aggregation::equal_any:
            case Aggregation::ranges:
                return false;
            case Aggregation::equal_each:
                return !pattern_valid && !text_valid;
            case Aggregation::equal_ordered:
                return !pattern_valid;
        }
    }
    if (how != Aggregation::ranges) return pattern.lane[i] == text.lane[j];
    return i % 2 == 0 ? text.lane[j] >= pattern.lane[i] : text.lane[j] <= pattern.lane[i];
}

// Bit j: what became of lane j of the text (IntRes1).
u32 aggregate(const Text& pattern, const Text& text, Aggregation how) {
    u32 result = 0;
    for (unsigned j = 0; j < text.count; ++j) {
        bool match = how == Aggregation::equal_ordered;
        switch (how) {
            case Aggregation::equal_any:
                for (unsigned i = 0; i < text.count; ++i) {
                    match = match || lanes_match(pattern, i, text, j, how);
                }
                break;
            case Aggregation::ranges:
                for (unsigned i = 0; i < text.count; i += 2) {
                    match = match || (lanes_match(pattern, i, text, j, how) &&
                                      lanes_match(pattern, i + 1, text, j, how));
                }
                break;
            case Aggregation::equal_each:
                match = lanes_match(pattern, j, text, j, how);
                break;
            case Aggregation::equal_ordered:
                for (unsigned i = 0; i + j < text.count; ++i) {
                    match = match && lanes_match(pattern, i, text, i + j, how);
                }
                break;
        }
        result |= u32{match} << j;
    }
    return result;
}

// Length: of explicit lengths, the width of the registers that hold them; void: implicit ones.
template <class Length, class Memory, bool Mask>
Flow compare_strings(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    Vec128 source{};
    if constexpr (std::is_same_v<Memory, Register>) {
        source = xmm(x, op.src);
    } else if (!x.load_operand(op, source)) {  // need not be aligned
        return Flow::stop;
    }
    const auto imm = static_cast<u8>(op.imm);
    Text pattern = text_of(xmm(x, op.dst), imm);
    Text text = text_of(source, imm);
    if constexpr (std::is_void_v<Length>) {
        pattern.length = implicit_length(pattern);
        text.length = implicit_length(text);
    } else {
        pattern.length = explicit_length(x.reg<Length>(index_of(Reg::rax)), pattern.count);
        text.length = explicit_length(x.reg<Length>(index_of(Reg::rdx)), text.count);
    }
    const u32 all = (1u << text.count) - 1;
    u32 result = aggregate(pattern, text, static_cast<Aggregation>(imm >> 2 & 3));
    if ((imm & kNegative) != 0) {
        result ^= (imm & kMasked) != 0 ? (1u << text.length) - 1 : all;
    }
    x.flags.set_status((result != 0 ? flag::cf : 0) | (text.length < text.count ? flag::zf : 0) |
                       (pattern.length < pattern.count ? flag::sf : 0) |
                       ((result & 1) != 0 ? flag::of : 0));
    if constexpr (!Mask) {
        const int last = static_cast<int>(std::bit_width(result)) - 1;
        const int index = result == 0                  ? static_cast<int>(text.count)
                          : (imm & kLastOrExpand) != 0 ? last
                                                       : std::countr_zero(result);
        x.set_reg<u64>(index_of(Reg::rcx), static_cast<u64>(index));
    } else if ((imm & kLastOrExpand) == 0) {
        xmm(x, 0) = {result, 0};
    } else if ((imm & kWords) != 0) {
        std::array<u16, 8> r{};
        for (unsigned i = 0; i < 8; ++i) r[i] = (result >> i & 1) != 0 ? u16{0xFFFF} : u16{0};
        xmm(x, 0) = from_lanes<Vec128>(r);
    } else {
        std::array<u8, 16> r{};
        for (unsigned i = 0; i < 16; ++i) r[i] = (result >> i & 1) != 0 ? u8{0xFF} : u8{0};
        xmm(x, 0) = from_lanes<Vec128>(r);
    }
    return Flow::next;
}

template <bool Explicit, bool Mask>
bool translate_compare(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    const bool memory = d.is_mem(1);
    if (!Explicit) {
        op.handler =
            memory ? compare_strings<void, Vec128, Mask> : compare_strings<void, Register, Mask>;
    } else if (d.insn.raw.rex.W != 0) {
        op.handler =
            memory ? compare_strings<i64, Vec128, Mask> : compare_strings<i64, Register, Mask>;
    } else {
        op.handler =
            memory ? compare_strings<i32, Vec128, Mask> : compare_strings<i32, Register, Mask>;
    }
    return true;
}

// The CRC of the iSCSI polynomial 11EDC6F41h, bits reflected.
u32 crc_byte(u32 crc, u8 byte) {
    static constexpr auto kTable = [] {
        std::array<u32, 256> table{};
        for (u32 i = 0; i < 256; ++i) {
            u32 r = i;
            for (int bit = 0; bit < 8; ++bit) r = (r >> 1) ^ ((r & 1) != 0 ? 0x82F63B78u : 0u);
            table[i] = r;
        }
        return table;
    }();
    return (crc >> 8) ^ kTable[(crc ^ byte) & 0xFF];
}

template <class T, bool Memory>
Flow crc32(Exec& x, const Op& op) {
    T value{};
    if constexpr (Memory) {
        if (!x.load_operand(op, value)) return Flow::stop;
    } else {
        value = x.reg<T>(op.src);
    }
    u32 crc = x.reg<u32>(op.dst);
    for (const u8 byte : std::bit_cast<std::array<u8, sizeof(T)>>(value)) crc = crc_byte(crc, byte);
    x.set_reg<u32>(op.dst, crc);  // also with a 64-bit destination
    return Flow::next;
}
bool translate_crc32(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    op.handler = by_size(d[1].size / 8, [&]<class T>() -> Handler {
        return d.is_mem(1) ? crc32<T, true> : crc32<T, false>;
    });
    return op.handler != nullptr;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_CRC32, translate_crc32, "SDM 2A CRC32"},
    {ZYDIS_MNEMONIC_PCMPESTRI, translate_compare<true, false>, "SDM 2B PCMPESTRI"},
    {ZYDIS_MNEMONIC_PCMPESTRM, translate_compare<true, true>, "SDM 2B PCMPESTRM"},
    {ZYDIS_MNEMONIC_PCMPISTRI, translate_compare<false, false>, "SDM 2B PCMPISTRI"},
    {ZYDIS_MNEMONIC_PCMPISTRM, translate_compare<false, true>, "SDM 2B PCMPISTRM"},
};

}  // namespace

std::span<const InsnRow> sse_string_rows() { return kRows; }

}  // namespace vtlsim::sim
