// PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE.
#include "sim/exec/stack.hpp"

#include <optional>

#include "sim/insn/far.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

// Outside of 64-bit mode.
[[gnu::noinline]] Flow push_checked(Exec& x, u64 value, unsigned size) {
    Stack stack(x);
    if (!stack.push(value, size)) return Flow::stop;
    stack.commit();
    return Flow::next;
}
[[gnu::noinline]] std::optional<u64> pop_checked(Exec& x, unsigned size) {
    Stack stack(x);
    u64 value = 0;
    if (!stack.pop(value, size)) return std::nullopt;
    stack.commit();
    return value;
}

template <class T>
Flow push_value(Exec& x, T value) {
    if (!x.long_code) return push_checked(x, value, sizeof(T));
    const u64 rsp = x.s[Reg::rsp] - sizeof(T);
    if (!x.store(rsp, value, true)) return Flow::stop;
    x.s[Reg::rsp] = rsp;
    return Flow::next;
}

template <class T>
bool pop_value(Exec& x, T& value) {
    if (!x.long_code) {
        const std::optional<u64> popped = pop_checked(x, sizeof(T));
        if (popped) value = static_cast<T>(*popped);
        return popped.has_value();
    }
    if (!x.load(x.s[Reg::rsp], value, true)) return false;
    x.s[Reg::rsp] += sizeof(T);
    return true;
}

constexpr u8 kRbp = static_cast<u8>(index_of(Reg::rbp));
constexpr u8 kRsp = static_cast<u8>(index_of(Reg::rsp));

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
    const u64 address = x.linear(op);
    const u64 offset = address - x.s.scalar[op.segment_base];
    if (check_access(x, op.segment, offset, sizeof(T), Access::write) &&
        x.store(address, value, op.stack_segment)) {
        return Flow::next;
    }
    x.s[Reg::rsp] = rsp;
    return Flow::stop;
}

// 16 bits always exist, 64 bits in 64-bit mode only, 32 bits elsewhere only (SDM 2B PUSH): the
// decoder knows which.
template <class Make>
Handler by_stack_size(unsigned size, Make make) {
    return size == 1 ? nullptr : by_size(size, make);
}
template <class Make>
bool set_by_stack_size(Op& op, Make make) {
    return op.size != 1 && set_by_size(op, op.size, make);
}

bool translate_push(const Decoded& d, Op& op) {
    if (d.is_reg(0)) {
        if (!is_gpr(d[0].reg.value)) return translate_push_segment(d, op);
        op.src = gpr_slot(d[0].reg.value);
        return set_by_stack_size(op, []<class T>() { return threaded<push_reg<T>>(); });
    }
    if (d.is_imm(0)) {
        op.imm = static_cast<u64>(d[0].imm.value.s);
        return set_by_stack_size(op, []<class T>() { return threaded<push_imm<T>>(); });
    }
    set_memory(d[0], op);
    return set_by_stack_size(op, []<class T>() { return threaded<push_mem<T>>(); });
}

bool translate_pop(const Decoded& d, Op& op) {
    if (d.is_reg(0)) {
        if (!is_gpr(d[0].reg.value)) return translate_pop_segment(d, op);
        op.dst = gpr_slot(d[0].reg.value);
        return set_by_stack_size(op, []<class T>() { return threaded<pop_reg<T>>(); });
    }
    set_memory(d[0], op);
    return set_by_stack_size(op, []<class T>() { return threaded<pop_mem<T>>(); });
}

// Virtual-8086 mode without CR4.VME: IOPL 3 or #GP(0) (SDM 3A 21.2.7).
bool may_see_flags(Exec& x) {
    if (!virtual_8086(x) || iopl3(x)) return true;
    x.fault(Vector::gp, 0);
    return false;
}

template <class T>
Flow pushf(Exec& x, const Op&) {
    if (!may_see_flags(x)) return Flow::stop;
    // VM and RF are pushed as 0 (SDM 2B PUSHF).
    return push_value<T>(x, static_cast<T>(x.rflags() & ~(flag::vm | flag::rf)));
}

