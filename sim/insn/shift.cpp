// SHL SHR SAR ROL ROR RCL RCR SHLD SHRD. The count is masked to 5 bits, 6 for 64-bit operands; a
// masked count of 0 leaves all flags alone but still writes the destination.
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

template <class T>
constexpr unsigned kBits = sizeof(T) * 8;
template <class T>
bool top(T value) {
    return (value >> (kBits<T> - 1) & 1) != 0;
}
template <class T>
bool bit(T value, unsigned i) {
    return (value >> i & 1) != 0;
}

// Called with 0 < count < 32, or < 64 for u64: beyond the width of 8- and 16-bit operands too.
// OF is defined for a count of 1 only, and AF never (SDM 2B SAL, RCL): what is computed here for
// the rest is what AMD Zen 5 does.
struct Shl {
    template <class T>
    static T apply(Exec& x, T a, unsigned count) {
        const u64 wide = u64{a} << (count - 1);  // one less: the last bit out is now the top one
        const bool carry = top<T>(static_cast<T>(wide));
        const T r = static_cast<T>(wide << 1);
        x.flags.set_result<T>(r, carry, top<T>(r) != carry, true);
        return r;
    }
};

struct Shr {
    template <class T>
    static T apply(Exec& x, T a, unsigned count) {
        const u64 wide = u64{a} >> (count - 1);
        const T r = static_cast<T>(wide >> 1);
        x.flags.set_result<T>(r, (wide & 1) != 0, bit<T>(r, kBits<T> - 2), true);
        return r;
    }
};

struct Sar {
    template <class T>
    static T apply(Exec& x, T a, unsigned count) {
        const i64 wide = i64{static_cast<std::make_signed_t<T>>(a)} >> (count - 1);
        const T r = static_cast<T>(wide >> 1);
        x.flags.set_result<T>(r, (wide & 1) != 0, false, true);
        return r;
    }
};

// Rotations change CF and OF only.
struct Rol {
    template <class T>
    static T apply(Exec& x, T a, unsigned count) {
        const T r = std::rotl(a, static_cast<int>(count));
        x.flags.set_cf(bit<T>(r, 0));
        x.flags.set_of(top<T>(r) != bit<T>(r, 0));
        return r;
    }
};

struct Ror {
    template <class T>
    static T apply(Exec& x, T a, unsigned count) {
        const T r = std::rotr(a, static_cast<int>(count));
        x.flags.set_cf(top<T>(r));
        x.flags.set_of(top<T>(r) != bit<T>(r, kBits<T> - 2));
        return r;
    }
};

// Through the carry: a rotation of one bit more than the operand has.
struct Rcl {
    template <class T>
    static T apply(Exec& x, T a, unsigned count) {
        count %= kBits<T> + 1;
        bool carry = x.flags.cf();
        T r = a;
        if (count != 0) {
            r = static_cast<T>(T{carry} << (count - 1));
            if (count < kBits<T>) r = static_cast<T>(r | a << count);
            if (count > 1) r = static_cast<T>(r | a >> (kBits<T> + 1 - count));
            carry = bit<T>(a, kBits<T> - count);
        }
        x.flags.set_cf(carry);
        x.flags.set_of(top<T>(r) != carry);
        return r;
    }
};

struct Rcr {
    template <class T>
    static T apply(Exec& x, T a, unsigned count) {
        count %= kBits<T> + 1;
        bool carry = x.flags.cf();
        T r = a;
        if (count != 0) {
            r = static_cast<T>(T{carry} << (kBits<T> - count));
            if (count < kBits<T>) r = static_cast<T>(r | a >> count);
            if (count > 1) r = static_cast<T>(r | a << (kBits<T> + 1 - count));
            carry = bit<T>(a, count - 1);
        }
        x.flags.set_cf(carry);
        x.flags.set_of(top<T>(r) != bit<T>(r, kBits<T> - 2));
        return r;
    }
};

enum class Count : u8 { imm, cl };

template <Count C, class T>
unsigned count_of(const Exec& x, const Op& op) {
    const u64 raw = C == Count::cl ? x.s[Reg::rcx] : op.imm;
    return static_cast<unsigned>(raw & (sizeof(T) == 8 ? 63 : 31));
}

template <class Operation, class T, bool Memory, Count C>
Flow shift(Exec& x, const Op& op) {
    const unsigned count = count_of<C, T>(x, op);
    const auto shifted = [&](T a) {
        return count == 0 ? a : Operation::template apply<T>(x, a, count);
    };
    if constexpr (Memory) {
        const u64 address = x.linear(op);
        T a{};
        if (!x.load_for_store(address, a, op.stack_segment)) return Flow::stop;
        if (!x.store(address, shifted(a), op.stack_segment)) return Flow::stop;
    } else {
        x.set_reg<T>(op.dst, shifted(x.reg<T>(op.dst)));
    }
    return Flow::next;
}

