#include "sim/asm/layout.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "sim/asm/encode.hpp"
#include "sim/nearest.hpp"

namespace vtlsim::sim::assembly {
namespace {

// After this many passes every jump that still has a choice becomes long; a program whose
// addresses have not settled by the second limit never will.
constexpr int kPassesBeforeLong = 32;
constexpr int kMaxPasses = 64;

// Bounds the time a text can take with repetitions: one unit is a step of an expression. A
// megabyte of distinct instructions needs a third of it.
constexpr u64 kMaxWork = u64{1} << 27;
constexpr u64 kEncodingWork = 64;

constexpr int kMaxEquNesting = 64;
constexpr u64 kMaxAlignment = u64{1} << 30;
constexpr std::size_t kMaxItemLength = 255;    // AsmLine::length
constexpr std::size_t kMaxSuggestions = 4096;  // names compared with a misspelt one

// What one statement keeps from pass to pass.
struct StatementState {
    u64 address = 0;
    bool long_jump = false;
    Encoded fixed;  // the bytes, once known not to depend on any address
};

struct SymbolState {
    SymbolValue value;
    bool known = false;
    bool forward = false;     // an equ made of a name defined after it
    bool evaluating = false;  // an equ whose expression is being evaluated
    int pass = -1;            // the pass the value of an equ is from
};

bool fits(u64 value, unsigned bits) {
    if (bits >= 64) return true;
    const u64 high = value >> (bits - 1);
    return high <= 1 || high == ~u64{0} >> (bits - 1);
}

class Layout final : public EvaluationScope {
  public:
    Layout(const Program& program, const AsmOptions& options, Diagnostics& errors)
        : program_(program),
          options_(options),
          errors_(errors),
          states_(program.statements.size()),
          symbols_(program.symbols.size()),
          origin_(options.origin) {}

    LayoutResult run() {
        do {
            run_pass();
            ++pass_;
        } while (changed_ && !stopped_ && pass_ < kMaxPasses);
        if (changed_ && !stopped_)
            errors_.add(last_change_line_, 1, "the addresses do not settle from here on");
        LayoutResult result;
        result.origin = origin_;
        result.bytes = std::move(bytes_);
        result.lines = std::move(lines_);
        for (const SymbolState& symbol : symbols_)
            result.symbol_values.push_back(symbol.value.value);
        return result;
    }

    // --- EvaluationScope ---

    u64 here() const override { return here_; }
    u64 start() const override { return origin_; }

    std::optional<SymbolValue> symbol(u32 id, u32 column) override {
        const Symbol& symbol = program_.symbols[id];
        const SymbolState& state = symbols_[id];
        if (symbol.predefined) return SymbolValue{symbol.predefined_value, 0, false};
        if (symbol.statement == kNoSymbol) return undefined(symbol, column);
        if (symbol.statement > statement_) saw_forward_ = true;
        if (!symbol.is_label) return equ_value(id, column);
        // In the first pass a label further down is taken to be near.
        return state.known ? state.value : SymbolValue{here_, 1, true};
    }

    void fail(u32 column, std::string message) override {
        errors_.add(program_.statements[statement_].line, column, std::move(message));
    }

  private:
    void run_pass() {
        errors_.clear();
        bytes_.clear();
        lines_.clear();
        changed_ = pass_ == 0;
        for (statement_ = 0; statement_ < program_.statements.size(); ++statement_) {
            if (stopped_ || errors_.full()) return;
            const Statement& statement = program_.statements[statement_];
            StatementState& state = states_[statement_];
            here_ = address();
            if (state.address != here_) note_change(statement);
            state.address = here_;
            define_label(statement);
            emit_statement(statement, state);
        }
    }

    u64 address() const { return origin_ + bytes_.size(); }

    void note_change(const Statement& statement) {
        changed_ = true;
        last_change_line_ = statement.line;
    }

    bool spend(u64 work, u32 column) {
        work_ += work;
        if (work_ <= kMaxWork) return true;
        if (!stopped_) fail(column, "the text takes too long to lay out");
        stopped_ = true;
        return false;
    }

    // --- names ---

    void define_label(const Statement& statement) {
        if (statement.symbol == kNoSymbol || !program_.symbols[statement.symbol].is_label) return;
        symbols_[statement.symbol].value = {here_, 1, true};
        symbols_[statement.symbol].known = true;
    }

