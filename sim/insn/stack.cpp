// PUSH POP PUSHF POPF ENTER LEAVE.
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

template <class T>
Flow push_value(Exec& x, T value) {
    const u64 rsp = x.s[Reg::rsp] - sizeof(T);
    if (!x.store(rsp, value, true)) return Flow::stop;
    x.s[Reg::rsp] = rsp;
    return Flow::next;
}

template <class T>
bool pop_value(Exec& x, T& value) {
    if (!x.load(x.s[Reg::rsp], value, true)) return false;
    x.s[Reg::rsp] += sizeof(T);
    return true;
}

template <class T>
Flow push_reg(Exec& x, const Op& op) {
    return push_value<T>(x, x.reg<T>(op.src));
}
template <class T>
Flow push_imm(Exec& x, const Op& op) {
    return push_value<T>(x, static_cast<T>(op.imm));
}
template <class T>
Flow push_mem(Exec& x, const Op& op) {
    T value{};
    if (!x.load_operand(op, value)) return Flow::stop;
    return push_value<T>(x, value);
}

template <class T>
Flow pop_reg(Exec& x, const Op& op) {
    T value{};
    if (!pop_value(x, value)) return Flow::stop;
    x.set_reg<T>(op.dst, value);
    return Flow::next;
}
// The address is computed with the incremented RSP (SDM 2B POP).
template <class T>
Flow pop_mem(Exec& x, const Op& op) {
    const u64 rsp = x.s[Reg::rsp];
    T value{};
    if (!pop_value(x, value)) return Flow::stop;
    if (x.store_operand(op, value)) return Flow::next;
    x.s[Reg::rsp] = rsp;
    return Flow::stop;
}

// Only 16- and 64-bit stack operations exist in 64-bit mode (SDM 2B PUSH).
template <class Make>
Handler by_stack_size(unsigned size, Make make) {
    if (size == 2) return make.template operator()<u16>();
    if (size == 8) return make.template operator()<u64>();
    return nullptr;
}

bool translate_push(const Decoded& d, Op& op) {
    if (d.is_reg(0)) {
        // FS and GS are pushed as their selectors, which sit in 64-bit slots already.
        op.src = is_gpr(d[0].reg.value)
                     ? gpr_slot(d[0].reg.value)
                     : static_cast<u8>(index_of(selector_of(segment_of(d[0].reg.value))));
        op.handler = by_stack_size(op.size, []<class T>() -> Handler { return push_reg<T>; });
    } else if (d.is_imm(0)) {
        op.imm = static_cast<u64>(d[0].imm.value.s);
        op.handler = by_stack_size(op.size, []<class T>() -> Handler { return push_imm<T>; });
    } else {
        set_memory(d[0], op);
        op.handler = by_stack_size(op.size, []<class T>() -> Handler { return push_mem<T>; });
    }
    return op.handler != nullptr;
}

bool translate_pop(const Decoded& d, Op& op) {
    if (d.is_reg(0)) {
        if (!is_gpr(d[0].reg.value)) return false;
        op.dst = gpr_slot(d[0].reg.value);
        op.handler = by_stack_size(op.size, []<class T>() -> Handler { return pop_reg<T>; });
    } else {
        set_memory(d[0], op);
        op.handler = by_stack_size(op.size, []<class T>() -> Handler { return pop_mem<T>; });
    }
    return op.handler != nullptr;
}

template <class T>
Flow pushf(Exec& x, const Op&) {
    // VM and RF are pushed as 0 (SDM 2B PUSHF).
    return push_value<T>(x, static_cast<T>(x.rflags() & ~(flag::vm | flag::rf)));
}

