// Makes a schedule that leads to a violation smaller, until no deviation can be left out.
#pragma once

#include "runner/explore/replay.hpp"
#include "runner/explore/search.hpp"

namespace vtlsim::runner::explore {

// A run of the same violation at the same cost or a smaller one, from `start`. Of the deviations of
// its schedule none can be left out: what then happens is not this violation, or takes more
// preemptions. `depth` bounds the turns of what is tried.
Found minimise(Subject& subject, const Subject::Saved& start, Found found, u32 depth);

}  // namespace vtlsim::runner::explore
