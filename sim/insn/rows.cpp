#include "sim/insn/rows.hpp"

#include "sim/asm/disassembler.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::sim {
namespace {

constexpr InsnFamily kFamilies[] = {
    {"arithmetic", arithmetic_rows},
    {"bit", bit_rows},
    {"bmi", bmi_rows},
    {"conditional", conditional_rows},
    {"control", control_rows},
    {"fpu_state", fpu_state_rows},
    {"io", io_rows},
    {"legacy", legacy_rows},
    {"logic", logic_rows},
    {"mmx", mmx_rows},
    {"move", move_rows},
    {"multiply", multiply_rows},
    {"protection", protection_rows},
    {"segment_move", segment_move_rows},
    {"shift", shift_rows},
    {"sse_approximate", sse_approximate_rows},
    {"sse_convert", sse_convert_rows},
    {"sse_float", sse_float_rows},
    {"sse_integer", sse_integer_rows},
    {"sse_move", sse_move_rows},
    {"sse_shuffle", sse_shuffle_rows},
    {"sse_string", sse_string_rows},
    {"stack", stack_rows},
    {"string", string_rows},
    {"system", system_rows},
    {"system_call", system_call_rows},
    {"x87_arithmetic", x87_arithmetic_rows},
    {"x87_compare", x87_compare_rows},
    {"x87_control", x87_control_rows},
    {"x87_move", x87_move_rows},
    {"x87_transcendental", x87_transcendental_rows},
    {"xsave", xsave_rows},
};

}  // namespace

std::span<const InsnFamily> families() { return kFamilies; }

std::vector<InsnRow> all_rows() {
    std::vector<InsnRow> rows;
    for (const InsnFamily& family : kFamilies) {
        const auto part = family.rows();
        rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
}

const InsnRow* find_row(ZydisMnemonic mnemonic) {
    static const auto by_mnemonic = [] {
        std::array<const InsnRow*, ZYDIS_MNEMONIC_MAX_VALUE + 1> table{};
        for (const InsnFamily& family : kFamilies) {
            for (const InsnRow& row : family.rows()) table[row.mnemonic] = &row;
        }
        return table;
    }();
    return by_mnemonic[mnemonic];
}

Flow not_modelled(Exec& x, const Op& op) {
    const u64 rip = x.s[Reg::rip] + op.offset;
    const AsmMode mode = x.long_code             ? AsmMode::bits64
                         : is_32bit(x.code_mode) ? AsmMode::bits32
                                                 : AsmMode::bits16;
    return x.not_modelled(disassemble(x.cpu->peek_code(x.code_base() + rip, op.length), rip, mode));
}

}  // namespace vtlsim::sim
