// Gives every statement its address and bytes.
#pragma once

#include "sim/asm/assembler.hpp"
#include "sim/asm/diagnostics.hpp"
#include "sim/asm/statement.hpp"

namespace vtlsim::sim::assembly {

struct LayoutResult {
    u64 origin = 0;
    std::vector<u8> bytes;
    std::vector<AsmLine> lines;
    std::vector<u64> symbol_values;  // indexed by symbol id
};

// Lays the program out again and again until no address changes: jumps start short and only ever
// grow, so this ends.
LayoutResult lay_out(const Program& program, const AsmOptions& options, Diagnostics& errors);

}  // namespace vtlsim::sim::assembly
