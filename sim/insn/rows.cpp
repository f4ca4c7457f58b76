#include "sim/insn/rows.hpp"

#include "sim/asm/disassembler.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::sim {
namespace {

constexpr auto kFamilies = {
    arithmetic_rows, bit_rows,   conditional_rows, control_rows,  fpu_state_rows,
    io_rows,         logic_rows, move_rows,        multiply_rows, shift_rows,
    sse_move_rows,   stack_rows, string_rows,      system_rows,
};

}  // namespace

std::vector<InsnRow> all_rows() {
    std::vector<InsnRow> rows;
    for (const auto family : kFamilies) {
        const auto part = family();
        rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
}

const InsnRow* find_row(ZydisMnemonic mnemonic) {
    static const auto by_mnemonic = [] {
        std::array<const InsnRow*, ZYDIS_MNEMONIC_MAX_VALUE + 1> table{};
        for (const auto family : kFamilies) {
            for (const InsnRow& row : family()) table[row.mnemonic] = &row;
        }
        return table;
    }();
    return by_mnemonic[mnemonic];
}

Flow not_modelled(Exec& x, const Op& op) {
    const u64 rip = x.s[Reg::rip] + op.offset;
    return x.not_modelled(disassemble(x.cpu->peek_code(rip, op.length), rip, AsmMode::bits64));
}

}  // namespace vtlsim::sim
