// What the partial-order reduction rests on: accesses() says all that a step shares with others,
// may_touch() all that an actor may ever share.
#include <set>

#include "tests/model/lanes.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;

bool conflict(const std::vector<Access>& a, const std::vector<Access>& b) {
    for (const Access& x : a) {
        for (const Access& y : b) {
            if (x.object == y.object && (x.write || y.write)) return true;
        }
    }
    return false;
}

// What has happened once an actor has gone: all that can matter later.
struct Outcome {
    std::array<u64, 2> state;
    std::vector<ActorId> enabled;
    EndReason end = EndReason::none;
    std::set<std::pair<Invariant, unsigned>> broken;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

class Pair {
  public:
    explicit Pair(World& world) : world_(world) {}
    void step(ActorId actor) {
        world_.step(actor);
        for (const Violation& v : world_.violations()) broken_.insert({v.id, v.vp});
    }
    Outcome outcome() { return {world_.fingerprint(), world_.enabled(), world_.end(), broken_}; }

  private:
    World& world_;
    std::set<std::pair<Invariant, unsigned>> broken_;
};

std::string accesses_text(const std::vector<Access>& accesses) {
    std::string text;
    for (const Access& a : accesses) {
        text += " " + std::to_string(static_cast<int>(object_kind(a.object))) + "." +
                std::to_string(object_index(a.object)) + (a.write ? "w" : "r");
    }
    return text;
}

constexpr unsigned kRuns = 12;

// A number for an actor and an access.
constexpr std::size_t kSlots = 0x20 * 0x20 * 2;
std::size_t slot(ActorId actor, const Access& a) {
    const auto kind = static_cast<std::size_t>(object_kind(a.object));
    return actor * kSlots + (kind * 0x20 + object_index(a.object)) * 2 + (a.write ? 1 : 0);
}

}  // namespace

TEST_CASE("independence: steps without a common object commute", "[model][independence]") {
    std::size_t commuted = 0;
    std::size_t conflicting = 0;
    for (const SmallWorld& small : small_worlds()) {
        World world(small.config);
        const auto start = world.snapshot();
        for (u64 seed = 0; seed < kRuns; ++seed) {
            std::mt19937_64 random(seed);
            world.restore(*start);
            do {
                world.clear_log();
                const auto now = world.enabled();
                if (now.size() < 2) continue;
                const auto here = world.snapshot();
                // One pair of each state.
                const ActorId a = now[random() % now.size()];
                const ActorId b = now[random() % now.size()];
                if (a == b) continue;
                world.step(a);
                const auto touched_by_a = world.accesses();
                const bool b_can = world.can_act(b) && world.end() == EndReason::none;
                world.restore(*here);
                world.step(b);
                const auto touched_by_b = world.accesses();
                const bool a_can = world.can_act(a) && world.end() == EndReason::none;
                world.restore(*here);
                // A step that ends the world, and one that takes the other's away, are looked for
                // by the search itself.
                if (conflict(touched_by_a, touched_by_b)) {
                    ++conflicting;
                } else if (a_can && b_can) {
                    INFO(small.name << ", seed " << seed << ", turn " << world.turns() << ": "
                                    << world.actors()[a].name << " (" << world.step_name(a) << ")"
                                    << accesses_text(touched_by_a) << " and "
                                    << world.actors()[b].name << " (" << world.step_name(b) << ")"
                                    << accesses_text(touched_by_b));
                    Pair ab(world);
                    ab.step(a);
                    ab.step(b);
                    REQUIRE(world.accesses() == touched_by_b);
                    const Outcome first = ab.outcome();
                    world.restore(*here);
                    Pair ba(world);
                    ba.step(b);
                    ba.step(a);
                    REQUIRE(world.accesses() == touched_by_a);
                    const Outcome second = ba.outcome();
                    REQUIRE(first.state == second.state);
                    REQUIRE(first == second);
                    world.restore(*here);
                    ++commuted;
                }
            } while (world.turns() < 600 && random_step(world, random));
        }
    }
    CHECK(commuted > 5000);
    CHECK(conflicting > 1000);
}

