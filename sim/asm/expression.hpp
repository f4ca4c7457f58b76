// Expressions: parsed once into postfix order, evaluated in every layout pass.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include <Zydis/Zydis.h>

#include "sim/asm/diagnostics.hpp"
#include "sim/asm/lexer.hpp"
#include "sim/types.hpp"

namespace vtlsim::sim::assembly {

enum class ExprOp : u8 {
    number,
    symbol,  // value: id given by SymbolNames
    here,    // $
    start,   // $$
    reg,     // value: ZydisRegister; only inside [ ]
    negate,
    invert,
    add,
    subtract,
    multiply,
    divide,
    remainder,
    signed_divide,
    signed_remainder,
    bit_and,
    bit_or,
    bit_xor,
    shift_left,
    shift_right,
};

struct ExprItem {
    ExprOp op = ExprOp::number;
    u64 value = 0;
    u32 column = 0;
};

struct Expression {
    u32 column = 0;
    std::vector<ExprItem> items;
};

// Gives each name in the text its id; a name starting with `.` belongs to the label before it.
class SymbolNames {
  public:
    virtual ~SymbolNames() = default;
    virtual u32 symbol_id(std::string_view name) = 0;
};

// The tokens of a line with a reading position; the last token is always `end`.
struct TokenCursor {
    const std::vector<Token>& tokens;
    u32 line = 0;
    std::size_t at = 0;

    const Token& peek(std::size_t ahead = 0) const {
        return tokens[at + ahead < tokens.size() ? at + ahead : tokens.size() - 1];
    }
    const Token& next() {
        const Token& token = peek();
        if (at + 1 < tokens.size()) ++at;
        return token;
    }
    bool take(std::string_view punctuation) {
        if (!peek().is(punctuation)) return false;
        next();
        return true;
    }
};

// Reads one expression; reports and returns nothing when there is none.
std::optional<Expression> parse_expression(TokenCursor& cursor, SymbolNames& names,
                                           bool registers_allowed, Diagnostics& errors);

struct RegisterTerm {
    ZydisRegister reg = ZYDIS_REGISTER_NONE;
    u64 factor = 1;
    bool scaled = false;  // written with a `*`, so meant as the index
};

// The value of an expression: a constant plus, inside [ ], up to two registers.
struct Value {
    u64 constant = 0;
    std::array<RegisterTerm, 2> terms{};
    u8 term_count = 0;
    // How many label addresses are in the sum: 1 for `label+4`, 0 for `end-start`.
    int labels = 0;
    // The value may change while the layout settles, even when `labels` is 0.
    bool moves = false;
};

struct SymbolValue {
    u64 value = 0;
    int labels = 0;
    bool moves = false;
};

// What the names and `$` of an expression stand for at one place of the text.
class EvaluationScope {
  public:
    virtual ~EvaluationScope() = default;
    virtual u64 here() const = 0;
    virtual u64 start() const = 0;
    virtual std::optional<SymbolValue> symbol(u32 id, u32 column) = 0;  // reports when unknown
    virtual void fail(u32 column, std::string message) = 0;
};

std::optional<Value> evaluate(const Expression& expression, EvaluationScope& scope);

}  // namespace vtlsim::sim::assembly
