// A schedule in words: which step was overtaken by which.
#pragma once

#include "runner/explore/replay.hpp"

namespace vtlsim::runner::explore {

// A line for each deviation of the run, and a last one for the step that broke the invariant.
std::vector<std::string> story(const Subject& subject, const std::vector<Turn>& turns,
                               const Violation& violation);

}  // namespace vtlsim::runner::explore
