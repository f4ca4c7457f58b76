// An actor's step, the turns of a run, and what a schedule changes of them.
#include <algorithm>

#include <fmt/format.h>

#include "model/plugins.hpp"
#include "model/vp_watcher.hpp"

namespace vtlsim::model {

void World::step(ActorId id) {
    const Actor& actor = actors_[id];
    board_.accesses.clear();
    invariants_.begin_step();
    const std::size_t first_event = board_.log.events().size();
    const EndReason was = board_.end;
    ++turns_;
    acted_ = id;
    // Each turn counts.
    if (board_.config.attention_delay != 0) board_.touch(Object::attention_ipi, 0, true);
    if (driver_.state().attention_delay != 0 && actor.kind != ActorKind::attention_ipi) {
        --driver_.state().attention_delay;
    }
    switch (actor.kind) {
        case ActorKind::drain:
            at(actor.index % layout::kMaxVps);
            drain(static_cast<CpuId>(actor.index));
            break;
        case ActorKind::vp:
            at(actor.index);
            run_vp();
            break;
        case ActorKind::request_ipi:
            at(actor.index);
            land_request_ipi();
            break;
        case ActorKind::attention_ipi:
            at(0);
            board_.next_step();
            driver_.state().attention_delay = 0;
            driver_.land_attention_ipi();
            break;
        case ActorKind::isr:
            at(0);
            board_.next_step();
            board_.acting_cpu = kPollerCpu;
            driver_.isr_step();
            break;
        case ActorKind::poller:
            at(0);
            board_.next_step();
            board_.acting_cpu = kPollerCpu;
            driver_.poller_step();
            break;
        case ActorKind::vmm:
            at(actor.index);
            board_.acting_cpu = cpu_of_vmm(actor.index);
            if (vmms_[actor.index]->state().phase == Vmm::Phase::handle) {
                invariants_.handler_starts();
            }
            // A pinned stop does nothing unless this thread is in the right phase.
            if (has_pinned_stop(actor.index)) board_.touch(Object::finished, actor.index, true);
            if (has_pinned_signal(actor.index)) board_.touch(Object::sync_wake, actor.index, true);
            vmms_[actor.index]->step();
            break;
        case ActorKind::spawn:
            at(actor.index);
            board_.next_step();
            board_.touch(Object::finished, actor.index, true);
            vmms_[actor.index]->request_stop();
            break;
        case ActorKind::event:
            at(board_.config.events[actor.index].vp);
            fire_event(actor.index);
            break;
        case ActorKind::plugin: {
            at(0);
            board_.next_step();
            const Plugins& plugins = *board_.config.plugins;
            ActorTurn turn(*this);
            plugins.actors[actor.index].step(
                turn, board_.plugin_states[plugins.state_of_actor(actor.index)]);
            break;
        }
    }
    if (!passive(id)) last_ = id;
    if (board_.end == EndReason::none && board_.step >= board_.config.limits.steps) {
        board_.finish(EndReason::step_limit);
    }
    invariants_.events(first_event);
    if (was == EndReason::none && board_.end != EndReason::none) invariants_.end();
    std::sort(board_.accesses.begin(), board_.accesses.end());
    board_.accesses.erase(std::unique(board_.accesses.begin(), board_.accesses.end()),
                          board_.accesses.end());
}

void World::conclude() {
    EndReason reason = EndReason::none;
    unsigned whose = 0;
    for (unsigned vp = 0; vp < board_.vps.size(); ++vp) {
        const Vmm::State& vmm = vmms_[vp]->state();
        const Vp& own = board_.vps[vp];
        EndReason mine = EndReason::stuck;
        if (vmm.phase == Vmm::Phase::over) {
            mine = vmm.result;
        } else if (own.active_vtl == kVtl0 && vmm.phase == Vmm::Phase::running) {
            mine = EndReason::guest_halted;
        }
        if (reason == EndReason::none || (mine == EndReason::stuck && reason != mine)) {
            reason = mine;
            whose = vp;
        }
    }
    at(whose);
    board_.finish(reason);
    invariants_.end();
}

// --- schedules ----------------------------------------------------------------------------------

ActorId World::scheduled(const std::vector<ActorId>& enabled) {
    const ActorId by_default = default_choice(enabled);
    const auto& schedule = board_.config.schedule;
    if (schedule_at_ == schedule.size()) return by_default;
    const ScheduleEntry& entry = schedule[schedule_at_];
    const auto wrong = [&](std::string_view what) {
        if (schedule_problem_.empty()) schedule_problem_ = fmt::format("turn {}: {}", turns_, what);
        return by_default;
    };
    if (entry.turn && *entry.turn != turns_) return by_default;
    if (!entry.instead_of.empty() && entry.instead_of != actors_[by_default].name) {
        if (!entry.turn) return by_default;
        return wrong(fmt::format("{} would go by default", actors_[by_default].name));
    }
    if (!entry.turn || !entry.step.empty()) {
        const std::string step = step_name(by_default);
        const bool other_step = !entry.step.empty() && entry.step != step;
        if (entry.turn && other_step) {
            return wrong(fmt::format("the step of {} is \"{}\"", actors_[by_default].name, step));
        }
        // Occurrences count from the start of the run.
        if (!entry.turn && (other_step || steps_made_[{by_default, step}] + 1 != entry.nth)) {
            return by_default;
        }
    }
    const auto wanted = std::find_if(enabled.begin(), enabled.end(),
                                     [&](ActorId id) { return actors_[id].name == entry.run; });
    if (wanted == enabled.end()) {
        std::string names;
        for (ActorId id : enabled) names += (names.empty() ? "" : ", ") + actors_[id].name;
        return wrong(fmt::format("{} cannot act, only {}", entry.run, names));
    }
    if (!entry.does.empty()) {
        const std::string does = step_name(*wanted);
        if (does != entry.does) return wrong(fmt::format("{} would do \"{}\"", entry.run, does));
    }
    ++schedule_at_;
    return *wanted;
}

// Entries without a turn count steps.
bool World::places_left() const {
    const auto& schedule = board_.config.schedule;
    return std::any_of(schedule.begin() + static_cast<std::ptrdiff_t>(schedule_at_), schedule.end(),
                       [](const ScheduleEntry& entry) { return !entry.turn; });
}

bool World::turn() {
    if (board_.end != EndReason::none) return false;
    const std::vector<ActorId> now = enabled();
    const auto keep_violations = [&] {
        for (const Violation& v : violations()) {
            const bool known = std::any_of(
                all_violations_.begin(), all_violations_.end(),
                [&](const Violation& other) { return other.id == v.id && other.vp == v.vp; });
            if (!known) all_violations_.push_back(v);
        }
    };
    if (now.empty()) {
        conclude();
        keep_violations();
        return false;
    }
    const ActorId chosen = scheduled(now);
    if (places_left()) ++steps_made_[{chosen, step_name(chosen)}];
    step(chosen);
    keep_violations();
    return board_.end == EndReason::none;
}

}  // namespace vtlsim::model
