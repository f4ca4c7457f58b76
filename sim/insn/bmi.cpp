// BMI1, BMI2 and ADX: bit fields, three-operand shifts, and additions with one carry flag each.
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

template <class T>
constexpr unsigned kBits = sizeof(T) * 8;

// VEX encodings are #UD in real and virtual-8086 mode (SDM 2A 2.3, exception type 13).
bool vex_usable(Exec& x) {
    if ((x.s[Reg::cr0] & cr0::pe) != 0 && (x.s[Reg::rflags] & flag::vm) == 0) return true;
    x.fault(Vector::ud);
    return false;
}

// dst = Operation::apply(x, first, second). The ModRM operand, memory or the register op.imm, is
// the second source, or with `Swapped` the first (shifts, BEXTR, BZHI); op.src is the other.
template <class Operation, class T, bool Memory, bool Swapped>
Flow three(Exec& x, const Op& op) {
    if (!vex_usable(x)) return Flow::stop;
    T rm{};
    if constexpr (Memory) {
        if (!x.load_operand(op, rm)) return Flow::stop;
    } else {
        rm = x.reg<T>(static_cast<u8>(op.imm));
    }
    const T other = x.reg<T>(op.src);
    x.set_reg<T>(op.dst, Swapped ? Operation::template apply<T>(x, rm, other)
                                 : Operation::template apply<T>(x, other, rm));
    return Flow::next;
}
template <class Operation, bool Swapped>
bool translate_three(const Decoded& d, Op& op) {
    if (d.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX) return false;  // BEXTR of TBM
    const ZydisDecodedOperand& rm = Swapped ? d[1] : d[2];
    op.dst = gpr_slot(d[0].reg.value);
    op.src = gpr_slot((Swapped ? d[2] : d[1]).reg.value);
    const bool memory = rm.type == ZYDIS_OPERAND_TYPE_MEMORY;
    if (memory) {
        set_memory(rm, op);
    } else {
        op.imm = gpr_slot(rm.reg.value);
    }
    op.handler = by_size(d[0].size / 8, [&]<class T>() -> Handler {
        return memory ? three<Operation, T, true, Swapped> : three<Operation, T, false, Swapped>;
    });
    return op.handler != nullptr;
}

// Undefined flags are as AMD Zen 5 leaves them: PF by the result, AF clear.
template <class T>
T flagged(Exec& x, T result, bool carry) {
    x.flags.set_result<T>(result, carry, false, false);
    return result;
}

struct AndNot {
    template <class T>
    static T apply(Exec& x, T a, T b) {
        return flagged<T>(x, static_cast<T>(~a & b), false);
    }
};
struct ExtractField {
    template <class T>
    static T apply(Exec& x, T a, T control) {
        const unsigned start = control & 0xFF;
        const unsigned length = control >> 8 & 0xFF;
        T r = start < kBits<T> ? static_cast<T>(a >> start) : T{0};
        if (length < kBits<T>) r = static_cast<T>(r & ((T{1} << length) - 1));
        // Only ZF CF OF are defined; AMD Zen 5 sets AF, clears SF, and makes PF that of the result.
        const bool even = std::popcount(static_cast<u8>(r)) % 2 == 0;
        x.flags.set_status(flag::af | (r == 0 ? flag::zf : 0) | (even ? flag::pf : 0));
        return r;
    }
};
struct ZeroHigh {
    template <class T>
    static T apply(Exec& x, T a, T index) {
        const unsigned n = index & 0xFF;
        const T r = n < kBits<T> ? static_cast<T>(a & ((T{1} << n) - 1)) : a;
        return flagged<T>(x, r, n > kBits<T> - 1);
    }
};
struct Deposit {
    template <class T>
    static T apply(Exec&, T a, T mask) {
        T r = 0;
        for (; mask != 0; mask &= mask - 1, a >>= 1) {
            if ((a & 1) != 0) r |= mask & (~mask + 1);
        }
        return r;
    }
};
struct Extract {
    template <class T>
    static T apply(Exec&, T a, T mask) {
        T r = 0;
        for (unsigned to = 0; mask != 0; mask &= mask - 1, ++to) {
            r |= static_cast<T>(T{(a & mask & (~mask + 1)) != 0} << to);
        }
        return r;
    }
};
struct ShiftLeft {
    template <class T>
    static T apply(Exec&, T a, T count) {
        return static_cast<T>(a << (count % kBits<T>));
    }
};
struct ShiftRight {
    template <class T>
    static T apply(Exec&, T a, T count) {
        return static_cast<T>(a >> (count % kBits<T>));
    }
};
struct ShiftArithmetic {
    template <class T>
    static T apply(Exec&, T a, T count) {
        return static_cast<T>(static_cast<std::make_signed_t<T>>(a) >> (count % kBits<T>));
    }
};

// --- two operands: dst = OP(src)
// --------------------------------------------------------------------
struct LowestSet {
    template <class T>
    static T apply(Exec& x, T a) {
        return flagged<T>(x, static_cast<T>(a & (~a + 1)), a != 0);
    }
};
struct MaskToLowest {
    template <class T>
    static T apply(Exec& x, T a) {
        return flagged<T>(x, static_cast<T>(a ^ (a - 1)), a == 0);
    }
};
struct ResetLowest {
    template <class T>
    static T apply(Exec& x, T a) {
        return flagged<T>(x, static_cast<T>(a & (a - 1)), a == 0);
    }
};

