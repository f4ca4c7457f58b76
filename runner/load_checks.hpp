// Mistakes that only show when all of a scenario is read: they depend on the variants' switches.
#pragma once

#include "runner/labels.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::runner {

// Labels that the variants' VTL2 kernels lack, actors that none of their worlds has, memory that
// there is not.
void check_variants(const Fields& root, const Scenario& scenario, const Labels& labels);

}  // namespace vtlsim::runner
