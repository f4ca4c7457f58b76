#include "sim/asm/expression.hpp"

#include <utility>

#include "sim/asm/names.hpp"

namespace vtlsim::sim::assembly {
namespace {

// Deeper nesting than this is refused, so that the parser's recursion is bounded.
constexpr int kMaxNesting = 64;

struct BinaryOperator {
    std::string_view text;
    ExprOp op;
    int precedence;
};
constexpr std::array<BinaryOperator, 12> kBinaryOperators{{
    {"|", ExprOp::bit_or, 1},
    {"^", ExprOp::bit_xor, 2},
    {"&", ExprOp::bit_and, 3},
    {"<<", ExprOp::shift_left, 4},
    {">>", ExprOp::shift_right, 4},
    {"+", ExprOp::add, 5},
    {"-", ExprOp::subtract, 5},
    {"*", ExprOp::multiply, 6},
    {"/", ExprOp::divide, 6},
    {"%", ExprOp::remainder, 6},
    {"//", ExprOp::signed_divide, 6},
    {"%%", ExprOp::signed_remainder, 6},
}};

const BinaryOperator* binary_operator(const Token& token) {
    if (token.kind != TokenKind::punctuation) return nullptr;
    for (const BinaryOperator& candidate : kBinaryOperators)
        if (candidate.text == token.text) return &candidate;
    return nullptr;
}

// 'ab' as a number: the first character is the lowest byte, as in memory.
std::optional<u64> character_constant(std::string_view bytes) {
    if (bytes.size() > 8) return std::nullopt;
    u64 value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;)
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

class ExpressionParser {
  public:
    ExpressionParser(TokenCursor& cursor, SymbolNames& names, bool registers_allowed,
                     Diagnostics& errors)
        : cursor_(cursor), names_(names), registers_allowed_(registers_allowed), errors_(errors) {}

    std::optional<Expression> run() {
        result_.column = cursor_.peek().column;
        if (!binary(0, 0)) return std::nullopt;
        return std::move(result_);
    }

  private:
    bool binary(int min_precedence, int depth) {
        if (!unary(depth)) return false;
        for (;;) {
            const Token& token = cursor_.peek();
            const BinaryOperator* found = binary_operator(token);
            if (found == nullptr || found->precedence <= min_precedence) return true;
            cursor_.next();
            if (!binary(found->precedence, depth)) return false;
            push(found->op, 0, token);
        }
    }

    bool unary(int depth) {
        const Token& token = cursor_.peek();
        if (depth > kMaxNesting)
            return fail(token, "the expression is nested more than " + std::to_string(kMaxNesting) +
                                   " deep");
        if (cursor_.take("+")) return unary(depth + 1);
        if (cursor_.take("-")) return unary(depth + 1) && push(ExprOp::negate, 0, token);
        if (cursor_.take("~")) return unary(depth + 1) && push(ExprOp::invert, 0, token);
        if (cursor_.take("(")) {
            if (!binary(0, depth + 1)) return false;
            if (cursor_.take(")")) return true;
            return fail(cursor_.peek(), "')' expected");
        }
        return atom(token);
    }

    bool atom(const Token& token) {
        switch (token.kind) {
            case TokenKind::number:
                cursor_.next();
                return push(ExprOp::number, token.value, token);
            case TokenKind::string: {
                const auto value = character_constant(token.bytes);
                if (!value) return fail(token, "a character constant has at most 8 characters");
                cursor_.next();
                return push(ExprOp::number, *value, token);
            }
            case TokenKind::identifier:
                return name(token);
            case TokenKind::real:
                return fail(token, "a floating-point number can only be an item of dd or dq");
            case TokenKind::punctuation:
                if (cursor_.take("$")) return push(ExprOp::here, 0, token);
                if (cursor_.take("$$")) return push(ExprOp::start, 0, token);
                break;
            case TokenKind::end:
                break;
        }
        return fail(token, token.kind == TokenKind::end
                               ? "an expression is missing here"
                               : "an expression cannot start with " + quoted(token.text));
    }

    bool name(const Token& token) {
        const std::string lower = to_lower(token.text);
        if (const auto reg = find_asm_register(lower)) {
            if (!registers_allowed_)
                return fail(token, "register " + lower + " cannot be part of an expression here");
            cursor_.next();
            return push(ExprOp::reg, static_cast<u64>(*reg), token);
        }
        if (lower == "rip" || lower == "eip")
            return fail(token, "write [rel label] for an address relative to " + lower);
        if (token.text == ".") return fail(token, "'.' is not a name");
        cursor_.next();
        return push(ExprOp::symbol, names_.symbol_id(token.text), token);
    }

    bool push(ExprOp op, u64 value, const Token& token) {
        result_.items.push_back({op, value, token.column});
        return true;
    }

    bool fail(const Token& token, std::string message) {
        errors_.add(cursor_.line, token.column, std::move(message));
        return false;
    }