// Fills the count's operand: an immediate or CL.
Count set_count(const ZydisDecodedOperand& operand, Op& op) {
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) return Count::cl;
    op.imm = operand.imm.value.u;
    return Count::imm;
}

template <class Operation>
bool translate_shift(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d[0].size / 8);
    const Count count = set_count(d[1], op);
    if (d.is_mem(0)) {
        set_memory(d[0], op);
        return set_by_size(op, op.size, [&]<class T>() -> Handlers {
            return count == Count::cl ? threaded<shift<Operation, T, true, Count::cl>>()
                                      : threaded<shift<Operation, T, true, Count::imm>>();
        });
    }
    op.dst = gpr_slot(d[0].reg.value);
    return set_by_size(op, op.size, [&]<class T>() -> Handlers {
        if (count == Count::cl) return threaded<shift<Operation, T, false, Count::cl>>();
        if constexpr (sizeof(T) < 4) {
            return threaded<shift<Operation, T, false, Count::imm>>();
        } else {
            return threaded_with_jcc<shift<Operation, T, false, Count::imm>>();
        }
    });
}

// SHLD and SHRD: bits come from the source register. 16-bit operands with a count above 16 are
// undefined; the source is then shifted in twice, as AMD Zen 5 does it.
template <bool Left, class T>
T double_shift(Exec& x, T a, T b, unsigned count) {
    constexpr unsigned n = kBits<T>;
    if (count == 0) return a;
    const T alone = static_cast<T>(u64{a} << count);  // what is left of `a`: OF looks at it
    const bool carry = count <= n && bit<T>(a, Left ? n - count : count - 1);
    if (count > n) {
        a = b;
        count -= n;
    }
    T r = b;
    if (count < n) {
        r = static_cast<T>(Left ? u64{a} << count | u64{b} >> (n - count)
                                : u64{a} >> count | u64{b} << (n - count));
    }
    const bool overflow = Left ? top<T>(alone) != carry : top<T>(r) != bit<T>(r, n - 2);
    x.flags.set_result<T>(r, carry, overflow, true);
    return r;
}

template <bool Left, class T, bool Memory, Count C>
Flow shift_double(Exec& x, const Op& op) {
    const unsigned count = count_of<C, T>(x, op);
    const T b = x.reg<T>(op.src);
    if constexpr (Memory) {
        const u64 address = x.linear(op);
        T a{};
        if (!x.load_for_store(address, a, op.stack_segment)) return Flow::stop;
        const T r = double_shift<Left, T>(x, a, b, count);
        if (!x.store(address, r, op.stack_segment)) return Flow::stop;
    } else {
        x.set_reg<T>(op.dst, double_shift<Left, T>(x, x.reg<T>(op.dst), b, count));
    }
    return Flow::next;
}

template <bool Left, bool Memory, Count C>
Handler double_handler(unsigned size) {
    return by_size(size, []<class T>() -> Handler {
        if constexpr (sizeof(T) == 1) {
            return nullptr;
        } else {
            return shift_double<Left, T, Memory, C>;
        }
    });
}

template <bool Left>
bool translate_double(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d[0].size / 8);
    op.src = gpr_slot(d[1].reg.value);
    const bool cl = set_count(d[2], op) == Count::cl;
    if (d.is_mem(0)) {
        set_memory(d[0], op);
        op.handler = cl ? double_handler<Left, true, Count::cl>(op.size)
                        : double_handler<Left, true, Count::imm>(op.size);
    } else {
        op.dst = gpr_slot(d[0].reg.value);
        op.handler = cl ? double_handler<Left, false, Count::cl>(op.size)
                        : double_handler<Left, false, Count::imm>(op.size);
    }
    return op.handler != nullptr;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_RCL, translate_shift<Rcl>, "SDM 2B RCL"},
    {ZYDIS_MNEMONIC_RCR, translate_shift<Rcr>, "SDM 2B RCR"},
    {ZYDIS_MNEMONIC_ROL, translate_shift<Rol>, "SDM 2B ROL"},
    {ZYDIS_MNEMONIC_ROR, translate_shift<Ror>, "SDM 2B ROR"},
    {ZYDIS_MNEMONIC_SAR, translate_shift<Sar>, "SDM 2B SAR"},
    {ZYDIS_MNEMONIC_SHL, translate_shift<Shl>, "SDM 2B SHL"},
    {ZYDIS_MNEMONIC_SHLD, translate_double<true>, "SDM 2B SHLD"},
    {ZYDIS_MNEMONIC_SHR, translate_shift<Shr>, "SDM 2B SHR"},
    {ZYDIS_MNEMONIC_SHRD, translate_double<false>, "SDM 2B SHRD"},
};

}  // namespace

std::span<const InsnRow> shift_rows() { return kRows; }

}  // namespace vtlsim::sim