// A step neither enables nor disables an actor whose objects it does not touch, other than by
// handing it work: so a step that was possible stays so.
TEST_CASE("independence: a step takes no other's away without touching what that one touches",
          "[model][independence]") {
    std::size_t taken = 0;
    for (const SmallWorld& small : small_worlds()) {
        World world(small.config);
        const auto start = world.snapshot();
        for (u64 seed = 100; seed < 100 + kRuns; ++seed) {
            std::mt19937_64 random(seed);
            world.restore(*start);
            for (;;) {
                world.clear_log();
                const auto before = world.enabled();
                if (before.empty() || world.turns() > 600) break;
                const auto here = world.snapshot();
                const ActorId actor = before[random() % before.size()];
                world.step(actor);
                if (world.end() != EndReason::none) break;
                const auto touched = world.accesses();
                for (const ActorId other : before) {
                    if (other == actor || world.can_act(other)) continue;
                    ++taken;
                    const auto after = world.snapshot();
                    world.restore(*here);
                    world.step(other);
                    INFO(small.name << ", seed " << seed << ": " << world.actors()[actor].name
                                    << " takes the step of " << world.actors()[other].name);
                    REQUIRE(conflict(touched, world.accesses()));
                    world.restore(*after);
                }
            }
        }
    }
    CHECK(taken > 0);
}

TEST_CASE("independence: may_touch() covers every access of every later step",
          "[model][independence]") {
    std::size_t checked = 0;
    std::set<std::pair<ActorKind, Object>> seen;
    for (const SmallWorld& small : small_worlds()) {
        World world(small.config);
        const auto start = world.snapshot();
        for (u64 seed = 200; seed < 200 + 2 * kRuns; ++seed) {
            std::mt19937_64 random(seed);
            world.restore(*start);
            // What was said at some earlier state of the run must hold for the rest of it.
            std::vector<bool> denied(world.actors().size() * kSlots);
            bool going = true;
            while (going && world.turns() < 600) {
                world.clear_log();
                const auto now = world.enabled();
                if (now.empty()) break;
                const ActorId actor = now[random() % now.size()];
                world.step(actor);
                going = world.end() == EndReason::none;
                const auto touched = world.accesses();
                for (const Access& access : touched) {
                    INFO(small.name << ", seed " << seed << ", turn " << world.turns() << ": "
                                    << world.actors()[actor].name << accesses_text({access}));
                    ++checked;
                    seen.insert({world.actors()[actor].kind, object_kind(access.object)});
                    REQUIRE_FALSE(denied[slot(actor, access)]);
                }
                if (world.turns() % 16 != 1) continue;
                for (ActorId other = 0; other < world.actors().size(); ++other) {
                    for (u32 kind = 0; kind <= static_cast<u32>(Object::guest_ram); ++kind) {
                        for (unsigned index = 0; index < kCpuCount; ++index) {
                            for (bool write : {false, true}) {
                                const Access a{object_id(static_cast<Object>(kind), index), write};
                                if (!world.may_touch(other, a.object, write)) {
                                    denied[slot(other, a)] = true;
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    CHECK(checked > 10'000);
    // The runs reach what they are for.
    CHECK(seen.count({ActorKind::vp, Object::attention_ipi}) == 1);
    CHECK(seen.count({ActorKind::drain, Object::vp_state}) == 1);
    CHECK(seen.count({ActorKind::vmm, Object::store_buffer}) == 1);
    CHECK(seen.count({ActorKind::spawn, Object::finished}) == 1);
    CHECK(seen.count({ActorKind::event, Object::apic}) == 1);
    CHECK(seen.count({ActorKind::poller, Object::finished}) == 1);
}

}  // namespace vtlsim::tests
