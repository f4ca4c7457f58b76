#include "model/switches.hpp"

namespace vtlsim::model {

#define SWITCH_TABLE "model/switches.def"
#include "model/switch_rows.def"

}  // namespace vtlsim::model
