// SETcc and CMOVcc.
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

template <unsigned Code, bool Memory>
Flow set(Exec& x, const Op& op) {
    const u8 value = condition<Code>(x.flags) ? 1 : 0;
    if constexpr (Memory) return x.store_operand(op, value) ? Flow::next : Flow::stop;
    x.set_reg<u8>(op.dst, value);
    return Flow::next;
}

template <unsigned Code>
bool translate_set(const Decoded& d, Op& op) {
    if (d.is_mem(0)) {
        set_memory(d[0], op);
        return set_handlers(op, threaded<set<Code, true>>());
    }
    op.dst = gpr_slot(d[0].reg.value);
    return set_handlers(op, threaded<set<Code, false>>());
}

// The source is read, and may fault, whatever the condition; the 32-bit form clears the upper half
// of its destination even when nothing is moved (SDM 2A CMOVcc).
template <unsigned Code, class T, bool Memory>
Flow cmov(Exec& x, const Op& op) {
    T value{};
    if constexpr (Memory) {
        if (!x.load_operand(op, value)) return Flow::stop;
    } else {
        value = x.reg<T>(op.src);
    }
    x.set_reg<T>(op.dst, condition<Code>(x.flags) ? value : x.reg<T>(op.dst));
    return Flow::next;
}

template <unsigned Code>
bool translate_cmov(const Decoded& d, Op& op) {
    Form form{};
    if (!set_two_operands(d, op, form)) return false;
    return set_by_size(op, op.size, [&]<class T>() -> Handlers {
        return form == Form::rm ? threaded<cmov<Code, T, true>>()
                                : threaded<cmov<Code, T, false>>();
    });
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_CMOVB, translate_cmov<2>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVBE, translate_cmov<6>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVL, translate_cmov<12>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVLE, translate_cmov<14>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVNB, translate_cmov<3>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVNBE, translate_cmov<7>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVNL, translate_cmov<13>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVNLE, translate_cmov<15>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVNO, translate_cmov<1>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVNP, translate_cmov<11>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVNS, translate_cmov<9>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVNZ, translate_cmov<5>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVO, translate_cmov<0>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVP, translate_cmov<10>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVS, translate_cmov<8>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_CMOVZ, translate_cmov<4>, "SDM 2A CMOVcc"},
    {ZYDIS_MNEMONIC_SETB, translate_set<2>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETBE, translate_set<6>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETL, translate_set<12>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETLE, translate_set<14>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETNB, translate_set<3>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETNBE, translate_set<7>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETNL, translate_set<13>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETNLE, translate_set<15>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETNO, translate_set<1>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETNP, translate_set<11>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETNS, translate_set<9>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETNZ, translate_set<5>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETO, translate_set<0>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETP, translate_set<10>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETS, translate_set<8>, "SDM 2B SETcc"},
    {ZYDIS_MNEMONIC_SETZ, translate_set<4>, "SDM 2B SETcc"},
};

}  // namespace

std::span<const InsnRow> conditional_rows() { return kRows; }

}  // namespace vtlsim::sim
