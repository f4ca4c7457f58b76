// Lazy status flags: handlers store a result and a word of carries; flags are made when read.
#pragma once

#include <type_traits>

#include "sim/state/bits.hpp"

namespace vtlsim::sim {

// result: the last result, sign-extended to 64 bits: ZF, SF and the low byte for PF.
// aux:    bit 31 CF; bit 30 CF^OF; bit 3 AF; bits 8-15 xored into the parity byte; bit 16 xored
//         into SF. The two corrections let any combination of flags be stored (POPF, SAHF), which
//         result alone could not (ZF and SF both set, say).
struct LazyFlags {
    u64 result = 1;
    u32 aux = 0;

    bool cf() const { return (aux >> 31) != 0; }
    bool of() const { return ((aux >> 30 ^ aux >> 31) & 1) != 0; }
    bool af() const { return (aux >> 3 & 1) != 0; }
    bool zf() const { return result == 0; }
    bool sf() const { return (result >> 63 ^ (aux >> 16 & 1)) != 0; }
    bool pf() const {
        const auto byte = static_cast<u8>(result ^ aux >> 8);
        return (__builtin_popcount(byte) & 1) == 0;
    }

    u64 status() const {
        return (cf() ? flag::cf : 0) | (pf() ? flag::pf : 0) | (af() ? flag::af : 0) |
               (zf() ? flag::zf : 0) | (sf() ? flag::sf : 0) | (of() ? flag::of : 0);
    }

    void set_status(u64 rflags) {
        const bool c = (rflags & flag::cf) != 0;
        const bool o = (rflags & flag::of) != 0;
        // A result of 100h has ZF = 0, SF = 0 and an even low byte; 0 has ZF = 1 and the same.
        result = (rflags & flag::zf) != 0 ? 0 : 0x100;
        aux = (c ? 1u << 31 : 0) | (c != o ? 1u << 30 : 0) |
              ((rflags & flag::af) != 0 ? 1u << 3 : 0) | ((rflags & flag::pf) != 0 ? 0 : 1u << 8) |
              ((rflags & flag::sf) != 0 ? 1u << 16 : 0);
    }

    // `carries`: the carry out of each bit position of an addition or borrow of a subtraction.
    template <class T>
    void set(T value, T carries) {
        using Signed = std::make_signed_t<T>;
        constexpr unsigned kBits = sizeof(T) * 8;
        result = static_cast<u64>(static_cast<i64>(static_cast<Signed>(value)));
        aux = static_cast<u32>(carries >> (kBits - 2) & 3) << 30 | (static_cast<u32>(carries) & 8);
    }
    template <class T>
    void set_logic(T value) {
        set<T>(value, 0);
    }
    // All six flags by value except those derived from the result.
    template <class T>
    void set_result(T value, bool c, bool o, bool a) {
        set_logic<T>(value);
        aux = (c ? 1u << 31 : 0) | (c != o ? 1u << 30 : 0) | (a ? 1u << 3 : 0);
    }
    // INC and DEC: all but CF, which stays. `carries` as above.
    template <class T>
    void set_but_cf(T value, T carries) {
        const u32 c = aux & 1u << 31;
        set<T>(value, carries);
        aux = c | ((aux ^ aux >> 1 ^ c >> 1) & 1u << 30) | (aux & 8);
    }
    void set_cf(bool c) {
        const bool o = of();
        aux = (aux & 0x3FFFFFFF) | (c ? 1u << 31 : 0) | (c != o ? 1u << 30 : 0);
    }
    void set_of(bool o) { aux = (aux & ~(1u << 30)) | (cf() != o ? 1u << 30 : 0); }
};

// Condition codes in the encoding's order (SDM 1 appendix B): o no b nb z nz be nbe s ns p np l
// nl le nle.
template <unsigned Code>
inline bool condition(const LazyFlags& f) {
    bool value = false;
    if constexpr (Code / 2 == 0) value = f.of();
    if constexpr (Code / 2 == 1) value = f.cf();
    if constexpr (Code / 2 == 2) value = f.zf();
    if constexpr (Code / 2 == 3) value = f.cf() || f.zf();
    if constexpr (Code / 2 == 4) value = f.sf();
    if constexpr (Code / 2 == 5) value = f.pf();
    if constexpr (Code / 2 == 6) value = f.sf() != f.of();
    if constexpr (Code / 2 == 7) value = f.zf() || f.sf() != f.of();
    return value != (Code % 2 == 1);
}

}  // namespace vtlsim::sim
