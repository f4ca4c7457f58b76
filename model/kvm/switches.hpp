// The switches of a KVM world (switches.def).
#pragma once

#include "model/switch_table.hpp"

namespace vtlsim::model::kvm {

#define SWITCH_TABLE "model/kvm/switches.def"
#include "model/switch_types.def"
#undef SWITCH_TABLE

}  // namespace vtlsim::model::kvm