template <class Operation, class T, bool Memory>
Flow two(Exec& x, const Op& op) {
    if (!vex_usable(x)) return Flow::stop;
    T a{};
    if constexpr (Memory) {
        if (!x.load_operand(op, a)) return Flow::stop;
    } else {
        a = x.reg<T>(op.src);
    }
    x.set_reg<T>(op.dst, Operation::template apply<T>(x, a));
    return Flow::next;
}
template <class Operation>
bool translate_two(const Decoded& d, Op& op) {
    Form form{};
    if (!set_two_operands(d, op, form)) return false;
    op.handler = by_size(op.size, [&]<class T>() -> Handler {
        return form == Form::rm ? two<Operation, T, true> : two<Operation, T, false>;
    });
    return op.handler != nullptr;
}

template <class T, bool Memory>
Flow rorx(Exec& x, const Op& op) {
    if (!vex_usable(x)) return Flow::stop;
    T a{};
    if constexpr (Memory) {
        if (!x.load_operand(op, a)) return Flow::stop;
    } else {
        a = x.reg<T>(op.src);
    }
    x.set_reg<T>(op.dst, std::rotr(a, static_cast<int>(op.imm % kBits<T>)));
    return Flow::next;
}
bool translate_rorx(const Decoded& d, Op& op) {
    op.dst = gpr_slot(d[0].reg.value);
    op.imm = d[2].imm.value.u & 0xFF;
    if (d.is_mem(1)) {
        set_memory(d[1], op);
    } else {
        op.src = gpr_slot(d[1].reg.value);
    }
    op.handler = by_size(d[0].size / 8, [&]<class T>() -> Handler {
        return d.is_mem(1) ? rorx<T, true> : rorx<T, false>;
    });
    return op.handler != nullptr;
}

template <class T>
T multiply(T a, T b, T& high) {
    if constexpr (sizeof(T) == 8) {
        const auto product = static_cast<unsigned __int128>(a) * b;
        high = static_cast<T>(product >> 64);
        return static_cast<T>(product);
    } else {
        const u64 product = u64{a} * b;
        high = static_cast<T>(product >> kBits<T>);
        return static_cast<T>(product);
    }
}

// MULX: the low half to the second operand, then the high half to the first, which wins.
template <class T, bool Memory>
Flow mulx(Exec& x, const Op& op) {
    if (!vex_usable(x)) return Flow::stop;
    T b{};
    if constexpr (Memory) {
        if (!x.load_operand(op, b)) return Flow::stop;
    } else {
        b = x.reg<T>(static_cast<u8>(op.imm));
    }
    T high{};
    const T low = multiply<T>(x.reg<T>(index_of(Reg::rdx)), b, high);
    x.set_reg<T>(op.src, low);
    x.set_reg<T>(op.dst, high);
    return Flow::next;
}
bool translate_mulx(const Decoded& d, Op& op) {
    op.dst = gpr_slot(d[0].reg.value);
    op.src = gpr_slot(d[1].reg.value);
    if (d.is_mem(2)) {
        set_memory(d[2], op);
    } else {
        op.imm = gpr_slot(d[2].reg.value);
    }
    op.handler = by_size(d[0].size / 8, [&]<class T>() -> Handler {
        return d.is_mem(2) ? mulx<T, true> : mulx<T, false>;
    });
    return op.handler != nullptr;
}

// ADCX and ADOX: the carry in and out is one flag, no other changes.
template <u64 Flag>
struct AddCarry {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(Exec& x, T a, T b) {
        const u64 status = x.flags.status();
        const T in = (status & Flag) != 0 ? 1 : 0;
        const T sum = static_cast<T>(a + b);
        const T r = static_cast<T>(sum + in);
        const bool out = sum < a || r < sum;
        x.flags.set_status((status & ~Flag) | (out ? Flag : 0));
        return r;
    }
};

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_ADCX, translate_binary<AddCarry<flag::cf>>, "SDM 2A ADCX"},
    {ZYDIS_MNEMONIC_ADOX, translate_binary<AddCarry<flag::of>>, "SDM 2A ADOX"},
    {ZYDIS_MNEMONIC_ANDN, translate_three<AndNot, false>, "SDM 2A ANDN"},
    {ZYDIS_MNEMONIC_BEXTR, translate_three<ExtractField, true>, "SDM 2A BEXTR"},
    {ZYDIS_MNEMONIC_BLSI, translate_two<LowestSet>, "SDM 2A BLSI"},
    {ZYDIS_MNEMONIC_BLSMSK, translate_two<MaskToLowest>, "SDM 2A BLSMSK"},
    {ZYDIS_MNEMONIC_BLSR, translate_two<ResetLowest>, "SDM 2A BLSR"},
    {ZYDIS_MNEMONIC_BZHI, translate_three<ZeroHigh, true>, "SDM 2A BZHI"},
    {ZYDIS_MNEMONIC_MULX, translate_mulx, "SDM 2B MULX"},
    {ZYDIS_MNEMONIC_PDEP, translate_three<Deposit, false>, "SDM 2B PDEP"},
    {ZYDIS_MNEMONIC_PEXT, translate_three<Extract, false>, "SDM 2B PEXT"},
    {ZYDIS_MNEMONIC_RORX, translate_rorx, "SDM 2B RORX"},
    {ZYDIS_MNEMONIC_SARX, translate_three<ShiftArithmetic, true>, "SDM 2B SARX"},
    {ZYDIS_MNEMONIC_SHLX, translate_three<ShiftLeft, true>, "SDM 2B SHLX"},
    {ZYDIS_MNEMONIC_SHRX, translate_three<ShiftRight, true>, "SDM 2B SHRX"},
};

}  // namespace

std::span<const InsnRow> bmi_rows() { return kRows; }

}  // namespace vtlsim::sim
