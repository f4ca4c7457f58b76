// From decoded operands to Op fields, and the operand forms that most families share.
#pragma once

#include "sim/exec/chain.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::sim {

// The slot of a general-purpose register in an Op: an index, or for 8-bit ones a byte offset.
constexpr u8 gpr_slot(ZydisRegister r) {
    if (r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15) {
        return static_cast<u8>(r - ZYDIS_REGISTER_RAX);
    }
    if (r >= ZYDIS_REGISTER_EAX && r <= ZYDIS_REGISTER_R15D) {
        return static_cast<u8>(r - ZYDIS_REGISTER_EAX);
    }
    if (r >= ZYDIS_REGISTER_AX && r <= ZYDIS_REGISTER_R15W) {
        return static_cast<u8>(r - ZYDIS_REGISTER_AX);
    }
    if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH) {
        return static_cast<u8>((r - ZYDIS_REGISTER_AH) * 8 + 1);
    }
    if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_BL) {
        return static_cast<u8>((r - ZYDIS_REGISTER_AL) * 8);
    }
    if (r >= ZYDIS_REGISTER_SPL && r <= ZYDIS_REGISTER_R15B) {
        return static_cast<u8>((r - ZYDIS_REGISTER_SPL + 4) * 8);
    }
    return kNoReg;
}
constexpr bool is_gpr(ZydisRegister r) { return r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_R15; }
constexpr Seg segment_of(ZydisRegister r) { return static_cast<Seg>(r - ZYDIS_REGISTER_ES); }

// The address part of an Op. 64-bit mode: only FS and GS have a base (SDM 1 3.4.2.1).
inline void set_memory(const ZydisDecodedOperand& operand, Op& op) {
    const auto& m = operand.mem;
    op.segment = segment_of(m.segment);
    op.stack_segment = op.segment == Seg::ss;
    if (op.segment == Seg::fs || op.segment == Seg::gs) {
        op.segment_base = static_cast<u8>(index_of(base_of(op.segment)));
    }
    op.disp = m.disp.has_displacement ? static_cast<u64>(m.disp.value) : 0;
    if (m.base == ZYDIS_REGISTER_RIP || m.base == ZYDIS_REGISTER_EIP) {
        op.base = static_cast<u8>(index_of(Reg::rip));  // the block's start while it executes
        op.disp += op.next;
    } else if (m.base != ZYDIS_REGISTER_NONE) {
        op.base = gpr_slot(m.base);
    }
    if (m.index != ZYDIS_REGISTER_NONE) {
        op.index = gpr_slot(m.index);
        op.scale = static_cast<u8>(std::countr_zero(static_cast<unsigned>(m.scale)));
    }
    if (op.address_size == 4) op.address_mask = 0xFFFFFFFF;
    if (op.address_size == 2) op.address_mask = 0xFFFF;
}

enum class Form : u8 { rr, rm, mr, ri, mi };

// Fills dst, src, imm and the address of a two-operand instruction. False: some other form.
inline bool set_two_operands(const Decoded& d, Op& op, Form& form) {
    if (d.visible() != 2) return false;
    op.size = static_cast<u8>(d[0].size / 8);
    if (d.is_reg(0)) {
        if (!is_gpr(d[0].reg.value)) return false;
        op.dst = gpr_slot(d[0].reg.value);
    } else if (d.is_mem(0)) {
        set_memory(d[0], op);
    }
    if (d.is_reg(1)) {
        if (!is_gpr(d[1].reg.value)) return false;
        op.src = gpr_slot(d[1].reg.value);
    } else if (d.is_mem(1)) {
        set_memory(d[1], op);
    } else if (d.is_imm(1)) {
        op.imm = d[1].imm.is_signed ? static_cast<u64>(d[1].imm.value.s) : d[1].imm.value.u;
    }
    if (d.is_reg(0) && d.is_reg(1)) form = Form::rr;
    if (d.is_reg(0) && d.is_mem(1)) form = Form::rm;
    if (d.is_mem(0) && d.is_reg(1)) form = Form::mr;
    if (d.is_reg(0) && d.is_imm(1)) form = Form::ri;
    if (d.is_mem(0) && d.is_imm(1)) form = Form::mi;
    return true;
}

