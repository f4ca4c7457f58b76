// The scenarios in docs/scenarios.md are real ones.
// Run: build/<preset>/vtlsim_tests "[docs]"; VTLSIM_BLESS=1 writes the table anew.
#include <string>
#include <vector>

#include <fmt/format.h>

#include "runner/json/document.hpp"
#include "runner/limits.hpp"
#include "runner/report.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

constexpr const char* kPage = "docs/scenarios.md";

// The fenced blocks marked jsonc.
std::vector<std::string> examples() {
    const std::string page = tests::source_file(kPage);
    constexpr std::string_view kStart = "```jsonc\n", kEnd = "\n```";
    std::vector<std::string> out;
    std::size_t at = page.find(kStart);
    while (at != std::string::npos) {
        const std::size_t start = at + kStart.size();
        out.push_back(page.substr(start, page.find(kEnd, start) - start));
        at = page.find(kStart, start);
    }
    return out;
}

FileResults run(const std::string& text) {
    const Scenario scenario = loaded(text);
    FileResults out{scenario, {}};
    for (const Variant& variant : scenario.variants) {
        out.results.push_back(run_variant(scenario, variant));
    }
    return out;
}

TEST_CASE("The examples of docs/scenarios.md load and pass", "[docs]") {
    const auto texts = examples();
    CHECK(texts.size() >= 4);
    for (const std::string& text : texts) {
        INFO(text);
        REQUIRE(errors_of(text) == "");
        const FileResults file = run(text);
        INFO(text_report({file}));
        CHECK(exit_status({file}) == 0);
    }
}

TEST_CASE("The table of docs/scenarios.md is the program's", "[docs][golden]") {
    for (const std::string& text : examples()) {
        const FileResults file = run(text);
        if (file.scenario->axes.empty()) continue;
        const std::string diff =
            tests::golden_part_diff(kPage, fmt::format("table of {}", file.scenario->name),
                                    "```\n" + text_report({file}, {.verbose = true}) + "```\n");
        INFO(diff);
        CHECK(diff.empty());
    }
}

TEST_CASE("docs/scenarios.md names the limits that hold", "[docs]") {
    const std::string page = tests::source_file(kPage);
    for (const std::string& fact :
         {fmt::format("`steps` (default {}, at most {})", model::Limits{}.steps, kMaxSteps),
          fmt::format("`memory` (bytes, default {} MiB, at most {} GiB)",
                      model::Limits{}.pages * sim::kPageSize >> 20, kMaxMemory >> 30),
          fmt::format("at most {};", kMaxVariants), fmt::format("RSP = {:X}h", kDefaultStack),
          fmt::format("(default {:X}h)", kDefaultCode),
          fmt::format("at most {}: the table", kMaxShown),
          fmt::format("at most {} MiB.", kMaxImages >> 20),
          fmt::format("`.`; at most {}", kMaxName),
          fmt::format("A file is at most {} MiB, {} levels deep and {} values",
                      JsonLimits{}.max_bytes >> 20, JsonLimits{}.max_depth,
                      JsonLimits{}.max_values)}) {
        INFO(fact);
        CHECK(page.find(fact) != std::string::npos);
    }
}

}  // namespace
}  // namespace vtlsim::runner
