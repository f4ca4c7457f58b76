// AND OR XOR TEST NOT, and the flag instructions.
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

// AF is undefined after these (SDM 1 appendix A); it is cleared here.
struct And {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(Exec& x, T a, T b) {
        const T r = static_cast<T>(a & b);
        x.flags.set_logic<T>(r);
        return r;
    }
};

struct Or {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(Exec& x, T a, T b) {
        const T r = static_cast<T>(a | b);
        x.flags.set_logic<T>(r);
        return r;
    }
};

struct Xor {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(Exec& x, T a, T b) {
        const T r = static_cast<T>(a ^ b);
        x.flags.set_logic<T>(r);
        return r;
    }
};

struct Test : And {
    static constexpr bool kWrites = false;
};

struct Not {
    template <class T>
    static T apply(Exec&, T a) {
        return static_cast<T>(~a);
    }
};

Flow clc(Exec& x, const Op&) {
    x.flags.set_cf(false);
    return Flow::next;
}
Flow stc(Exec& x, const Op&) {
    x.flags.set_cf(true);
    return Flow::next;
}
Flow cmc(Exec& x, const Op&) {
    x.flags.set_cf(!x.flags.cf());
    return Flow::next;
}
Flow cld(Exec& x, const Op&) {
    x.s[Reg::rflags] &= ~flag::df;
    return Flow::next;
}
Flow std_(Exec& x, const Op&) {
    x.s[Reg::rflags] |= flag::df;
    return Flow::next;
}

constexpr u8 kAhSlot = 1;  // byte 1 of RAX

// LAHF: SF ZF 0 AF 0 PF 1 CF.
Flow lahf(Exec& x, const Op&) {
    x.set_reg<u8>(kAhSlot, static_cast<u8>((x.flags.status() & 0xFF) | flag::kAlwaysSet));
    return Flow::next;
}
Flow sahf(Exec& x, const Op&) {
    x.flags.set_status((x.flags.status() & flag::of) | x.reg<u8>(kAhSlot));
    return Flow::next;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_AND, translate_binary<And>, "SDM 2A AND"},
    {ZYDIS_MNEMONIC_CLC, translate_plain<clc>, "SDM 2A CLC"},
    {ZYDIS_MNEMONIC_CLD, translate_plain<cld>, "SDM 2A CLD"},
    {ZYDIS_MNEMONIC_CMC, translate_plain<cmc>, "SDM 2A CMC"},
    {ZYDIS_MNEMONIC_LAHF, translate_plain<lahf>, "SDM 2A LAHF"},
    {ZYDIS_MNEMONIC_NOT, translate_unary<Not>, "SDM 2B NOT"},
    {ZYDIS_MNEMONIC_OR, translate_binary<Or>, "SDM 2B OR"},
    {ZYDIS_MNEMONIC_SAHF, translate_plain<sahf>, "SDM 2B SAHF"},
    {ZYDIS_MNEMONIC_STC, translate_plain<stc>, "SDM 2B STC"},
    {ZYDIS_MNEMONIC_STD, translate_plain<std_>, "SDM 2B STD"},
    {ZYDIS_MNEMONIC_TEST, translate_binary<Test>, "SDM 2B TEST"},
    {ZYDIS_MNEMONIC_XOR, translate_binary<Xor>, "SDM 2D XOR"},
};

}  // namespace

std::span<const InsnRow> logic_rows() { return kRows; }

}  // namespace vtlsim::sim
