// Near control transfer: JMP Jcc LOOPcc JRCXZ CALL RET, the software interrupts, UD.
#include "sim/exec/stack.hpp"
#include "sim/insn/far.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

// RIP after a near branch: cut to the operand size, then within CS or canonical; else #GP(0) on the
// branch itself (SDM 2A JMP).
bool fits(Exec& x, const Op& op, u64& target) {
    bool good = true;
    if (x.long_code) {
        good = Exec::canonical(target);
    } else {
        target &= op.size == 2 ? 0xFFFF : 0xFFFFFFFF;
        good = target <= x.s[Reg::cs_limit];
    }
    if (!good) x.fault(Vector::gp, 0);
    return good;
}

Flow go(Exec& x, const Op& op, u64 target) {
    if (!fits(x, op, target)) return Flow::stop;
    x.s[Reg::rip] = target;
    return Flow::branch;
}

// Outside of 64-bit mode.
[[gnu::noinline]] bool push_return(Exec& x, const Op& op) {
    Stack stack(x);
    if (!stack.push(x.next_rip(op), op.size)) return false;
    stack.commit();
    return true;
}
[[gnu::noinline]] Flow ret_checked(Exec& x, const Op& op) {
    u64 target = 0;
    Stack stack(x);
    if (!stack.pop(target, op.size) || !fits(x, op, target)) return Flow::stop;
    stack.skip(op.imm);
    stack.commit();
    x.s[Reg::rip] = target;
    return Flow::branch;
}

enum class Target : u8 { relative, reg, memory };

template <Target T>
bool target_of(Exec& x, const Op& op, u64& target) {
    if constexpr (T == Target::relative) target = x.next_rip(op) + op.imm;
    if constexpr (T == Target::reg) target = x.reg<u64>(op.dst);
    if constexpr (T == Target::memory) {
        return x.load_slow(x.linear(op), &target, op.size, op.stack_segment);
    }
    return true;
}

bool push_return64(Exec& x, const Op& op) {
    const u64 rsp = x.s[Reg::rsp] - 8;
    if (!x.store(rsp, x.next_rip(op), true)) return false;
    x.s[Reg::rsp] = rsp;
    return true;
}
bool pop_return64(Exec& x, const Op& op, u64& target) {
    const u64 rsp = x.s[Reg::rsp];
    if (!x.load(rsp, target, true) || !fits(x, op, target)) return false;
    x.s[Reg::rsp] = rsp + 8 + op.imm;
    return true;
}

template <Target T>
Flow jmp(Exec& x, const Op& op) {
    u64 target = 0;
    if (!target_of<T>(x, op, target)) return Flow::stop;
    return go(x, op, target);
}

template <Target T>
Flow call(Exec& x, const Op& op) {
    u64 target = 0;
    if (!target_of<T>(x, op, target) || !fits(x, op, target)) return Flow::stop;
    if (!(x.long_code ? push_return64(x, op) : push_return(x, op))) return Flow::stop;
    x.s[Reg::rip] = target;
    return Flow::branch;
}

Flow ret(Exec& x, const Op& op) {
    if (!x.long_code) return ret_checked(x, op);
    u64 target = 0;
    if (!pop_return64(x, op, target)) return Flow::stop;
    x.s[Reg::rip] = target;
    return Flow::branch;
}

// --- the same in a chain of 64-bit code ----------------------------------------------------------
Flow chain_jmp(Exec& x, const Op& op) { return go_near(x, op, x.next_rip(op) + op.imm, 1); }

Flow chain_jmp_reg(Exec& x, const Op& op) {
    const u64 target = x.reg<u64>(op.dst);
    if (!Exec::canonical(target)) return leave(x, op, x.fault(Vector::gp, 0));
    return go_anywhere(x, op, target);
}

// The link is read after the store, which may have dropped this block.
Flow chain_call(Exec& x, const Op& op) {
    const u64 target = x.next_rip(op) + op.imm;
    if (!Exec::canonical(target)) return leave(x, op, x.fault(Vector::gp, 0));
    if (!push_return64(x, op)) return leave(x, op, Flow::stop);
    return go_near(x, op, target, 1);
}

