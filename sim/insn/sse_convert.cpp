// SSE conversions: between the two floating-point formats, and to and from integers in XMM, MMX
// and general registers.
#include "sim/insn/rows.hpp"
#include "sim/insn/sse_float.hpp"

namespace vtlsim::sim {
namespace {

// --- one lane: static To apply(FpUnit&, From) ---------------------------------------------------
template <bool Truncate>
struct ToInteger {
    template <class To, class From>
    static To apply(FpUnit& unit, From value) {
        const fp::Rounding rounding = Truncate ? fp::Rounding::zero : unit.rounding();
        const fp::Integer r = fp::to_integer(unit.unpack(value), sizeof(To) * 8, rounding);
        unit.raise(r.flags);
        return static_cast<To>(r.value);
    }
};
struct FromInteger {
    template <class To, class From>
    static To apply(FpUnit& unit, From value) {
        const fp::Number n = fp::from_integer(static_cast<std::make_signed_t<From>>(value));
        return unit.take<To>(fp::convert(n, unit.context<To>()));
    }
};
struct Reformat {
    template <class To, class From>
    static To apply(FpUnit& unit, From value) {
        return unit.take<To>(fp::convert(unit.unpack(value), unit.context<To>()));
    }
};

// --- instructions -------------------------------------------------------------------------------
// As many lanes as both formats have in a register; the rest of the destination becomes 0.
template <class Operation, class To, class From, class Memory>
Flow convert_packed(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    Vec128 b{};
    if (!load_source<XmmFile, Memory>(x, op, b)) return Flow::stop;
    FpUnit unit(x);
    const auto from = lanes<From>(b);
    LanesOf<To, Vec128> r{};
    for (std::size_t i = 0; i < std::min(r.size(), from.size()); ++i) {
        r[i] = Operation::template apply<To>(unit, from[i]);
    }
    if (!unit.finish()) return Flow::stop;
    xmm(x, op.dst) = from_lanes<Vec128>(r);
    return Flow::next;
}
template <class Operation, class To, class From>
bool translate_convert(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    using Memory = std::conditional_t<(sizeof(To) > sizeof(From)), u64, Vec128>;
    op.handler = d.is_mem(1) ? convert_packed<Operation, To, From, Memory>
                             : convert_packed<Operation, To, From, Register>;
    return true;
}

// CVTSS2SD and CVTSD2SS: the lowest lane; the rest of the destination stays.
template <class To, class From, class Memory>
Flow convert_scalar(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    Vec128 b{};
    if (!load_source<XmmFile, Memory>(x, op, b)) return Flow::stop;
    FpUnit unit(x);
    auto r = lanes<To>(xmm(x, op.dst));
    r[0] = Reformat::apply<To>(unit, lanes<From>(b)[0]);
    if (!unit.finish()) return Flow::stop;
    xmm(x, op.dst) = from_lanes<Vec128>(r);
    return Flow::next;
}
template <class To, class From>
bool translate_scalar(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    op.handler = d.is_mem(1) ? convert_scalar<To, From, From> : convert_scalar<To, From, Register>;
    return true;
}

// CVTSI2SS and CVTSI2SD.
template <class To, class From, bool Memory>
Flow from_general(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    From value{};
    if constexpr (Memory) {
        if (!x.load_operand(op, value)) return Flow::stop;
    } else {
        value = x.reg<From>(op.src);
    }
    FpUnit unit(x);
    auto r = lanes<To>(xmm(x, op.dst));
    r[0] = FromInteger::apply<To>(unit, value);
    if (!unit.finish()) return Flow::stop;
    xmm(x, op.dst) = from_lanes<Vec128>(r);
    return Flow::next;
}
template <class To>
bool translate_from_general(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    const bool wide = d[1].size == 64;
    if (d.is_mem(1)) {
        op.handler = wide ? from_general<To, u64, true> : from_general<To, u32, true>;
    } else {
        op.handler = wide ? from_general<To, u64, false> : from_general<To, u32, false>;
    }
    return true;
}

// CVTSS2SI, CVTSD2SI and their truncating twins.
template <class Operation, class From, class To, class Memory>
Flow to_general(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    Vec128 b{};
    if (!load_source<XmmFile, Memory>(x, op, b)) return Flow::stop;
    FpUnit unit(x);
    const To r = Operation::template apply<To>(unit, lanes<From>(b)[0]);
    if (!unit.finish()) return Flow::stop;
    x.set_reg<To>(op.dst, r);
    return Flow::next;
}
template <class Operation, class From>
bool translate_to_general(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    const bool wide = d[0].size == 64;
    if (d.is_mem(1)) {
        op.handler =
            wide ? to_general<Operation, From, u64, From> : to_general<Operation, From, u32, From>;
    } else {
        op.handler = wide ? to_general<Operation, From, u64, Register>
                          : to_general<Operation, From, u32, Register>;
    }
    return true;
}

// CVTPI2PS and CVTPI2PD: two integers of an MMX register or memory. From memory they have nothing
// to do with MMX state (SDM 2A CVTPI2PD; so too CVTPI2PS on AMD Zen 5, where the manual differs).
template <class To, bool Memory>
Flow from_mmx(Exec& x, const Op& op) {
    if (!sse_usable(x) || (!Memory && !MmxFile::usable(x))) return Flow::stop;
    u64 source = 0;
    if (!load_source<MmxFile, std::conditional_t<Memory, u64, Register>>(x, op, source)) {
        return Flow::stop;
    }
    FpUnit unit(x);
    const auto from = lanes<u32>(source);
    auto r = lanes<To>(xmm(x, op.dst));
    for (std::size_t i = 0; i < 2; ++i) r[i] = FromInteger::apply<To>(unit, from[i]);
    if (!Memory) MmxFile::read_done(x);  // also when #XM follows, as in to_mmx
    if (!unit.finish()) return Flow::stop;
    xmm(x, op.dst) = from_lanes<Vec128>(r);
    return Flow::next;
}
template <class To>
bool translate_from_mmx(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    op.handler = d.is_mem(1) ? from_mmx<To, true> : from_mmx<To, false>;
    return true;
}

// CVTPS2PI, CVTPD2PI and their truncating twins: two lanes to an MMX register. The x87 unit is in
// MMX state even after #XM (AMD Zen 5).
template <class Operation, class From, class Memory>
Flow to_mmx(Exec& x, const Op& op) {
    if (!sse_usable(x) || !MmxFile::usable(x)) return Flow::stop;
    Vec128 b{};
    if (!load_source<XmmFile, Memory>(x, op, b)) return Flow::stop;
    FpUnit unit(x);
    const auto from = lanes<From>(b);
    const std::array<u32, 2> r{Operation::template apply<u32>(unit, from[0]),
                               Operation::template apply<u32>(unit, from[1])};
    MmxFile::read_done(x);
    if (!unit.finish()) return Flow::stop;
    MmxFile::set(x, op.dst, from_lanes<u64>(r));
    return Flow::next;
}
template <class Operation, class From>
bool translate_to_mmx(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    using Memory = std::conditional_t<sizeof(From) == 4, u64, Vec128>;
    op.handler = d.is_mem(1) ? to_mmx<Operation, From, Memory> : to_mmx<Operation, From, Register>;
    return true;
}

using Rounded = ToInteger<false>;
using Truncated = ToInteger<true>;

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_CVTDQ2PD, translate_convert<FromInteger, u64, u32>, "SDM 2A CVTDQ2PD"},
    {ZYDIS_MNEMONIC_CVTDQ2PS, translate_convert<FromInteger, u32, u32>, "SDM 2A CVTDQ2PS"},
    {ZYDIS_MNEMONIC_CVTPD2DQ, translate_convert<Rounded, u32, u64>, "SDM 2A CVTPD2DQ"},
    {ZYDIS_MNEMONIC_CVTPD2PI, translate_to_mmx<Rounded, u64>, "SDM 2A CVTPD2PI"},
    {ZYDIS_MNEMONIC_CVTPD2PS, translate_convert<Reformat, u32, u64>, "SDM 2A CVTPD2PS"},
    {ZYDIS_MNEMONIC_CVTPI2PD, translate_from_mmx<u64>, "SDM 2A CVTPI2PD"},
    {ZYDIS_MNEMONIC_CVTPI2PS, translate_from_mmx<u32>, "SDM 2A CVTPI2PS"},
    {ZYDIS_MNEMONIC_CVTPS2DQ, translate_convert<Rounded, u32, u32>, "SDM 2A CVTPS2DQ"},
    {ZYDIS_MNEMONIC_CVTPS2PD, translate_convert<Reformat, u64, u32>, "SDM 2A CVTPS2PD"},
    {ZYDIS_MNEMONIC_CVTPS2PI, translate_to_mmx<Rounded, u32>, "SDM 2A CVTPS2PI"},
    {ZYDIS_MNEMONIC_CVTSD2SI, translate_to_general<Rounded, u64>, "SDM 2A CVTSD2SI"},
    {ZYDIS_MNEMONIC_CVTSD2SS, translate_scalar<u32, u64>, "SDM 2A CVTSD2SS"},
    {ZYDIS_MNEMONIC_CVTSI2SD, translate_from_general<u64>, "SDM 2A CVTSI2SD"},
    {ZYDIS_MNEMONIC_CVTSI2SS, translate_from_general<u32>, "SDM 2A CVTSI2SS"},
    {ZYDIS_MNEMONIC_CVTSS2SD, translate_scalar<u64, u32>, "SDM 2A CVTSS2SD"},
    {ZYDIS_MNEMONIC_CVTSS2SI, translate_to_general<Rounded, u32>, "SDM 2A CVTSS2SI"},
    {ZYDIS_MNEMONIC_CVTTPD2DQ, translate_convert<Truncated, u32, u64>, "SDM 2A CVTTPD2DQ"},
    {ZYDIS_MNEMONIC_CVTTPD2PI, translate_to_mmx<Truncated, u64>, "SDM 2A CVTTPD2PI"},
    {ZYDIS_MNEMONIC_CVTTPS2DQ, translate_convert<Truncated, u32, u32>, "SDM 2A CVTTPS2DQ"},
    {ZYDIS_MNEMONIC_CVTTPS2PI, translate_to_mmx<Truncated, u32>, "SDM 2A CVTTPS2PI"},
    {ZYDIS_MNEMONIC_CVTTSD2SI, translate_to_general<Truncated, u64>, "SDM 2A CVTTSD2SI"},
    {ZYDIS_MNEMONIC_CVTTSS2SI, translate_to_general<Truncated, u32>, "SDM 2A CVTTSS2SI"},
};

}  // namespace

std::span<const InsnRow> sse_convert_rows() { return kRows; }

}  // namespace vtlsim::sim
