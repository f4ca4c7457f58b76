// nasm as a second assembler, and what an instruction means, apart from how it is encoded.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <Zydis/Zydis.h>

#include "sim/asm/assembler.hpp"

namespace vtlsim::sim {

bool have_nasm();

struct NasmResult {
    std::vector<u8> bytes;                   // none if there are errors
    std::map<unsigned, std::string> errors;  // by line, counted from 1
};
NasmResult run_nasm(const std::string& text);

struct Instruction {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    u64 address;
    std::span<const u8> bytes;
};
// The first instruction of `bytes`, which is at `address`.
std::optional<Instruction> decode(std::span<const u8> bytes, AsmMode mode, u64 address);

// As text that is equal exactly where two encodings mean the same. `place` names an address that
// depends on where the instruction is.
std::string meaning(const Instruction& decoded, const std::function<std::string(u64)>& place);

}  // namespace vtlsim::sim
