#include "runner/explore/expand.hpp"

#include <algorithm>

namespace vtlsim::runner::explore {

Expansion Expander::expand(const Visit& visit, const Fingerprint& at, const Subject::Saved& saved) {
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
        const int last_then = last_after(*subject_, visit.last, actor);
        std::optional<Child> child = known(at, actor, last_then, cost);
        if (!child) {
            if (!restored) subject_->restore(saved);
            child = take(actor, last_then, cost);
            restored = false;
            ++out.made;
        }
        ++out.steps;
        out.children.push_back(std::move(*child));
        if (options_.reduction && can_go_on && actor == visit.last && choices.size() > 1) {
            const Child& first = out.children.back();
            const Edge* edge = first.edge ? &*first.edge : visited_.edge(at, actor);
            if (edge == nullptr) continue;  // it broke something, or a limit
            if (!restored) subject_->restore(saved);
            restored = true;
            if (follow_alone(first, *edge)) {
                out.reduced = true;
                return out;
            }
        }
    }
    return out;
}

bool Expander::is_news(const Fingerprint& state, int last, const Cost& cost) const {
    const u32 index = visited_.find(state, last);
    return index == Visit::kNone || cost < visited_[index].cost;
}

std::optional<Child> Expander::known(const Fingerprint& at, ActorId actor, int last,
                                     const Cost& cost) {
    const Edge* edge = visited_.edge(at, actor);
    if (edge == nullptr || (!edge->over && is_news(edge->to, last, cost))) return std::nullopt;
    Child child;
    child.actor = actor;
    child.last = last;
    child.cost = cost;
    child.state = edge->to;
    child.over = edge->over;
    return child;
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
    if (child.violations.empty() && !child.cut) {
        Edge edge{actor, child.over, false, child.state, {}};
        for (ActorId other : enabled_) {
            edge.takes_away =
                edge.takes_away ||
                (other != actor && !std::binary_search(after_.begin(), after_.end(), other));
        }
        if (options_.reduction) edge.accesses = subject_->accesses();
        child.edge = std::move(edge);
    }
    if (!child.over && is_news(child.state, last, cost)) child.saved = subject_->save();
    return child;
}

// Whether the last actor's step is a persistent set by itself (docs/explore.md). Its state must be
// new to be gone on from later than this one: no cycle puts the others off for ever.
bool Expander::follow_alone(const Child& child, const Edge& edge) {
    const u32 index = visited_.find(child.state, child.last);
    if (index != Visit::kNone && visited_[index].closed) return false;
    if (edge.takes_away) return false;
    const std::size_t actors = subject_->actor_names().size();
    for (std::size_t other = 0; other < actors; ++other) {
        if (other == child.actor) continue;
        for (const Access& access : edge.accesses) {
            if (subject_->may_conflict(static_cast<ActorId>(other), access)) return false;
        }
    }
    return true;
}

}  // namespace vtlsim::runner::explore
