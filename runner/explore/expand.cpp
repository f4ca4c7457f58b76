#include "runner/explore/expand.hpp"

#include <algorithm>

namespace vtlsim::runner::explore {

Expansion Expander::expand(const Visit& visit, const Subject::Saved& saved) {
    Expansion out;
    subject_->restore(saved);
    enabled_ = subject_->enabled();
    std::vector<std::pair<ActorId, Cost>> choices;
    for (ActorId actor : enabled_) {
        choices.emplace_back(actor, cost_after(visit.cost, *subject_, enabled_, visit.last, actor));
    }
    // The last actor first: it may be the only one that needs to be followed.
    const auto last = std::find_if(choices.begin(), choices.end(),
                                   [&](const auto& choice) { return choice.first == visit.last; });
    const bool can_go_on = last != choices.end();
    if (can_go_on) std::rotate(choices.begin(), last, last + 1);

    bool restored = true;
    for (const auto& [actor, cost] : choices) {
        if (options_.preemptions && cost.preemptions > *options_.preemptions) {
            out.preemptions_cut = true;
            continue;
        }
        if (!restored) subject_->restore(saved);
        out.children.push_back(take(actor, last_after(*subject_, visit.last, actor), cost));
        ++out.steps;
        restored = false;
        if (options_.reduction && can_go_on && actor == visit.last && choices.size() > 1) {
            if (follow_alone(out.children.back(), saved)) {
                out.reduced = true;
                return out;
            }
        }
    }
    return out;
}

Child Expander::take(ActorId actor, int last, const Cost& cost) {
    Child child;
    child.actor = actor;
    child.last = last;
    child.cost = cost;
    subject_->step(actor);
    child.violations = subject_->violations();
    child.state = subject_->fingerprint();
    after_ = subject_->enabled();
    child.over = after_.empty();
    child.cut = subject_->cut();
    const u32 known = visited_.find(child.state, last);
    const bool news = known == Visit::kNone || cost < visited_[known].cost;
    if (!child.over && news) child.saved = subject_->save();
    return child;
}

// Whether the last actor's step, just taken, is a persistent set by itself (docs/explore.md). Its
// state must be new to be gone on from later than this one: no cycle puts the others off for ever.
bool Expander::follow_alone(const Child& child, const Subject::Saved& saved) {
    const u32 known = visited_.find(child.state, child.last);
    if (known != Visit::kNone && visited_[known].closed) return false;
    for (ActorId other : enabled_) {
        if (other != child.actor && !std::binary_search(after_.begin(), after_.end(), other)) {
            return false;
        }
    }
    const std::vector<Access> accesses = subject_->accesses();
    subject_->restore(saved);
    const std::size_t actors = subject_->actor_names().size();
    for (std::size_t other = 0; other < actors; ++other) {
        if (other == child.actor) continue;
        for (const Access& access : accesses) {
            if (subject_->may_conflict(static_cast<ActorId>(other), access)) return false;
        }
    }
    return true;
}

}  // namespace vtlsim::runner::explore
