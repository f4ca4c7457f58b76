// What explore prints, as text and as JSON, replays: by `run --schedule`, and pasted into the
// scenario. Run: build/<preset>/vtlsim_tests "[explore-replay]"
#include <regex>

#include <nlohmann/json.hpp>

#include "model/world.hpp"
#include "runner/explore/report.hpp"
#include "runner/explore/run_schedule.hpp"
#include "runner/explore/world_subject.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner::explore {
namespace {

using nlohmann::json;

// The schedules in a text report, each with the invariants that its run breaks.
struct Printed {
    std::vector<std::string> invariants;
    json schedule = json::array();
};
std::vector<Printed> printed(const std::string& report) {
    static const std::regex kViolation("violation  ([a-z-]+) .*");
    static const std::regex kTurn(
        R"re(    turn (\d+): (\S+) does "(.*)" instead of (\S+)'s "(.*)")re");
    std::vector<Printed> out;
    bool heading = false;
    std::istringstream lines(report);
    for (std::string line; std::getline(lines, line);) {
        std::smatch m;
        if (std::regex_match(line, m, kViolation)) {
            if (!heading) out.emplace_back();
            heading = true;
            out.back().invariants.push_back(m[1]);
        } else {
            heading = false;
            if (!std::regex_match(line, m, kTurn)) continue;
            out.back().schedule.push_back({{"turn", std::stoul(m[1])},
                                           {"run", m[2]},
                                           {"does", m[3]},
                                           {"instead_of", m[4]},
                                           {"step", m[5]}});
        }
    }
    return out;
}

class Checker {
  public:
    Checker(const Scenario& scenario, const Variant& variant)
        : scenario_(scenario), variant_(variant) {}

    void replays(const json& schedule, const std::string& invariant) const {
        INFO(scenario_.name << " " << variant_.label() << " " << invariant << "\n"
                            << schedule.dump());
        Diagnostics diagnostics;
        const Schedule read = parse_schedule(schedule.dump(), "s.json", diagnostics);
        const auto result = run_schedule(scenario_, variant_, read, "s.json", diagnostics);
        CHECK(diagnostics.to_string().empty());
        REQUIRE(result);
        const bool broken =
            std::any_of(result->failures.begin(), result->failures.end(), [&](const Failure& f) {
                return f.expectation.starts_with("invariant " + invariant + " ");
            });
        CHECK(broken);
        CHECK(pasted(schedule) == result->hash);
    }

  private:
    // The hash of the scenario's run with the schedule as its own.
    std::string pasted(const json& schedule) const {
        json text = json::parse(tests::source_file(scenario_.file), nullptr, true, true);
        text["schedule"] = schedule;
        const Scenario with = loaded(text.dump());
        model::WorldConfig config = with.config(variant_);
        config.invariants = exploration_config(with, variant_).invariants;
        model::World world(config);
        world.run();
        CHECK(world.schedule_problem().empty());
        CHECK(world.schedule_done() == config.schedule.size());
        return world.hash();
    }

    const Scenario& scenario_;
    const Variant& variant_;
};

Scenario scenario_of(const std::string& file) {
    Diagnostics diagnostics;
    auto scenario = load_scenario(std::string(VTLSIM_SOURCE_DIR) + "/" + file, diagnostics);
    if (!scenario) throw std::runtime_error(diagnostics.to_string());
    scenario->file = file;
    return std::move(*scenario);
}

void check_all(const std::string& file, u64& replayed) {
    const Scenario scenario = scenario_of(file);
    for (const Variant& variant : scenario.variants) {
        const model::WorldConfig config = exploration_config(scenario, variant);
        SearchOptions options;
        options.all = true;
        options.preemptions = 1;
        const Exploration e = explore(world_factory(config, {}), options);
        const Checker checker(scenario, variant);
        const json report = json::parse(json_report(e));
        for (const json& v : report["violations"]) {
            checker.replays(v["schedule"], v["invariant"]);
            ++replayed;
        }
        std::size_t told = 0;
        for (const Printed& p : printed(text_report(e))) {
            for (const std::string& invariant : p.invariants) {
                checker.replays(p.schedule, invariant);
                ++told;
            }
        }
        CHECK(told == e.violations.size());
    }
}

TEST_CASE("all that explore prints replays, from a file and pasted", "[explore-replay]") {
    u64 replayed = 0;
    for (const char* name : {"incident", "incident-fixed", "golden-g3", "golden-g6", "removal",
                             "late-request-ipi", "golden-g15-cpuid", "tso-release-store"}) {
        check_all(std::string("scenarios/race/") + name + ".json", replayed);
    }
    CHECK(replayed > 20);
}

}  // namespace
}  // namespace vtlsim::runner::explore
