#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <utility>

#include "sim/asm/statement.hpp"
#include "sim/nearest.hpp"

namespace vtlsim::sim::assembly {
namespace {

constexpr std::size_t kMaxOperands = ZYDIS_ENCODER_MAX_OPERANDS;

struct UnitDirective {
    std::string_view name;
    StatementKind kind;
    u8 bytes;
};
constexpr std::array<UnitDirective, 8> kUnitDirectives{{{"db", StatementKind::data, 1},
                                                        {"dw", StatementKind::data, 2},
                                                        {"dd", StatementKind::data, 4},
                                                        {"dq", StatementKind::data, 8},
                                                        {"resb", StatementKind::reserve, 1},
                                                        {"resw", StatementKind::reserve, 2},
                                                        {"resd", StatementKind::reserve, 4},
                                                        {"resq", StatementKind::reserve, 8}}};

const UnitDirective* unit_directive(std::string_view lower) {
    for (const UnitDirective& directive : kUnitDirectives)
        if (directive.name == lower) return &directive;
    return nullptr;
}

constexpr std::array<std::string_view, 6> kOtherDirectives{"align", "bits",  "default",
                                                           "org",   "times", "equ"};

// nasm directives that have no meaning in one flat text.
constexpr std::array<std::string_view, 7> kUnsupported{"section", "segment", "global", "extern",
                                                       "common",  "struc",   "incbin"};

template <typename List>
bool contains(const List& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_directive(std::string_view lower) {
    return unit_directive(lower) != nullptr || contains(kOtherDirectives, lower);
}

// o16 and its like: the size in bits when `name` is one with this first letter.
u8 size_prefix(std::string_view name, char letter) {
    if (name.size() != 3 || name[0] != letter) return 0;
    const std::string_view bits = name.substr(1);
    if (bits == "16") return 16;
    if (bits == "32") return 32;
    return bits == "64" ? 64 : 0;
}

bool is_prefix(std::string_view lower) {
    return find_prefix(lower) != 0 || size_prefix(lower, 'o') != 0 || size_prefix(lower, 'a') != 0;
}

class ProgramParser final : public SymbolNames {
  public:
    ProgramParser(const AsmOptions& options, Diagnostics& errors)
        : mode_(options.mode), errors_(errors) {
        for (const auto& [name, value] : options.symbols) {
            Symbol& symbol = program_.symbols[symbol_id(name)];
            symbol.predefined = true;
            symbol.predefined_value = value;
        }
    }

    Program run(std::string_view text) {
        u32 line_number = 0;
        std::vector<Token> tokens;
        while (!text.empty() && !errors_.full()) {
            const std::size_t end = std::min(text.find('\n'), text.size());
            ++line_number;
            if (tokenize(text.substr(0, end), line_number, tokens, errors_)) {
                TokenCursor cursor{tokens, line_number};
                parse_line(cursor);
            }
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        return std::move(program_);
    }

    u32 symbol_id(std::string_view name) override {
        std::string full(name);
        if (name.size() > 1 && name.front() == '.') full.insert(0, outer_label_);
        const auto next = static_cast<u32>(program_.symbols.size());
        const auto [found, inserted] = ids_.emplace(std::move(full), next);
        if (inserted) {
            Symbol symbol;
            symbol.name = found->first;
            program_.symbols.push_back(std::move(symbol));
        }
        return found->second;
    }

  private:
    void parse_line(TokenCursor& cursor) {
        Statement statement;
        statement.mode = mode_;
        statement.line = cursor.line;
        statement.column = cursor.peek().column;
        const bool parsed = label(cursor, statement) && body(cursor, statement);
        if (!parsed) statement.kind = StatementKind::empty;
        if (statement.kind != StatementKind::empty || statement.symbol != kNoSymbol)
            program_.statements.push_back(std::move(statement));
    }

    // A label needs its colon, except in front of a data directive or equ: a misspelt mnemonic
    // must not become a label.
    bool label(TokenCursor& cursor, Statement& statement) {
        const Token& name = cursor.peek();
        if (name.kind != TokenKind::identifier) return true;
        const Token& after = cursor.peek(1);
        const std::string directive =
            after.kind == TokenKind::identifier ? to_lower(after.text) : std::string();
        const bool is_equ = directive == "equ";
        const bool colon = after.is(":");
        if (!colon && (is_directive(to_lower(name.text)) || !names_data(cursor, directive)))
            return true;
        cursor.next();
        if (colon) cursor.next();
        const bool equ_follows = is_equ || (colon && to_lower(cursor.peek().text) == "equ");
        return define(name, !equ_follows, statement, cursor.line);
    }

    static bool names_data(const TokenCursor& cursor, std::string_view directive) {
        return directive == "equ" || unit_directive(directive) != nullptr ||
               (directive == "times" && !is_prefix(to_lower(cursor.peek().text)));
    }

    bool define(const Token& name, bool is_label, Statement& statement, u32 line) {
        const std::string lower = to_lower(name.text);
        if (find_asm_register(lower))
            return fail(line, name, "register " + lower + " cannot be the name of a label");
        if (name.text.front() == '.' && is_label && outer_label_.empty())
            return fail(line, name, "local label " + quoted(name.text) + " has no label before it");
        const auto id = symbol_id(name.text);
        if (is_label && name.text.front() != '.') outer_label_ = name.text;
        Symbol& symbol = program_.symbols[id];
        if (symbol.predefined)
            return fail(line, name, quoted(symbol.name) + " is already a predefined constant");
        if (symbol.line != 0)
            return fail(
                line, name,
                quoted(symbol.name) + " is already defined in line " + std::to_string(symbol.line));
        symbol.line = line;
        symbol.is_label = is_label;
        symbol.statement = static_cast<u32>(program_.statements.size());
        statement.symbol = id;
        return true;
    }

    bool body(TokenCursor& cursor, Statement& statement) {
        const bool bracketed = cursor.peek().is("[") && cursor.tokens.size() > 2;
        if (bracketed) cursor.next();
        const Token& first = cursor.peek();
        if (first.kind == TokenKind::end) return true;
        if (first.kind != TokenKind::identifier) {
            return fail(cursor.line, first,
                        first.is("%")
                            ? "preprocessor lines are not supported"
                            : "an instruction or directive is expected, not " + quoted(first.text));
        }
        if (!operation(cursor, statement)) return false;
        if (bracketed && !cursor.take("]")) return fail(cursor.line, cursor.peek(), "']' expected");
        if (cursor.peek().kind == TokenKind::end) return true;
        return fail(cursor.line, cursor.peek(),
                    "unexpected " + quoted(cursor.peek().text) + " at the end of the line");
    }

    bool operation(TokenCursor& cursor, Statement& statement) {
        const Token& first = cursor.peek();
        const std::string word = to_lower(first.text);
        statement.column = first.column;
        if (const UnitDirective* directive = unit_directive(word)) {
            cursor.next();
            statement.kind = directive->kind;
            statement.unit_bytes = directive->bytes;
            return directive->kind == StatementKind::data ? data_items(cursor, statement)
                                                          : argument(cursor, statement);
        }
        if (contains(kOtherDirectives, word)) {
            cursor.next();
            return other_directive(word, first, cursor, statement);
        }
        if (contains(kUnsupported, word))
            return fail(cursor.line, first,
                        word + " is not supported: the text is one flat piece of memory");
        statement.kind = StatementKind::instruction;
        return instruction(cursor, statement);
    }

    bool other_directive(const std::string& word, const Token& token, TokenCursor& cursor,
                         Statement& statement) {
        if (word == "times") return times(token, cursor, statement);
        if (statement.times)
            return fail(cursor.line, token, word + " cannot be repeated with times");
        if (word == "bits") return bits(cursor);
        if (word == "default") return default_address(cursor);
        if (word == "equ") {
            if (statement.symbol == kNoSymbol || program_.symbols[statement.symbol].is_label)
                return fail(cursor.line, token, "equ needs a name in front of it");
            statement.kind = StatementKind::equ;
            return argument(cursor, statement);
        }
        statement.kind = word == "org" ? StatementKind::org : StatementKind::align;
        if (word == "align") statement.fill = 0x90;
        if (!argument(cursor, statement)) return false;
        return word == "org" || !cursor.take(",") || align_fill(cursor, statement);
    }

    // `align n, db value` or `align n, resb 1`
    bool align_fill(TokenCursor& cursor, Statement& statement) {
        const Token& kind = cursor.next();
        const Token& value = cursor.next();
        const std::string word = to_lower(kind.text);
        const bool zero = word == "resb" && value.value == 1;
        if (value.kind != TokenKind::number || value.value > 0xff || (word != "db" && !zero))
            return fail(cursor.line, kind, "the padding of align is 'db' and a byte, or 'resb 1'");
        statement.fill = zero ? u8{0} : static_cast<u8>(value.value);
        return true;
    }

    bool times(const Token& token, TokenCursor& cursor, Statement& statement) {
        if (statement.times) return fail(cursor.line, token, "times cannot be nested");
        statement.times = parse_expression(cursor, *this, false, errors_);
        if (!statement.times) return false;
        if (cursor.peek().kind != TokenKind::identifier)
            return fail(cursor.line, cursor.peek(), "times needs something to repeat");
        return operation(cursor, statement);
    }

    bool bits(TokenCursor& cursor) {
        const Token& width = cursor.next();
        if (width.kind == TokenKind::number && width.value == 16) {
            mode_ = AsmMode::bits16;
        } else if (width.kind == TokenKind::number && width.value == 32) {
            mode_ = AsmMode::bits32;
        } else if (width.kind == TokenKind::number && width.value == 64) {
            mode_ = AsmMode::bits64;
        } else {
            return fail(cursor.line, width, "bits takes 16, 32 or 64");
        }
        return true;
    }

    bool default_address(TokenCursor& cursor) {
        const Token& word = cursor.next();
        const std::string lower = to_lower(word.text);
        if (lower != "rel" && lower != "abs")
            return fail(cursor.line, word, "default takes rel or abs");
        default_address_ = lower == "rel" ? AddressKind::relative : AddressKind::absolute;
        return true;
    }

    bool argument(TokenCursor& cursor, Statement& statement) {
        statement.argument = parse_expression(cursor, *this, false, errors_);
        return statement.argument.has_value();
    }

    bool data_items(TokenCursor& cursor, Statement& statement) {
        do {
            DataItem item;
            const Token& token = cursor.peek();
            const Token& after = cursor.peek(1);
            const bool alone = after.is(",") || after.kind == TokenKind::end;
            item.column = token.column;
            if (token.kind == TokenKind::string && alone) {
                item.bytes = token.bytes;
                const std::size_t unit = statement.unit_bytes;
                item.bytes.resize((item.bytes.size() + unit - 1) / unit * unit);
                cursor.next();
            } else if (token.kind == TokenKind::real || after.kind == TokenKind::real) {
                if (!real_item(cursor, statement, item)) return false;
            } else {
                item.value = parse_expression(cursor, *this, false, errors_);
                if (!item.value) return false;
            }
            statement.data.push_back(std::move(item));
        } while (cursor.take(","));
        return true;
    }

    bool real_item(TokenCursor& cursor, const Statement& statement, DataItem& item) {
        const bool negative = cursor.take("-");
        const Token& token = cursor.peek();
        if (token.kind != TokenKind::real || statement.unit_bytes < 4)
            return fail(cursor.line, token,
                        "a floating-point number can only be an item of dd or dq");
        cursor.next();
        double value = 0;
        std::memcpy(&value, &token.value, sizeof value);
        if (negative) value = -value;
        item.bytes.resize(statement.unit_bytes);
        if (statement.unit_bytes == sizeof(float)) {
            const auto narrow = static_cast<float>(value);
            std::memcpy(item.bytes.data(), &narrow, sizeof narrow);
        } else {
            std::memcpy(item.bytes.data(), &value, sizeof value);
        }
        return true;
    }

    bool instruction(TokenCursor& cursor, Statement& statement) {
        Instruction& instruction = statement.instruction;
        std::string word = to_lower(cursor.peek().text);
        for (; is_prefix(word); word = to_lower(cursor.peek().text)) {
            instruction.prefixes |= find_prefix(word);
            if (const u8 bits = size_prefix(word, 'o')) instruction.operand_bits = bits;
            if (const u8 bits = size_prefix(word, 'a')) instruction.address_bits = bits;
            cursor.next();
            if (cursor.peek().kind != TokenKind::identifier)
                return fail(cursor.line, cursor.peek(), word + " needs an instruction after it");
        }
        const Token& token = cursor.next();
        statement.column = token.column;
        const auto name = find_mnemonic(word, mode_, instruction.operand_bits);
        if (!name) return unknown_instruction(token, word, cursor.line);
        instruction.name = *name;
        instruction.text = word;
        if (name->operand_bits != 0 || name->has_width)
            instruction.operand_bits = name->operand_bits;
        if (cursor.peek().kind == TokenKind::end || cursor.peek().is("]")) {
            instruction.name.mnemonic = without_operands(name->mnemonic);
            return true;
        }
        do {
            if (instruction.operands.size() == kMaxOperands)
                return fail(
                    cursor.line, cursor.peek(),
                    "an instruction has at most " + std::to_string(kMaxOperands) + " operands");
            auto operand = parse_operand(cursor, *this, default_address_, errors_);
            if (!operand) return false;
            const bool to_register = operand->to_register;
            instruction.operands.push_back(std::move(*operand));
            if (to_register) instruction.operands.push_back(top_of_stack());
        } while (cursor.take(","));
        return true;
    }

    static Operand top_of_stack() {
        Operand operand;
        operand.kind = OperandKind::reg;
        operand.reg = ZYDIS_REGISTER_ST0;
        return operand;
    }

    bool unknown_instruction(const Token& token, std::string_view word, u32 line) {
        std::vector<std::string_view> known(mnemonic_names().begin(), mnemonic_names().end());
        known.insert(known.end(), kOtherDirectives.begin(), kOtherDirectives.end());
        for (const UnitDirective& directive : kUnitDirectives) known.push_back(directive.name);
        std::string message = "unknown instruction " + quoted(word);
        if (const auto near = nearest_name(word, known); !near.empty())
            message += "; did you mean " + quoted(near) + "?";
        return fail(line, token, std::move(message));
    }

    bool fail(u32 line, const Token& token, std::string message) {
        errors_.add(line, token.column, std::move(message));
        return false;
    }

    AsmMode mode_;
    AddressKind default_address_ = AddressKind::relative;
    Diagnostics& errors_;
    Program program_;
    std::string outer_label_;
    std::map<std::string, u32, std::less<>> ids_;
};

}  // namespace

Program parse_program(std::string_view text, const AsmOptions& options, Diagnostics& errors) {
    return ProgramParser(options, errors).run(text);
}

}  // namespace vtlsim::sim::assembly