Flow chain_ret(Exec& x, const Op& op) {
    u64 target = 0;
    if (!pop_return64(x, op, target)) return leave(x, op, Flow::stop);
    return go_anywhere(x, op, target);
}

// Only a branch that is taken is cut to the operand size (SDM 2A Jcc).
Flow go_if(Exec& x, const Op& op, bool taken) {
    if (taken) return go(x, op, x.next_rip(op) + op.imm);
    x.s[Reg::rip] = x.next_rip(op) & x.ip_mask;
    return Flow::branch;
}

template <unsigned Code>
Flow jcc(Exec& x, const Op& op) {
    return go_if(x, op, condition<Code>(x.flags));
}

// Counts in RCX, or ECX with a 32-bit address size (which clears the upper half).
enum class Loop : u8 { always, while_zero, while_not_zero };

template <Loop L, class Address>
Flow loop(Exec& x, const Op& op) {
    constexpr u8 kRcx = static_cast<u8>(index_of(Reg::rcx));
    const Address count = static_cast<Address>(x.reg<Address>(kRcx) - 1);
    bool taken = count != 0;
    if constexpr (L == Loop::while_zero) taken = taken && x.flags.zf();
    if constexpr (L == Loop::while_not_zero) taken = taken && !x.flags.zf();
    const Flow flow = go_if(x, op, taken);
    if (flow == Flow::branch) x.set_reg<Address>(kRcx, count);
    return flow;
}

template <class Address>
Flow jump_if_no_count(Exec& x, const Op& op) {
    const bool taken = x.reg<Address>(static_cast<u8>(index_of(Reg::rcx))) == 0;
    return go_if(x, op, taken);
}

bool fill_target(const Decoded& d, Op& op) {
    if (d.is_imm(0)) {
        if (!d[0].imm.is_relative) return false;
        op.imm = static_cast<u64>(d[0].imm.value.s);
    } else if (d.is_mem(0)) {
        set_memory(d[0], op);
    } else {
        op.dst = gpr_slot(d[0].reg.value);
    }
    return true;
}

bool is_far(const Decoded& d) { return d.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR; }

bool translate_jmp(const Decoded& d, Op& op) {
    if (is_far(d)) return translate_far_jmp(d, op);
    if (!fill_target(d, op)) return false;
    if (d.is_imm(0)) return set_handlers(op, {jmp<Target::relative>, chain_jmp});
    if (d.is_reg(0)) return set_handlers(op, {jmp<Target::reg>, chain_jmp_reg});
    op.handler = jmp<Target::memory>;
    return true;
}

bool translate_call(const Decoded& d, Op& op) {
    if (is_far(d)) return translate_far_call(d, op);
    if (!fill_target(d, op)) return false;
    if (d.is_imm(0)) return set_handlers(op, {call<Target::relative>, chain_call});
    op.handler = d.is_mem(0) ? call<Target::memory> : call<Target::reg>;
    return true;
}

bool translate_ret(const Decoded& d, Op& op) {
    if (is_far(d)) return translate_far_ret(d, op);
    if (d.visible() != 0) op.imm = d[0].imm.value.u;
    return set_handlers(op, {ret, chain_ret});
}

template <unsigned Code>
bool translate_jcc(const Decoded& d, Op& op) {
    set_handlers(op, {jcc<Code>, go_near_if<Code>});
    op.is_jcc = true;
    op.src = Code;
    return fill_target(d, op);
}

template <Loop L>
bool translate_loop_as(const Decoded& d, Op& op) {
    op.handler = op.address_size == 2   ? loop<L, u16>
                 : op.address_size == 4 ? loop<L, u32>
                                        : loop<L, u64>;
    return fill_target(d, op);
}

