// Switches that vary, conditions on them, and what a scenario says to the runner.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/switches.hpp"
#include "runner/json/reader.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::runner {

// A switch and some of its values.
struct Axis {
    const model::SwitchRow* row = nullptr;
    std::vector<u8> values;
};

std::vector<Axis> read_axes(const Node& node);
// The switches that tell variants apart; what `fixed` sets cannot vary.
std::vector<Axis> read_varying(const Node& node, const std::optional<Node>& fixed);

// Whether the switches have one of the listed values each.
bool applies(const std::vector<Axis>& when, const model::Switches& switches);

// The cross product, the last axis varying fastest.
std::vector<model::Switches> combine(const model::Switches& base, const std::vector<Axis>& axes);

// A condition that a scenario writes down; one that is met by no variant is a mistake.
struct Condition {
    std::vector<Axis> when;
    Node node;
    bool used = false;
    std::string reason;  // of an xfail
};
std::vector<Condition> read_excluded(const Node& node);
// Marks all that apply.
bool any_applies(std::vector<Condition>& conditions, const model::Switches& switches);
void report_unused(const std::vector<Condition>& conditions);

// "tags", "xfail" and "golden".
struct RunnerKeys {
    std::vector<std::string> tags;
    std::vector<Condition> xfails;
    std::optional<GoldenTrace> golden;

    // Why the variant with these switches is known to fail; empty if it is not.
    std::string xfail_of(const model::Switches& switches);
};
RunnerKeys read_runner_keys(const Fields& root);

}  // namespace vtlsim::runner
