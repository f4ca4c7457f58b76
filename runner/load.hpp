// Scenario files to Scenario values. The format is described in docs/scenarios.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/diagnostic.hpp"
#include "runner/include.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::runner {

// Nothing if the file is wrong in any way: every error is in `diagnostics` then.
std::optional<Scenario> load_scenario(const std::string& path, Diagnostics& diagnostics,
                                      const LoadOptions& options = {});
// The same from a text; `file` is its name in diagnostics.
std::optional<Scenario> parse_scenario(std::string text, const std::string& file,
                                       Diagnostics& diagnostics, const LoadOptions& options = {});

// The files that a path names: a file as it is, even if there is none; of a folder every *.json in
// it and below, sorted by path, but for fragments (*.part.json) and schemas (*.schema.json). A
// folder that cannot be read or has none is an error.
std::vector<std::string> find_scenarios(const std::string& path, Diagnostics& diagnostics,
                                        bool fragments = false);

}  // namespace vtlsim::runner
