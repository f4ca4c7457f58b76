// kvm-pio.md 1.11 as measured, beside the model's.
#pragma once

#include <string>

#include "runner/conform_kvm/detect.hpp"

namespace vtlsim::runner::conform_kvm {

// One row for each thing that userspace may do at the exit, one column for OUT and IN by the KVM at
// hand and by the model of each version. `cells_differ` counts cells where KVM and its model
// differ.
std::string table_text(RealKvm& kvm, const KvmFacts& facts, u64& cells_differ);

}  // namespace vtlsim::runner::conform_kvm
