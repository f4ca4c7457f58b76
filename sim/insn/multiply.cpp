// MUL IMUL DIV IDIV, and the sign extensions that go with them: CBW CWDE CDQE CWD CDQ CQO.
#include <limits>

#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

__extension__ using i128 = __int128;
__extension__ using u128 = unsigned __int128;

// Twice the width of T, which is signed or not as T is.
template <class T>
struct Twice;
template <>
struct Twice<u8> : std::type_identity<u16> {};
template <>
struct Twice<u16> : std::type_identity<u32> {};
template <>
struct Twice<u32> : std::type_identity<u64> {};
template <>
struct Twice<u64> : std::type_identity<u128> {};
template <>
struct Twice<i8> : std::type_identity<i16> {};
template <>
struct Twice<i16> : std::type_identity<i32> {};
template <>
struct Twice<i32> : std::type_identity<i64> {};
template <>
struct Twice<i64> : std::type_identity<i128> {};
template <class T>
using Wide = typename Twice<T>::type;

constexpr u8 kRax = static_cast<u8>(index_of(Reg::rax));
constexpr u8 kRdx = static_cast<u8>(index_of(Reg::rdx));
constexpr u8 kAhSlot = 1;

// CF = OF: the upper half holds more than the extension of the lower one. The other flags are
// undefined (SDM 2B MUL); AMD Zen 5 keeps them.
void set_multiply_flags(Exec& x, bool overflow) {
    x.flags.set_cf(overflow);
    x.flags.set_of(overflow);
}

template <class T>
using Unsigned = std::make_unsigned_t<T>;

// The high half of a product or dividend of width T is in AH or the D register.
template <class T>
void set_pair(Exec& x, T low, T high) {
    x.set_reg<Unsigned<T>>(kRax, static_cast<Unsigned<T>>(low));
    if constexpr (sizeof(T) == 1) {
        x.set_reg<u8>(kAhSlot, static_cast<u8>(high));
    } else {
        x.set_reg<Unsigned<T>>(kRdx, static_cast<Unsigned<T>>(high));
    }
}
template <class T>
Wide<T> pair(const Exec& x) {
    using U = Unsigned<T>;
    const U high = x.reg<U>(sizeof(T) == 1 ? kAhSlot : kRdx);
    const auto bits =
        static_cast<Wide<U>>(static_cast<Wide<U>>(high) << (sizeof(T) * 8) | x.reg<U>(kRax));
    return static_cast<Wide<T>>(bits);
}

struct Multiply {
    template <class T>
    static Flow apply(Exec& x, T b) {
        const T a = static_cast<T>(x.reg<Unsigned<T>>(kRax));
        const auto product = static_cast<Wide<T>>(static_cast<Wide<T>>(a) * b);
        set_pair<T>(x, static_cast<T>(product), static_cast<T>(product >> (sizeof(T) * 8)));
        set_multiply_flags(x, product != static_cast<T>(product));
        return Flow::next;
    }
};

// #DE when the quotient does not fit, as by zero. All flags are undefined; AMD Zen 5 keeps CF and
// OF, sets AF and clears the rest.
struct Divide {
    template <class T>
    static Flow apply(Exec& x, T b) {
        const Wide<T> a = pair<T>(x);
        if (b == 0) return x.fault(Vector::de);
        if constexpr (std::is_same_v<T, i64>) {
            // The one quotient that does not even fit in 128 bits.
            constexpr Wide<T> kLowest = static_cast<Wide<T>>(u128{1} << 127);
            if (a == kLowest && b == -1) return x.fault(Vector::de);
        }
        const auto quotient = static_cast<Wide<T>>(a / b);
        if (quotient != static_cast<T>(quotient)) return x.fault(Vector::de);
        set_pair<T>(x, static_cast<T>(quotient), static_cast<T>(a % b));
        x.flags.set_status((x.flags.status() & (flag::cf | flag::of)) | flag::af);
        return Flow::next;
    }
};

template <class Operation, bool Signed, class U, bool Memory>
Flow with_accumulator(Exec& x, const Op& op) {
    using T = std::conditional_t<Signed, std::make_signed_t<U>, U>;
    U b{};
    if constexpr (Memory) {
        if (!x.load_operand(op, b)) return Flow::stop;
    } else {
        b = x.reg<U>(op.src);
    }
    return Operation::template apply<T>(x, static_cast<T>(b));
}