    TokenCursor& cursor_;
    SymbolNames& names_;
    bool registers_allowed_;
    Diagnostics& errors_;
    Expression result_;
};

// Adds `factor` times the registers of `from` to `to`; false when there are more than two.
bool add_terms(Value& to, const Value& from, bool subtract) {
    for (u8 i = 0; i < from.term_count; ++i) {
        const RegisterTerm& term = from.terms[i];
        const u64 factor = subtract ? ~term.factor + 1 : term.factor;
        u8 k = 0;
        while (k < to.term_count && to.terms[k].reg != term.reg) ++k;
        if (k == to.terms.size()) return false;
        if (k == to.term_count) {
            to.terms[to.term_count++] = {term.reg, factor, term.scaled};
        } else {
            to.terms[k].factor += factor;
            to.terms[k].scaled = true;
        }
    }
    return true;
}

bool scale_terms(Value& value, u64 factor) {
    for (u8 i = 0; i < value.term_count; ++i) {
        value.terms[i].factor *= factor;
        value.terms[i].scaled = true;
    }
    return true;
}

u64 signed_quotient(u64 a, u64 b, bool remainder) {
    if (b == ~u64{0}) return remainder ? 0 : ~a + 1;  // also the one signed overflow, MIN / -1
    const auto x = static_cast<i64>(a);
    const auto y = static_cast<i64>(b);
    return static_cast<u64>(remainder ? x % y : x / y);
}

u64 constant_result(ExprOp op, u64 a, u64 b) {
    switch (op) {
        case ExprOp::multiply:
            return a * b;
        case ExprOp::divide:
            return a / b;
        case ExprOp::remainder:
            return a % b;
        case ExprOp::signed_divide:
            return signed_quotient(a, b, false);
        case ExprOp::signed_remainder:
            return signed_quotient(a, b, true);
        case ExprOp::bit_and:
            return a & b;
        case ExprOp::bit_or:
            return a | b;
        case ExprOp::bit_xor:
            return a ^ b;
        case ExprOp::shift_left:
            return b < 64 ? a << b : 0;
        default:  // shift_right
            return b < 64 ? a >> b : 0;
    }
}

bool divides(ExprOp op) {
    return op == ExprOp::divide || op == ExprOp::remainder || op == ExprOp::signed_divide ||
           op == ExprOp::signed_remainder;
}

// a = a op b; reports and returns false when the operator cannot be applied.
bool apply_binary(const ExprItem& item, Value& a, const Value& b, EvaluationScope& scope) {
    a.moves = a.moves || b.moves;
    if (item.op == ExprOp::add || item.op == ExprOp::subtract) {
        const bool subtract = item.op == ExprOp::subtract;
        a.constant = subtract ? a.constant - b.constant : a.constant + b.constant;
        a.labels += subtract ? -b.labels : b.labels;
        if (add_terms(a, b, subtract)) return true;
        scope.fail(item.column, "an address has at most two registers");
        return false;
    }
    if (item.op == ExprOp::multiply && (a.term_count == 0 || b.term_count == 0)) {
        const u64 factor = a.term_count == 0 ? a.constant : b.constant;
        Value scaled = a.term_count == 0 ? b : a;
        scale_terms(scaled, factor);
        scaled.constant *= factor;
        scaled.moves = a.moves;
        scaled.labels = a.labels != 0 || b.labels != 0 ? 1 : 0;
        a = scaled;
        return true;
    }
    if (a.term_count != 0 || b.term_count != 0) {
        scope.fail(item.column, "a register can only be added, or multiplied by a number");
        return false;
    }
    if (divides(item.op) && b.constant == 0) {
        scope.fail(item.column, "division by zero");
        return false;
    }
    a.constant = constant_result(item.op, a.constant, b.constant);
    a.labels = a.labels != 0 || b.labels != 0 ? 1 : 0;
    return true;
}

bool apply_unary(const ExprItem& item, Value& a, EvaluationScope& scope) {
    if (item.op == ExprOp::invert && a.term_count != 0) {
        scope.fail(item.column, "a register can only be added, or multiplied by a number");
        return false;
    }
    const u64 factor = ~u64{0};
    scale_terms(a, factor);
    a.constant = item.op == ExprOp::negate ? ~a.constant + 1 : ~a.constant;
    a.labels = -a.labels;
    return true;
}

}  // namespace

std::optional<Expression> parse_expression(TokenCursor& cursor, SymbolNames& names,
                                           bool registers_allowed, Diagnostics& errors) {
    return ExpressionParser(cursor, names, registers_allowed, errors).run();
}

std::optional<Value> evaluate(const Expression& expression, EvaluationScope& scope) {
    std::vector<Value> stack;
    for (const ExprItem& item : expression.items) {
        Value value;
        switch (item.op) {
            case ExprOp::number:
                value.constant = item.value;
                break;
            case ExprOp::here:
            case ExprOp::start:
                value.constant = item.op == ExprOp::here ? scope.here() : scope.start();
                value.labels = 1;
                value.moves = true;
                break;
            case ExprOp::symbol: {
                const auto symbol = scope.symbol(static_cast<u32>(item.value), item.column);
                if (!symbol) return std::nullopt;
                value.constant = symbol->value;
                value.labels = symbol->labels;
                value.moves = symbol->moves;
                break;
            }
            case ExprOp::reg:
                value.terms[0].reg = static_cast<ZydisRegister>(item.value);
                value.term_count = 1;
                break;
            case ExprOp::negate:
            case ExprOp::invert:
                if (!apply_unary(item, stack.back(), scope)) return std::nullopt;
                continue;
            default: {
                value = stack.back();
                stack.pop_back();
                if (!apply_binary(item, stack.back(), value, scope)) return std::nullopt;
                continue;
            }
        }
        stack.push_back(value);
    }
    return stack.back();
}

}  // namespace vtlsim::sim::assembly
