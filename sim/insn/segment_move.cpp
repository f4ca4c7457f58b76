// Loads and stores of segment registers: MOV PUSH POP, LDS LES LFS LGS LSS.
#include "sim/exec/segment.hpp"
#include "sim/exec/stack.hpp"
#include "sim/insn/far.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

// dst: the segment's number. Interrupts stay off for one instruction after SS is loaded.
Flow load_and_shadow(Exec& x, const Op& op, u16 selector) {
    const Seg seg = static_cast<Seg>(op.dst);
    if (!load_segment(x, seg, selector)) return Flow::stop;
    if (seg == Seg::ss) {
        x.s[Reg::shadow] = 2;
        x.shadow_set = true;
    }
    x.s[Reg::rip] = x.next_rip(op);
    return Flow::branch;
}

template <bool Memory>
Flow mov_to_segment(Exec& x, const Op& op) {
    u16 selector = x.reg<u16>(op.src);
    if (Memory && !x.load_operand(op, selector)) return Flow::stop;
    return load_and_shadow(x, op, selector);
}

Flow pop_segment(Exec& x, const Op& op) {
    Stack stack(x);
    u64 selector = 0;
    if (!stack.pop(selector, op.size)) return Flow::stop;
    const Flow flow = load_and_shadow(x, op, static_cast<u16>(selector));
    if (flow == Flow::branch) stack.commit();
    return flow;
}

// src: slot of the selector.
Flow push_segment(Exec& x, const Op& op) {
    Stack stack(x);
    if (!stack.push(x.s.scalar[op.src] & 0xFFFF, op.size)) return Flow::stop;
    stack.commit();
    return Flow::next;
}

// LDS and its like: imm is the segment's number, dst the general register. Two accesses, the
// offset's and the selector's: each has its own segment check, and the selector's address is cut to
// the address size again (as CPUs do it; the SDM names no order).
template <class T>
Flow load_far_pointer(Exec& x, const Op& op) {
    T offset{};
    u16 selector = 0;
    const u64 base = x.s.scalar[op.segment_base];
    const u64 first = x.linear(op);
    const u64 second = x.linear(op, sizeof(T));
    if (!check_access(x, op.segment, first - base, sizeof(T), Access::read) ||
        !x.load(first, offset, op.stack_segment) ||
        !check_access(x, op.segment, second - base, sizeof(selector), Access::read) ||
        !x.load(second, selector, op.stack_segment) ||
        !load_segment(x, static_cast<Seg>(op.imm), selector)) {
        return Flow::stop;
    }
    x.set_reg<T>(op.dst, offset);
    x.s[Reg::rip] = x.next_rip(op);
    return Flow::branch;
}

template <Seg S>
bool translate_far_pointer(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d[0].size / 8);
    op.dst = gpr_slot(d[0].reg.value);
    op.imm = static_cast<u64>(S);
    set_memory(d[1], op);
    op.handler = by_size(op.size, []<class T>() -> Handler { return load_far_pointer<T>; });
    return op.handler != nullptr;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_LDS, translate_far_pointer<Seg::ds>, "SDM 2A LDS"},
    {ZYDIS_MNEMONIC_LES, translate_far_pointer<Seg::es>, "SDM 2A LES"},
    {ZYDIS_MNEMONIC_LFS, translate_far_pointer<Seg::fs>, "SDM 2A LFS"},
    {ZYDIS_MNEMONIC_LGS, translate_far_pointer<Seg::gs>, "SDM 2A LGS"},
    {ZYDIS_MNEMONIC_LSS, translate_far_pointer<Seg::ss>, "SDM 2A LSS"},
};

}  // namespace

std::span<const InsnRow> segment_move_rows() { return kRows; }

bool translate_mov_segment(const Decoded& d, Op& op) {
    const Seg seg = segment_of(d[0].reg.value);
    if (seg == Seg::cs) return false;
    op.dst = static_cast<u8>(seg);
    if (d.is_mem(1)) {
        set_memory(d[1], op);
    } else {
        op.src = gpr_slot(d[1].reg.value);
    }
    op.handler = d.is_mem(1) ? mov_to_segment<true> : mov_to_segment<false>;
    return true;
}

bool translate_pop_segment(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d.insn.operand_width / 8);
    op.dst = static_cast<u8>(segment_of(d[0].reg.value));
    op.handler = pop_segment;
    return true;
}

bool translate_push_segment(const Decoded& d, Op& op) {
    op.size = static_cast<u8>(d.insn.operand_width / 8);
    op.src = static_cast<u8>(index_of(selector_of(segment_of(d[0].reg.value))));
    op.handler = push_segment;
    return true;
}

}  // namespace vtlsim::sim