template <class T>
Flow popf(Exec& x, const Op& op) {
    if (!may_see_flags(x)) return Flow::stop;
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

// Goes through ENTER's accesses in their order; stores and leaves the new frame in `frame` only if
// all are allowed. An outer frame pointer may be one that has just been pushed.
template <class T>
bool push_frames(Exec& x, const Op& op, bool store, Stack& stack, u64& frame) {
    const auto push = [&](u64 value) {
        const bool pushed = stack.push(value, sizeof(T));
        if (store) stack.store();
        return pushed;
    };
    if (!push(x.reg<T>(kRbp))) return false;
    frame = stack.top();
    const u64 level = op.disp % 32;
    for (u64 i = 1; i < level; ++i) {
        u64 outer = 0;
        if (!stack.peek(x.s[Reg::rbp] - i * sizeof(T), outer, sizeof(T)) || !push(outer)) {
            return false;
        }
    }
    if (level != 0 && !push(frame)) return false;
    stack.move_to(stack.top() - op.imm);
    return stack.writable_top(sizeof(T));  // the new top, too (SDM 2A ENTER)
}

// imm: the frame's size; disp: the nesting level.
template <class T>
Flow enter(Exec& x, const Op& op) {
    u64 frame = 0;
    Stack trial(x);
    if (!push_frames<T>(x, op, false, trial, frame)) return Flow::stop;
    Stack stack(x);
    push_frames<T>(x, op, true, stack, frame);
    stack.commit();
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
    Stack stack(x);
    stack.move_to(x.s[Reg::rbp]);
    u64 value = 0;
    if (!stack.pop(value, sizeof(T))) return Flow::stop;
    stack.commit();
    x.set_reg<T>(kRbp, static_cast<T>(value));
    return Flow::next;
}

bool translate_leave(const Decoded&, Op& op) {
    op.handler = by_stack_size(op.size, []<class T>() -> Handler { return leave<T>; });
    return op.handler != nullptr;
}

// AX CX DX BX, the SP of before, BP SI DI: register numbers upwards.
template <class T>
Flow pusha(Exec& x, const Op&) {
    Stack stack(x);
    for (u8 i = 0; i < 8; ++i) {
        if (!stack.push(x.reg<T>(i), sizeof(T))) return Flow::stop;
    }
    stack.commit();
    return Flow::next;
}
// The image of SP is skipped.
template <class T>
Flow popa(Exec& x, const Op&) {
    Stack stack(x);
    std::array<u64, 8> values{};
    for (u8 i = 8; i-- > 0;) {
        if (!stack.pop(values[i], sizeof(T))) return Flow::stop;
    }
    for (u8 i = 0; i < 8; ++i) {
        if (i != kRsp) x.set_reg<T>(i, static_cast<T>(values[i]));
    }
    stack.commit();
    return Flow::next;
}

template <class T>
bool translate_pusha(const Decoded&, Op& op) {
    op.handler = pusha<T>;
    return true;
}
template <class T>
bool translate_popa(const Decoded&, Op& op) {
    op.handler = popa<T>;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_ENTER, translate_enter, "SDM 2A ENTER"},
    {ZYDIS_MNEMONIC_LEAVE, translate_leave, "SDM 2A LEAVE"},
    {ZYDIS_MNEMONIC_POP, translate_pop, "SDM 2B POP"},
    {ZYDIS_MNEMONIC_POPA, translate_popa<u16>, "SDM 2B POPA"},
    {ZYDIS_MNEMONIC_POPAD, translate_popa<u32>, "SDM 2B POPAD"},
    {ZYDIS_MNEMONIC_POPF, translate_popf, "SDM 2B POPF"},
    {ZYDIS_MNEMONIC_POPFD, translate_popf, "SDM 2B POPFD"},
    {ZYDIS_MNEMONIC_POPFQ, translate_popf, "SDM 2B POPFQ"},
    {ZYDIS_MNEMONIC_PUSH, translate_push, "SDM 2B PUSH"},
    {ZYDIS_MNEMONIC_PUSHA, translate_pusha<u16>, "SDM 2B PUSHA"},
    {ZYDIS_MNEMONIC_PUSHAD, translate_pusha<u32>, "SDM 2B PUSHAD"},
    {ZYDIS_MNEMONIC_PUSHF, translate_pushf, "SDM 2B PUSHF"},
    {ZYDIS_MNEMONIC_PUSHFD, translate_pushf, "SDM 2B PUSHFD"},
    {ZYDIS_MNEMONIC_PUSHFQ, translate_pushf, "SDM 2B PUSHFQ"},
};

}  // namespace

std::span<const InsnRow> stack_rows() { return kRows; }

}  // namespace vtlsim::sim
