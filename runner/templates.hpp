// Scenarios to start from (runner/templates), as `vtlsim new` writes them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vtlsim::runner {

struct Template {
    std::string_view name;
    // Its first line is a comment that says what it is; @NAME@ and @SCHEMA@ are to be filled in.
    std::string_view text;

    std::string_view summary() const;
    // Without the summary.
    std::string filled(std::string_view scenario_name, std::string_view schema) const;
};

// By name.
const std::vector<Template>& templates();

// The name of a scenario in this file: its stem, with '-' for what names cannot have.
std::string name_for(const std::string& path);

// Where an editor finds the schema from a file, relative to its folder: docs/scenario.schema.json
// or scenario.schema.json in that folder or above; empty if there is none.
std::string schema_for(const std::string& path);

}  // namespace vtlsim::runner
