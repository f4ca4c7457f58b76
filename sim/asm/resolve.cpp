#include <utility>

#include "sim/asm/encode.hpp"

namespace vtlsim::sim::assembly {
namespace {

bool is_vector(ZydisRegister reg) {
    const ZydisRegisterClass kind = ZydisRegisterGetClass(reg);
    return kind == ZYDIS_REGCLASS_XMM || kind == ZYDIS_REGCLASS_YMM || kind == ZYDIS_REGCLASS_ZMM;
}

bool is_stack_pointer(ZydisRegister reg) {
    return reg == ZYDIS_REGISTER_ESP || reg == ZYDIS_REGISTER_RSP;
}

bool is_16bit_index(ZydisRegister reg) {
    return reg == ZYDIS_REGISTER_SI || reg == ZYDIS_REGISTER_DI;
}

bool is_scale(u64 factor) { return factor == 1 || factor == 2 || factor == 4 || factor == 8; }

// [reg*factor]: nasm takes 2, 3, 5 and 9 apart into reg + reg*(factor-1), which is shorter.
bool place_one(const RegisterTerm& term, ResolvedOperand& to) {
    if (is_vector(term.reg)) {
        to.index = term.reg;
        to.scale = static_cast<u8>(term.factor);
        return is_scale(term.factor);
    }
    if (term.factor == 1) {
        to.base = term.reg;
        return true;
    }
    if (term.factor == 4 || term.factor == 8) {
        to.index = term.reg;
        to.scale = static_cast<u8>(term.factor);
        return true;
    }
    to.base = term.reg;
    to.index = term.reg;
    to.scale = static_cast<u8>(term.factor - 1);
    return term.factor == 2 || term.factor == 3 || term.factor == 5 || term.factor == 9;
}

// The second register is the index unless only the first can be.
bool place_two(RegisterTerm first, RegisterTerm second, ResolvedOperand& to) {
    const bool swap =
        second.factor == 1 &&
        (first.factor != 1 || (first.scaled && !second.scaled) || is_stack_pointer(second.reg) ||
         is_16bit_index(first.reg) || is_vector(first.reg));
    if (swap) std::swap(first, second);
    to.base = first.reg;
    to.index = second.reg;
    to.scale = static_cast<u8>(second.factor);
    return first.factor == 1 && is_scale(second.factor);
}

u8 address_bits_of(const ResolvedOperand& operand) {
    const ZydisRegister reg = operand.base != ZYDIS_REGISTER_NONE ? operand.base : operand.index;
    switch (ZydisRegisterGetClass(reg)) {
        case ZYDIS_REGCLASS_GPR16:
            return 16;
        case ZYDIS_REGCLASS_GPR32:
            return 32;
        default:
            return 64;
    }
}

// An address of fewer than 64 bits may be written signed or unsigned; Zydis wants it signed.
bool sign_extend_address(u64& value, unsigned bits) {
    if (bits >= 64) return true;
    const u64 high = value >> (bits - 1);
    if (high > 1 && high != ~u64{0} >> (bits - 1)) return false;
    const unsigned shift = 64 - bits;
    value = static_cast<u64>(static_cast<i64>(value << shift) >> shift);
    return true;
}

bool resolve_memory(const Operand& operand, AsmMode mode, const Value& address,
                    EvaluationScope& scope, ResolvedOperand& to) {
    to.segment = operand.segment;
    to.value = address.constant;
    bool placed = true;
    if (address.term_count == 1) placed = place_one(address.terms[0], to);
    if (address.term_count == 2) placed = place_two(address.terms[0], address.terms[1], to);
    if (!placed) {
        scope.fail(operand.column, "an index register can be multiplied by 1, 2, 4 or 8 only");
        return false;
    }
    if (address.term_count != 0) {
        if (operand.address_kind == AddressKind::relative) {
            scope.fail(operand.column, "an address with a register cannot be relative");
            return false;
        }
        if (operand.address_size > 1) {
            scope.fail(operand.column,
                       "the size of a displacement cannot be chosen; it is the shortest");
            return false;
        }
    }
    to.relative = mode == AsmMode::bits64 && address.term_count == 0 &&
                  (operand.address_kind == AddressKind::relative ||
                   (operand.address_kind == AddressKind::unspecified && address.labels != 0));
    if (to.relative) return true;
    if (address.term_count != 0) {
        to.address_bits = address_bits_of(to);
    } else {
        const bool sized =
            operand.address_size == 2 || operand.address_size == 4 || operand.address_size == 8;
        to.address_bits =
            sized ? static_cast<u8>(operand.address_size * 8) : static_cast<u8>(bits_of(mode));
    }
    if (sign_extend_address(to.value, to.address_bits)) return true;
    scope.fail(operand.column, "address " + hex(address.constant) + " does not fit in " +
                                   std::to_string(to.address_bits) + " bits");
    return false;
}

}  // namespace

std::optional<ResolvedOperand> resolve_operand(const Operand& operand, AsmMode mode,
                                               EvaluationScope& scope, bool& moves) {
    ResolvedOperand to;
    to.kind = operand.kind;
    to.column = operand.column;
    to.size = operand.size;
    to.distance = operand.distance;
    to.reg = operand.reg;
    if (operand.kind == OperandKind::reg) return to;
    const auto value = evaluate(operand.value, scope);
    if (!value) return std::nullopt;
    moves = moves || value->moves;
    to.value = value->constant;
    if (operand.kind == OperandKind::far_pointer) {
        const auto selector = evaluate(operand.selector, scope);
        if (!selector) return std::nullopt;
        moves = moves || selector->moves;
        to.selector = selector->constant;
    }
    if (operand.kind == OperandKind::memory) {
        moves = moves || (mode == AsmMode::bits64 && value->term_count == 0);
        if (!resolve_memory(operand, mode, *value, scope, to)) return std::nullopt;
    }
    return to;
}

}  // namespace vtlsim::sim::assembly
