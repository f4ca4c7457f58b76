// The explorer on toy subjects: against a plain depth-first search, with and without the reduction,
// with one job and with several.
// Run: build/<preset>/vtlsim_tests "[explore]"
#include <map>
#include <set>

#include "tests/catch.hpp"
#include "tests/runner/explore_toy.hpp"

namespace vtlsim::runner::explore {
namespace {

using toy::Op;

using Names = std::set<std::pair<std::string, std::string>>;  // invariant and key
Names names(const SearchResult& result) {
    Names out;
    for (const Found& f : result.violations) out.emplace(f.violation.invariant, f.violation.key);
    return out;
}
std::map<std::pair<std::string, std::string>, u32> preemptions(const SearchResult& result) {
    std::map<std::pair<std::string, std::string>, u32> out;
    for (const Found& f : result.violations) {
        out[{f.violation.invariant, f.violation.key}] = f.cost.preemptions;
    }
    return out;
}

// Everything that can happen, found without any of the explorer's code.
struct Reference {
    Names violations;
    std::set<Fingerprint> states;
    std::set<Fingerprint> ends;

    explicit Reference(const toy::World& world) : subject_(world) { visit(); }

  private:
    void visit() {
        const Fingerprint state = subject_.fingerprint();
        if (!states.insert(state).second) return;
        const auto enabled = subject_.enabled();
        if (enabled.empty()) ends.insert(state);
        const auto saved = subject_.save();
        for (ActorId actor : enabled) {
            subject_.restore(*saved);
            subject_.step(actor);
            for (const Violation& v : subject_.violations()) violations.emplace(v.invariant, v.key);
            visit();
        }
    }
    toy::Toy subject_;
};

SearchOptions everything(bool reduction) {
    SearchOptions options;
    options.all = true;
    options.reduction = reduction;
    return options;
}

bool has(const toy::World& world, Op::Kind kind) {
    for (const toy::Program& program : world.programs) {
        for (const Op& op : program) {
            if (op.kind == kind) return true;
        }
    }
    return false;
}

constexpr u64 kWorlds = 1000;

TEST_CASE("exhaustive search sees what a plain depth-first search sees", "[explore]") {
    for (u64 seed = 0; seed < kWorlds; ++seed) {
        const toy::World world = toy::random_world(seed);
        const Reference reference(world);
        const SearchResult result = search(toy::factory(world), everything(false));
        INFO("seed " << seed);
        REQUIRE(result.complete);
        REQUIRE(names(result) == reference.violations);
        REQUIRE(result.states == reference.states.size());
        REQUIRE(std::equal(result.ends.begin(), result.ends.end(), reference.ends.begin(),
                           reference.ends.end()));
    }
}

// What the reduced search gets wrong: empty if nothing.
std::string reduction_fault(const toy::World& world, const SubjectFactory& factory,
                            std::optional<u32> bound, u64& saved) {
    SearchOptions options = everything(false);
    options.preemptions = bound;
    const SearchResult full = search(toy::factory(world), options);
    options.reduction = true;
    const SearchResult reduced = search(factory, options);
    saved += full.states - std::min(full.states, reduced.states);
    if (!reduced.complete) return "not complete";
    if (preemptions(full) != preemptions(reduced)) return "violations, or their preemptions";
    // An assert cuts runs short: how far the others had come is not kept.
    if (!has(world, Op::assert_ends) && full.ends != reduced.ends) return "ends";
    return "";
}

TEST_CASE("the reduction loses no violation, no end and no preemption", "[explore]") {
    u64 saved = 0;
    for (u64 seed = 0; seed < kWorlds; ++seed) {
        const toy::World world = toy::random_world(seed);
        for (std::optional<u32> bound : {std::optional<u32>(), std::optional<u32>(0u),
                                         std::optional<u32>(1u), std::optional<u32>(2u)}) {
            INFO("seed " << seed << ", preemptions " << (bound ? int(*bound) : -1));
            REQUIRE(reduction_fault(world, toy::factory(world), bound, saved) == "");
        }
    }
    CHECK(saved > 10 * kWorlds);  // and it does reduce
}

// The test above must be able to fail: a subject that denies its conflicts is caught.
class Denier : public toy::Toy {
  public:
    using toy::Toy::Toy;
    bool may_conflict(ActorId, Access) const override { return false; }
};
class NoReads : public toy::Toy {
  public:
    using toy::Toy::Toy;
    bool may_conflict(ActorId actor, Access access) const override {
        return access.write && toy::Toy::may_conflict(actor, access);
    }
};
template <class Broken>
u64 faults() {
    u64 count = 0;
    u64 no_matter = 0;
    for (u64 seed = 0; seed < kWorlds; ++seed) {
        const toy::World world = toy::random_world(seed);
        const auto broken = [&] { return std::make_unique<Broken>(world); };
        if (!reduction_fault(world, broken, std::nullopt, no_matter).empty()) ++count;
    }
    return count;
}
TEST_CASE("a reduction that overlooks conflicts is caught", "[explore]") {
    CHECK(faults<Denier>() > 20);
    CHECK(faults<NoReads>() > 20);
    CHECK(faults<toy::Toy>() == 0);
}

TEST_CASE("the number of jobs changes nothing", "[explore]") {
    const auto same = [](const SearchResult& a, const SearchResult& b) {
        REQUIRE(a.violations.size() == b.violations.size());
        for (std::size_t i = 0; i < a.violations.size(); ++i) {
            CHECK(a.violations[i].run == b.violations[i].run);
            CHECK(a.violations[i].violation.what == b.violations[i].violation.what);
            CHECK(a.violations[i].violation.evidence == b.violations[i].violation.evidence);
        }
        CHECK(a.schedules == b.schedules);
        CHECK(a.states == b.states);
        CHECK(a.transitions == b.transitions);
        CHECK(a.reduced == b.reduced);
        CHECK(a.open_peak == b.open_peak);
        CHECK(a.saves == b.saves);
        CHECK(a.save_bytes == b.save_bytes);
        CHECK(a.max_turns == b.max_turns);
        CHECK(a.ends == b.ends);
        CHECK(a.complete == b.complete);
        CHECK(a.limits == b.limits);
    };
    u64 found = 0;
    for (u64 seed = 0; seed < 60; ++seed) {
        toy::World world = toy::random_world(seed);
        world.programs.push_back(toy::random_world(seed + 1000).programs[0]);
        for (Mode mode : {Mode::exhaustive, Mode::random, Mode::pct}) {
            for (bool all : {false, true}) {
                SearchOptions options;
                options.mode = mode;
                options.all = all;
                options.depth = 40;
                options.runs = 700;
                options.states = 2000;
                options.seed = seed;
                const SearchResult one = search(toy::factory(world), options);
                found += one.violations.size();
                INFO("seed " << seed << ", mode " << int(mode));
                for (u32 jobs : {2u, 4u}) {
                    options.jobs = jobs;
                    same(one, search(toy::factory(world), options));
                }
            }
        }
    }
    CHECK(found > 60);
}

// Store buffering (Dekker): both see 0 only if both stores wait in buffers.
toy::World dekker(bool buffers, bool fences) {
    toy::World world;
    world.buffers = buffers;
    for (u8 own : {u8{0}, u8{1}}) {
        const auto other = static_cast<u8>(1 - own);
        toy::Program program = {{Op::store, own, 1}};
        if (fences) program.push_back({Op::fence});
        program.push_back({Op::load, other});
        program.push_back({Op::store_reg, static_cast<u8>(2 + own), 1});
        world.programs.push_back(program);
    }
    // Waits until both have seen 0.
    world.programs.push_back({{Op::wait, 2, 1}, {Op::wait, 3, 1}, {Op::assert_ends, 0, 1}});
    return world;
}
TEST_CASE("store buffers: the textbook example", "[explore]") {
    const auto both_zero = [](bool buffers, bool fences) {
        return names(search(toy::factory(dekker(buffers, fences)), everything(true)))
            .contains({"assert", "2.2"});
    };
    CHECK_FALSE(both_zero(false, false));
    CHECK(both_zero(true, false));
    CHECK_FALSE(both_zero(true, true));
}

TEST_CASE("bounds say what was not seen", "[explore]") {
    const toy::World world = dekker(true, false);
    SearchOptions options = everything(true);
    SECTION("nothing is cut") {
        const SearchResult r = search(toy::factory(world), options);
        CHECK(r.complete);
        CHECK(r.limits.empty());
        CHECK_FALSE(r.preemption_bound_hit);
    }
    SECTION("preemptions bound the space, and it is seen whole") {
        options.preemptions = 0;
        const SearchResult r = search(toy::factory(world), options);
        CHECK(r.complete);
        CHECK(r.preemption_bound_hit);
    }
    SECTION("depth") {
        options.depth = 3;
        const SearchResult r = search(toy::factory(world), options);
        CHECK_FALSE(r.complete);
        CHECK(r.limits == std::vector{Limit::depth});
        CHECK(r.max_turns == 3);
    }
    SECTION("states") {
        options.states = 10;
        const SearchResult r = search(toy::factory(world), options);
        CHECK_FALSE(r.complete);
        CHECK(r.limits == std::vector{Limit::states});
    }
    SECTION("memory") {
        options.memory = 1000;
        const SearchResult r = search(toy::factory(world), options);
        CHECK_FALSE(r.complete);
        CHECK(r.limits == std::vector{Limit::memory});
    }
    SECTION("time") {
        options.seconds = 0;
        const SearchResult r = search(toy::factory(world), options);
        CHECK_FALSE(r.complete);
        CHECK(r.limits == std::vector{Limit::time});
    }
    SECTION("the first violation") {
        options.all = false;
        const SearchResult r = search(toy::factory(world), options);
        CHECK_FALSE(r.complete);
        CHECK(r.violations.size() == 1);
    }
}

// A subject whose steps fail, as memory can: the search ends with that, whoever met it.
class Failing : public toy::Toy {
  public:
    using toy::Toy::Toy;
    void step(ActorId actor) override {
        if (actor == 1) throw std::bad_alloc();
        toy::Toy::step(actor);
    }
};
TEST_CASE("what a subject throws comes out of the search", "[explore]") {
    const toy::World world = dekker(true, false);
    for (Mode mode : {Mode::exhaustive, Mode::random}) {
        for (u32 jobs : {1u, 3u}) {
            SearchOptions options = everything(true);
            options.mode = mode;
            options.jobs = jobs;
            CHECK_THROWS_AS(search([&] { return std::make_unique<Failing>(world); }, options),
                            std::bad_alloc);
        }
    }
}

}  // namespace
}  // namespace vtlsim::runner::explore
