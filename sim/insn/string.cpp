// MOVS STOS LODS CMPS SCAS with their repeat prefixes (SDM 2B REP).
#include <algorithm>

#include "sim/exec/segment.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/sse_move.hpp"

namespace vtlsim::sim {
namespace {

constexpr u8 kRcx = static_cast<u8>(index_of(Reg::rcx));
constexpr u8 kRsi = static_cast<u8>(index_of(Reg::rsi));
constexpr u8 kRdi = static_cast<u8>(index_of(Reg::rdi));
constexpr u8 kRax = 0;

enum class Kind : u8 { movs, stos, lods, cmps, scas };

constexpr bool uses_source(Kind k) { return k == Kind::movs || k == Kind::lods || k == Kind::cmps; }
constexpr bool uses_destination(Kind k) { return k != Kind::lods; }
constexpr bool writes(Kind k) { return k == Kind::movs || k == Kind::stos; }
constexpr bool compares(Kind k) { return k == Kind::cmps || k == Kind::scas; }

template <class T>
void set_compare_flags(Exec& x, T a, T b) {
    const T r = static_cast<T>(a - b);
    x.flags.set<T>(r, static_cast<T>((~a & b) | ((~a | b) & r)));
}

// One element. False: `pending` is set and nothing has changed.
template <Kind K, class T>
bool element(Exec& x, u64 source, u64 destination, bool stack) {
    T a{};
    T b{};
    // CMPS: the manual leaves the order of its two loads open; this is AMD's.
    if constexpr (compares(K)) {
        if (!x.load(destination, b)) return false;
    }
    if constexpr (uses_source(K)) {
        if (!x.load(source, a, stack)) return false;
    }
    if constexpr (K == Kind::movs) return x.store(destination, a);
    if constexpr (K == Kind::stos) return x.store(destination, x.reg<T>(kRax));
    if constexpr (K == Kind::lods) x.set_reg<T>(kRax, a);
    if constexpr (compares(K)) set_compare_flags<T>(x, K == Kind::scas ? x.reg<T>(kRax) : a, b);
    return true;
}

template <class T>
T read(const u8* at, u64 i) {
    T value;
    std::memcpy(&value, at + i * sizeof(T), sizeof(T));
    return value;
}

// Up to `most` elements upwards, as far as one page of the source and one of the destination go
// and the TLB lets through. Answers how many; a comparison that ends the repetition is the last.
template <Kind K, class T>
u64 burst(Exec& x, u64 source, u64 destination, u64 most, bool until_equal) {
    if constexpr (K == Kind::lods) return 0;
    const u8* from = nullptr;
    u64 n = std::min(most, (kPageSize - (destination & kPageMask)) / sizeof(T));
    if constexpr (uses_source(K)) {
        from = x.readable(source);
        if (from == nullptr) return 0;
        n = std::min(n, (kPageSize - (source & kPageMask)) / sizeof(T));
    }
    if constexpr (writes(K)) {
        u8* to = x.writable(destination);
        if (to == nullptr || n == 0) return 0;
        const u64 size = n * sizeof(T);
        if constexpr (K == Kind::movs) {
            if (to + size <= from || from + size <= to) {
                std::memcpy(to, from, size);
                return n;
            }
        }
        for (u64 i = 0; i < n; ++i) {
            const T value = K == Kind::movs ? read<T>(from, i) : x.reg<T>(kRax);
            std::memcpy(to + i * sizeof(T), &value, sizeof(T));
        }
        return n;
    }
    const u8* with = x.readable(destination);
    if (with == nullptr || n == 0) return 0;
    T a = x.reg<T>(kRax);
    T b{};
    u64 i = 0;
    do {
        if constexpr (K == Kind::cmps) a = read<T>(from, i);
        b = read<T>(with, i);
    } while (++i < n && (a == b) != until_equal);
    set_compare_flags<T>(x, a, b);
    return i;
}

// The segments of one element, outside of 64-bit mode. False: `pending` is set.
template <Kind K, class T>
bool segments_allow(Exec& x, Seg source_segment, u64 source, u64 destination) {
    if (uses_source(K) && !check_access(x, source_segment, source, sizeof(T), Access::read)) {
        return false;
    }
    const Access access = writes(K) ? Access::write : Access::read;
    return !uses_destination(K) || check_access(x, Seg::es, destination, sizeof(T), access);
}

// Address is u16, u32 or u64: RSI, RDI and RCX are used and written at that width.
template <Kind K, class T, class Address>
Flow string(Exec& x, const Op& op) {
    const bool repeated = op.rep || op.repne;
    const bool down = (x.s[Reg::rflags] & flag::df) != 0;
    const bool stepping = (x.s[Reg::rflags] & flag::tf) != 0;
    const bool segmented = !x.long_code;
    const u64 source_base = x.s.scalar[op.segment_base];
    const u64 destination_base = segmented ? x.s[Reg::es_base] : 0;
    const LazyFlags flags_before = x.flags;
    for (;;) {
        u64 count = 1;
        if (repeated) {
            count = x.reg<Address>(kRcx);
            if (count == 0) return Flow::next;
            count = std::min(count, x.iterations_left);
            if (count == 0) x.pending = OutOfWork{};
        }
        const Address source = x.reg<Address>(kRsi);
        const Address destination = x.reg<Address>(kRdi);
        const u64 from = source_base + source;
        const u64 to = destination_base + destination;
        u64 done = count > 1 && !down && !stepping && !segmented
                       ? burst<K, T>(x, from, to, count, op.repne)
                       : 0;
        if (done == 0) {
            if (count == 0 ||
                (segmented && !segments_allow<K, T>(x, op.segment, source, destination)) ||
                !element<K, T>(x, from, to, op.stack_segment)) {
                // A fault restores the flags from before the first iteration (SDM 2B REP).
                if (compares(K)) x.flags = flags_before;
                return Flow::stop;
            }
            done = 1;
        }
        const u64 moved = (down ? u64{0} - done : done) * sizeof(T);
        if constexpr (uses_source(K)) {
            x.set_reg<Address>(kRsi, static_cast<Address>(source + moved));
        }
        if constexpr (uses_destination(K)) {
            x.set_reg<Address>(kRdi, static_cast<Address>(destination + moved));
        }
        if (!repeated) return Flow::next;
        x.iterations_left -= done;
        x.set_reg<Address>(kRcx, static_cast<Address>(x.reg<Address>(kRcx) - done));
        if (compares(K) && x.flags.zf() == op.repne) return Flow::next;
        if (x.reg<Address>(kRcx) == 0) return Flow::next;
        // The trap of TF comes between iterations, and so does code that a store has changed.
        const bool overwritten = writes(K) && op.handler != string<K, T, Address>;
        if (stepping || overwritten || x.breakpoints_hit != 0) return Flow::again;
    }
}

// F2 repeats all of these, though it is documented for CMPS and SCAS only; the later of F2 and F3
// counts.
void set_repetition(const Decoded& d, Op& op) {
    op.rep = op.repne = false;
    for (unsigned i = 0; i < d.insn.raw.prefix_count; ++i) {
        const u8 prefix = d.insn.raw.prefixes[i].value;
        if (prefix != 0xF2 && prefix != 0xF3) continue;
        op.rep = prefix == 0xF3;
        op.repne = prefix == 0xF2;
    }
}

template <Kind K, class T>
bool translate_string(const Decoded& d, Op& op) {
    set_repetition(d, op);
    if constexpr (uses_source(K)) {
        const unsigned source = K == Kind::cmps ? 0 : 1;
        const Seg segment = segment_of(d[source].mem.segment);
        op.stack_segment = segment == Seg::ss;
        op.segment = segment;
        const bool flat = d.insn.machine_mode == ZYDIS_MACHINE_MODE_LONG_64 && segment != Seg::fs &&
                          segment != Seg::gs;
        if (!flat) {
            op.segment_base = static_cast<u8>(index_of(base_of(segment)));
        }
    }
    op.handler = op.address_size == 2   ? string<K, T, u16>
                 : op.address_size == 4 ? string<K, T, u32>
                                        : string<K, T, u64>;
    return true;
}

// The mnemonics MOVSD and CMPSD are those of SSE instructions too.
bool translate_movsd(const Decoded& d, Op& op) {
    return is_sse(d) ? translate_movsd_sse(d, op) : translate_string<Kind::movs, u32>(d, op);
}
bool translate_cmpsd(const Decoded& d, Op& op) {
    return is_sse(d) ? translate_cmpsd_sse(d, op) : translate_string<Kind::cmps, u32>(d, op);
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_CMPSB, translate_string<Kind::cmps, u8>, "SDM 2A CMPS"},
    {ZYDIS_MNEMONIC_CMPSD, translate_cmpsd, "SDM 2A CMPS"},
    {ZYDIS_MNEMONIC_CMPSQ, translate_string<Kind::cmps, u64>, "SDM 2A CMPS"},
    {ZYDIS_MNEMONIC_CMPSW, translate_string<Kind::cmps, u16>, "SDM 2A CMPS"},
    {ZYDIS_MNEMONIC_LODSB, translate_string<Kind::lods, u8>, "SDM 2A LODS"},
    {ZYDIS_MNEMONIC_LODSD, translate_string<Kind::lods, u32>, "SDM 2A LODS"},
    {ZYDIS_MNEMONIC_LODSQ, translate_string<Kind::lods, u64>, "SDM 2A LODS"},
    {ZYDIS_MNEMONIC_LODSW, translate_string<Kind::lods, u16>, "SDM 2A LODS"},
    {ZYDIS_MNEMONIC_MOVSB, translate_string<Kind::movs, u8>, "SDM 2B MOVS"},
    {ZYDIS_MNEMONIC_MOVSD, translate_movsd, "SDM 2B MOVS, MOVSD"},
    {ZYDIS_MNEMONIC_MOVSQ, translate_string<Kind::movs, u64>, "SDM 2B MOVS"},
    {ZYDIS_MNEMONIC_MOVSW, translate_string<Kind::movs, u16>, "SDM 2B MOVS"},
    {ZYDIS_MNEMONIC_SCASB, translate_string<Kind::scas, u8>, "SDM 2B SCAS"},
    {ZYDIS_MNEMONIC_SCASD, translate_string<Kind::scas, u32>, "SDM 2B SCAS"},
    {ZYDIS_MNEMONIC_SCASQ, translate_string<Kind::scas, u64>, "SDM 2B SCAS"},
    {ZYDIS_MNEMONIC_SCASW, translate_string<Kind::scas, u16>, "SDM 2B SCAS"},
    {ZYDIS_MNEMONIC_STOSB, translate_string<Kind::stos, u8>, "SDM 2B STOS"},
    {ZYDIS_MNEMONIC_STOSD, translate_string<Kind::stos, u32>, "SDM 2B STOS"},
    {ZYDIS_MNEMONIC_STOSQ, translate_string<Kind::stos, u64>, "SDM 2B STOS"},
    {ZYDIS_MNEMONIC_STOSW, translate_string<Kind::stos, u16>, "SDM 2B STOS"},
};

}  // namespace

std::span<const InsnRow> string_rows() { return kRows; }

}  // namespace vtlsim::sim
