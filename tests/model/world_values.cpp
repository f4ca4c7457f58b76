// Worlds as values under every order of actors: snapshots, fingerprints, schedules.
#include <set>

#include "tests/model/lanes.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;
using sim::Reg;

using Fingerprint = std::array<u64, 2>;

Fingerprint start_of(const WorldConfig& config) { return World(config).fingerprint(); }

Run small_run(std::string_view guest = "in al, dx\nhlt") {
    return Run(guest, {{Reg::rdx, kPort}, {Reg::rax, 0xFFFFFFFF81234500}});
}

}  // namespace

TEST_CASE("values: restored at any turn of a random run, a world goes on the same",
          "[model][values]") {
    std::size_t restored = 0;
    for (const SmallWorld& small : small_worlds()) {
        World world(small.config);
        std::mt19937_64 random(7);
        struct Point {
            std::shared_ptr<const World::Snapshot> snapshot;
            Fingerprint state;
            std::vector<ActorId> enabled;
        };
        std::vector<Point> points;
        std::vector<ActorId> run;
        for (;;) {
            const auto now = world.enabled();
            points.push_back({world.snapshot(), world.fingerprint(), now});
            if (now.empty() || run.size() == 250) break;
            run.push_back(now[random() % now.size()]);
            world.step(run.back());
        }
        INFO(small.name << ", " << run.size() << " turns");
        const std::string hash = world.hash();
        World other(small.config);
        // Backwards, so that each goes far back; in this world and in one that has not been there.
        for (std::size_t i = points.size(); i-- > 0; i -= std::min<std::size_t>(i, 4)) {
            for (World* w : {&world, &other}) {
                w->restore(*points[i].snapshot);
                REQUIRE(w->fingerprint() == points[i].state);
                REQUIRE(w->enabled() == points[i].enabled);
                REQUIRE(w->turns() == i);
                for (std::size_t k = i; k < run.size(); ++k) w->step(run[k]);
                REQUIRE(w->fingerprint() == points.back().state);
                REQUIRE(w->hash() == hash);
                ++restored;
            }
        }
        // Asking for the names of steps changes nothing.
        other.restore(*points[points.size() / 2].snapshot);
        for (const ActorId actor : other.enabled()) other.step_name(actor);
        REQUIRE(other.fingerprint() == points[points.size() / 2].state);
        for (std::size_t k = points.size() / 2; k < run.size(); ++k) other.step(run[k]);
        REQUIRE(other.hash() == hash);
    }
    CHECK(restored > 500);
}

TEST_CASE("values: every turn of the default run, for one VP, two, and tso", "[model][values]") {
    for (const SmallWorld& small : small_worlds()) {
        if (small.name != "one VP" && small.name != "two VPs" && small.name != "tso 1 weak") {
            continue;
        }
        World whole(small.config);
        const EndReason end = whole.run();
        CHECK(end == EndReason::guest_halted);
        World world(small.config);
        std::vector<std::shared_ptr<const World::Snapshot>> snapshots{world.snapshot()};
        while (world.turn()) snapshots.push_back(world.snapshot());
        CHECK(snapshots.size() > 70);
        for (auto it = snapshots.rbegin(); it != snapshots.rend(); ++it) {
            world.restore(**it);
            REQUIRE(world.run() == end);
            REQUIRE(world.hash() == whole.hash());
        }
    }
}

TEST_CASE("values: a fingerprint knows no history", "[model][values]") {
    // The guest turns in a circle: each turn of it is the same state.
    Run run("again: jmp again");
    run.config.guest_steps = true;
    Lanes lanes(run.world());
    lanes.turns_until("vp0", "runs the guest");
    const Fingerprint state = run.world().fingerprint();
    const u64 steps = run.world().steps();
    for (int i = 0; i < 3; ++i) {
        lanes.act("vp0", "runs the guest");
        CHECK(run.world().fingerprint() == state);
    }
    CHECK(run.world().steps() == steps + 3);
    // Where the guest may read the time-stamp counter, time is a part of the state.
    Run timed("again: jmp again\nrdtsc");
    timed.config.guest_steps = true;
    Lanes timed_lanes(timed.world());
    timed_lanes.turns_until("vp0", "runs the guest");
    const Fingerprint before = timed.world().fingerprint();
    timed_lanes.act("vp0", "runs the guest");
    CHECK(timed.world().fingerprint() != before);
    // A byte that is changed and changed back.
    Run back("again: mov byte [abs 0x6000], 1\nmov byte [abs 0x6000], 0\njmp again");
    back.config.guest_steps = true;
    Lanes back_lanes(back.world());
    back_lanes.turns_until("vp0", "runs the guest");
    std::vector<Fingerprint> seen;
    for (int i = 0; i < 6; ++i) {
        seen.push_back(back.world().fingerprint());
        back_lanes.act("vp0", "runs the guest");
    }
    CHECK(std::set<Fingerprint>(seen.begin(), seen.end()).size() == 3);
    CHECK(seen[0] == seen[3]);
    CHECK(seen[1] == seen[4]);
}

