// The MSRs that the CPU itself has.
#pragma once

#include <optional>

#include "sim/types.hpp"

namespace vtlsim::sim {

struct Exec;

// The value, or nothing if the machine has no such MSR.
std::optional<u64> read_msr(const Exec& x, u32 msr);

enum class MsrWrite : u8 { done, invalid, unknown, not_modelled };
// invalid: #GP(0). not_modelled: a bit that this simulator does not implement.
MsrWrite write_msr(Exec& x, u32 msr, u64 value);

}  // namespace vtlsim::sim
