// The instruction rows: one per mnemonic, at the end of the file of its family.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "sim/decode/op.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::sim {

// Chooses the handler and fills the operands of an Op whose length, size and prefixes are set.
// False: this form of the instruction is not modelled.
using Translate = bool (*)(const Decoded&, Op&);

struct InsnRow {
    ZydisMnemonic mnemonic;
    Translate translate;
    std::string_view manual;
};

std::span<const InsnRow> arithmetic_rows();
std::span<const InsnRow> bit_rows();
std::span<const InsnRow> bmi_rows();
std::span<const InsnRow> conditional_rows();
std::span<const InsnRow> control_rows();
std::span<const InsnRow> fpu_state_rows();
std::span<const InsnRow> io_rows();
std::span<const InsnRow> legacy_rows();
std::span<const InsnRow> logic_rows();
std::span<const InsnRow> mmx_rows();
std::span<const InsnRow> move_rows();
std::span<const InsnRow> multiply_rows();
std::span<const InsnRow> protection_rows();
std::span<const InsnRow> segment_move_rows();
std::span<const InsnRow> shift_rows();
std::span<const InsnRow> sse_approximate_rows();
std::span<const InsnRow> sse_convert_rows();
std::span<const InsnRow> sse_float_rows();
std::span<const InsnRow> sse_integer_rows();
std::span<const InsnRow> sse_move_rows();
std::span<const InsnRow> sse_shuffle_rows();
std::span<const InsnRow> sse_string_rows();
std::span<const InsnRow> stack_rows();
std::span<const InsnRow> string_rows();
std::span<const InsnRow> system_call_rows();
std::span<const InsnRow> system_rows();
std::span<const InsnRow> x87_arithmetic_rows();
std::span<const InsnRow> x87_compare_rows();
std::span<const InsnRow> x87_control_rows();
std::span<const InsnRow> x87_move_rows();
std::span<const InsnRow> x87_transcendental_rows();
std::span<const InsnRow> xsave_rows();

// A file of this folder, without its ".cpp".
struct InsnFamily {
    std::string_view name;
    std::span<const InsnRow> (*rows)();
};
// All families in alphabetical order, and all their rows.
std::span<const InsnFamily> families();
std::vector<InsnRow> all_rows();
// The row of a mnemonic; null where nothing is modelled.
const InsnRow* find_row(ZydisMnemonic mnemonic);

// The handler of everything without a row: the outcome NotModelled with the instruction's text.
Flow not_modelled(Exec& x, const Op& op);

}  // namespace vtlsim::sim