TEST_CASE("values: independent steps in either order end in one state", "[model][values]") {
    for (const SmallWorld& small : small_worlds()) {
        if (small.name != "two VPs") continue;
        World a(small.config), b(small.config);
        Lanes la(a), lb(b);
        la.until_asleep("vp0");
        la.until_asleep("vp1");
        lb.until_asleep("vp1");
        lb.until_asleep("vp0");
        CHECK(a.fingerprint() == b.fingerprint());
        CHECK(a.hash() != b.hash());
        la.until("vmm0", "request IPI");
        CHECK(a.fingerprint() != b.fingerprint());
    }
}

TEST_CASE("values: each register and each byte is in the fingerprint", "[model][values]") {
    const Run plain = small_run();
    const Fingerprint same = start_of(plain.config);
    std::set<Fingerprint> seen{same};
    std::size_t worlds = 0;
    for (const sim::RegInfo& r : sim::registers()) {
        // The counter counts only where it can be read; a processor cannot start halted.
        if (r.reg == Reg::tsc || r.reg == Reg::activity) continue;
        CAPTURE(r.name);
        for (auto member : {&WorldConfig::vtl0_registers, &WorldConfig::vtl2_registers}) {
            WorldConfig config = plain.config;
            World world(config);
            const u8 vtl = member == &WorldConfig::vtl0_registers ? u8{0} : u8{2};
            Vec128 value = world.register_of(vtl, r.reg);
            value.lo ^= 1;
            (config.*member).push_back({r.reg, value});
            World changed(config);
            // Some bits of some registers do not exist.
            if (changed.register_of(vtl, r.reg) == world.register_of(vtl, r.reg)) continue;
            CHECK(changed.fingerprint() != same);
            ++worlds;
        }
    }
    CHECK(worlds > 150);
    std::mt19937_64 random(1);
    for (int i = 0; i < 40; ++i) {
        WorldConfig config = plain.config;
        const u64 address =
            i % 2 == 0 ? 0x2000 + random() % 0x100000 : layout::kAssistPage + random() % 0x14000;
        CAPTURE(address);
        World world(config);
        u8 byte = 0;
        world.read_memory(address, {&byte, 1});
        config.memory.push_back({address, {static_cast<u8>(byte ^ (1u << i % 8))}});
        CHECK(seen.insert(start_of(config)).second);
    }
}

// Device scripts, free events, IPIs: nothing of a run's way through is left out.
TEST_CASE("values: no two turns of the default run have one fingerprint", "[model][values]") {
    for (const SmallWorld& small : small_worlds()) {
        World world(small.config);
        std::set<Fingerprint> seen;
        std::size_t turns = 0;
        do {
            ++turns;
            seen.insert(world.fingerprint());
        } while (world.turn());
        INFO(small.name);
        // One of them starves: it comes back to the same state for ever.
        if (world.end() == EndReason::step_limit) {
            CHECK(small.name == "pinned events");
            CHECK(seen.size() < turns / 4);
        } else {
            CHECK(seen.size() == turns);
        }
    }
}

TEST_CASE("values: a device's position counts until its script's last value", "[model][values]") {
    // Each turn of the guest's loop reads the port once more.
    Run run("again: in al, dx\nmov eax, 0\njmp again", {{Reg::rdx, kPort}});
    run.port(kPort, 1, {1, 2, 3});
    Lanes lanes(run.world());
    std::vector<Fingerprint> states;
    for (int i = 0; i < 6; ++i) {
        lanes.turns_until("vmm0", "command SET rip");
        states.push_back(run.world().fingerprint());
        lanes.act("vmm0", "command SET rip");
    }
    CHECK(states[0] != states[1]);
    CHECK(states[1] != states[2]);
    CHECK(states[3] == states[4]);
    CHECK(states[4] == states[5]);
}

// --- schedules -----------------------------------------------------------------------------------

