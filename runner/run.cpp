#include "runner/run.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/world.hpp"
#include "runner/around.hpp"
#include "runner/format.hpp"
#include "runner/load.hpp"
#include "runner/run_kvm.hpp"

namespace vtlsim::runner {

std::string_view status_name(Status status) {
    constexpr std::string_view kNames[] = {"pass", "fail", "limit", "error", "xfail", "xpass"};
    return kNames[static_cast<std::size_t>(status)];
}

std::string choice_label(const std::vector<std::pair<std::string, std::string>>& choice) {
    std::string out;
    for (const auto& [name, value] : choice) {
        out += fmt::format("{}{}={}", out.empty() ? "" : ",", name, value);
    }
    return out;
}

std::string Result::id() const {
    return variant.empty() ? scenario : fmt::format("{}[{}]", scenario, choice_label(variant));
}

namespace {

// A known failure is counted as one.
Result as_expected(Result result, const std::string& reason) {
    if (!reason.empty() && result.status == Status::fail) {
        result.status = Status::xfail;
        result.xfail = reason;
    } else if (!reason.empty() && result.status == Status::pass) {
        result.status = Status::xpass;
        result.xfail = reason;
        result.failures.push_back(
            {"xfail: " + reason, "a failure", "everything is as expected", result.steps});
    }
    return result;
}

}  // namespace

Result verdict_on(const model::World& world, const model::WorldConfig& config,
                  const Scenario& scenario, const Variant& variant) {
    return as_expected(result_of(world, config, scenario, variant), variant.xfail);
}

Result run_variant(const Scenario& scenario, const Variant& variant, const Look& look) {
    if (scenario.kvm) {
        return as_expected(run_kvm_variant(*scenario.kvm, variant.kvm), variant.xfail);
    }
    const model::WorldConfig config = scenario.config(variant);
    model::World world(config);
    world.run();
    Result result = verdict_on(world, config, scenario, variant);
    if (look) look(world);
    return result;
}

Result result_of(const model::World& world, const model::WorldConfig& config,
                 const Scenario& scenario, const Variant& variant) {
    const model::EndReason end = world.end();
    Result result;
    result.scenario = scenario.name;
    result.file = scenario.file;
    result.variant = variant.choice;
    result.steps = world.steps();
    result.hash = world.hash();
    result.end = end_reason_name(end);
    for (const std::string& path : scenario.show) {
        const auto value = world.value(path);
        result.shown.push_back(value ? hex_text(*value) : "-");
    }
    const bool limited =
        end == model::EndReason::step_limit || end == model::EndReason::memory_limit;
    const auto events = world.log().events();
    const auto gap = std::find_if(events.begin(), events.end(), [](const model::Event& e) {
        return e.kind == model::EventKind::not_modelled;
    });
    if (gap != events.end()) {
        // No scenario passes on a gap of the model, whatever it expects.
        result.status = Status::error;
        result.failures.push_back(
            {"everything is modelled", "no gap", event_text(world.log(), *gap), gap->step});
    } else if (limited && scenario.expected_end(variant) != end) {
        // What is expected might still have come.
        result.status = Status::limit;
        const model::Limits& limits = config.limits;
        result.failures.push_back(
            {"the run ends",
             end == model::EndReason::step_limit
                 ? fmt::format("within {} steps", limits.steps)
                 : fmt::format("within {} bytes of memory", limits.pages * sim::kPageSize),
             result.end, world.steps()});
    } else {
        result.failures = judge(world, scenario, variant);
        if (!result.failures.empty()) result.status = Status::fail;
    }
    if (!result.failures.empty()) {
        result.around = events_around(world, result.failures.front().step);
    }
    return result;
}

FileResults bad_file(const std::string& file, const Diagnostics& diagnostics) {
    Result r;
    r.scenario = file;
    r.file = file;
    r.status = Status::error;
    for (const Diagnostic& d : diagnostics.sorted()) {
        r.failures.push_back({"the file is well-formed", "no error", d.to_string(), 0});
    }
    return {std::nullopt, {std::move(r)}};
}

FileResults run_file(const std::string& file, Diagnostics& diagnostics) {
    Diagnostics own;
    const auto scenario = load_scenario(file, own);
    diagnostics.append(own);
    if (!scenario) return bad_file(file, own);
    FileResults out{*scenario, {}};
    for (const Variant& variant : scenario->variants) {
        out.results.push_back(run_variant(*scenario, variant));
    }
    return out;
}

}  // namespace vtlsim::runner
