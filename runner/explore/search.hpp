// The search over all schedules of a subject, and random walks through those of one that is too
// large. What is found does not depend on the number of jobs, nor on anything else but the options
// (a time limit excepted). docs/explore.md argues why the reduction is right.
#pragma once

#include <optional>

#include "runner/explore/subject.hpp"

namespace vtlsim::runner::explore {

enum class Mode : u8 { exhaustive, random, pct };

struct Progress {
    u64 states = 0;
    u64 transitions = 0;
    u64 open = 0;  // states still to be gone on from, or walks
    Cost cost;     // of the schedules being looked at
};

struct SearchOptions {
    Mode mode = Mode::exhaustive;
    bool all = false;       // every distinct violation, not those of the smallest run alone
    bool reduction = true;  // of the exhaustive search
    u32 jobs = 1;

    u32 depth = 10'000;              // turns of a schedule, at most
    std::optional<u32> preemptions;  // of a schedule, at most (exhaustive)
    u64 states = 10'000'000;         // distinct states, about at most (exhaustive)
    u64 memory = u64{4} << 30;       // bytes of what the search keeps, about at most (exhaustive)
    std::optional<double> seconds;   // makes a result that hits it depend on the machine

    u64 seed = 1;       // of random and pct
    u64 runs = 10'000;  // how many walks
    u32 pct_depth = 3;  // of pct: the number of ordering constraints that a bug needs

    std::function<void(const Progress&)> progress;  // now and then; null: not wanted
};

// A violation and a run that ends in it.
struct Found {
    Violation violation;
    std::vector<ActorId> run;  // who went at each turn
    Cost cost;
};

// `scenario`: a limit of the subject itself (Subject::cut). It and the depth cut single schedules,
// the others end the search.
enum class Limit : u8 { depth, states, memory, time, scenario };
std::string_view limit_name(Limit limit);

struct SearchResult {
    std::vector<Found> violations;  // distinct in invariant and key, by cost
    // Schedules gone through: each up to the end of its run, a state known already, or a bound.
    u64 schedules = 0;
    u64 states = 0;       // distinct (exhaustive); turns made (walks)
    u64 transitions = 0;  // steps looked at, and
    u64 steps_made = 0;   // made (exhaustive): the others were known from the same state
    u64 reduced = 0;      // states at which only the last actor had to be followed
    u64 open_peak = 0;    // saves held at once, at most
    u64 saves = 0;
    u64 save_bytes = 0;  // of all saves together, each as it says
    u32 max_turns = 0;
    std::vector<Fingerprint> ends;  // the distinct states in which runs ended, ascending
    // Every state that a schedule with no more than the allowed preemptions reaches has been seen.
    bool complete = false;
    bool preemption_bound_hit = false;  // some schedule would have had more
    std::vector<Limit> limits;          // why it is not complete, if not for the first violation
};

// Leaves those violations alone that end the run of the first one.
void keep_smallest(std::vector<Found>& sorted);

// Throws what a subject throws.
SearchResult search(const SubjectFactory& factory, const SearchOptions& options);

}  // namespace vtlsim::runner::explore
