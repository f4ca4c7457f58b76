// Runs scenarios.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runner/diagnostic.hpp"
#include "runner/result.hpp"

namespace vtlsim::runner {

// Runs one variant to its end and judges it; `look` is shown the world at its end.
using Look = std::function<void(const model::World&)>;
Result run_variant(const Scenario& scenario, const Variant& variant, const Look& look = {});
// Judges a world of the variant's config that has been run to its end: as a known failure is
// counted, and as the expectations alone say.
Result verdict_on(const model::World& world, const model::WorldConfig& config,
                  const Scenario& scenario, const Variant& variant);
Result result_of(const model::World& world, const model::WorldConfig& config,
                 const Scenario& scenario, const Variant& variant);

struct FileResults {
    std::optional<ScenarioHead> scenario;  // nothing for a file that could not be loaded
    std::vector<Result> results;  // one for each variant; of a bad file the one that says so
};

// What stands for a file that is wrong, or a folder: nothing is lost in the JSON.
FileResults bad_file(const std::string& file, const Diagnostics& diagnostics);
// Loads a file and runs every variant. Errors of the file are also added to `diagnostics`.
FileResults run_file(const std::string& file, Diagnostics& diagnostics);

}  // namespace vtlsim::runner
