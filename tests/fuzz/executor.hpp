// The executor's fuzz target without libFuzzer: any bytes are a machine, its settings and code.
#pragma once

#include <span>
#include <string>

#include "sim/types.hpp"

namespace vtlsim::tests {

// How many bytes come before the code: mode, settings, seed.
inline constexpr std::size_t kExecutorHead = 8;

// Which promises of the executor the input breaks, one a line; empty if none.
std::string check_executor(std::span<const u8> input);

}  // namespace vtlsim::tests
