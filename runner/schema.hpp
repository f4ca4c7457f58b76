// The JSON Schema of scenario files.
#pragma once

#include <string>

namespace vtlsim::runner {

// Draft 7, as text: docs/scenario.schema.json. Names of switches, registers, events and ends come
// from the tables that the loader uses.
std::string scenario_schema();

}  // namespace vtlsim::runner
