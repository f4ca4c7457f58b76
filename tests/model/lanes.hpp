// A world whose actors act one at a time, by name; and worlds for the tests of what may happen in
// any order.
#pragma once

#include <random>

#include "tests/catch.hpp"
#include "tests/model/world_rig.hpp"

namespace vtlsim::tests {

class Lanes {
  public:
    explicit Lanes(model::World& world) : world_(world) {}

    model::ActorId id(std::string_view name) const {
        const auto& actors = world_.actors();
        for (std::size_t i = 0; i < actors.size(); ++i) {
            if (actors[i].name == name) return static_cast<model::ActorId>(i);
        }
        throw std::runtime_error("no actor: " + std::string(name));
    }
    // Among those that a schedule may choose.
    bool can(std::string_view name) const {
        const auto now = world_.enabled();
        return std::find(now.begin(), now.end(), id(name)) != now.end();
    }
    std::string next(std::string_view name) {
        return can(name) ? world_.step_name(id(name)) : std::string();
    }
    // The actor's next step is this one; it is done.
    void act(std::string_view name, std::string_view step) {
        INFO(name << ": " << step);
        REQUIRE(next(name) == step);
        world_.step(id(name));
    }
    // The actor goes on until its next step would be this one.
    void until(std::string_view name, std::string_view step) {
        INFO(name << " until " << step);
        for (int i = 0; i < 400; ++i) {
            const std::string now = next(name);
            if (now == step) return;
            INFO("at " << now);
            REQUIRE_FALSE(now.empty());
            world_.step(id(name));
        }
        FAIL("never");
    }
    void until_asleep(std::string_view name) {
        for (int i = 0; i < 4000 && can(name); ++i) world_.step(id(name));
        REQUIRE_FALSE(can(name));
    }
    // By the default policy.
    void turns_until(std::string_view name, std::string_view step) {
        INFO(name << " by default until " << step);
        for (int i = 0; i < 4000; ++i) {
            if (next(name) == step) return;
            REQUIRE(world_.turn());
        }
        FAIL("never");
    }
    model::EndReason finish() { return world_.run(); }
    model::World& world() { return world_; }

  private:
    model::World& world_;
};

// Takes a random actor's step; false once the world is over.
inline bool random_step(model::World& world, std::mt19937_64& random) {
    const auto now = world.enabled();
    if (now.empty()) return false;
    world.step(now[random() % now.size()]);
    return world.end() == model::EndReason::none;
}

// Small worlds with about everything that actors share.
struct SmallWorld {
    std::string name;
    model::WorldConfig config;
};
inline std::vector<SmallWorld> small_worlds() {
    using namespace model;
    std::vector<SmallWorld> list;
    const auto add = [&](std::string name, std::string_view guest, auto change) {
        Run run(guest, {{sim::Reg::rdx, kPort}, {sim::Reg::rax, 0xFFFFFFFF81234500}});
        run.port(kPort, 1, {0xBB, 0xB0});
        for (const InvariantRow& row : invariant_rows()) run.config.invariants.push_back(row.id);
        change(run.config);
        list.push_back({std::move(name), std::move(run.config)});
    };
    const auto two = [](WorldConfig& c) { c.other_vps.push_back(c.vtl0_registers); };
    constexpr std::string_view kIn = "in al, dx\nhlt";
    constexpr std::string_view kMany = "in al, dx\nmov ebx, eax\nout dx, al\nnop\nin al, dx\nhlt";
    add("one VP", kMany, [](WorldConfig&) {});
    add("two VPs", kIn, two);
    add("three VPs, fixed driver", kIn, [&](WorldConfig& c) {
        two(c);
        two(c);
        c.switches.driver = Driver::asyncstarting;
    });
    add("two VPs, V2", kMany, [&](WorldConfig& c) {
        two(c);
        c.switches.vmm_fix = VmmFix::V2;
    });
    add("one VP, VH", kMany, [&](WorldConfig& c) { c.switches.vmm_fix = VmmFix::VH; });
    add("register page", kMany, [&](WorldConfig& c) {
        two(c);
        c.switches.set_rip_path = SetRipPath::register_page;
    });
    add("hotplug", kMany, [](WorldConfig& c) { c.hotplug = true; });
    add("two VPs, hotplug", kIn, [&](WorldConfig& c) {
        two(c);
        c.hotplug = true;
        c.switches.driver = Driver::asyncstarting;
    });
    add("attention delay", kIn, [&](WorldConfig& c) {
        two(c);
        c.attention_delay = 3;
    });
    add("fine steps", kIn, [](WorldConfig& c) {
        c.fine_steps = true;
        c.guest_steps = true;
    });
    add("free events", kMany, [&](WorldConfig& c) {
        two(c);
        c.switches.vmm_fix = VmmFix::V2;
        c.events.push_back({.free = true, .action = PinnedAction::stop});
        c.events.push_back({.free = true, .transient = true});
        c.events.push_back({.free = true, .vp = 1, .vector = 0x41});
        c.events.push_back({.free = true, .vp = 1, .for_vtl = 0, .vector = 0x42});
    });
    add("signals", kMany, [&](WorldConfig& c) {
        two(c);
        c.switches.vmm_fix = VmmFix::V2;
        c.events.push_back({.free = true, .action = PinnedAction::signal});
        c.events.push_back({.free = true, .vp = 1, .action = PinnedAction::signal});
        c.events.push_back({.address = kGuestCode + 3, .action = PinnedAction::signal});
    });
    add("pinned events", kMany, [&](WorldConfig& c) {
        c.events.push_back({.address = kGuestCode + 3, .vector = 0x41});
        c.events.push_back({.address = kGuestCode + 3, .action = PinnedAction::stop});
    });
    for (auto driver : {Driver::racy, Driver::asyncstarting, Driver::asyncstarting_release_store}) {
        for (auto icr : {IcrWrite::drains, IcrWrite::weak}) {
            add("tso " + std::to_string(static_cast<int>(driver)) +
                    (icr == IcrWrite::weak ? " weak" : ""),
                kIn, [&](WorldConfig& c) {
                    if (driver != Driver::racy) two(c);
                    c.switches.driver = driver;
                    c.switches.memory_order = MemoryOrder::tso;
                    c.switches.icr_write = icr;
                });
        }
    }
    add("tso, hotplug, stop", kMany, [&](WorldConfig& c) {
        c.hotplug = true;
        c.switches.memory_order = MemoryOrder::tso;
        c.switches.vmm_fix = VmmFix::V2;
        c.events.push_back({.free = true, .action = PinnedAction::stop});
    });
    add("tso, pinned stop", kMany, [&](WorldConfig& c) {
        c.switches.memory_order = MemoryOrder::tso;
        c.events.push_back({.address = kGuestCode + 3, .action = PinnedAction::stop});
    });
    return list;
}

}  // namespace vtlsim::tests
