// Zydis' view of one instruction while its Op is being made.
#pragma once

#include <Zydis/Zydis.h>

#include "sim/types.hpp"

namespace vtlsim::sim {

struct Decoded {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    u64 position = 0;  // of the instruction in its block, counted in instructions

    const ZydisDecodedOperand& operator[](unsigned i) const { return operands[i]; }
    bool is_reg(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER; }
    bool is_mem(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY; }
    bool is_imm(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE; }
    unsigned visible() const { return insn.operand_count_visible; }

    // Zydis 4.0 takes R13D for the base of a 32-bit address whose SIB says that there is none:
    // REX.B is not looked at then (SDM 2A table 2-5, footnote).
    void mend_base() {
        const bool none =
            insn.raw.sib.offset != 0 && insn.raw.modrm.mod == 0 && insn.raw.sib.base == 5;
        if (!none) return;
        for (ZydisDecodedOperand& operand : operands) {
            if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
                operand.mem.base == ZYDIS_REGISTER_R13D) {
                operand.mem.base = ZYDIS_REGISTER_NONE;
                operand.mem.disp = {ZYAN_TRUE, insn.raw.disp.value};
            }
        }
    }
};

}  // namespace vtlsim::sim
