// SSE and SSE2 moves. Legacy encodings only.
#include "sim/insn/sse_move.hpp"

#include "sim/insn/mmx.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/sse_operands.hpp"

namespace vtlsim::sim {
namespace {

// Whole-register moves. Aligned: the memory operand must be, #GP(0) otherwise.
template <bool Aligned, Form F>
Flow move128(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    if constexpr (F == Form::rr) {
        xmm(x, op.dst) = xmm(x, op.src);
        return Flow::next;
    } else {
        const u64 address = x.linear(op);
        if (Aligned && address % 16 != 0) return x.fault(Vector::gp, 0);
        if constexpr (F == Form::rm) {
            return x.load(address, xmm(x, op.dst), op.stack_segment) ? Flow::next : Flow::stop;
        }
        return x.store(address, xmm(x, op.src), op.stack_segment) ? Flow::next : Flow::stop;
    }
}

// The low 4 or 8 bytes; loads and moves from general registers clear the rest.
template <class T, Form F>
Flow move_low(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    if constexpr (F == Form::rm) {
        T value{};
        if (!x.load_operand(op, value)) return Flow::stop;
        xmm(x, op.dst) = {value, 0};
        return Flow::next;
    }
    if constexpr (F == Form::mr) {
        return x.store_operand(op, static_cast<T>(xmm(x, op.src).lo)) ? Flow::next : Flow::stop;
    }
    return Flow::next;
}

template <class T>
Flow gpr_to_xmm(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    xmm(x, op.dst) = {x.reg<T>(op.src), 0};
    return Flow::next;
}
template <class T>
Flow xmm_to_gpr(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    x.set_reg<T>(op.dst, static_cast<T>(xmm(x, op.src).lo));
    return Flow::next;
}
Flow movq_registers(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    xmm(x, op.dst) = {xmm(x, op.src).lo, 0};
    return Flow::next;
}

// MOVSS and MOVSD between registers keep the rest of the destination.
template <class T>
Flow merge_low(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    const u64 mask = static_cast<T>(~T{0});
    u64& low = xmm(x, op.dst).lo;
    low = (low & ~mask) | (xmm(x, op.src).lo & mask);
    return Flow::next;
}

// MOVLPS/MOVLPD and MOVHPS/MOVHPD: one half to or from memory, the other half stays.
template <bool High, Form F>
Flow move_half(Exec& x, const Op& op) {
    if (!sse_usable(x)) return Flow::stop;
    if constexpr (F == Form::rm) {
        u64 value = 0;
        if (!x.load_operand(op, value)) return Flow::stop;
        (High ? xmm(x, op.dst).hi : xmm(x, op.dst).lo) = value;
        return Flow::next;
    }
    const u64 value = High ? xmm(x, op.src).hi : xmm(x, op.src).lo;
    return x.store_operand(op, value) ? Flow::next : Flow::stop;
}

// Fills XMM numbers and the address. False for MMX operands.
bool set_xmm_operands(const Decoded& d, Op& op, Form& form) {
    if (d.visible() != 2) return false;
    if (is_xmm(d[0])) op.dst = vector_slot(d[0]);
    if (is_xmm(d[1])) op.src = vector_slot(d[1]);
    if (d.is_mem(0)) set_memory(d[0], op);
    if (d.is_mem(1)) set_memory(d[1], op);
    if (is_xmm(d[0]) && is_xmm(d[1])) return form = Form::rr, true;
    if (is_xmm(d[0]) && d.is_mem(1)) return form = Form::rm, true;
    if (d.is_mem(0) && is_xmm(d[1])) return form = Form::mr, true;
    return false;
}

template <bool Aligned>
bool translate_move128(const Decoded& d, Op& op) {
    Form form{};
    if (!set_xmm_operands(d, op, form)) return false;
    return set_handlers(op, form == Form::rr   ? threaded<move128<Aligned, Form::rr>>()
                            : form == Form::rm ? threaded<move128<Aligned, Form::rm>>()
                                               : threaded<move128<Aligned, Form::mr>>());
}

template <class T>
bool translate_move_scalar(const Decoded& d, Op& op) {
    Form form{};
    if (!set_xmm_operands(d, op, form)) return false;
    return set_handlers(op, form == Form::rr   ? threaded<merge_low<T>>()
                            : form == Form::rm ? threaded<move_low<T, Form::rm>>()
                                               : threaded<move_low<T, Form::mr>>());
}

bool translate_movd_movq(const Decoded& d, Op& op) {
    if (is_mmx(d[0]) || is_mmx(d[1])) return translate_movd_movq_mmx(d, op);
    const bool wide = (is_xmm(d[0]) ? d[1] : d[0]).size == 64 || (is_xmm(d[0]) && is_xmm(d[1]));
    if (is_xmm(d[0]) && d.is_reg(1) && is_gpr(d[1].reg.value)) {
        op.dst = vector_slot(d[0]);
        op.src = gpr_slot(d[1].reg.value);
        op.handler = wide ? gpr_to_xmm<u64> : gpr_to_xmm<u32>;
        return true;
    }
    if (is_xmm(d[1]) && d.is_reg(0) && is_gpr(d[0].reg.value)) {
        op.dst = gpr_slot(d[0].reg.value);
        op.src = vector_slot(d[1]);
        op.handler = wide ? xmm_to_gpr<u64> : xmm_to_gpr<u32>;
        return true;
    }
    Form form{};
    if (!set_xmm_operands(d, op, form)) return false;
    if (form == Form::rr) {
        op.handler = movq_registers;
    } else if (wide) {
        op.handler = form == Form::rm ? move_low<u64, Form::rm> : move_low<u64, Form::mr>;
    } else {
        op.handler = form == Form::rm ? move_low<u32, Form::rm> : move_low<u32, Form::mr>;
    }
    return true;
}

template <bool High>
bool translate_half(const Decoded& d, Op& op) {
    Form form{};
    if (!set_xmm_operands(d, op, form) || form == Form::rr) return false;
    op.handler = form == Form::rm ? move_half<High, Form::rm> : move_half<High, Form::mr>;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_LDDQU, translate_move128<false>, "SDM 2A LDDQU"},
    {ZYDIS_MNEMONIC_MOVAPD, translate_move128<true>, "SDM 2B MOVAPD"},
    {ZYDIS_MNEMONIC_MOVAPS, translate_move128<true>, "SDM 2B MOVAPS"},
    {ZYDIS_MNEMONIC_MOVD, translate_movd_movq, "SDM 2B MOVD"},
    {ZYDIS_MNEMONIC_MOVDQA, translate_move128<true>, "SDM 2B MOVDQA"},
    {ZYDIS_MNEMONIC_MOVDQU, translate_move128<false>, "SDM 2B MOVDQU"},
    {ZYDIS_MNEMONIC_MOVHPD, translate_half<true>, "SDM 2B MOVHPD"},
    {ZYDIS_MNEMONIC_MOVHPS, translate_half<true>, "SDM 2B MOVHPS"},
    {ZYDIS_MNEMONIC_MOVLPD, translate_half<false>, "SDM 2B MOVLPD"},
    {ZYDIS_MNEMONIC_MOVLPS, translate_half<false>, "SDM 2B MOVLPS"},
    {ZYDIS_MNEMONIC_MOVNTDQ, translate_move128<true>, "SDM 2B MOVNTDQ"},
    {ZYDIS_MNEMONIC_MOVNTDQA, translate_move128<true>, "SDM 2B MOVNTDQA"},
    {ZYDIS_MNEMONIC_MOVNTPD, translate_move128<true>, "SDM 2B MOVNTPD"},
    {ZYDIS_MNEMONIC_MOVNTPS, translate_move128<true>, "SDM 2B MOVNTPS"},
    {ZYDIS_MNEMONIC_MOVQ, translate_movd_movq, "SDM 2B MOVQ"},
    {ZYDIS_MNEMONIC_MOVSS, translate_move_scalar<u32>, "SDM 2B MOVSS"},
    {ZYDIS_MNEMONIC_MOVUPD, translate_move128<false>, "SDM 2B MOVUPD"},
    {ZYDIS_MNEMONIC_MOVUPS, translate_move128<false>, "SDM 2B MOVUPS"},
};

}  // namespace

bool is_sse(const Decoded& d) { return is_xmm(d[0]) || is_xmm(d[1]); }
bool translate_movsd_sse(const Decoded& d, Op& op) { return translate_move_scalar<u64>(d, op); }

std::span<const InsnRow> sse_move_rows() { return kRows; }

}  // namespace vtlsim::sim
