// One instruction as text, in the simulator's one style.
#pragma once

#include <span>
#include <string>

#include "sim/asm/assembler.hpp"
#include "sim/types.hpp"

namespace vtlsim::sim {

// The first instruction of `code`, located at `rip`, in Zydis' Intel style: lower case, every
// memory operand with its size, numbers as 0x and lower-case digits without leading zeros,
// immediates unsigned in the operand's size, displacements with their sign, relative addresses as
// their absolute target, the selector of a far address in four digits. "(bad)" when there is no
// whole instruction.
std::string disassemble(std::span<const u8> code, u64 rip, AsmMode mode);

// The bytes of that instruction; 0 when there is no whole one.
std::size_t instruction_length(std::span<const u8> code, AsmMode mode);

}  // namespace vtlsim::sim
