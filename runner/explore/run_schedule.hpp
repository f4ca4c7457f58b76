// Scenarios under the explorer: their configuration, and one run by a schedule.
#pragma once

#include "runner/explore/schedule.hpp"
#include "runner/run.hpp"

namespace vtlsim::runner::explore {

// The variant's configuration, without the scenario's own schedule. A scenario that switches no
// invariant on has all of them.
model::WorldConfig exploration_config(const Scenario& scenario, const Variant& variant);

// Runs the variant by the schedule and judges it; broken invariants are failures too. Nothing,
// after a message at the place in the schedule's file, if the schedule does not fit.
std::optional<Result> run_schedule(const Scenario& scenario, const Variant& variant,
                                   const Schedule& schedule, const std::string& schedule_file,
                                   Diagnostics& diagnostics);

}  // namespace vtlsim::runner::explore