template <class T>
Flow popf(Exec& x, const Op& op) {
    T image{};
    if (!pop_value(x, image)) return Flow::stop;
    // SDM 2B POPF table 4-15, protected mode: IOPL only at CPL 0, IF only with CPL <= IOPL; RF is
    // cleared, VIP and VIF too by the 64-bit form, VM never changes.
    const u64 old = x.rflags();
    u64 writable = flag::kStatus | flag::tf | flag::df | flag::nt;
    if constexpr (sizeof(T) > 2) writable |= flag::ac | flag::id;
    if (x.cpl() == 0) writable |= flag::iopl;
    if (x.cpl() <= (old >> 12 & 3)) writable |= flag::if_;
    u64 kept = old & ~writable;
    if constexpr (sizeof(T) > 2) kept &= ~(flag::rf | flag::vif | flag::vip);
    x.set_rflags(kept | (image & writable));
    x.s[Reg::rip] = x.next_rip(op);  // leave the block: IF and TF are looked at between blocks
    return Flow::branch;
}

bool translate_pushf(const Decoded&, Op& op) {
    op.handler = by_stack_size(op.size, []<class T>() -> Handler { return pushf<T>; });
    return op.handler != nullptr;
}
bool translate_popf(const Decoded&, Op& op) {
    op.handler = by_stack_size(op.size, []<class T>() -> Handler { return popf<T>; });
    return op.handler != nullptr;
}

// imm: the frame's size; disp: the nesting level. Everything is checked before RSP and RBP move.
template <class T>
Flow enter(Exec& x, const Op& op) {
    constexpr u8 kRbp = static_cast<u8>(index_of(Reg::rbp));
    const u64 rbp = x.s[Reg::rbp];
    u64 rsp = x.s[Reg::rsp] - sizeof(T);
    if (!x.store(rsp, x.reg<T>(kRbp), true)) return Flow::stop;
    const u64 frame = rsp;
    const u64 level = op.disp % 32;
    for (u64 i = 1; i < level; ++i) {
        T outer{};
        if (!x.load(rbp - i * sizeof(T), outer, true)) return Flow::stop;
        rsp -= sizeof(T);
        if (!x.store(rsp, outer, true)) return Flow::stop;
    }
    if (level != 0) {
        rsp -= sizeof(T);
        if (!x.store(rsp, static_cast<T>(frame), true)) return Flow::stop;
    }
    rsp -= op.imm;
    // The new top must be writable (SDM 2A ENTER).
    if (!x.probe(rsp, sizeof(T), Access::write, true)) return Flow::stop;
    x.s[Reg::rsp] = rsp;
    x.set_reg<T>(kRbp, static_cast<T>(frame));
    return Flow::next;
}

bool translate_enter(const Decoded& d, Op& op) {
    op.imm = d[0].imm.value.u;
    op.disp = d[1].imm.value.u;
    op.handler = by_stack_size(op.size, []<class T>() -> Handler { return enter<T>; });
    return op.handler != nullptr;
}

template <class T>
Flow leave(Exec& x, const Op&) {
    const u64 rbp = x.s[Reg::rbp];
    T value{};
    if (!x.load(rbp, value, true)) return Flow::stop;
    x.s[Reg::rsp] = rbp + sizeof(T);
    x.set_reg<T>(static_cast<u8>(index_of(Reg::rbp)), value);
    return Flow::next;
}

bool translate_leave(const Decoded&, Op& op) {
    op.handler = by_stack_size(op.size, []<class T>() -> Handler { return leave<T>; });
    return op.handler != nullptr;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_ENTER, translate_enter, "SDM 2A ENTER"},
    {ZYDIS_MNEMONIC_LEAVE, translate_leave, "SDM 2A LEAVE"},
    {ZYDIS_MNEMONIC_POP, translate_pop, "SDM 2B POP"},
    {ZYDIS_MNEMONIC_POPF, translate_popf, "SDM 2B POPF"},
    {ZYDIS_MNEMONIC_POPFQ, translate_popf, "SDM 2B POPFQ"},
    {ZYDIS_MNEMONIC_PUSH, translate_push, "SDM 2B PUSH"},
    {ZYDIS_MNEMONIC_PUSHF, translate_pushf, "SDM 2B PUSHF"},
    {ZYDIS_MNEMONIC_PUSHFQ, translate_pushf, "SDM 2B PUSHFQ"},
};

}  // namespace

std::span<const InsnRow> stack_rows() { return kRows; }

}  // namespace vtlsim::sim