    std::optional<SymbolValue> undefined(const Symbol& symbol, u32 column) {
        std::vector<std::string_view> names;
        for (const Symbol& other : program_.symbols)
            if (other.predefined || other.statement != kNoSymbol) names.push_back(other.name);
        std::sort(names.begin(), names.end());
        std::string message = "undefined symbol " + quoted(symbol.name);
        if (names.size() > kMaxSuggestions) names.clear();
        names.insert(names.end(), register_names().begin(), register_names().end());
        if (const auto near = nearest_name(symbol.name, names); !near.empty())
            message += "; did you mean " + quoted(near) + "?";
        fail(column, std::move(message));
        return std::nullopt;
    }

    std::optional<SymbolValue> equ_value(u32 id, u32 column) {
        SymbolState& state = symbols_[id];
        if (state.evaluating || (state.pass != pass_ && equ_nesting_ == kMaxEquNesting)) {
            fail(column, quoted(program_.symbols[id].name) +
                             (state.evaluating ? " is defined by itself"
                                               : " needs too many other names defined after it"));
            return std::nullopt;
        }
        if (state.pass != pass_) evaluate_equ(id, state);
        saw_forward_ = saw_forward_ || state.forward;
        if (!state.known) return std::nullopt;  // reported in its own line
        return state.value;
    }

    // The expression belongs to the line of the equ, for `$` and for messages.
    void evaluate_equ(u32 id, SymbolState& state) {
        const u32 index = program_.symbols[id].statement;
        state.pass = pass_;
        state.known = false;
        const auto& argument = program_.statements[index].argument;
        if (!argument) return;
        const auto saved_statement = std::exchange(statement_, index);
        const u64 saved_here = std::exchange(here_, states_[index].address);
        const bool saved_forward = std::exchange(saw_forward_, false);
        state.evaluating = true;
        ++equ_nesting_;
        const auto value = value_of(*argument);
        --equ_nesting_;
        state.evaluating = false;
        state.known = value.has_value();
        if (value) state.value = {value->constant, value->labels, value->moves};
        state.forward = std::exchange(saw_forward_, saved_forward);
        here_ = saved_here;
        statement_ = saved_statement;
    }

    std::optional<Value> value_of(const Expression& expression) {
        if (!spend(expression.items.size(), expression.column)) return std::nullopt;
        return evaluate(expression, *this);
    }

    // A number the layout itself depends on, so that it cannot depend on what follows.
    std::optional<u64> critical(const Expression& expression) {
        saw_forward_ = false;
        const auto value = value_of(expression);
        if (!value) return std::nullopt;
        if (!saw_forward_) return value->constant;
        fail(expression.column, "this number cannot depend on a name defined further down");
        return std::nullopt;
    }

    // --- bytes ---

    void emit_statement(const Statement& statement, StatementState& state) {
        switch (statement.kind) {
            case StatementKind::empty:
                return;
            case StatementKind::equ:
                equ_value(statement.symbol, statement.column);
                return;
            case StatementKind::org:
                return emit_org(statement);
            case StatementKind::align:
                return emit_align(statement);
            default:
                return emit_repeated(statement, state);
        }
    }

    void emit_org(const Statement& statement) {
        const auto target = critical(*statement.argument);
        if (!target) return;
        if (pass_ == 0 && bytes_.empty() && origin_statement_ == kNoSymbol)
            origin_statement_ = statement_;
        if (origin_statement_ == statement_) {
            if (origin_ != *target) note_change(statement);
            origin_ = *target;
        } else if (*target - address() > options_.max_bytes) {
            fail(statement.argument->column,
                 *target < address()
                     ? "org cannot go back: the address is already " + hex(address())
                     : too_large_message());
        } else {
            pad(statement, *target - address(), 0);
        }
    }

    void emit_align(const Statement& statement) {
        const auto alignment = critical(*statement.argument);
        if (!alignment) return;
        const bool power_of_two = *alignment != 0 && (*alignment & (*alignment - 1)) == 0;
        if (power_of_two && *alignment <= kMaxAlignment) {
            pad(statement, (0 - address()) & (*alignment - 1), statement.fill);
        } else {
            fail(statement.argument->column,
                 "align takes a power of two up to " + hex(kMaxAlignment));
        }
    }

    void emit_repeated(const Statement& statement, StatementState& state) {
        u64 count = 1;
        if (statement.times) {
            const auto value = critical(*statement.times);
            if (!value) return;
            if (*value > options_.max_bytes) return too_large(statement.times->column);
            count = *value;
        }
        const std::size_t errors_before = errors_.errors().size();
        for (u64 i = 0; i < count && !stopped_; ++i) {
            if (!spend(1, statement.column)) return;
            if (statement.kind == StatementKind::instruction) {
                emit_instruction(statement, state);
            } else if (statement.kind == StatementKind::data) {
                emit_data(statement);
            } else {
                emit_reserve(statement);
            }
            if (errors_.errors().size() != errors_before) return;
        }
    }

