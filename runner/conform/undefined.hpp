// What may differ after an instruction: the manual leaves it undefined, or AMD's processors are
// known not to follow Intel's manual, which the simulator follows.
#pragma once

#include <string_view>

#include "runner/conform/case.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::runner::conform {

struct Undefined {
    std::string_view reason;   // empty: nothing may
    u64 flags = 0;             // of RFLAGS
    u64 fsw = 0;
    u64 ftw = 0;
    bool destination = false;  // the first operand
    u64 cr2 = 0;
    bool bases = false;  // of FS and GS
};

// `native` and `simulated` are what they say, with the same vector.
Undefined undefined_after(const sim::Decoded& d, const State& before, const State& native,
                          const State& simulated);

}  // namespace vtlsim::runner::conform
