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
    std::optional<Edge> edge;                     // the step was made, and may be known from now on
};

struct Expansion {
    std::vector<Child> children;
    u32 steps = 0;  // looked at; of these
    u32 made = 0;   // were made, the others known
    bool reduced = false;
    bool preemptions_cut = false;
};

class Expander {
  public:
    Expander(std::unique_ptr<Subject> subject, const SearchOptions& options, const Visited& visited)
        : subject_(std::move(subject)), options_(options), visited_(visited) {}

    // Of a closed visit of the state `at`. Others may do the same at the same time, but nobody
    // changes `visited`.
    Expansion expand(const Visit& visit, const Fingerprint& at, const Subject::Saved& saved);

    Subject& subject() { return *subject_; }

  private:
    Child take(ActorId actor, int last, const Cost& cost);
    // The child as it is known, if nothing new is to be had from making the step.
    std::optional<Child> known(const Fingerprint& at, ActorId actor, int last, const Cost& cost);
    bool is_news(const Fingerprint& state, int last, const Cost& cost) const;
    // Of the state that the subject is in, whose edge leads to the child.
    bool follow_alone(const Child& child, const Edge& edge);

    std::unique_ptr<Subject> subject_;
    const SearchOptions& options_;
    const Visited& visited_;
    std::vector<ActorId> enabled_;  // before the step
    std::vector<ActorId> after_;    // after it
};

}  // namespace vtlsim::runner::explore
