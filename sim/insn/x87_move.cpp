// x87 loads, stores, constants, and moves on the register stack.
#include <limits>

#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/x87.hpp"

namespace vtlsim::sim {
namespace {

using namespace x87;
using fp::Number;

// Ten bytes of memory: a double extended or a packed BCD number.
struct [[gnu::packed]] Bytes80 {
    u64 low;
    u16 high;
};
static_assert(sizeof(Bytes80) == 10);

// Pushes a value whose making raised `flags`.
void push_value(Exec& x, fp::Float80 value, u16 flags) {
    if (!empty(x, 7)) {
        if (stack_overflow(x)) push(x, indefinite());
        return;
    }
    if (raise(x, flags, false)) push(x, value);
}

// --- loads ---------------------------------------------------------------------------------------

template <class Operand>
Flow load_number(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    typename Operand::Type bits{};
    if (!x.load_operand(op, bits)) return Flow::stop;
    note_memory(x, op);
    // Exact: raises nothing but what the operand itself is reason for.
    const fp::Result r = fp::convert(Operand::number(bits), fp::extended(fp::Rounding::nearest));
    push_value(x, fp::pack80(r.value), r.flags);
    return Flow::next;
}

Flow load80(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    Bytes80 bytes{};
    if (!x.load_operand(op, bytes)) return Flow::stop;
    note_memory(x, op);
    push_value(x, {bytes.low, bytes.high}, 0);
    return Flow::next;
}

Flow load_register(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    if (empty(x, op.src)) {  // before overflow (SDM 1 4.9.2)
        if (stack_underflow(x)) push(x, indefinite());
        return Flow::next;
    }
    push_value(x, st(x, op.src), 0);
    return Flow::next;
}

// Digits above 9 count as they are, as in the processors.
Flow fbld(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    Bytes80 bytes{};
    if (!x.load_operand(op, bytes)) return Flow::stop;
    note_memory(x, op);
    u64 value = (bytes.high >> 4 & 0xFu) * 10u + (bytes.high & 0xFu);
    for (unsigned shift = 64; shift != 0; shift -= 4) {
        value = value * 10 + (bytes.low >> (shift - 4) & 0xF);
    }
    push_value(x, fp::pack80(fp::from_unsigned(value, (bytes.high & 0x8000) != 0)), 0);
    return Flow::next;
}

// The leading 128 bits of the constants. Rounding is not reported as inexact (SDM 2A FLD1).
struct Constant {
    i32 exponent;
    u64 high;
    u64 low;
};
constexpr Constant kLog2Of10{1, 0xD49A784BCD1B8AFE, 0x492BF6FF4DAFDB4C};
constexpr Constant kLog2OfE{0, 0xB8AA3B295C17F0BB, 0xBE87FED0691D3E88};
constexpr Constant kPi{1, 0xC90FDAA22168C234, 0xC4C6628B80DC1CD1};
constexpr Constant kLog10Of2{-2, 0x9A209A84FBCFF798, 0x8F8959AC0B7C9178};
constexpr Constant kLnOf2{-1, 0xB17217F7D1CF79AB, 0xC9E3B39803F2F6AF};

template <const Constant& C>
Flow load_constant(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    const fp::Context to = fp::extended(rounding(x));
    const fp::Result r = fp::round(false, C.exponent, C.high, C.low, true, to);
    push_value(x, fp::pack80(r.value), 0);
    return Flow::next;
}

template <i64 Value>
Flow load_small(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    push_value(x, fp::pack80(fp::from_integer(Value)), 0);
    return Flow::next;
}

// --- stores --------------------------------------------------------------------------------------

// What ST(0) becomes in memory, with what that raises.
template <class T>
struct Stored {
    T value{};
    u16 flags = 0;
    bool c1 = false;
};

// Stores and pops, unless an unmasked exception forbids both. Memory comes first: its faults leave
// FSW as it was, even where nothing is going to be stored.
template <bool Pop, class T>
Flow store_value(Exec& x, const Op& op, Stored<T> s, T masked_underflow) {
    if (empty(x, 0)) s = {masked_underflow, fp::kInvalid | kStackFault, false};
    // Unmasked overflow and underflow too store nothing in memory (SDM 1 8.5.4, 8.5.5).
    constexpr u16 kStops = fp::kInvalid | fp::kOverflow | fp::kUnderflow;
    if ((s.flags & kStops & ~fcw(x)) != 0) {
        if (!x.probe(x.linear(op), sizeof(T), Access::write, op.stack_segment)) return Flow::stop;
        note_memory(x, op);
        raise(x, static_cast<u16>(s.flags & (kStops | kStackFault)), false);
        return Flow::next;
    }
    if (!x.store_operand(op, s.value)) return Flow::stop;
    note_memory(x, op);
    raise(x, s.flags, s.c1);
    if (Pop) pop(x);
    return Flow::next;
}

template <class T, bool Pop>
Flow store_real(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    constexpr bool kSingle = sizeof(T) == 4;
    const auto pack = [](const Number& n) -> T {
        if constexpr (kSingle)
            return fp::pack32(n);
        else
            return fp::pack64(n);
    };
    fp::Context to = kSingle ? fp::binary32(rounding(x)) : fp::binary64(rounding(x));
    to.trap_overflow = (fcw(x) & fp::kOverflow) == 0;
    to.trap_underflow = (fcw(x) & fp::kUnderflow) == 0;
    Number n = fp::unpack80(st(x, 0));
    n.denormal = false;  // stores do not raise DE (SDM 2A FST)
    const fp::Result r = fp::convert(n, to);
    // The value of a trapped overflow does not fit, and is not stored either.
    const bool fits = (r.flags & (fp::kOverflow | fp::kUnderflow) & ~fcw(x)) == 0;
    const Stored<T> s{fits ? pack(r.value) : T{}, r.flags, r.rounded_up};
    return store_value<Pop, T>(x, op, s, pack(fp::indefinite()));
}

Flow store80(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    const fp::Float80 f = st(x, 0);
    const fp::Float80 bad = indefinite();
    return store_value<true, Bytes80>(x, op, {{f.significand, f.sign_exponent}, 0, false},
                                      {bad.significand, bad.sign_exponent});
}

template <class T, bool Pop, bool Truncate>
Flow store_integer(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    const fp::Rounding how = Truncate ? fp::Rounding::zero : rounding(x);
    const fp::Integer r = fp::to_integer(fp::unpack80(st(x, 0)), sizeof(T) * 8, how);
    return store_value<Pop, T>(x, op, {static_cast<T>(r.value), r.flags, r.rounded_up},
                               std::numeric_limits<T>::min());
}

Flow fbstp(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    constexpr i64 kLimit = 1'000'000'000'000'000'000;
    constexpr Bytes80 kIndefinite{0xC000000000000000, 0xFFFF};
    const Number n = fp::unpack80(st(x, 0));
    const fp::Integer r = fp::to_integer(n, 64, rounding(x));
    Stored<Bytes80> s{kIndefinite, fp::kInvalid, false};
    if ((r.flags & fp::kInvalid) == 0 && r.value < kLimit && r.value > -kLimit) {
        u64 rest = static_cast<u64>(r.value < 0 ? -r.value : r.value);
        s = {{0, static_cast<u16>(n.sign ? 0x8000 : 0)}, r.flags, r.rounded_up};
        for (unsigned shift = 0; shift < 64; shift += 4, rest /= 10) {
            s.value.low |= rest % 10 << shift;
        }
        s.value.high = static_cast<u16>(s.value.high | rest % 10 | rest / 10 << 4);
    }
    return store_value<true, Bytes80>(x, op, s, kIndefinite);
}

// --- registers -----------------------------------------------------------------------------------

template <bool Pop>
Flow store_register(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    fp::Float80 value = st(x, 0);
    if (empty(x, 0)) {
        if (!stack_underflow(x)) return Flow::next;
        value = indefinite();
    } else {
        raise(x, 0, false);
    }
    set_st(x, op.src, value);
    if (Pop) pop(x);
    return Flow::next;
}

Flow fxch(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    fp::Float80 a = st(x, 0);
    fp::Float80 b = st(x, op.src);
    if (empty(x, 0) || empty(x, op.src)) {
        if (!stack_underflow(x)) return Flow::next;
        if (empty(x, 0)) a = indefinite();
        if (empty(x, op.src)) b = indefinite();
    } else {
        raise(x, 0, false);
    }
    set_st(x, 0, b);
    set_st(x, op.src, a);
    return Flow::next;
}

template <bool Pop>
Flow ffree(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    raise(x, 0, false);
    set_empty(x, op.src);
    if (Pop) pop(x);
    return Flow::next;
}

template <unsigned By>
Flow rotate(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    raise(x, 0, false);
    move_top(x, By);
    return Flow::next;
}

Flow fnop(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    note(x, op);
    return Flow::next;
}

// --- translation ---------------------------------------------------------------------------------

bool translate_fld(const Decoded& d, Op& op) {
    set_operands(d, op);
    if (!d.is_mem(0)) {
        op.handler = load_register;
    } else {
        op.handler = op.size == 4   ? load_number<Real32>
                     : op.size == 8 ? load_number<Real64>
                                    : load80;
    }
    return true;
}

bool translate_fild(const Decoded& d, Op& op) {
    set_operands(d, op);
    op.handler = op.size == 2   ? load_number<Integer<i16>>
                 : op.size == 4 ? load_number<Integer<i32>>
                                : load_number<Integer<i64>>;
    return true;
}

template <bool Pop>
bool translate_fst(const Decoded& d, Op& op) {
    set_operands(d, op);
    if (!d.is_mem(0)) {
        op.handler = store_register<Pop>;
    } else {
        op.handler = op.size == 4   ? store_real<u32, Pop>
                     : op.size == 8 ? store_real<u64, Pop>
                                    : store80;
    }
    return true;
}

template <bool Pop, bool Truncate>
bool translate_fist(const Decoded& d, Op& op) {
    set_operands(d, op);
    op.handler = op.size == 2   ? store_integer<i16, Pop, Truncate>
                 : op.size == 4 ? store_integer<i32, Pop, Truncate>
                                : store_integer<i64, Pop, Truncate>;
    return true;
}

template <Flow (*Body)(Exec&, const Op&)>
bool translate_with(const Decoded& d, Op& op) {
    set_operands(d, op);
    op.handler = Body;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_FBLD, translate_with<fbld>, "SDM 2A FBLD"},
    {ZYDIS_MNEMONIC_FBSTP, translate_with<fbstp>, "SDM 2A FBSTP"},
    {ZYDIS_MNEMONIC_FDECSTP, translate_with<rotate<7>>, "SDM 2A FDECSTP"},
    {ZYDIS_MNEMONIC_FFREE, translate_with<ffree<false>>, "SDM 2A FFREE"},
    {ZYDIS_MNEMONIC_FFREEP, translate_with<ffree<true>>, "APM 3 FFREEP"},
    {ZYDIS_MNEMONIC_FILD, translate_fild, "SDM 2A FILD"},
    {ZYDIS_MNEMONIC_FINCSTP, translate_with<rotate<1>>, "SDM 2A FINCSTP"},
    {ZYDIS_MNEMONIC_FIST, translate_fist<false, false>, "SDM 2A FIST"},
    {ZYDIS_MNEMONIC_FISTP, translate_fist<true, false>, "SDM 2A FISTP"},
    {ZYDIS_MNEMONIC_FISTTP, translate_fist<true, true>, "SDM 2A FISTTP"},
    {ZYDIS_MNEMONIC_FLD, translate_fld, "SDM 2A FLD"},
    {ZYDIS_MNEMONIC_FLD1, translate_with<load_small<1>>, "SDM 2A FLD1"},
    {ZYDIS_MNEMONIC_FLDL2E, translate_with<load_constant<kLog2OfE>>, "SDM 2A FLDL2E"},
    {ZYDIS_MNEMONIC_FLDL2T, translate_with<load_constant<kLog2Of10>>, "SDM 2A FLDL2T"},
    {ZYDIS_MNEMONIC_FLDLG2, translate_with<load_constant<kLog10Of2>>, "SDM 2A FLDLG2"},
    {ZYDIS_MNEMONIC_FLDLN2, translate_with<load_constant<kLnOf2>>, "SDM 2A FLDLN2"},
    {ZYDIS_MNEMONIC_FLDPI, translate_with<load_constant<kPi>>, "SDM 2A FLDPI"},
    {ZYDIS_MNEMONIC_FLDZ, translate_with<load_small<0>>, "SDM 2A FLDZ"},
    {ZYDIS_MNEMONIC_FNOP, translate_with<fnop>, "SDM 2A FNOP"},
    {ZYDIS_MNEMONIC_FST, translate_fst<false>, "SDM 2A FST"},
    {ZYDIS_MNEMONIC_FSTP, translate_fst<true>, "SDM 2A FSTP"},
    {ZYDIS_MNEMONIC_FXCH, translate_with<fxch>, "SDM 2A FXCH"},
};

}  // namespace

std::span<const InsnRow> x87_move_rows() { return kRows; }

}  // namespace vtlsim::sim
