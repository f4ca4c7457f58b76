// The explorer on the sidecar: the race of the incident (hyperv-vtl.md 3.6) is found without a
// hint, and the driver's fix closes it. Run: build/<preset>/vtlsim_tests "[explore-world]"
#include <map>

#include "runner/explore/report.hpp"
#include "runner/explore/run_schedule.hpp"
#include "runner/explore/world_subject.hpp"
#include "tests/catch.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner::explore {
namespace {

// One port read, as in golden vector G1. Nothing in it knows of the race.
std::string sidecar(const std::string& driver, const std::string& more_switches = "") {
    return R"({"name":"n","why":"w","source":"s",
      "switches":{"vp_runner":"sidecar","driver":")" +
           driver + "\"" + more_switches + R"(},
      "guest":{"code":{"asm":[
        "mov rax, 0xFFFFFFFF81234500",
        "mov edx, 0x3FE",
        "in al, dx",
        "hlt"]}},
      "devices":[{"port":"0x3FE","reads":["0xB0"]}],
      "expect":{"end":"guest-halted"}})";
}

struct Explored {
    Scenario scenario;
    model::WorldConfig config;
    Exploration exploration;

    const ReportedViolation* find(const std::string& invariant) const {
        for (const ReportedViolation& v : exploration.violations) {
            if (v.violation.invariant == invariant) return &v;
        }
        return nullptr;
    }
    std::map<std::string, u32> preemptions() const {
        std::map<std::string, u32> out;
        for (const ReportedViolation& v : exploration.violations) {
            out[v.violation.invariant] = v.cost.preemptions;
        }
        return out;
    }
};
std::unique_ptr<Explored> explored(const std::string& text, const SearchOptions& options) {
    auto out = std::make_unique<Explored>();
    out->scenario = loaded(text);
    out->config = exploration_config(out->scenario, out->scenario.variants[0]);
    out->exploration = explore(world_factory(out->config, {}), options);
    return out;
}
SearchOptions bounded(u32 preemptions) {
    SearchOptions options;
    options.all = true;
    options.preemptions = preemptions;
    return options;
}

std::optional<Result> run(const Explored& e, const Schedule& schedule, Diagnostics& diagnostics) {
    return run_schedule(e.scenario, e.scenario.variants[0], schedule, "s.json", diagnostics);
}
bool panics(const Explored& e, const Schedule& schedule) {
    Diagnostics no_matter;  // what remains of a schedule need not fit
    const auto result = run(e, schedule, no_matter);
    return result && result->end == "vmm-panic";
}

TEST_CASE("the race is found without a hint, with the values of vector G2", "[explore-world]") {
    const auto e = explored(sidecar("racy"), {});
    const ReportedViolation* panic = e->find("no-vmm-panic");
    REQUIRE(panic != nullptr);
    const std::map<std::string, std::string> evidence(panic->violation.evidence.begin(),
                                                      panic->violation.evidence.end());
    CHECK(evidence.at("message.rax") == "0xffffffff81234500");
    CHECK(evidence.at("context.rax") == "0x812345b0");
    CHECK(evidence.at("end") == "vmm-panic");
    CHECK(panic->cost.preemptions == 1);

    // It replays, always the same, and needs every deviation.
    Diagnostics diagnostics;
    const auto result = run(*e, panic->schedule, diagnostics);
    REQUIRE(result);
    CHECK(result->status == Status::fail);
    CHECK(result->end == "vmm-panic");
    CHECK(run(*e, panic->schedule, diagnostics)->hash == result->hash);
    REQUIRE_FALSE(panic->schedule.empty());
    for (std::size_t i = 0; i < panic->schedule.size(); ++i) {
        Schedule rest = panic->schedule;
        rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
        CHECK_FALSE(panics(*e, rest));
    }
}

