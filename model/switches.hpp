// The switches of a world with VTLs (switches.def).
#pragma once

#include "model/switch_table.hpp"

namespace vtlsim::model {

#define SWITCH_TABLE "model/switches.def"
#include "model/switch_types.def"
#undef SWITCH_TABLE

}  // namespace vtlsim::model
