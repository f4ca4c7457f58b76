// The names of instructions and registers: Zydis' own plus the aliases nasm and the manuals use.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include <Zydis/Zydis.h>

#include "sim/asm/assembler.hpp"
#include "sim/types.hpp"

namespace vtlsim::sim::assembly {

// What a mnemonic in the text asks for beyond Zydis' mnemonic.
struct MnemonicName {
    ZydisMnemonic mnemonic = ZYDIS_MNEMONIC_INVALID;
    u8 operand_bits = 0;      // retfq, sysretq: the operand size the name fixes; 0 when none
    bool far_branch = false;  // retf
    bool wait_first = false;  // fstcw is fwait followed by fnstcw
    i8 predicate = -1;        // cmpeqsd is cmpsd with the last operand 0
    bool has_width = false;   // Zydis' mnemonic has a prefix' operand size in it
};

// `name` is in lower case. Names such as iret have the operand size of a prefix (`operand_bits`),
// or where that is 0 the mode's.
std::optional<MnemonicName> find_mnemonic(std::string_view name, AsmMode mode,
                                          unsigned operand_bits = 0);

// Every name find_mnemonic knows, sorted.
std::span<const std::string_view> mnemonic_names();

// `name` is in lower case. Instruction pointers and descriptor-table registers are not found: they
// are no operands, so they stay free for labels.
std::optional<ZydisRegister> find_asm_register(std::string_view name);

// Every name find_asm_register knows, sorted.
std::span<const std::string_view> register_names();

// nasm's fadd without operands is faddp; any other mnemonic is returned as it is.
ZydisMnemonic without_operands(ZydisMnemonic mnemonic);

// The ZYDIS_ATTRIB_HAS_* flag of a prefix such as lock; 0 when `name` is none.
ZydisInstructionAttributes find_prefix(std::string_view name);

// The override flag of a segment register.
ZydisInstructionAttributes segment_attribute(ZydisRegister segment);

}  // namespace vtlsim::sim::assembly
