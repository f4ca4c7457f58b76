#include "runner/explore/replay.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace vtlsim::runner::explore {
namespace {

// `vp0 ("hlt"), vmm0 ("poll")`
std::string enabled_text(const Subject& subject, const std::vector<ActorId>& enabled) {
    std::string out;
    for (ActorId actor : enabled) {
        out += fmt::format("{}{} ({})", out.empty() ? "" : ", ", subject.actor_names()[actor],
                           in_quotes(subject.step_name(actor)));
    }
    return out;
}

}  // namespace

const Violation* Replay::find(const Violation& violation) const {
    const auto hit = std::find_if(violations.begin(), violations.end(), [&](const Hit& h) {
        return same_violation(h.violation, violation);
    });
    return hit == violations.end() ? nullptr : &hit->violation;
}

Replay replay(Subject& subject, const Chooser& chooser, u32 depth, bool names) {
    Replay out;
    int last = kNobody;
    std::vector<ActorId> enabled = subject.enabled();
    const auto note = [&] {
        for (Violation& v : subject.violations()) {
            out.violations.push_back({std::move(v), out.cost.turns});
        }
    };
    if (enabled.empty()) note();
    while (!enabled.empty() && out.cost.turns < depth) {
        const ActorId by_default = default_choice(subject, enabled, last);
        const auto actor = chooser(enabled, by_default, out.cost.turns);
        if (!actor) return out;
        const Cost cost = cost_after(out.cost, subject, enabled, last, *actor);
        Turn turn;
        turn.actor = *actor;
        turn.by_default = by_default;
        turn.preemption = cost.preemptions != out.cost.preemptions;
        out.cost = cost;
        if (names) {
            turn.step = subject.step_name(*actor);
            if (*actor != by_default) turn.waiting = subject.step_name(by_default);
        }
        subject.step(*actor);
        if (names) turn.accesses = subject.accesses();
        out.turns.push_back(std::move(turn));
        note();
        last = last_after(subject, last, *actor);
        enabled = subject.enabled();
    }
    out.over = enabled.empty();
    return out;
}

Replay replay(Subject& subject, const Schedule& schedule, u32 depth, bool names) {
    Follower follower(subject, schedule);
    Replay out = replay(
        subject,
        [&](const std::vector<ActorId>& enabled, ActorId by_default, u32 turn) {
            return follower.choose(enabled, by_default, turn);
        },
        depth, names);
    follower.finish(out.cost.turns);
    out.misfit = follower.misfit();
    return out;
}

Replay replay(Subject& subject, const std::vector<ActorId>& run, bool names) {
    return replay(
        subject, [&](const std::vector<ActorId>&, ActorId, u32 turn) { return run[turn]; },
        static_cast<u32>(run.size()), names);
}

Schedule schedule_of(const Subject& subject, const std::vector<Turn>& turns) {
    Schedule out;
    for (std::size_t i = 0; i < turns.size(); ++i) {
        const Turn& turn = turns[i];
        if (turn.actor == turn.by_default) continue;
        Deviation d;
        d.turn = static_cast<u32>(i);
        d.run = subject.actor_names()[turn.actor];
        d.instead_of = subject.actor_names()[turn.by_default];
        d.step = turn.waiting;
        d.does = turn.step;
        out.push_back(std::move(d));
    }
    return out;
}

std::optional<ActorId> Follower::choose(const std::vector<ActorId>& enabled, ActorId by_default,
                                        u32 turn) {
    if (next_ == schedule_->size() || (*schedule_)[next_].turn != turn) return by_default;
    std::optional<ActorId> actor;
    const std::string problem = check((*schedule_)[next_], enabled, by_default, actor);
    if (!problem.empty()) {
        misfit_ = {next_, fmt::format("at turn {} {}; enabled are {}", turn, problem,
                                      enabled_text(*subject_, enabled))};
        return std::nullopt;
    }
    ++next_;
    return actor;
}

// What is wrong with a deviation; empty if nothing is, and then `actor` is the one that goes.
std::string Follower::check(const Deviation& d, const std::vector<ActorId>& enabled,
                            ActorId by_default, std::optional<ActorId>& actor) const {
    const auto& names = subject_->actor_names();
    const auto found = std::find(names.begin(), names.end(), d.run);
    if (found == names.end()) {
        const std::vector<std::string_view> candidates(names.begin(), names.end());
        return fmt::format("there is no actor {}{}", in_quotes(d.run),
                           did_you_mean(d.run, candidates));
    }
    actor = static_cast<ActorId>(found - names.begin());
    if (!std::binary_search(enabled.begin(), enabled.end(), *actor)) {
        return fmt::format("{} has nothing to do", d.run);
    }
    if (!d.instead_of.empty() && d.instead_of != names[by_default]) {
        return fmt::format("{} would go by default, not {}", names[by_default],
                           in_quotes(d.instead_of));
    }
    const auto other_step = [&](ActorId id, const std::string& wanted) -> std::string {
        if (wanted.empty()) return {};
        const std::string step = subject_->step_name(id);
        if (step == wanted) return {};
        return fmt::format("the next step of {} is {}, not {}", names[id], in_quotes(step),
                           in_quotes(wanted));
    };
    const std::string problem = other_step(by_default, d.step);
    return problem.empty() ? other_step(*actor, d.does) : problem;
}

void Follower::finish(u32 turns) {
    if (misfit_ || next_ == schedule_->size()) return;
    misfit_ = {next_, fmt::format("there is no turn {}: the run is over after {}",
                                  (*schedule_)[next_].turn, turns)};
}

}  // namespace vtlsim::runner::explore
