// Scenario files to Scenario values. The format is described in docs/scenarios.md.
#pragma once

#include <optional>
#include <string>

#include "runner/diagnostic.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::runner {

// Nothing if the file is wrong in any way: every error is in `diagnostics` then.
std::optional<Scenario> load_scenario(const std::string& path, Diagnostics& diagnostics);
// The same from a text; `file` is its name in diagnostics.
std::optional<Scenario> parse_scenario(std::string text, const std::string& file,
                                       Diagnostics& diagnostics);

// The files that paths name: files as they are, folders searched for *.json, in sorted order.
// Missing paths and folders without a scenario are errors.
std::vector<std::string> find_scenarios(const std::vector<std::string>& paths,
                                        Diagnostics& diagnostics);

}  // namespace vtlsim::runner
