// ADD ADC SUB SBB CMP INC DEC NEG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B.
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

// Carry and borrow out of each bit position; the flags come from the top two and bit 3.
template <class T>
T add_carries(T a, T b, T r) {
    return static_cast<T>((a & b) | ((a | b) & ~r));
}
template <class T>
T sub_borrows(T a, T b, T r) {
    return static_cast<T>((~a & b) | ((~a | b) & r));
}

struct Add {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(Exec& x, T a, T b) {
        const T r = static_cast<T>(a + b);
        x.flags.set<T>(r, add_carries<T>(a, b, r));
        return r;
    }
};

struct Adc {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(Exec& x, T a, T b) {
        const T r = static_cast<T>(a + b + (x.flags.cf() ? 1 : 0));
        x.flags.set<T>(r, add_carries<T>(a, b, r));
        return r;
    }
};

struct Sub {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(Exec& x, T a, T b) {
        const T r = static_cast<T>(a - b);
        x.flags.set<T>(r, sub_borrows<T>(a, b, r));
        return r;
    }
};

struct Sbb {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(Exec& x, T a, T b) {
        const T r = static_cast<T>(a - b - (x.flags.cf() ? 1 : 0));
        x.flags.set<T>(r, sub_borrows<T>(a, b, r));
        return r;
    }
};

struct Cmp : Sub {
    static constexpr bool kWrites = false;
};

// INC and DEC leave CF alone.
struct Inc {
    template <class T>
    static T apply(Exec& x, T a) {
        const T r = static_cast<T>(a + 1);
        x.flags.set_but_cf<T>(r, add_carries<T>(a, 1, r));
        return r;
    }
};

struct Dec {
    template <class T>
    static T apply(Exec& x, T a) {
        const T r = static_cast<T>(a - 1);
        x.flags.set_but_cf<T>(r, sub_borrows<T>(a, 1, r));
        return r;
    }
};

struct Neg {
    template <class T>
    static T apply(Exec& x, T a) {
        return Sub::apply<T>(x, 0, a);
    }
};

// XADD: the source register receives the old destination.
template <class T, bool Memory>
Flow xadd(Exec& x, const Op& op) {
    const T b = x.reg<T>(op.src);
    if constexpr (Memory) {
        const u64 address = x.linear(op);
        T a{};
        if (!x.load_for_store(address, a, op.stack_segment)) return Flow::stop;
        if (!x.store(address, Add::apply<T>(x, a, b), op.stack_segment)) return Flow::stop;
        x.set_reg<T>(op.src, a);
    } else {
        const T a = x.reg<T>(op.dst);
        const T r = Add::apply<T>(x, a, b);
        x.set_reg<T>(op.src, a);
        x.set_reg<T>(op.dst, r);  // last: XADD AX, AX leaves the sum
    }
    return Flow::next;
}

// CMPXCHG writes its destination in both cases (SDM 2A): the memory form always needs write access.
template <class T, bool Memory>
Flow cmpxchg(Exec& x, const Op& op) {
    constexpr u8 kAccumulator = 0;
    const T accumulator = x.reg<T>(kAccumulator);
    const T b = x.reg<T>(op.src);
    T a{};
    const u64 address = Memory ? x.linear(op) : 0;
    if constexpr (Memory) {
        if (!x.load_for_store(address, a, op.stack_segment)) return Flow::stop;
        const T written = accumulator == a ? b : a;
        if (!x.store(address, written, op.stack_segment)) return Flow::stop;
    } else {
        a = x.reg<T>(op.dst);
    }
    Sub::apply<T>(x, accumulator, a);
    if (accumulator != a) {
        x.set_reg<T>(kAccumulator, a);
    } else if constexpr (!Memory) {
        x.set_reg<T>(op.dst, b);
    }
    return Flow::next;
}

// CMPXCHG8B and 16B: (R/E)DX:(R/E)AX with memory, (R/E)CX:(R/E)BX is what may replace it. Only ZF
// changes.
template <class T>
Flow cmpxchg_pair(Exec& x, const Op& op) {
    using Pair = std::array<T, 2>;
    const auto half = [&](Reg reg) { return x.reg<T>(static_cast<u8>(index_of(reg))); };
    const u64 address = x.linear(op);
    if (sizeof(T) == 8 && address % 16 != 0) return x.fault(Vector::gp, 0);
    Pair a{};
    if (!x.load_for_store(address, a, op.stack_segment)) return Flow::stop;
    const bool equal = a == Pair{half(Reg::rax), half(Reg::rdx)};
    const Pair written = equal ? Pair{half(Reg::rbx), half(Reg::rcx)} : a;
    if (!x.store(address, written, op.stack_segment)) return Flow::stop;
    x.flags.set_status((x.flags.status() & ~flag::zf) | (equal ? flag::zf : 0));
    if (!equal) {
        x.set_reg<T>(static_cast<u8>(index_of(Reg::rax)), a[0]);
        x.set_reg<T>(static_cast<u8>(index_of(Reg::rdx)), a[1]);
    }
    return Flow::next;
}

bool translate_xadd(const Decoded& d, Op& op) {
    Form form{};
    if (!set_two_operands(d, op, form)) return false;
    op.handler = by_size(op.size, [&]<class T>() -> Handler {
        return form == Form::mr ? xadd<T, true> : xadd<T, false>;
    });
    return op.handler != nullptr;
}

bool translate_cmpxchg(const Decoded& d, Op& op) {
    Form form{};
    if (!set_two_operands(d, op, form)) return false;
    op.handler = by_size(op.size, [&]<class T>() -> Handler {
        return form == Form::mr ? cmpxchg<T, true> : cmpxchg<T, false>;
    });
    return op.handler != nullptr;
}

template <class T>
bool translate_cmpxchg_pair(const Decoded& d, Op& op) {
    set_memory(d[0], op);
    op.handler = cmpxchg_pair<T>;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_ADC, translate_binary<Adc>, "SDM 2A ADC"},
    {ZYDIS_MNEMONIC_ADD, translate_binary<Add>, "SDM 2A ADD"},
    {ZYDIS_MNEMONIC_CMP, translate_binary<Cmp>, "SDM 2A CMP"},
    {ZYDIS_MNEMONIC_CMPXCHG, translate_cmpxchg, "SDM 2A CMPXCHG"},
    {ZYDIS_MNEMONIC_CMPXCHG16B, translate_cmpxchg_pair<u64>, "SDM 2A CMPXCHG16B"},
    {ZYDIS_MNEMONIC_CMPXCHG8B, translate_cmpxchg_pair<u32>, "SDM 2A CMPXCHG8B"},
    {ZYDIS_MNEMONIC_DEC, translate_unary<Dec>, "SDM 2A DEC"},
    {ZYDIS_MNEMONIC_INC, translate_unary<Inc>, "SDM 2A INC"},
    {ZYDIS_MNEMONIC_NEG, translate_unary<Neg>, "SDM 2B NEG"},
    {ZYDIS_MNEMONIC_SBB, translate_binary<Sbb>, "SDM 2B SBB"},
    {ZYDIS_MNEMONIC_SUB, translate_binary<Sub>, "SDM 2B SUB"},
    {ZYDIS_MNEMONIC_XADD, translate_xadd, "SDM 2C XADD"},
};

}  // namespace

std::span<const InsnRow> arithmetic_rows() { return kRows; }

}  // namespace vtlsim::sim
