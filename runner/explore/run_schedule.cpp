#include "runner/explore/run_schedule.hpp"

#include <fmt/format.h>

#include "runner/explore/replay.hpp"
#include "runner/explore/world_subject.hpp"

namespace vtlsim::runner::explore {

model::WorldConfig exploration_config(const Scenario& scenario, const Variant& variant) {
    model::WorldConfig config = scenario.config(variant);
    config.schedule.clear();
    if (config.invariants.empty()) {
        for (const model::InvariantRow& row : model::invariant_rows()) {
            config.invariants.push_back(row.id);
        }
    }
    return config;
}

std::optional<Result> run_schedule(const Scenario& scenario, const Variant& variant,
                                   const Schedule& schedule, const std::string& schedule_file,
                                   Diagnostics& diagnostics) {
    const model::WorldConfig config = exploration_config(scenario, variant);
    model::World world(config);
    WorldSubject subject(world);
    Follower follower(subject, schedule);
    std::vector<Failure> broken;
    int last = kNobody;
    u32 turns = 0;
    for (auto enabled = subject.enabled(); !enabled.empty(); enabled = subject.enabled()) {
        const auto actor =
            follower.choose(enabled, default_choice(subject, enabled, last), turns++);
        if (!actor) break;
        subject.step(*actor);
        last = last_after(subject, last, *actor);
        for (const Violation& v : subject.violations()) {
            broken.push_back({fmt::format("invariant {} ({})", v.invariant, v.key), "holds", v.what,
                              world.steps()});
        }
    }
    follower.finish(turns);
    if (const auto& misfit = follower.misfit()) {
        const Position at = schedule[misfit->deviation].position;
        diagnostics.add({schedule_file, at.line, at.column, "", misfit->message});
        return std::nullopt;
    }
    Scenario without_its_own = scenario;
    without_its_own.world.schedule.clear();
    Result result = result_of(world, config, without_its_own, variant);
    if (!broken.empty() && result.status != Status::error) result.status = Status::fail;
    result.failures.insert(result.failures.begin(), broken.begin(), broken.end());
    return result;
}

}  // namespace vtlsim::runner::explore