TEST_CASE("an empty schedule is the run without one", "[explore-world]") {
    const Scenario scenario = loaded(sidecar("racy"));
    Diagnostics diagnostics;
    const auto scheduled = run_schedule(scenario, scenario.variants[0], {}, "s.json", diagnostics);
    REQUIRE(scheduled);
    const Result plain = run_variant(scenario, scenario.variants[0]);
    CHECK(plain.status == Status::pass);
    CHECK(scheduled->status == Status::pass);
    CHECK(scheduled->hash == plain.hash);
}

TEST_CASE("a schedule that does not fit the world is refused", "[explore-world]") {
    const auto e = explored(sidecar("racy"), bounded(0));
    Diagnostics diagnostics;
    const Schedule schedule =
        parse_schedule("[{\"turn\": 3,\n \"run\": \"isr\"}]", "s.json", diagnostics);
    CHECK_FALSE(run(*e, schedule, diagnostics));
    CHECK(diagnostics.to_string().starts_with(
        "s.json:1:2: at turn 3 isr has nothing to do; enabled are "));
}

TEST_CASE("the driver's fix closes the race within the same bound", "[explore-world]") {
    const auto racy = explored(sidecar("racy"), bounded(1));
    CHECK(racy->exploration.search.complete);
    CHECK(racy->find("no-vmm-panic") != nullptr);
    const auto fixed = explored(sidecar("asyncstarting"), bounded(1));
    CHECK(fixed->exploration.search.complete);
    // What is left is the hang that the late request IPI brings (hyperv-vtl.md 1.4, inferred).
    CHECK(fixed->preemptions() == std::map<std::string, u32>{{"no-endless-bounce", 1}});
}

TEST_CASE("jobs and the reduction change nothing of what is found in a world", "[explore-world]") {
    for (const char* order : {"sc", "tso"}) {
        const std::string text =
            sidecar("racy", std::string(",\"memory_order\":\"") + order + "\"");
        SearchOptions options = bounded(1);
        options.states = 3000;
        const auto one = explored(text, options);
        options.jobs = 2;
        CHECK(json_report(explored(text, options)->exploration) == json_report(one->exploration));
        options = bounded(1);
        options.depth = 60;
        const auto reduced = explored(text, options);
        options.reduction = false;
        const auto full = explored(text, options);
        CHECK(reduced->preemptions() == full->preemptions());
    }
}

TEST_CASE("signals are choices: with the fixed driver they break nothing", "[explore-world]") {
    const std::string without = sidecar("asyncstarting");
    std::string with = without;
    with.insert(with.rfind(",\n      \"expect\""), R"(,"events":[{"do":"signal"}])");
    const auto plain = explored(without, bounded(1));
    const auto signals = explored(with, bounded(1));
    CHECK(signals->exploration.search.complete);
    CHECK(signals->preemptions() == plain->preemptions());
    CHECK(signals->exploration.search.states > plain->exploration.search.states * 2);
}

TEST_CASE("the stored driver's wait for a removed VP may not end", "[explore-world]") {
    const auto hotplug = [](const std::string& wait) {
        std::string text = sidecar("asyncstarting", ",\"removal_wait\":\"" + wait + "\"");
        text.insert(1, "\"hotplug\":true,\"invariants\":[\"no-lost-wakeup\"],");
        return explored(text, bounded(1));
    };
    CHECK(hotplug("removed")->preemptions().empty());
    CHECK(hotplug("remove_stored")->preemptions() ==
          std::map<std::string, u32>{{"no-lost-wakeup", 1}});
}

TEST_CASE("walks find the race, and their schedules are made small", "[explore-world]") {
    SearchOptions options;
    options.mode = Mode::random;
    options.all = true;
    options.runs = 100;
    const auto e = explored(sidecar("racy"), options);
    const ReportedViolation* panic = e->find("no-vmm-panic");
    REQUIRE(panic != nullptr);
    CHECK(panic->cost.preemptions == 1);
    CHECK(panics(*e, panic->schedule));
}

}  // namespace
}  // namespace vtlsim::runner::explore