// The manual reserves F2 and F3 here. Silicon (AMD Zen 4) takes them as those of string
// instructions: the last of them, not the opcode, says which state of ZF goes on.
template <Loop L>
bool translate_loop(const Decoded& d, Op& op) {
    Loop how = L;
    for (unsigned i = 0; L != Loop::always && i < d.insn.raw.prefix_count; ++i) {
        if (d.insn.raw.prefixes[i].value == 0xF2) how = Loop::while_not_zero;
        if (d.insn.raw.prefixes[i].value == 0xF3) how = Loop::while_zero;
    }
    return how == Loop::always       ? translate_loop_as<Loop::always>(d, op)
           : how == Loop::while_zero ? translate_loop_as<Loop::while_zero>(d, op)
                                     : translate_loop_as<Loop::while_not_zero>(d, op);
}

template <class Address>
bool translate_no_count(const Decoded& d, Op& op) {
    op.handler = jump_if_no_count<Address>;
    return fill_target(d, op);
}

// INT3 is not sensitive to IOPL in virtual-8086 mode, INT n is (SDM 3A 21.2.7).
template <bool Sensitive>
Flow software_interrupt(Exec& x, const Op& op) {
    if (Sensitive && virtual_8086(x) && !iopl3(x)) return x.fault(Vector::gp, 0);
    x.pending = Fault{.vector = static_cast<Vector>(op.imm), .software = true, .length = op.length};
    return Flow::stop;
}

bool translate_int(const Decoded& d, Op& op) {
    op.imm = d[0].imm.value.u;
    op.handler = software_interrupt<true>;
    return true;
}

bool translate_int3(const Decoded&, Op& op) {
    op.imm = static_cast<u64>(Vector::bp);
    op.handler = software_interrupt<false>;
    return true;
}

// #DB without a look at the gate's DPL (SDM 2A INT1); DR6 stays.
Flow int1(Exec& x, const Op& op) {
    x.pending = Fault{.vector = Vector::db, .length = op.length};
    return Flow::stop;
}

Flow undefined(Exec& x, const Op&) { return x.fault(Vector::ud); }

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_CALL, translate_call, "SDM 2A CALL"},
    {ZYDIS_MNEMONIC_INT, translate_int, "SDM 2A INT n"},
    {ZYDIS_MNEMONIC_INT1, translate_plain<int1>, "SDM 2A INT1"},
    {ZYDIS_MNEMONIC_INT3, translate_int3, "SDM 2A INT3"},
    {ZYDIS_MNEMONIC_JB, translate_jcc<2>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JBE, translate_jcc<6>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JCXZ, translate_no_count<u16>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JECXZ, translate_no_count<u32>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JL, translate_jcc<12>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JLE, translate_jcc<14>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JMP, translate_jmp, "SDM 2A JMP"},
    {ZYDIS_MNEMONIC_JNB, translate_jcc<3>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JNBE, translate_jcc<7>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JNL, translate_jcc<13>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JNLE, translate_jcc<15>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JNO, translate_jcc<1>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JNP, translate_jcc<11>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JNS, translate_jcc<9>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JNZ, translate_jcc<5>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JO, translate_jcc<0>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JP, translate_jcc<10>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JRCXZ, translate_no_count<u64>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JS, translate_jcc<8>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_JZ, translate_jcc<4>, "SDM 2A Jcc"},
    {ZYDIS_MNEMONIC_LOOP, translate_loop<Loop::always>, "SDM 2A LOOP"},
    {ZYDIS_MNEMONIC_LOOPE, translate_loop<Loop::while_zero>, "SDM 2A LOOPE"},
    {ZYDIS_MNEMONIC_LOOPNE, translate_loop<Loop::while_not_zero>, "SDM 2A LOOPNE"},
    {ZYDIS_MNEMONIC_RET, translate_ret, "SDM 2B RET"},
    {ZYDIS_MNEMONIC_UD0, translate_plain<undefined>, "SDM 2B UD"},
    {ZYDIS_MNEMONIC_UD1, translate_plain<undefined>, "SDM 2B UD"},
    {ZYDIS_MNEMONIC_UD2, translate_plain<undefined>, "SDM 2B UD"},
};

}  // namespace

std::span<const InsnRow> control_rows() { return kRows; }

}  // namespace vtlsim::sim
