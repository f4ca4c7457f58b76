// What may differ after an instruction: the manual leaves it undefined, or AMD's processors are
// known not to follow Intel's manual, which the simulator follows.
#pragma once

#include <string_view>

#include "runner/conform/case.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::runner::conform {

struct Undefined {
    u64 flags = 0;
    u64 fsw = 0;
    bool destination = false;  // the first operand
    bool cr2_offset = false;   // of a page fault: which byte of the page
    bool fpu_top = false;      // TOP, and with it which register is ST(0)
};

// `after` is what the simulator says.
Undefined undefined_after(const sim::Decoded& d, const State& before, const State& after);

// The reason why results of the mnemonic are a matter of the vendor, or empty.
std::string_view vendor_specific(ZydisMnemonic mnemonic);

}  // namespace vtlsim::runner::conform
