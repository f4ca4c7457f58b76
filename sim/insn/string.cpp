// MOVS STOS LODS CMPS SCAS with their repeat prefixes (SDM 2B REP). 64-bit mode: 32- and 64-bit
// addresses.
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/sse_move.hpp"

namespace vtlsim::sim {
namespace {

// Iterations before the loop outside looks for interrupts again.
constexpr u64 kChunk = 1024;

constexpr u8 kRcx = static_cast<u8>(index_of(Reg::rcx));
constexpr u8 kRsi = static_cast<u8>(index_of(Reg::rsi));
constexpr u8 kRdi = static_cast<u8>(index_of(Reg::rdi));
constexpr u8 kRax = 0;

enum class Kind : u8 { movs, stos, lods, cmps, scas };

constexpr bool uses_source(Kind k) { return k == Kind::movs || k == Kind::lods || k == Kind::cmps; }
constexpr bool uses_destination(Kind k) { return k != Kind::lods; }
constexpr bool compares(Kind k) { return k == Kind::cmps || k == Kind::scas; }

template <class T>
void set_compare_flags(Exec& x, T a, T b) {
    const T r = static_cast<T>(a - b);
    x.flags.set<T>(r, static_cast<T>((~a & b) | ((~a | b) & r)));
}

// One element. False: `pending` is set and nothing has changed.
template <Kind K, class T>
bool element(Exec& x, u64 source, u64 destination) {
    T a{};
    T b{};
    if constexpr (uses_source(K)) {
        if (!x.load(source, a)) return false;
    }
    if constexpr (K == Kind::movs) return x.store(destination, a);
    if constexpr (K == Kind::stos) return x.store(destination, x.reg<T>(kRax));
    if constexpr (K == Kind::lods) x.set_reg<T>(kRax, a);
    if constexpr (compares(K)) {
        if (!x.load(destination, b)) return false;
        set_compare_flags<T>(x, K == Kind::scas ? x.reg<T>(kRax) : a, b);
    }
    return true;
}

// Address is u32 or u64: RSI, RDI and RCX are used and written at that width.
template <Kind K, class T, class Address>
Flow string(Exec& x, const Op& op) {
    const bool repeated = op.rep || op.repne;
    const Address step = static_cast<Address>(
        (x.s[Reg::rflags] & flag::df) != 0 ? Address{0} - sizeof(T) : sizeof(T));
    const u64 source_base = x.s.scalar[op.segment_base];
    for (u64 i = 0; i < kChunk; ++i) {
        if (repeated && x.reg<Address>(kRcx) == 0) return Flow::next;
        if (repeated && x.iterations_left == 0) return Flow::again;
        const Address source = x.reg<Address>(kRsi);
        const Address destination = x.reg<Address>(kRdi);
        if (!element<K, T>(x, source_base + source, destination)) return Flow::stop;
        if constexpr (uses_source(K)) x.set_reg<Address>(kRsi, static_cast<Address>(source + step));
        if constexpr (uses_destination(K)) {
            x.set_reg<Address>(kRdi, static_cast<Address>(destination + step));
        }
        if (!repeated) return Flow::next;
        --x.iterations_left;
        x.set_reg<Address>(kRcx, static_cast<Address>(x.reg<Address>(kRcx) - 1));
        if (compares(K) && x.flags.zf() == op.repne) return Flow::next;
    }
    return Flow::again;
}

template <Kind K, class T>
bool translate_string(const Decoded& d, Op& op) {
    if constexpr (uses_source(K)) {
        const unsigned source = K == Kind::cmps ? 0 : 1;
        const Seg segment = segment_of(d[source].mem.segment);
        if (segment == Seg::fs || segment == Seg::gs) {
            op.segment_base = static_cast<u8>(index_of(base_of(segment)));
        }
    }
    op.handler = op.address_size == 4 ? string<K, T, u32> : string<K, T, u64>;
    return true;
}

// The mnemonics MOVSD and CMPSD are those of SSE instructions too.
bool translate_movsd(const Decoded& d, Op& op) {
    return is_sse(d) ? translate_movsd_sse(d, op) : translate_string<Kind::movs, u32>(d, op);
}
bool translate_cmpsd(const Decoded& d, Op& op) {
    return !is_sse(d) && translate_string<Kind::cmps, u32>(d, op);
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
