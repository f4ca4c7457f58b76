// MOV between general registers, memory and immediates, MOVZX MOVSX MOVSXD MOVBE LEA XCHG BSWAP
// XLAT NOP, and prefetches, which have no effect that could be seen.
#include "sim/exec/segment.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/system_moves.hpp"

namespace vtlsim::sim {
namespace {

template <class T, Form F>
Flow mov(Exec& x, const Op& op) {
    if constexpr (F == Form::rr) x.set_reg<T>(op.dst, x.reg<T>(op.src));
    if constexpr (F == Form::ri) x.set_reg<T>(op.dst, static_cast<T>(op.imm));
    if constexpr (F == Form::rm) {
        T value{};
        if (!x.load_operand(op, value)) return Flow::stop;
        x.set_reg<T>(op.dst, value);
    }
    if constexpr (F == Form::mr) {
        if (!x.store_operand(op, x.reg<T>(op.src))) return Flow::stop;
    }
    if constexpr (F == Form::mi) {
        if (!x.store_operand(op, static_cast<T>(op.imm))) return Flow::stop;
    }
    return Flow::next;
}

bool translate_mov(const Decoded& d, Op& op) {
    if (is_system_move(d)) return translate_system_move(d, op);
    Form form{};
    if (!set_two_operands(d, op, form)) return false;
    return set_by_size(op, op.size, [&]<class T>() -> Handlers {
        switch (form) {
            case Form::rr:
                return threaded<mov<T, Form::rr>>();
            case Form::rm:
                return threaded<mov<T, Form::rm>>();
            case Form::mr:
                return threaded<mov<T, Form::mr>>();
            case Form::ri:
                return threaded<mov<T, Form::ri>>();
            case Form::mi:
                return threaded<mov<T, Form::mi>>();
        }
        return {};
    });
}

// To is the destination type, From the (signed for MOVSX) source type.
template <class To, class From, bool Memory>
Flow extend(Exec& x, const Op& op) {
    using Raw = std::make_unsigned_t<From>;
    Raw value{};
    if constexpr (Memory) {
        if (!x.load_operand(op, value)) return Flow::stop;
    } else {
        value = x.reg<Raw>(op.src);
    }
    x.set_reg<To>(op.dst, static_cast<To>(static_cast<From>(value)));
    return Flow::next;
}

template <class To, class From>
constexpr Handlers extend_handlers(bool memory) {
    return memory ? threaded<extend<To, From, true>>() : threaded<extend<To, From, false>>();
}

template <bool Signed>
bool translate_extend(const Decoded& d, Op& op) {
    Form form{};
    if (!set_two_operands(d, op, form)) return false;
    const unsigned from = d[1].size / 8;
    const bool memory = form == Form::rm;
    return set_by_size(op, op.size, [&]<class To>() -> Handlers {
        if (from == 1) return extend_handlers<To, std::conditional_t<Signed, i8, u8>>(memory);
        if (from == 2) return extend_handlers<To, std::conditional_t<Signed, i16, u16>>(memory);
        return extend_handlers<To, std::conditional_t<Signed, i32, u32>>(memory);
    });
}

// The address itself, without the segment's base.
template <class T>
Flow lea(Exec& x, const Op& op) {
    x.set_reg<T>(op.dst, static_cast<T>(x.linear(op)));
    return Flow::next;
}

bool translate_lea(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d[0].size / 8);
    op.dst = gpr_slot(d[0].reg.value);
    set_memory(d[1], op);
    op.segment_base = kNoReg;
    return set_by_size(op, op.size, []<class T>() -> Handlers { return threaded<lea<T>>(); });
}

template <class T, bool Memory>
Flow xchg(Exec& x, const Op& op) {
    const T b = x.reg<T>(op.src);
    if constexpr (Memory) {
        const u64 address = x.linear(op);
        T a{};
        if (!x.load_for_store(address, a, op.stack_segment)) return Flow::stop;
        if (!x.store(address, b, op.stack_segment)) return Flow::stop;
        x.set_reg<T>(op.src, a);
    } else {
        const T a = x.reg<T>(op.dst);
        x.set_reg<T>(op.dst, b);
        x.set_reg<T>(op.src, a);
    }
    return Flow::next;
}

bool translate_xchg(const Decoded& d, Op& op) {
    Form form{};
    if (!set_two_operands(d, op, form)) return false;
    if (form == Form::rm) {  // the same operation, named the other way round
        op.src = op.dst;
        form = Form::mr;
    }
    return set_by_size(op, op.size, [&]<class T>() -> Handlers {
        return form == Form::mr ? threaded<xchg<T, true>>() : threaded<xchg<T, false>>();
    });
}

template <class T>
T reversed(T value) {
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
    return value;
}

template <class T>
Flow bswap(Exec& x, const Op& op) {
    x.set_reg<T>(op.dst, reversed(x.reg<T>(op.dst)));
    return Flow::next;
}

// Undefined in the manual; processors, the hosts of the tests among them, give zero.
Flow bswap16(Exec& x, const Op& op) {
    x.set_reg<u16>(op.dst, 0);
    return Flow::next;
}

bool translate_bswap(const Decoded& d, Op& op) {
    op.dst = gpr_slot(d[0].reg.value);
    op.handler = d[0].size == 16 ? bswap16 : d[0].size == 32 ? bswap<u32> : bswap<u64>;
    return true;
}

template <class T, bool Load>
Flow movbe(Exec& x, const Op& op) {
    if constexpr (!Load) {
        return x.store_operand(op, reversed(x.reg<T>(op.src))) ? Flow::next : Flow::stop;
    }
    T value{};
    if (!x.load_operand(op, value)) return Flow::stop;
    x.set_reg<T>(op.dst, reversed(value));
    return Flow::next;
}

bool translate_movbe(const Decoded& d, Op& op) {
    Form form{};
    if (!set_two_operands(d, op, form)) return false;
    op.handler = by_size(op.size, [&]<class T>() -> Handler {
        return form == Form::rm ? movbe<T, true> : movbe<T, false>;
    });
    return op.handler != nullptr;
}

// AL becomes byte AL of the table at RBX.
Flow xlat(Exec& x, const Op& op) {
    u8 value = 0;
    const u64 address = x.linear(op, x.reg<u8>(0));
    const u64 offset = address - x.s.scalar[op.segment_base];
    if (!check_access(x, op.segment, offset, 1, Access::read) ||
        !x.load(address, value, op.stack_segment)) {
        return Flow::stop;
    }
    x.set_reg<u8>(0, value);
    return Flow::next;
}

bool translate_xlat(const Decoded& d, Op& op) {
    for (unsigned i = 0; i < d.insn.operand_count; ++i) {
        if (!d.is_mem(i)) continue;
        set_memory(d[i], op);
        op.index = kNoReg;  // AL, which is added by hand
        op.handler = xlat;
        return true;
    }
    return false;
}

Flow nop(Exec&, const Op&) { return Flow::next; }

// With REX.B the opcode 90 is XCHG R8, rAX, whether F3 stands before it or not; Zydis says PAUSE.
bool translate_pause(const Decoded& d, Op& op) {
    if (d.insn.raw.rex.B == 0) return translate_plain<nop>(d, op);
    op.dst = static_cast<u8>(index_of(Reg::r8));
    op.src = static_cast<u8>(index_of(Reg::rax));
    const bool narrow = (d.insn.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0;
    op.size = d.insn.raw.rex.W != 0 ? 8 : narrow ? 2 : 4;
    op.handler = by_size(op.size, []<class T>() -> Handler { return xchg<T, false>; });
    return op.handler != nullptr;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_BSWAP, translate_bswap, "SDM 2A BSWAP"},
    {ZYDIS_MNEMONIC_LEA, translate_lea, "SDM 2A LEA"},
    {ZYDIS_MNEMONIC_MOV, translate_mov, "SDM 2B MOV"},
    {ZYDIS_MNEMONIC_MOVBE, translate_movbe, "SDM 2B MOVBE"},
    {ZYDIS_MNEMONIC_MOVNTI, translate_mov, "SDM 2B MOVNTI"},
    {ZYDIS_MNEMONIC_MOVSX, translate_extend<true>, "SDM 2B MOVSX"},
    {ZYDIS_MNEMONIC_MOVSXD, translate_extend<true>, "SDM 2B MOVSXD"},
    {ZYDIS_MNEMONIC_MOVZX, translate_extend<false>, "SDM 2B MOVZX"},
    {ZYDIS_MNEMONIC_NOP, translate_plain<nop>, "SDM 2B NOP"},
    {ZYDIS_MNEMONIC_PAUSE, translate_pause, "SDM 2B PAUSE"},
    {ZYDIS_MNEMONIC_PREFETCHNTA, translate_plain<nop>, "SDM 2B PREFETCHh"},
    {ZYDIS_MNEMONIC_PREFETCHT0, translate_plain<nop>, "SDM 2B PREFETCHh"},
    {ZYDIS_MNEMONIC_PREFETCHT1, translate_plain<nop>, "SDM 2B PREFETCHh"},
    {ZYDIS_MNEMONIC_PREFETCHT2, translate_plain<nop>, "SDM 2B PREFETCHh"},
    {ZYDIS_MNEMONIC_PREFETCHW, translate_plain<nop>, "SDM 2B PREFETCHW"},
    {ZYDIS_MNEMONIC_XCHG, translate_xchg, "SDM 2D XCHG"},
    {ZYDIS_MNEMONIC_XLAT, translate_xlat, "SDM 2D XLAT"},
};

}  // namespace

std::span<const InsnRow> move_rows() { return kRows; }

}  // namespace vtlsim::sim
