#include "sim/asm/operand.hpp"

#include <array>
#include <utility>

#include "sim/asm/names.hpp"

namespace vtlsim::sim::assembly {
namespace {

struct SizeKeyword {
    std::string_view name;
    u16 bytes;
};
constexpr std::array<SizeKeyword, 11> kSizeKeywords{{{"byte", 1},
                                                     {"word", 2},
                                                     {"dword", 4},
                                                     {"fword", 6},
                                                     {"qword", 8},
                                                     {"tword", 10},
                                                     {"tbyte", 10},
                                                     {"oword", 16},
                                                     {"xmmword", 16},
                                                     {"yword", 32},
                                                     {"ymmword", 32}}};

u16 size_keyword(std::string_view lower) {
    for (const SizeKeyword& keyword : kSizeKeywords)
        if (keyword.name == lower) return keyword.bytes;
    return 0;
}

bool is_segment(ZydisRegister reg) { return ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_SEGMENT; }

class OperandParser {
  public:
    OperandParser(TokenCursor& cursor, SymbolNames& names, AddressKind default_address,
                  Diagnostics& errors)
        : cursor_(cursor), names_(names), default_address_(default_address), errors_(errors) {}

    std::optional<Operand> run() {
        operand_.column = cursor_.peek().column;
        take_keywords();
        if (!body()) return std::nullopt;
        return std::move(operand_);
    }

  private:
    // Size and distance words in front of the operand, in any order. `ptr` and `strict` add nothing
    // the encoder needs.
    void take_keywords() {
        for (;; cursor_.next()) {
            if (cursor_.peek().kind != TokenKind::identifier) return;
            const std::string word = to_lower(cursor_.peek().text);
            if (const u16 bytes = size_keyword(word)) {
                operand_.size = bytes;
            } else if (word == "short") {
                operand_.distance = BranchDistance::short_;
            } else if (word == "near") {
                operand_.distance = BranchDistance::near_;
            } else if (word == "far") {
                operand_.distance = BranchDistance::far_;
            } else if (word == "to") {
                operand_.to_register = true;
            } else if (word != "ptr" && word != "strict") {
                return;
            }
        }
    }

    bool body() {
        if (cursor_.take("[")) return memory();
        const Token& token = cursor_.peek();
        const std::string lower =
            token.kind == TokenKind::identifier ? to_lower(token.text) : std::string();
        if (lower == "st" && cursor_.peek(1).is("(")) return stack_register();
        if (const auto reg = find_asm_register(lower == "st" ? "st0" : lower)) {
            cursor_.next();
            if (is_segment(*reg) && cursor_.take(":")) {
                operand_.segment = *reg;
                if (cursor_.take("[")) return memory();
                return fail("'[' expected after " + lower + ":");
            }
            operand_.kind = OperandKind::reg;
            operand_.reg = *reg;
            return right_size(lower);
        }
        return immediate();
    }

    // `byte rax` is a mistake; vector and x87 registers have no one size.
    bool right_size(const std::string& name) {
        const auto bits = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, operand_.reg);
        if (operand_.size == 0 || bits > 64 || operand_.size * 8U == bits) return true;
        errors_.add(cursor_.line, operand_.column,
                    name + " does not have " + std::to_string(operand_.size * 8U) + " bits");
        return false;
    }

    bool stack_register() {
        cursor_.next();
        cursor_.next();
        const Token& number = cursor_.peek();
        if (number.kind != TokenKind::number || number.value > 7)
            return fail("st() takes a number from 0 to 7");
        cursor_.next();
        operand_.kind = OperandKind::reg;
        operand_.reg =
            static_cast<ZydisRegister>(ZYDIS_REGISTER_ST0 + static_cast<int>(number.value));
        return cursor_.take(")") || fail("')' expected");
    }

    bool immediate() {
        auto value = parse_expression(cursor_, names_, false, errors_);
        if (!value) return false;
        operand_.kind = OperandKind::immediate;
        operand_.value = std::move(*value);
        if (!cursor_.take(":")) return true;
        auto offset = parse_expression(cursor_, names_, false, errors_);
        if (!offset) return false;
        operand_.kind = OperandKind::far_pointer;
        operand_.selector = std::exchange(operand_.value, std::move(*offset));
        return true;
    }

    // What follows the opening bracket.
    bool memory() {
        operand_.kind = OperandKind::memory;
        bool implied = true;
        while (cursor_.peek().kind == TokenKind::identifier) {
            const std::string word = to_lower(cursor_.peek().text);
            if (const u16 bytes = size_keyword(word)) {
                operand_.address_size = bytes;
            } else if (word == "rel" || word == "abs") {
                operand_.address_kind =
                    word == "rel" ? AddressKind::relative : AddressKind::absolute;
                implied = false;
            } else if (const auto reg = find_asm_register(word);
                       reg && is_segment(*reg) && cursor_.peek(1).is(":")) {
                operand_.segment = *reg;
                cursor_.next();
            } else {
                break;
            }
            cursor_.next();
        }
        // As nasm's `default rel`: an address under fs or gs is an offset from that base.
        const bool based =
            operand_.segment == ZYDIS_REGISTER_FS || operand_.segment == ZYDIS_REGISTER_GS;
        if (implied && (based || default_address_ == AddressKind::absolute))
            operand_.address_kind = AddressKind::absolute;
        auto address = parse_expression(cursor_, names_, true, errors_);
        if (!address) return false;
        operand_.value = std::move(*address);
        return cursor_.take("]") || fail("']' expected");
    }

    bool fail(std::string message) {
        errors_.add(cursor_.line, cursor_.peek().column, std::move(message));
        return false;
    }

    TokenCursor& cursor_;
    SymbolNames& names_;
    AddressKind default_address_;
    Diagnostics& errors_;
    Operand operand_;
};

}  // namespace

std::optional<Operand> parse_operand(TokenCursor& cursor, SymbolNames& names,
                                     AddressKind default_address, Diagnostics& errors) {
    return OperandParser(cursor, names, default_address, errors).run();
}

}  // namespace vtlsim::sim::assembly
