// One run of a subject: by a schedule, or by the list of who went.
#pragma once

#include <optional>

#include "runner/explore/schedule.hpp"

namespace vtlsim::runner::explore {

// What happened at one turn.
struct Turn {
    ActorId actor = 0;
    std::string step;
    ActorId by_default = 0;  // who would have gone, and
    std::string waiting;     // with which step
    bool preemption = false;
    std::vector<Access> accesses;
};

struct Replay {
    std::vector<Turn> turns;
    struct Hit {
        Violation violation;
        u32 turns;  // after so many turns it showed
    };
    std::vector<Hit> violations;
    Cost cost;
    bool over = false;  // nothing was enabled any more
    // The schedule does not fit: which of its deviations, and why.
    struct Misfit {
        std::size_t deviation;
        std::string message;
    };
    std::optional<Misfit> misfit;

    // The first violation equal to `violation`, with its own evidence; null: there is none.
    const Violation* find(const Violation& violation) const;
};

// Who goes next; nothing: the run is not to go on. `turn` counts from 0.
using Chooser = std::function<std::optional<ActorId>(const std::vector<ActorId>& enabled,
                                                     ActorId by_default, u32 turn)>;

// From the state that the subject is in. Ends with the run, after `depth` turns, or when the
// chooser says so. Without `names` the texts and accesses of the turns stay empty.
Replay replay(Subject& subject, const Chooser& chooser, u32 depth, bool names = true);
Replay replay(Subject& subject, const Schedule& schedule, u32 depth, bool names = true);
// Ends after the last turn of `run`, whose actors must be enabled at their turns.
Replay replay(Subject& subject, const std::vector<ActorId>& run, bool names = true);

Schedule schedule_of(const Subject& subject, const std::vector<Turn>& turns);

// The chooser of a schedule, for worlds that are run by something else than replay().
class Follower {
  public:
    Follower(const Subject& subject, const Schedule& schedule)
        : subject_(&subject), schedule_(&schedule) {}

    // Nothing if the schedule does not fit: then there is a misfit().
    std::optional<ActorId> choose(const std::vector<ActorId>& enabled, ActorId by_default,
                                  u32 turn);
    // After the last turn: some of the schedule may be left.
    void finish(u32 turns);
    const std::optional<Replay::Misfit>& misfit() const { return misfit_; }

  private:
    std::string check(const Deviation& d, const std::vector<ActorId>& enabled, ActorId by_default,
                      std::optional<ActorId>& actor) const;

    const Subject* subject_;
    const Schedule* schedule_;
    std::size_t next_ = 0;
    std::optional<Replay::Misfit> misfit_;
};

}  // namespace vtlsim::runner::explore