template <class Operation, bool Signed>
bool translate_accumulator(const Decoded& d, Op& op) {
    const bool memory = d.is_mem(0);
    if (memory) {
        set_memory(d[0], op);
    } else {
        op.src = gpr_slot(d[0].reg.value);
    }
    op.handler = by_size(d[0].size / 8u, [&]<class T>() -> Handler {
        return memory ? with_accumulator<Operation, Signed, T, true>
                      : with_accumulator<Operation, Signed, T, false>;
    });
    return op.handler != nullptr;
}

// IMUL with two operands, and with three: dst = source * imm.
template <class U, bool Memory, bool Immediate>
Flow imul(Exec& x, const Op& op) {
    using T = std::make_signed_t<U>;
    U b{};
    if constexpr (Memory) {
        if (!x.load_operand(op, b)) return Flow::stop;
    } else {
        b = x.reg<U>(op.src);
    }
    const U a = Immediate ? static_cast<U>(op.imm) : x.reg<U>(op.dst);
    const auto product =
        static_cast<Wide<T>>(static_cast<Wide<T>>(static_cast<T>(a)) * static_cast<T>(b));
    x.set_reg<U>(op.dst, static_cast<U>(product));
    set_multiply_flags(x, product != static_cast<T>(product));
    return Flow::next;
}

bool translate_imul(const Decoded& d, Op& op) {
    if (d.visible() == 1) return translate_accumulator<Multiply, true>(d, op);
    const bool immediate = d.visible() == 3;
    const bool memory = d.is_mem(1);
    op.dst = gpr_slot(d[0].reg.value);
    if (memory) {
        set_memory(d[1], op);
    } else {
        op.src = gpr_slot(d[1].reg.value);
    }
    if (immediate) op.imm = static_cast<u64>(d[2].imm.value.s);
    return set_by_size(op, d[0].size / 8u, [&]<class T>() -> Handlers {
        if (memory)
            return immediate ? threaded<imul<T, true, true>>() : threaded<imul<T, true, false>>();
        return immediate ? threaded<imul<T, false, true>>() : threaded<imul<T, false, false>>();
    });
}

// The lower half of the accumulator fills all of it.
template <class From, class To>
Flow extend_accumulator(Exec& x, const Op&) {
    const auto value = static_cast<From>(x.reg<Unsigned<From>>(kRax));
    x.set_reg<To>(kRax, static_cast<To>(value));
    return Flow::next;
}

// The sign of the accumulator fills the D register.
template <class T>
Flow sign_to_d(Exec& x, const Op&) {
    const bool negative = static_cast<std::make_signed_t<T>>(x.reg<T>(kRax)) < 0;
    x.set_reg<T>(kRdx, negative ? std::numeric_limits<T>::max() : T{0});
    return Flow::next;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_CBW, translate_plain<extend_accumulator<i8, u16>>, "SDM 2A CBW"},
    {ZYDIS_MNEMONIC_CDQ, translate_plain<sign_to_d<u32>>, "SDM 2A CDQ"},
    {ZYDIS_MNEMONIC_CDQE, translate_plain<extend_accumulator<i32, u64>>, "SDM 2A CDQE"},
    {ZYDIS_MNEMONIC_CQO, translate_plain<sign_to_d<u64>>, "SDM 2A CQO"},
    {ZYDIS_MNEMONIC_CWD, translate_plain<sign_to_d<u16>>, "SDM 2A CWD"},
    {ZYDIS_MNEMONIC_CWDE, translate_plain<extend_accumulator<i16, u32>>, "SDM 2A CWDE"},
    {ZYDIS_MNEMONIC_DIV, translate_accumulator<Divide, false>, "SDM 2A DIV"},
    {ZYDIS_MNEMONIC_IDIV, translate_accumulator<Divide, true>, "SDM 2A IDIV"},
    {ZYDIS_MNEMONIC_IMUL, translate_imul, "SDM 2A IMUL"},
    {ZYDIS_MNEMONIC_MUL, translate_accumulator<Multiply, false>, "SDM 2B MUL"},
};

}  // namespace

std::span<const InsnRow> multiply_rows() { return kRows; }

}  // namespace vtlsim::sim
