// docs/incident.md shows the program's own output. Run: build/<preset>/vtlsim_tests "[incident]";
// VTLSIM_BLESS=1 writes it anew.
#include <fmt/format.h>

#include "model/world.hpp"
#include "runner/explore/report.hpp"
#include "runner/explore/run_schedule.hpp"
#include "runner/explore/world_subject.hpp"
#include "runner/format.hpp"
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

// What nobody needs to see to follow the race.
bool shown(model::EventKind kind) {
    using model::EventKind;
    switch (kind) {
        case EventKind::insn:
        case EventKind::store:
        case EventKind::vmm_write:
        case EventKind::msr:
        case EventKind::hypercall:
        case EventKind::interrupt_pending:
        case EventKind::interrupt_accepted:
        case EventKind::halt:
        case EventKind::regpage:
            return false;
        default:
            return true;
    }
}

TEST_CASE("docs/incident.md: the schedule in four lanes is golden vector G2's",
          "[incident][golden]") {
    const Scenario scenario = scenario_file("golden-g2");
    const model::WorldConfig config = scenario.config(scenario.variants[0]);
    model::World world(config);
    world.run();
    std::string table =
        "| step | guest | hypervisor | AP and driver | VMM |\n|---|---|---|---|---|\n";
    for (const model::Event& e : world.log().events()) {
        if (!shown(e.kind)) continue;
        std::array<std::string, 4> lanes;
        const auto lane = [&]() -> std::size_t {
            switch (e.lane) {
                case model::Lane::guest:
                    return 0;
                case model::Lane::hypervisor:
                    return 1;
                case model::Lane::vtl2:
                case model::Lane::driver:
                    return 2;
                default:  // devices stand with the VMM
                    return 3;
            }
        }();
        lanes[lane] = fmt::format("`{}`", event_text(world.log(), e));
        table += fmt::format("| {} | {} | {} | {} | {} |\n", e.step, lanes[0], lanes[1], lanes[2],
                             lanes[3]);
    }
    check_part("lanes of golden-g2", table);
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
