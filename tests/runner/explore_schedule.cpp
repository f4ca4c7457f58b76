// Schedules: written, read, replayed, edited by hand; minimised; told in words; reported.
// Run: build/<preset>/vtlsim_tests "[schedule]"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runner/explore/minimise.hpp"
#include "runner/explore/report.hpp"
#include "runner/explore/story.hpp"
#include "tests/catch.hpp"
#include "tests/runner/explore_toy.hpp"

namespace vtlsim::runner::explore {
namespace {

using toy::Op;

// t1 looks between t0's two stores if t0 is preempted there.
toy::World torn() {
    toy::World world;
    world.programs = {{{Op::store, 0, 1}, {Op::local}, {Op::store, 1, 1}},
                      {{Op::wait, 0, 1}, {Op::load, 1}, {Op::assert_ends, 0, 1}}};
    return world;
}

Replay run_schedule(const toy::World& world, const std::string& json) {
    Diagnostics diagnostics;
    const Schedule schedule = parse_schedule(json, "s.json", diagnostics);
    INFO(diagnostics.to_string());
    REQUIRE(diagnostics.empty());
    toy::Toy subject(world);
    return replay(subject, schedule, 1000);
}
std::string misfit(const std::string& json) {
    const Replay run = run_schedule(torn(), json);
    return run.misfit ? fmt::format("{}: {}", run.misfit->deviation, run.misfit->message) : "";
}

TEST_CASE("a schedule written by hand is replayed", "[explore][schedule]") {
    CHECK(run_schedule(torn(), "[]").violations.empty());
    const Replay run =
        run_schedule(torn(), R"({"why": "between the stores", "schedule": [{"turn": 1, "run": "t1",
                    "instead_of": "t0", "step": "local a", "does": "wait a"}]})");
    CHECK_FALSE(run.misfit);
    REQUIRE(run.violations.size() == 1);
    CHECK(run.violations[0].violation.key == "1.2");
    CHECK(run.violations[0].turns == 4);
    CHECK(run.cost == Cost{1, 1, 4});
    CHECK(run_schedule(torn(), R"([{"turn":1,"run":"t1"}])").violations.size() == 1);
}

TEST_CASE("a schedule that does not fit says why", "[explore][schedule]") {
    CHECK(
        misfit(R"([{"turn":1,"run":"t7"}])") ==
        R"(0: at turn 1 there is no actor "t7"; did you mean "t0"?; enabled are t0 ("local a"), t1 ("wait a"))");
    CHECK(misfit(R"([{"turn":0,"run":"t1"}])") ==
          R"(0: at turn 0 t1 has nothing to do; enabled are t0 ("store a"))");
    CHECK(
        misfit(R"([{"turn":1,"run":"t1","instead_of":"t1"}])") ==
        R"(0: at turn 1 t0 would go by default, not "t1"; enabled are t0 ("local a"), t1 ("wait a"))");
    CHECK(
        misfit(R"([{"turn":1,"run":"t1","does":"load b"}])") ==
        R"(0: at turn 1 the next step of t1 is "wait a", not "load b"; enabled are t0 ("local a"), t1 ("wait a"))");
    CHECK(
        misfit(R"([{"turn":1,"run":"t1","step":"load b"}])") ==
        R"(0: at turn 1 the next step of t0 is "local a", not "load b"; enabled are t0 ("local a"), t1 ("wait a"))");
    CHECK(misfit(R"([{"turn":99,"run":"t1"}])") ==
          "0: there is no turn 99: the run is over after 6");
    CHECK(misfit(R"([{"turn":1,"run":"t1"},{"turn":2,"run":"t0"}])") == "");
}

TEST_CASE("bad schedule files are refused with their place", "[explore][schedule]") {
    const auto errors = [](const std::string& json) {
        Diagnostics diagnostics;
        CHECK(parse_schedule(json, "s.json", diagnostics).empty());
        return diagnostics.to_string();
    };
    CHECK(errors(R"({"shedule":[]})") ==
          "s.json:1:2: /shedule: unknown key \"shedule\"; did you mean \"schedule\"?\n");
    CHECK(errors(R"([{"turn":-1,"run":"a"}])") ==
          "s.json:1:10: /0/turn: expected an integer from 0 to 0xffffffff, got -1\n");
    CHECK(errors(R"([{"turn":5,"run":"a"},
 {"turn":5,"run":"b"}])") == "s.json:2:10: /1/turn: turn 5 does not come after turn 5\n");
    CHECK(errors(R"([{"turn":1}])") == "s.json:1:2: /0: missing key \"run\"\n");
    CHECK(errors("7") == "s.json:1:1: expected an array, got a number\n");
    CHECK_FALSE(errors("").empty());
}