// Calls make.operator()<T>() with the unsigned type of that many bytes; null for other sizes.
template <class Make>
auto by_size(unsigned size, Make make) -> decltype(make.template operator()<u8>()) {
    switch (size) {
        case 1:
            return make.template operator()<u8>();
        case 2:
            return make.template operator()<u16>();
        case 4:
            return make.template operator()<u32>();
        case 8:
            return make.template operator()<u64>();
        default:
            return {};
    }
}

// The same with Handlers, into `op`. False: no such size.
template <class Make>
bool set_by_size(Op& op, unsigned size, Make make) {
    return set_handlers(op, by_size(size, make));
}

// --- two operands: dst = dst OP src
// --------------------------------------------------------------- Operation::apply<T>(Exec&, a, b)
// gives the result and sets flags; kWrites tells whether the result is stored (CMP and TEST only
// set flags).
template <class Operation, class T, Form F>
Flow binary(Exec& x, const Op& op) {
    T b{};
    if constexpr (F == Form::rr || F == Form::mr) b = x.reg<T>(op.src);
    if constexpr (F == Form::ri || F == Form::mi) b = static_cast<T>(op.imm);
    if constexpr (F == Form::rm) {
        if (!x.load_operand(op, b)) return Flow::stop;
    }
    if constexpr (F == Form::mr || F == Form::mi) {
        const u64 address = x.linear(op);
        T a{};
        const bool loaded = Operation::kWrites ? x.load_for_store(address, a, op.stack_segment)
                                               : x.load(address, a, op.stack_segment);
        if (!loaded) return Flow::stop;
        const T r = Operation::template apply<T>(x, a, b);
        if (Operation::kWrites && !x.store(address, r, op.stack_segment)) return Flow::stop;
    } else {
        const T r = Operation::template apply<T>(x, x.reg<T>(op.dst), b);
        if (Operation::kWrites) x.set_reg<T>(op.dst, r);
    }
    return Flow::next;
}

// Joined with a Jcc: what stores nothing, and where it is common.
template <class Operation, class T, Form F>
constexpr Handlers binary_handlers() {
    constexpr bool kStores = Operation::kWrites && (F == Form::mr || F == Form::mi);
    constexpr bool kCommon = !Operation::kWrites || (F != Form::rm && sizeof(T) > 2);
    if constexpr (!kStores && kCommon && sizeof(T) != 2) {
        return threaded_with_jcc<binary<Operation, T, F>>();
    } else {
        return threaded<binary<Operation, T, F>>();
    }
}

template <class Operation>
bool translate_binary(const Decoded& d, Op& op) {
    Form form{};
    if (!set_two_operands(d, op, form)) return false;
    return set_by_size(op, op.size, [&]<class T>() -> Handlers {
        switch (form) {
            case Form::rr:
                return binary_handlers<Operation, T, Form::rr>();
            case Form::rm:
                return binary_handlers<Operation, T, Form::rm>();
            case Form::mr:
                return binary_handlers<Operation, T, Form::mr>();
            case Form::ri:
                return binary_handlers<Operation, T, Form::ri>();
            case Form::mi:
                return binary_handlers<Operation, T, Form::mi>();
        }
        return {};
    });
}

// --- one operand: dst = OP dst
// --------------------------------------------------------------------
template <class Operation, class T, bool Memory>
Flow unary(Exec& x, const Op& op) {
    if constexpr (Memory) {
        const u64 address = x.linear(op);
        T a{};
        if (!x.load_for_store(address, a, op.stack_segment)) return Flow::stop;
        if (!x.store(address, Operation::template apply<T>(x, a), op.stack_segment)) {
            return Flow::stop;
        }
    } else {
        x.set_reg<T>(op.dst, Operation::template apply<T>(x, x.reg<T>(op.dst)));
    }
    return Flow::next;
}

template <class Operation>
bool translate_unary(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d[0].size / 8);
    if (d.is_mem(0)) {
        set_memory(d[0], op);
        return set_by_size(op, op.size, []<class T>() -> Handlers {
            return threaded<unary<Operation, T, true>>();
        });
    }
    op.dst = gpr_slot(d[0].reg.value);
    return set_by_size(op, op.size, []<class T>() -> Handlers {
        if constexpr (sizeof(T) < 4) {
            return threaded<unary<Operation, T, false>>();
        } else {
            return threaded_with_jcc<unary<Operation, T, false>>();
        }
    });
}

// An instruction whose operands are all implied or unused.
template <Flow (*Body)(Exec&, const Op&)>
bool translate_plain(const Decoded&, Op& op) {
    op.handler = Body;
    return true;
}

}  // namespace vtlsim::sim
