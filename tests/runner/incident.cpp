// docs/incident.md shows the program's own output. Run: build/<preset>/vtlsim_tests "[incident]";
// VTLSIM_BLESS=1 writes it anew.
#include "runner/explore/report.hpp"
#include "runner/explore/run_schedule.hpp"
#include "runner/explore/world_subject.hpp"
#include "runner/trace/formats.hpp"
#include "runner/trace/world_recorder.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

constexpr const char* kPage = "docs/incident.md";

Scenario scenario_file(const std::string& name) {
    return loaded(tests::source_file("scenarios/race/" + name + ".json"));
}

void check_part(std::string_view name, const std::string& actual) {
    const std::string diff = tests::golden_part_diff(kPage, name, actual);
    INFO(diff);
    CHECK(diff.empty());
}

TEST_CASE("docs/incident.md: the schedule in four lanes is golden vector G2's",
          "[incident][golden]") {
    const Scenario scenario = scenario_file("golden-g2");
    // What nobody needs to see to follow the race.
    trace::TextOptions options;
    std::string hidden;
    for (const char* name : {"insn", "store", "vmm-write", "msr", "hypercall", "interrupt-pending",
                             "interrupt-accepted", "halt", "regpage"}) {
        options.hidden.push_back(model::find_event(name)->kind);
        hidden += (hidden.empty() ? "" : ",") + std::string(name);
    }
    Diagnostics diagnostics;
    const auto recording = trace::record(scenario, scenario.variants[0], {}, diagnostics);
    REQUIRE(recording);
    check_part("lanes of golden-g2",
               "`vtlsim trace scenarios/race/golden-g2.json --format lanes "
               "--hide " +
                   hidden + "`\n\n" + trace::lanes_trace(*recording, options));
}

std::string explored(const std::string& name, std::optional<u32> preemptions) {
    const Scenario scenario = scenario_file(name);
    const model::WorldConfig config = explore::exploration_config(scenario, scenario.variants[0]);
    explore::SearchOptions options;
    options.preemptions = preemptions;
    return text_report(explore::explore(explore::world_factory(config, {}), options));
}

TEST_CASE("docs/incident.md: what explore prints", "[incident][golden]") {
    check_part("explore of incident", "```text\n$ vtlsim explore scenarios/race/incident.json\n" +
                                          explored("incident", {}) + "```\n");
    check_part("explore of incident-fixed",
               "```text\n$ vtlsim explore scenarios/race/incident-fixed.json --preemptions 2\n" +
                   explored("incident-fixed", 2) + "```\n");
}

}  // namespace
}  // namespace vtlsim::runner
