// Scenarios under the explorer: their configuration, and one run by a schedule.
#pragma once

#include "runner/explore/replay.hpp"
#include "runner/explore/world_subject.hpp"
#include "runner/run.hpp"

namespace vtlsim::runner::explore {

// The variant's configuration, without the scenario's own schedule. A scenario that switches no
// invariant on has all of them.
model::WorldConfig exploration_config(const Scenario& scenario, const Variant& variant);

// One run by a schedule, turn by turn. World and schedule must outlive it.
class ScheduledRun {
  public:
    ScheduledRun(model::World& world, const Schedule& schedule);

    // Chooses the next turn; false: the run is over, or the schedule does not fit.
    bool next();
    const std::vector<ActorId>& enabled() const { return enabled_; }
    ActorId by_default() const { return by_default_; }
    void step();  // the turn that next() has chosen

    // After the last turn; nothing, after a message, if the schedule does not fit.
    std::optional<Result> finish(const Scenario& scenario, const model::WorldConfig& config,
                                 const Variant& variant, const std::string& schedule_file,
                                 Diagnostics& diagnostics);

  private:
    model::World& world_;
    const Schedule& schedule_;
    WorldSubject subject_;
    Follower follower_;
    std::vector<Failure> broken_;
    std::vector<ActorId> enabled_;
    ActorId by_default_ = 0;
    ActorId chosen_ = 0;
    int last_ = kNobody;
    u32 turns_ = 0;
};

// Runs the variant by the schedule and judges it; broken invariants are failures too. Nothing,
// after a message at the place in the schedule's file, if the schedule does not fit.
std::optional<Result> run_schedule(const Scenario& scenario, const Variant& variant,
                                   const Schedule& schedule, const std::string& schedule_file,
                                   Diagnostics& diagnostics);

}  // namespace vtlsim::runner::explore