namespace {

// The schedule of the race (hyperv-vtl.md 3.6), by steps.
std::vector<ScheduleEntry> race() {
    return {
        {.turn = {}, .instead_of = "vmm0", .step = "idle?", .nth = 1, .run = "ipi-vp0"},
        {.turn = {}, .instead_of = "vmm0", .step = "idle?", .nth = 1, .run = "vp0"},
        {.turn = {}, .instead_of = "vp0", .step = "needs_attention = 1", .nth = 2, .run = "vmm0"},
        {.turn = {}, .instead_of = "vmm0", .step = "status RUN", .nth = 2, .run = "vp0"},
    };
}

}  // namespace

TEST_CASE("schedule: the race by four entries", "[model][schedule]") {
    Run run = small_run();
    run.port(kPort, 1, {0xB0});
    run.config.schedule = race();
    run.config.invariants = {Invariant::no_vmm_panic};
    INFO(run.world().schedule_problem());
    CHECK(run.finish() == EndReason::vmm_panic);
    CHECK(run.world().schedule_done() == 4);
    CHECK(run.world().schedule_problem().empty());
    CHECK(run.value("message.rax") - run.value("context.rax") == 0xFFFFFFFF81234500 - 0x812345B0u);
    REQUIRE(run.world().violations().size() == 1);
    // Without any one of them the assert holds (a late request IPI may starve the guest instead).
    for (std::size_t i = 0; i < 4; ++i) {
        Run less = small_run();
        less.port(kPort, 1, {0xB0});
        less.config.schedule = race();
        less.config.schedule.erase(less.config.schedule.begin() + static_cast<std::ptrdiff_t>(i));
        CHECK(less.finish() != EndReason::vmm_panic);
        CHECK(less.count(EventKind::vmm_assert) == 0);
    }
}

TEST_CASE("schedule: entries at turns replay any run", "[model][schedule]") {
    for (const SmallWorld& small : small_worlds()) {
        World world(small.config);
        std::mt19937_64 random(3);
        std::vector<ActorId> run;
        do {
            const auto now = world.enabled();
            if (now.empty()) break;
            run.push_back(now[random() % now.size()]);
            world.step(run.back());
        } while (world.end() == EndReason::none && run.size() < 200);
        WorldConfig config = small.config;
        for (std::size_t i = 0; i < run.size(); ++i) {
            config.schedule.push_back(
                {.turn = i, .instead_of = {}, .step = {}, .run = world.actors()[run[i]].name});
        }
        World again(config);
        for (std::size_t i = 0; i < run.size(); ++i) again.turn();
        INFO(small.name);
        CHECK(again.schedule_done() == run.size());
        CHECK(again.schedule_problem().empty());
        CHECK(again.hash() == world.hash());
    }
}

TEST_CASE("schedule: what does not come up is told", "[model][schedule]") {
    Run cannot = small_run();
    cannot.config.schedule = {{.turn = 0, .instead_of = {}, .step = {}, .run = "poller"}};
    CHECK(cannot.finish() == EndReason::guest_halted);
    CHECK(cannot.world().schedule_done() == 0);
    CHECK(cannot.world().schedule_problem() == "turn 0: poller cannot act, only vp0");
    Run never = small_run();
    never.config.schedule = {
        {.turn = {}, .instead_of = "vp0", .step = "no such step", .run = "vmm0"}};
    CHECK(never.finish() == EndReason::guest_halted);
    CHECK(never.world().schedule_done() == 0);
    CHECK(never.world().schedule_problem().empty());
    // The second entry waits for the first.
    Run order = small_run();
    order.config.schedule = {
        {.turn = {}, .instead_of = "vp0", .step = "no such step", .run = "vmm0"}, race()[2]};
    CHECK(order.finish() == EndReason::guest_halted);
    CHECK(order.world().schedule_done() == 0);
}

TEST_CASE("schedule: a snapshot has the schedule's place", "[model][schedule]") {
    Run run = small_run();
    run.port(kPort, 1, {0xB0});
    run.config.schedule = race();
    World whole(run.config);
    CHECK(whole.run() == EndReason::vmm_panic);
    std::vector<std::shared_ptr<const World::Snapshot>> snapshots;
    do {
        snapshots.push_back(run.world().snapshot());
    } while (run.world().turn());
    World other(run.config);
    for (const auto& snapshot : snapshots) {
        other.restore(*snapshot);
        REQUIRE(other.run() == EndReason::vmm_panic);
        REQUIRE(other.hash() == whole.hash());
        REQUIRE(other.schedule_done() == 4);
    }
}

}  // namespace vtlsim::tests
