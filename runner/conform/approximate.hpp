// Instructions whose results may differ by a bound: the simulator's and the processor's need not be
// equal to be right.
#pragma once

#include "runner/conform/case.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::runner::conform {

enum class Bound : u8 {
    none,
    one_ulp,     // x87 transcendentals (SDM 1 8.3.10)
    reciprocal,  // RCPPS, RSQRTPS and their scalars: 1.5 * 2^-12 (SDM 2B RCPPS)
};
Bound bound_of(ZydisMnemonic mnemonic);

// Two x87 registers, neighbouring values or equal.
bool within_one_ulp(const u8* a, const u8* b);

// Two XMM registers as results of RCPPS or RSQRTPS in so many lanes: each has the same sign and
// class, and differs by no more than twice the bound; tiny results may be 0 or the smallest normal
// number. The other lanes are equal.
bool within_reciprocal_bound(const u8* a, const u8* b, unsigned lanes);

}  // namespace vtlsim::runner::conform
