#include "runner/explore/run_schedule.hpp"

#include <fmt/format.h>

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

ScheduledRun::ScheduledRun(model::World& world, const Schedule& schedule)
    : world_(world), schedule_(schedule), subject_(world), follower_(subject_, schedule) {}

bool ScheduledRun::next() {
    enabled_ = subject_.enabled();
    if (enabled_.empty()) return false;
    by_default_ = default_choice(subject_, enabled_, last_);
    const auto actor = follower_.choose(enabled_, by_default_, turns_++);
    if (!actor) return false;
    chosen_ = *actor;
    return true;
}

void ScheduledRun::step() {
    subject_.step(chosen_);
    last_ = last_after(subject_, last_, chosen_);
    for (const Violation& v : subject_.violations()) {
        broken_.push_back({fmt::format("invariant {} ({})", v.invariant, v.key), "holds", v.what,
                           world_.steps()});
    }
}

std::optional<Result> ScheduledRun::finish(const Scenario& scenario,
                                           const model::WorldConfig& config, const Variant& variant,
                                           const std::string& schedule_file,
                                           Diagnostics& diagnostics) {
    follower_.finish(turns_);
    if (const auto& misfit = follower_.misfit()) {
        const Position at = schedule_[misfit->deviation].position;
        diagnostics.add({schedule_file, at.line, at.column, "", misfit->message});
        return std::nullopt;
    }
    Scenario without_its_own = scenario;
    without_its_own.world.schedule.clear();
    Result result = result_of(world_, config, without_its_own, variant);
    if (!broken_.empty() && result.status != Status::error) result.status = Status::fail;
    result.failures.insert(result.failures.begin(), broken_.begin(), broken_.end());
    return result;
}

std::optional<Result> run_schedule(const Scenario& scenario, const Variant& variant,
                                   const Schedule& schedule, const std::string& schedule_file,
                                   Diagnostics& diagnostics) {
    const model::WorldConfig config = exploration_config(scenario, variant);
    model::World world(config);
    ScheduledRun run(world, schedule);
    while (run.next()) run.step();
    return run.finish(scenario, config, variant, schedule_file, diagnostics);
}

}  // namespace vtlsim::runner::explore