// Leaves out each deviation of the schedule in turn: the violation must not come with no more
// preemptions. `deviations` counts those tried.
void check_minimal(const toy::World& world, const ReportedViolation& v, u64& deviations) {
    toy::Toy subject(world);
    const Replay whole = replay(subject, v.schedule, 1000);
    REQUIRE_FALSE(whole.misfit);
    REQUIRE(whole.find(v.violation) != nullptr);
    for (std::size_t i = 0; i < v.schedule.size(); ++i) {
        Schedule rest = v.schedule;
        rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
        toy::Toy again(world);
        const Replay run = replay(again, rest, 1000);
        const bool violates = run.find(v.violation) != nullptr;
        CHECK_FALSE((violates && run.cost.preemptions <= v.cost.preemptions));
        ++deviations;
    }
}

TEST_CASE("no step of a reported schedule can be left out", "[explore][schedule]") {
    u64 found = 0;
    u64 deviations = 0;
    u64 larger = 0;
    for (u64 seed = 0; seed < 300; ++seed) {
        const toy::World world = toy::random_world(seed);
        SearchOptions options;
        options.all = true;
        options.depth = 60;
        const Exploration best = explore(toy::factory(world), options);
        for (std::size_t i = 0; i < best.violations.size(); ++i) {
            INFO("seed " << seed << ", " << best.violations[i].violation.key);
            check_minimal(world, best.violations[i], deviations);
            // Best first: the minimiser finds nothing with fewer preemptions.
            const auto& as_found = best.search.violations;
            const auto same = std::find_if(as_found.begin(), as_found.end(), [&](const Found& f) {
                return same_violation(f.violation, best.violations[i].violation);
            });
            REQUIRE(same != as_found.end());
            CHECK(same->cost.preemptions == best.violations[i].cost.preemptions);
        }
        for (Mode mode : {Mode::random, Mode::pct}) {
            options.mode = mode;
            options.runs = 100;
            options.seed = seed;
            for (const ReportedViolation& v : explore(toy::factory(world), options).violations) {
                INFO("seed " << seed << ", " << v.violation.key);
                check_minimal(world, v, deviations);
                ++found;
                const auto same = std::find_if(best.violations.begin(), best.violations.end(),
                                               [&](const ReportedViolation& b) {
                                                   return same_violation(b.violation, v.violation);
                                               });
                REQUIRE(same != best.violations.end());
                CHECK(v.cost.preemptions >= same->cost.preemptions);
                larger += v.cost.preemptions > same->cost.preemptions ? 1 : 0;
            }
        }
    }
    CHECK(found > 200);
    CHECK(deviations > 200);
    CHECK(larger < found / 10);  // what the minimiser cannot see, searching has to
}

TEST_CASE("a violation in words and in numbers", "[explore][schedule]") {
    const Exploration e = explore(toy::factory(torn()), {});
    // The preemption comes as late as it can: "local" needs no choice.
    CHECK(text_report(e) == R"(violation  assert (1.2): reg
  reg = 0
  schedule: 1 preemption, 1 deviation, 5 turns
    turn 2: t1 does "wait a" instead of t0's "store b"
  in words:
    t0's "store b", due at turn 2, was overtaken by t1's "wait a" at turn 2 and had not come when the run ended
    after t1's "assert a" at turn 4, assert (1.2) was broken: reg
2 schedules, 11 states, 11 transitions; not complete: stopped at the first violation
)");
    CHECK(exit_status(e) == 1);
    const auto json = nlohmann::json::parse(json_report(e));
    CHECK(json["complete"] == false);
    CHECK(json["violations"][0]["invariant"] == "assert");
    CHECK(json["violations"][0]["length"] == 1);
    CHECK(json["violations"][0]["evidence"]["reg"] == "0");
    CHECK(json["states"] == e.search.states);
    // Both forms of a schedule out of the report can be read back.
    for (const auto& part : {json["violations"][0], json["violations"][0]["schedule"]}) {
        const Replay run = run_schedule(torn(), part.dump());
        CHECK_FALSE(run.misfit);
        CHECK(run.violations.size() == 1);
    }
}

TEST_CASE("exit status of an exploration", "[explore][schedule]") {
    toy::World calm = torn();
    calm.programs[1][2].value = 1;
    calm.programs[1][1].variable = 0;
    SearchOptions options;
    CHECK(exit_status(explore(toy::factory(calm), options)) == 0);
    CHECK(text_report(explore(toy::factory(calm), options)).find("; complete\n") !=
          std::string::npos);
    options.depth = 3;
    CHECK(exit_status(explore(toy::factory(calm), options)) == 3);
    options = {};
    options.mode = Mode::random;
    options.runs = 5;
    options.seed = 77;
    const Exploration e = explore(toy::factory(calm), options);
    CHECK(exit_status(e) == 0);
    CHECK(text_report(e).find("; not complete: random walks, seed 77\n") != std::string::npos);
    options.depth = 3;
    CHECK(text_report(explore(toy::factory(calm), options))
              .find("; not complete: random walks, seed 77; limit hit: depth\n") !=
          std::string::npos);
}

}  // namespace
}  // namespace vtlsim::runner::explore
