// Which value an instruction moves where: for recordings that follow a value back.
#pragma once

#include <span>
#include <vector>

#include "sim/state/cpu_state.hpp"

namespace vtlsim::sim {

// A register, or bytes of memory by linear address.
struct DataPlace {
    bool memory = false;
    Reg reg = Reg::rax;
    u64 address = 0;
    u64 size = 0;  // bytes, of memory
};

// What one place gets, and what that is made of: not what addresses are made of, and nothing for
// constants. RIP and RFLAGS are left out.
struct DataMove {
    DataPlace to;
    std::vector<DataPlace> from;
};

struct DataFlow {
    std::vector<DataMove> moves;
    // FXSAVE, FXRSTOR: the one memory operand holds many registers.
    bool save_area = false;
};

// Of the instruction of 64-bit code at RIP, about to execute in `state`. As far as the operands
// tell; nothing for bytes that do not decode.
DataFlow data_flow(const CpuState& state, std::span<const u8> code);

}  // namespace vtlsim::sim
