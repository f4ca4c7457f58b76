#include "model/kvm/switches.hpp"

namespace vtlsim::model::kvm {

#define SWITCH_TABLE "model/kvm/switches.def"
#include "model/switch_rows.def"

}  // namespace vtlsim::model::kvm
