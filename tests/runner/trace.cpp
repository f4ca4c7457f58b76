// The text trace: the golden one of the crash, and docs/trace.md.
// Run: build/<preset>/vtlsim_tests "[trace]"; VTLSIM_BLESS=1 writes the golden files anew.
#include "runner/trace.hpp"

#include <fmt/format.h>

#include "model/world.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

std::string trace_of(const Scenario& scenario, const TraceOptions& options = {},
                     std::size_t variant = 0) {
    const model::WorldConfig config = scenario.config(scenario.variants.at(variant));
    model::World world(config);
    world.run();
    return text_trace(scenario, scenario.variants[variant], world, options);
}

TEST_CASE("The trace of the crash is the golden one", "[trace][golden]") {
    const Scenario crash = loaded(tests::source_file("tests/golden/crash.json"));
    const std::string diff = tests::golden_diff("tests/golden/crash.trace", trace_of(crash));
    INFO(diff);
    CHECK(diff.empty());
    CHECK(run_variant(crash, crash.variants[0]).failures.empty());
}

TEST_CASE("A trace has a head, one line an event, and a foot", "[trace]") {
    const Scenario halts = loaded(
        scenario(R"("variants":{"switches":{"gpr_model":["shared"],"vmm_fix":["V0","V2"]}})"));
    const std::string all = trace_of(halts, {}, 1);
    CHECK(all.starts_with(
        "# n gpr_model=shared,vmm_fix=V2\n"
        "    step  vp  vtl  rip                 lane        event               detail\n"
        "       1   0    2  0x8000000           vtl2        insn                ap_start: "));
    std::vector<model::EventKind> rest;
    for (const model::EventRow& row : model::event_rows()) {
        if (row.kind != model::EventKind::end) rest.push_back(row.kind);
    }
    const Result result = run_variant(halts, halts.variants[1]);
    CHECK(trace_of(halts, {rest}, 1) ==
          fmt::format(
              "# n gpr_model=shared,vmm_fix=V2\n"
              "    step  vp  vtl  rip                 lane        event               detail\n"
              "{:>8}   0    0  0x1001              hypervisor  end                 "
              "reason=guest-halted\n"
              "# end=guest-halted steps={} hash={}\n",
              result.steps, result.steps, result.hash));
}

TEST_CASE("Every name fits its column", "[trace]") {
    for (const model::EventRow& row : model::event_rows()) CHECK(row.name.size() <= 18);
    for (const model::Lane lane : {model::Lane::guest, model::Lane::hypervisor, model::Lane::vtl2,
                                   model::Lane::vmm, model::Lane::device}) {
        CHECK(model::lane_name(lane).size() <= 10);
    }
}

std::string format_meaning(model::Format format) {
    using model::Format;
    std::string words;
    for (std::string_view word : model::format_words(format)) {
        words += fmt::format("{}{}", words.empty() ? "" : ", ", word);
    }
    if (!words.empty()) return words;
    switch (format) {
        case Format::hex:
            return "hexadecimal";
        case Format::dec:
            return "decimal";
        case Format::flag:
            return "the name alone, if set";
        case Format::optional:
            return "hexadecimal, or none";
        case Format::code_lo:
            return "disassembly";
        case Format::reg:
            return "a register";
        case Format::gpa:
            return "the wire field at this address, or the address";
        case Format::message_type:
            return "a message type";
        case Format::text:
            return "text";
        default:
            return {};
    }
}

TEST_CASE("docs/trace.md has the event kinds and ends of the program", "[trace][golden]") {
    std::string kinds = "| event | when | detail |\n|---|---|---|\n";
    for (const model::EventRow& row : model::event_rows()) {
        std::string args;
        for (const model::ArgRow& arg : row.args) {
            const std::string meaning = format_meaning(arg.format);
            if (meaning.empty()) continue;
            const bool code = arg.format == model::Format::code_lo;
            args += fmt::format("{}{}", args.empty() ? "" : "; ",
                                code ? meaning : fmt::format("`{}`: {}", arg.name, meaning));
        }
        kinds += fmt::format("| `{}` | {} | {} |\n", row.name, row.meaning, args);
    }
    const std::string diff = tests::golden_part_diff("docs/trace.md", "event kinds", kinds);
    INFO(diff);
    CHECK(diff.empty());
    const std::string page = tests::source_file("docs/trace.md");
    for (std::string_view end : model::end_reason_names().subspan(1)) {
        INFO(end);
        CHECK(page.find(fmt::format("| `{}` |", end)) != std::string::npos);
    }
}

}  // namespace
}  // namespace vtlsim::runner
