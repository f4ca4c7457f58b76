// Which variant of which scenario a verb is about.
#pragma once

#include <string>

#include "runner/diagnostic.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::cli {

void print_errors(const runner::Diagnostics& diagnostics);

// "gpr_model=shared,vmm_fix=V0", in any order; empty where there is nothing to choose. Null after a
// message if the choice names no variant.
const runner::Variant* choose_variant(const runner::Scenario& scenario, const std::string& choice);

}  // namespace vtlsim::cli