    void emit_reserve(const Statement& statement) {
        const auto count = critical(*statement.argument);
        if (!count) return;
        if (*count > options_.max_bytes / statement.unit_bytes)
            return too_large(statement.argument->column);
        pad(statement, *count * statement.unit_bytes, 0);
    }

    void emit_data(const Statement& statement) {
        for (const DataItem& item : statement.data) {
            if (!spend(1, item.column)) return;
            if (!item.value) {
                append(statement, reinterpret_cast<const u8*>(item.bytes.data()),
                       item.bytes.size());
                continue;
            }
            const auto value = value_of(*item.value);
            if (!value) continue;
            if (!fits(value->constant, statement.unit_bytes * 8U)) {
                fail(item.column, hex(value->constant) + " does not fit in " +
                                      std::to_string(statement.unit_bytes * 8) + " bits");
                continue;
            }
            std::array<u8, 8> bytes{};
            for (std::size_t i = 0; i < bytes.size(); ++i)
                bytes[i] = static_cast<u8>(value->constant >> (8 * i));
            append(statement, bytes.data(), statement.unit_bytes);
        }
    }

    void emit_instruction(const Statement& statement, StatementState& state) {
        if (state.fixed.length != 0) return append_encoded(statement, state.fixed);
        if (!spend(kEncodingWork, statement.column)) return;
        bool moves = false;
        std::vector<ResolvedOperand> operands;
        for (const Operand& operand : statement.instruction.operands) {
            if (!spend(operand.value.items.size(), operand.column)) return;
            const auto resolved = resolve_operand(operand, statement.mode, *this, moves);
            if (!resolved) return;
            operands.push_back(*resolved);
        }
        if (pass_ >= kPassesBeforeLong) state.long_jump = true;
        Encoded encoded = encode_instruction(statement.instruction, statement.column,
                                             statement.mode, address(), operands, state.long_jump);
        if (!encoded.error.empty()) return fail(encoded.error_column, std::move(encoded.error));
        if (!moves && !encoded.relative) state.fixed = encoded;
        append_encoded(statement, encoded);
    }

    void append_encoded(const Statement& statement, const Encoded& encoded) {
        append(statement, encoded.bytes.data(), encoded.wait_length);
        append(statement, encoded.bytes.data() + encoded.wait_length,
               static_cast<std::size_t>(encoded.length - encoded.wait_length));
    }

    // One instruction or data item, with its entry in the source map.
    void append(const Statement& statement, const u8* data, std::size_t size) {
        if (!room_for(size)) return too_large(statement.column);
        for (std::size_t at = 0; at < size; at += kMaxItemLength) {
            const std::size_t length = std::min(size - at, kMaxItemLength);
            lines_.push_back({address(), statement.line, static_cast<u8>(length)});
            bytes_.insert(bytes_.end(), data + at, data + at + length);
        }
    }

    void pad(const Statement& statement, u64 size, u8 fill) {
        if (!room_for(size)) return too_large(statement.column);
        bytes_.insert(bytes_.end(), static_cast<std::size_t>(size), fill);
    }

    bool room_for(u64 size) const { return size <= options_.max_bytes - bytes_.size(); }

    std::string too_large_message() const {
        return "the text assembles to more than " + std::to_string(options_.max_bytes) + " bytes";
    }

    void too_large(u32 column) {
        fail(column, too_large_message());
        stopped_ = true;
    }

    const Program& program_;
    const AsmOptions& options_;
    Diagnostics& errors_;
    std::vector<StatementState> states_;
    std::vector<SymbolState> symbols_;

    // of the pass
    int pass_ = 0;
    bool changed_ = false;
    u32 last_change_line_ = 0;
    std::vector<u8> bytes_;
    std::vector<AsmLine> lines_;

    // of the statement being laid out
    u32 statement_ = 0;
    u64 here_ = 0;
    bool saw_forward_ = false;
    int equ_nesting_ = 0;

    u64 origin_ = 0;
    u32 origin_statement_ = kNoSymbol;  // the org that sets it
    u64 work_ = 0;
    bool stopped_ = false;  // after an error that leaves nothing to continue with
};

}  // namespace

LayoutResult lay_out(const Program& program, const AsmOptions& options, Diagnostics& errors) {
    return Layout(program, options, errors).run();
}

}  // namespace vtlsim::sim::assembly
