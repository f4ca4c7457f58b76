// The operands of an instruction as written, before their expressions have values.
#pragma once

#include <optional>

#include <Zydis/Zydis.h>

#include "sim/asm/expression.hpp"
#include "sim/types.hpp"

namespace vtlsim::sim::assembly {

enum class OperandKind : u8 { reg, immediate, memory, far_pointer };
enum class BranchDistance : u8 { unspecified, short_, near_, far_ };
enum class AddressKind : u8 { unspecified, relative, absolute };

struct Operand {
    OperandKind kind = OperandKind::immediate;
    u32 column = 0;
    u16 size = 0;  // bytes, from a keyword such as dword; 0 when none is written
    BranchDistance distance = BranchDistance::unspecified;
    bool to_register = false;  // fadd to st1 is fadd st1, st0

    ZydisRegister reg = ZYDIS_REGISTER_NONE;
    Expression value;     // immediate, the address in memory, or the offset of a far pointer
    Expression selector;  // far pointer

    // memory
    ZydisRegister segment = ZYDIS_REGISTER_NONE;  // as written
    AddressKind address_kind = AddressKind::unspecified;
    u16 address_size = 0;  // bytes, from a keyword inside the brackets; 0 when none
};

// `default_address` is what `default rel` or `default abs` says.
std::optional<Operand> parse_operand(TokenCursor& cursor, SymbolNames& names,
                                     AddressKind default_address, Diagnostics& errors);

}  // namespace vtlsim::sim::assembly
