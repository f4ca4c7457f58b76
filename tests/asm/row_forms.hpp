// Every mnemonic of the instruction rows in every operand form, as a line that nasm users would
// write, found by decoding every opcode.
#pragma once

#include <string>
#include <vector>

#include "tests/asm/nasm_peer.hpp"

namespace vtlsim::sim {

struct RowForm {
    std::string meaning;                 // with branches to $+0x10, as in the spellings
    std::vector<std::string> spellings;  // the most likely one first
};
std::vector<RowForm> row_forms(AsmMode mode);

}  // namespace vtlsim::sim
