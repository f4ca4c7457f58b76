// What the processor that runs this program can do.
#pragma once

#include <string_view>

#include "sim/insn/decoded.hpp"

namespace vtlsim::runner::conform {

// The name of the extension that the instruction belongs to and the processor lacks; else empty.
std::string_view missing_extension(const sim::Decoded& d);

// CPUID's vendor is AMD: undefined.cpp lists where its processors do not follow Intel's manual.
bool host_is_amd();

}  // namespace vtlsim::runner::conform
