// Who can act, who goes by default, what a step is called, and what it may still touch.
#include <algorithm>

#include <fmt/format.h>

#include "model/fields.hpp"
#include "model/plugins.hpp"
#include "model/vp_watcher.hpp"

namespace vtlsim::model {

using sim::Reg;

void World::make_actors() {
    const auto add = [&](ActorKind kind, unsigned index, std::string name) {
        actors_.push_back({kind, index, std::move(name)});
    };
    const auto vps = static_cast<unsigned>(board_.vps.size());
    const auto each_vp = [&](ActorKind kind, std::string_view name) {
        for (unsigned vp = 0; vp < vps; ++vp) add(kind, vp, fmt::format("{}{}", name, vp));
    };
    const bool sidecar = board_.switches().vp_runner == VpRunner::sidecar;
    if (board_.switches().memory_order == MemoryOrder::tso) {
        for (unsigned vp = 0; vp < vps; ++vp) {
            add(ActorKind::drain, cpu_of_vp(vp), fmt::format("drain-vp{}", vp));
        }
        for (unsigned vp = 0; vp < vps; ++vp) {
            add(ActorKind::drain, cpu_of_vmm(vp), fmt::format("drain-vmm{}", vp));
        }
        if (sidecar) add(ActorKind::drain, kPollerCpu, "drain-poller");
    }
    each_vp(ActorKind::vp, "vp");
    if (sidecar) {
        each_vp(ActorKind::request_ipi, "ipi-vp");
        add(ActorKind::attention_ipi, 0, "ipi-base");
        add(ActorKind::isr, 0, "isr");
        add(ActorKind::poller, 0, "poller");
    }
    each_vp(ActorKind::vmm, "vmm");
    if (board_.config.hotplug) each_vp(ActorKind::spawn, "spawn");
    for (unsigned i = 0; i < board_.config.events.size(); ++i) {
        if (board_.config.events[i].free) add(ActorKind::event, i, fmt::format("event{}", i));
    }
    if (!board_.config.plugins) return;
    const auto& plugins = board_.config.plugins->actors;
    for (unsigned i = 0; i < plugins.size(); ++i) add(ActorKind::plugin, i, plugins[i].name);
}

bool World::vp_can_run(unsigned vp) const {
    const Vp& own = board_.vps[vp];
    if (own.cpu.get(Reg::activity) == 0) return true;
    return hypervisors_[vp]->deliverable_at(own).has_value() && own.cpu.interruptible();
}

bool World::has_pinned_stop(unsigned vp) const {
    const auto& events = board_.config.events;
    return std::any_of(events.begin(), events.end(), [&](const PinnedEvent& e) {
        return !e.free && e.vp == vp && e.action == PinnedAction::stop;
    });
}
bool World::has_pinned_signal(unsigned vp) const {
    const auto& events = board_.config.events;
    return std::any_of(events.begin(), events.end(), [&](const PinnedEvent& e) {
        return !e.free && e.vp == vp && e.action == PinnedAction::signal;
    });
}

// Whether an interrupt may reach the VP before the guest's next exit.
bool World::lands_in_guest(unsigned vp) const {
    if (driver_.request_ipi_in_flight(vp)) return true;
    for (std::size_t i = 0; i < pins_.size(); ++i) {
        const PinnedEvent& e = board_.config.events[i];
        const bool of_thread = e.action == PinnedAction::stop || e.action == PinnedAction::signal;
        if (e.free && !pins_[i].fired && e.vp == vp && !of_thread) return true;
    }
    return false;
}

bool World::can_act(ActorId id) const {
    const Actor& actor = actors_[id];
    switch (actor.kind) {
        case ActorKind::drain:
            return !board_.buffers.empty(static_cast<CpuId>(actor.index));
        case ActorKind::vp:
            return vp_can_run(actor.index);
        case ActorKind::request_ipi:
            return driver_.request_ipi_in_flight(actor.index);
        case ActorKind::attention_ipi:
            return driver_.attention_ipi_in_flight() && driver_.state().attention_delay == 0;
        case ActorKind::isr:
            return driver_.isr_ready();
        case ActorKind::poller:
            return driver_.poller_ready();
        case ActorKind::vmm:
            return vmms_[actor.index]->ready();
        case ActorKind::spawn:
            return vmms_[actor.index]->state().leaving &&
                   !vmms_[actor.index]->state().stop_wanted &&
                   vmms_[actor.index]->can_request_stop();
        case ActorKind::event: {
            if (pins_[actor.index].fired) return false;
            const PinnedEvent& e = board_.config.events[actor.index];
            if (e.action == PinnedAction::stop) return vmms_[e.vp]->can_request_stop();
            if (e.action == PinnedAction::signal) return vmms_[e.vp]->can_signal();
            const bool of_guest = e.transient || e.with_exit || e.action == PinnedAction::intercept;
            return !of_guest || board_.vps[e.vp].active_vtl == kVtl0;
        }
        case ActorKind::plugin: {
            const Plugins& plugins = *board_.config.plugins;
            const u64 state = board_.plugin_states[plugins.state_of_actor(actor.index)];
            return plugins.actors[actor.index].ready(state);
        }
    }
    return false;
}

std::vector<ActorId> World::enabled() const {
    std::vector<ActorId> out;
    if (board_.end != EndReason::none) return out;
    bool only_optional = true;
    for (ActorId id = 0; id < actors_.size(); ++id) {
        if (!can_act(id)) continue;
        out.push_back(id);
        only_optional = only_optional && actors_[id].kind == ActorKind::event;
    }
    if (!only_optional) return out;
    // A delayed IPI lands when there is nothing left to wait for. Free events come only while
    // somebody else can act.
    out.clear();
    if (!driver_.attention_ipi_in_flight()) return out;
    const auto ipi = std::find_if(actors_.begin(), actors_.end(), [](const Actor& a) {
        return a.kind == ActorKind::attention_ipi;
    });
    out.push_back(static_cast<ActorId>(ipi - actors_.begin()));
    return out;
}

// A store buffer drains by default when its CPU's actor has nothing more to do.
bool World::optional(ActorId id) const {
    const Actor& actor = actors_[id];
    if (actor.kind == ActorKind::event) return true;
    if (actor.kind != ActorKind::drain || last_ < 0) return false;
    const Actor& last = actors_[static_cast<std::size_t>(last_)];
    switch (last.kind) {
        case ActorKind::vp:
            return actor.index != cpu_of_vp(last.index);
        case ActorKind::vmm:
            return actor.index != cpu_of_vmm(last.index);
        case ActorKind::isr:
        case ActorKind::poller:
            return actor.index != kPollerCpu;
        default:
            return true;
    }
}

bool World::passive(ActorId id) const {
    switch (actors_[id].kind) {
        case ActorKind::vp:
        case ActorKind::isr:
        case ActorKind::poller:
        case ActorKind::vmm:
            return false;
        default:
            return true;
    }
}

ActorId World::default_choice(const std::vector<ActorId>& enabled) const {
    for (ActorId id : enabled) {
        if (id == last_) return id;
    }
    for (ActorId id : enabled) {
        if (!optional(id)) return id;
    }
    return enabled.front();
}

std::string World::step_name(ActorId id) {
    const Actor& actor = actors_[id];
    switch (actor.kind) {
        case ActorKind::drain: {
            const BufferedStore& s =
                board_.buffers.entries(static_cast<CpuId>(actor.index)).front();
            return fmt::format("drain {}", name_of_address(s.address));
        }
        case ActorKind::vp: {
            // Only doing it tells.
            EventLog log = std::exchange(board_.log, EventLog());
            Witness* const witness = std::exchange(board_.witness, nullptr);
            const auto before = snapshot();
            step(id);
            std::string name = watcher_->did();
            restore(*before);
            board_.log = std::move(log);
            board_.witness = witness;
            return name;
        }
        case ActorKind::request_ipi:
        case ActorKind::attention_ipi:
            return "lands";
        case ActorKind::isr:
            return driver_.isr_step_name();
        case ActorKind::poller:
            return driver_.poller_step_name();
        case ActorKind::vmm:
            return vmms_[actor.index]->step_name();
        case ActorKind::spawn:
            return "the new thread is there";
        case ActorKind::event: {
            const PinnedEvent& e = board_.config.events[actor.index];
            if (e.action == PinnedAction::stop) return "stop";
            if (e.action == PinnedAction::signal) return "signal";
            if (e.action == PinnedAction::interrupt) {
                return fmt::format("interrupt {:#x}{}", e.vector,
                                   e.with_exit ? " with the next exit" : "");
            }
            return fmt::format("intercept {}", message_type_name(e.message_type));
        }
        case ActorKind::plugin:
            return "acts";
    }
    return {};
}

// --- what may still happen ----------------------------------------------------------------------

bool World::may_touch(ActorId id, u32 object, bool write) const {
    const Actor& actor = actors_[id];
    const Object kind = object_kind(object);
    const unsigned index = object_index(object);
    const auto own = [&](Object o) { return kind == o && index == actor.index; };
    if (kind == Object::attention_ipi && board_.config.attention_delay != 0) return true;
    switch (actor.kind) {
        case ActorKind::drain:
            return true;
        case ActorKind::vp:
            return own(Object::cpu_status) || own(Object::vp_pages) || own(Object::apic) ||
                   (kind == Object::store_buffer && index == cpu_of_vp(actor.index)) ||
                   kind == Object::needs_attention || kind == Object::attention_ipi ||
                   kind == Object::guest_ram || (own(Object::request_ipi) && !write) ||
                   (own(Object::sync_wake) && has_pinned_signal(actor.index)) ||
                   (has_pinned_stop(actor.index) &&
                    (own(Object::finished) || own(Object::vp_state) ||
                     (kind == Object::store_buffer && index == cpu_of_vmm(actor.index))));
        case ActorKind::request_ipi:
            return own(Object::request_ipi) || own(Object::apic) || own(Object::vp_pages);
        case ActorKind::attention_ipi:
            return kind == Object::attention_ipi || kind == Object::isr;
        case ActorKind::isr:
            return kind == Object::isr || kind == Object::needs_attention ||
                   kind == Object::needs_vp_scan || kind == Object::poll_wake ||
                   kind == Object::sync_wake ||
                   (kind == Object::store_buffer && index == kPollerCpu);
        case ActorKind::poller:
            return kind == Object::poll_wake || kind == Object::needs_vp_scan ||
                   (kind == Object::cpu_status && write == false) || kind == Object::vp_state ||
                   kind == Object::finished ||
                   (kind == Object::store_buffer && index == kPollerCpu);
        case ActorKind::vmm:
            return own(Object::cpu_status) || own(Object::vp_state) || own(Object::vp_pages) ||
                   own(Object::request_ipi) || own(Object::sync_wake) || own(Object::finished) ||
                   own(Object::apic) || kind == Object::devices || kind == Object::guest_ram ||
                   kind == Object::needs_vp_scan || kind == Object::poll_wake ||
                   (kind == Object::store_buffer && index == cpu_of_vmm(actor.index));
        case ActorKind::spawn:
            return own(Object::finished);
        case ActorKind::event: {
            const PinnedEvent& e = board_.config.events[actor.index];
            if (pins_[actor.index].fired) return false;
            return index == e.vp && (kind == Object::finished || kind == Object::sync_wake ||
                                     kind == Object::apic || kind == Object::vp_pages);
        }
        case ActorKind::plugin:
            return kind == Object::guest_ram || kind == Object::apic || kind == Object::vp_pages;
    }
    return true;
}

}  // namespace vtlsim::model
