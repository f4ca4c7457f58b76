// Zydis' view of one instruction while its Op is being made.
#pragma once

#include <Zydis/Zydis.h>

namespace vtlsim::sim {

struct Decoded {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    const ZydisDecodedOperand& operator[](unsigned i) const { return operands[i]; }
    bool is_reg(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER; }
    bool is_mem(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY; }
    bool is_imm(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE; }
    unsigned visible() const { return insn.operand_count_visible; }
};

}  // namespace vtlsim::sim
