// Random instructions of a guest for `vtlsim conform kvm --random`.
#pragma once

#include "runner/conform_kvm/random_case.hpp"

namespace vtlsim::runner::conform_kvm {

// One instruction, sometimes with another one in front that it needs. Registers that they count on:
// FS:BX (real mode) or RBX point to MMIO, DX holds a port. With `mmio_strings`
// SI and DI may point to MMIO, too.
std::vector<RandomCase::Bytes> random_instruction(Random& random, model::kvm::Mode mode,
                                                  bool mmio_strings);

}  // namespace vtlsim::runner::conform_kvm
