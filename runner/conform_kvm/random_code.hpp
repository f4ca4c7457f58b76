// Random instructions of a guest for `vtlsim conform kvm --random`.
#pragma once

#include "runner/conform_kvm/random_case.hpp"

namespace vtlsim::runner::conform_kvm {

// One instruction, sometimes with another one in front that it needs. Registers that they count on:
// BX and the segment ES (real mode) or RBX point to MMIO, DX holds a port.
std::vector<RandomCase::Bytes> random_instruction(Random& random, model::kvm::Mode mode);

}  // namespace vtlsim::runner::conform_kvm
