// What may differ after an instruction: the manual leaves it undefined, or AMD's processors are
// known not to follow Intel's manual, which the simulator follows.
#pragma once

#include <string_view>

#include "runner/conform/case.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::runner::conform {

struct Undefined {
    std::string_view reason;  // empty: nothing may
    u64 flags = 0;            // of RFLAGS
    u64 fsw = 0;
    u64 ftw = 0;
    bool destination = false;  // the first operand
    u64 cr2 = 0;
    bool popped = false;  // native only: general registers
    bool pushes = false;  // native only: memory below the stack pointer
    bool error_code = false;
    bool pushed = false;  // native only: a value on the x87 stack
    bool x87 = false;     // registers, FSW and FTW
    bool all = false;     // RIP, the vector and whatever follows from it
};

Undefined undefined_after(const sim::Decoded& d, const State& before, const State& native,
                          const State& simulated);

}  // namespace vtlsim::runner::conform
