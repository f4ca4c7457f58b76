// What the manual leaves undefined after an instruction.
#pragma once

#include <string_view>

#include "runner/conform/case.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::runner::conform {

struct Undefined {
    u64 flags = 0;
    bool destination = false;  // the first operand, a register
};

Undefined undefined_after(const sim::Decoded& d, const State& before);

// The reason why results of the mnemonic are a matter of the vendor, or empty.
std::string_view vendor_specific(ZydisMnemonic mnemonic);

}  // namespace vtlsim::runner::conform
