// Golden traces: what `vtlsim trace` prints of a scenario with "golden", kept in a file beside it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/result.hpp"

namespace vtlsim::runner {

// The scenario's file with ".trace" for ".json"; of a variant "file.switch=value,...trace".
std::string golden_path(const Scenario& scenario, const Variant& variant);

std::string golden_trace(const Scenario& scenario, const Variant& variant,
                         const model::World& world);

// Compares the file with what the run prints.
std::optional<Failure> judge_golden(const std::string& path, const std::string& trace);

// Traces (*.trace, with a trace's first and last line) in the folders of these paths, sub-folders
// not looked at, that are not among them.
std::vector<std::string> orphan_traces(const std::vector<std::string>& golden_paths,
                                       const std::vector<std::string>& folders);

// The whole file; nothing if it cannot be read.
std::optional<std::string> file_text(const std::string& path);

}  // namespace vtlsim::runner
