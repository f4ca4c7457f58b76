// One step of the exhaustive search: everything that can happen next in a state, or, where the
// reduction allows it, the one thing that needs to be looked at.
#pragma once

#include "runner/explore/search.hpp"
#include "runner/explore/visited.hpp"

namespace vtlsim::runner::explore {

struct Child {
    ActorId actor = 0;
    int last = kNobody;
    Cost cost;
    Fingerprint state{};
    std::vector<Violation> violations;
    bool over = false;                            // nothing can happen any more
    bool cut = false;                             // because of a limit
    std::shared_ptr<const Subject::Saved> saved;  // null: nothing is left to be found from there
};

struct Expansion {
    std::vector<Child> children;
    u32 steps = 0;
    bool reduced = false;
    bool preemptions_cut = false;
};

class Expander {
  public:
    Expander(std::unique_ptr<Subject> subject, const SearchOptions& options, const Visited& visited)
        : subject_(std::move(subject)), options_(options), visited_(visited) {}

    // Of a closed visit. Others may do the same at the same time, but nobody changes `visited`.
    Expansion expand(const Visit& visit, const Subject::Saved& saved);

    Subject& subject() { return *subject_; }

  private:
    Child take(ActorId actor, int last, const Cost& cost);
    bool follow_alone(const Child& child, const Subject::Saved& saved);

    std::unique_ptr<Subject> subject_;
    const SearchOptions& options_;
    const Visited& visited_;
    std::vector<ActorId> enabled_;  // before the step
    std::vector<ActorId> after_;    // after it
};

}  // namespace vtlsim::runner::explore
