// What one line of text asks for, and the reader that makes it from tokens.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/asm/assembler.hpp"
#include "sim/asm/names.hpp"
#include "sim/asm/operand.hpp"
#include "sim/types.hpp"

namespace vtlsim::sim::assembly {

struct Instruction {
    MnemonicName name;
    std::string text;  // the mnemonic as written, in lower case, for messages
    ZydisInstructionAttributes prefixes = 0;
    u8 operand_bits = 0;  // o16, o32, o64; 0 when none
    u8 address_bits = 0;  // a16, a32, a64; 0 when none
    std::vector<Operand> operands;
};

// One item of db, dw, dd or dq: an expression, or else bytes (a string or a floating number).
struct DataItem {
    std::optional<Expression> value;
    std::string bytes;
    u32 column = 0;
};

enum class StatementKind : u8 {
    empty,  // only a label
    instruction,
    data,
    reserve,  // argument: how many units of unit_bytes
    align,    // argument: the power of two
    org,      // argument: the address
    equ,      // argument: the value
};

inline constexpr u32 kNoSymbol = ~u32{0};

struct Statement {
    StatementKind kind = StatementKind::empty;
    AsmMode mode = AsmMode::bits64;
    u32 line = 0;
    u32 column = 0;
    u32 symbol = kNoSymbol;  // the label of the line, or the name equ gives
    u8 unit_bytes = 1;       // data, reserve
    u8 fill = 0;             // align
    std::optional<Expression> times;
    std::optional<Expression> argument;
    Instruction instruction;
    std::vector<DataItem> data;
};

// A name of the text. Ids are indices into Program::symbols.
struct Symbol {
    std::string name;
    bool predefined = false;
    u64 predefined_value = 0;
    u32 statement = kNoSymbol;  // the index of the statement defining it
    bool is_label = false;
    u32 line = 0;
};

struct Program {
    std::vector<Statement> statements;
    std::vector<Symbol> symbols;
};

// Reads the whole text; a line with an error is reported and left out, except for its label.
Program parse_program(std::string_view text, const AsmOptions& options, Diagnostics& errors);

}  // namespace vtlsim::sim::assembly
