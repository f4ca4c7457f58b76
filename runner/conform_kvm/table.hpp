// kvm-pio.md 1.11 as the models have it and as measured.
#pragma once

#include <string>
#include <vector>

#include "runner/conform_kvm/detect.hpp"

namespace vtlsim::runner::conform_kvm {

// Lines of cells, the first one the heads, each line's first cell its name.
using Table = std::vector<std::vector<std::string>>;

// Section 1.11, from runs of the models: its rows and columns, V1 being V1c, and a few rows more.
Table model_outcomes();

// For each alternative and each other hypervisor: the lines in which it is not as V2, at OUT and at
// IN. Two cells, "P2: x+n; P4: FFF0+n".
Table differences_from_v2();

// That table, with two columns of what this KVM does beside it, and the same of IN and of the
// versions that 1.11 has no column for. `kvm` and `facts` may be null: the models alone.
// `cells_differ` counts cells where KVM and the model that should match it differ.
std::string table_text(RealKvm* kvm, const KvmFacts* facts, u64& cells_differ);

}  // namespace vtlsim::runner::conform_kvm
