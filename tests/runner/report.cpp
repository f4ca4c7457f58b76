// The text and JSON of `vtlsim run`, and its exit status (design: interfaces that are fixed).
// Run: build/<preset>/vtlsim_tests "[report]"
#include "runner/report.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/catch.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

FileResults run(const std::string& text) {
    const Scenario scenario = loaded(text);
    FileResults out{scenario, {}};
    for (const Variant& variant : scenario.variants) {
        out.results.push_back(run_variant(scenario, variant));
        out.results.back().steps = 42;  // the reports do not look at the run itself
        out.results.back().hash = "0123456789abcdef";
        auto& around = out.results.back().around;
        if (!around.empty()) around = {"       9  vtl0  0x1000              guest       insn hlt"};
    }
    return out;
}

constexpr TextOptions kVerbose{.verbose = true};

FileResults passes() { return run(scenario("\"show\":[]")); }
FileResults fails() { return run(with_expect(R"({"end":"stuck"})")); }
FileResults cut_off() {
    return run(with_guest(R"({"code":{"asm":"a: jmp a"}},"limits":{"steps":300})"));
}
FileResults gap() { return run(with_guest(R"({"code":{"asm":"getsec"}})")); }
FileResults broken() {
    Diagnostics diagnostics;
    diagnostics.add({"bad.json", 3, 7, "/name", "it is wrong"});
    return bad_file("bad.json", diagnostics);
}

TEST_CASE("A text report has a line for each scenario and what it fails", "[report]") {
    CHECK(text_report({passes()}) == "1 passed, 0 failed\n");
    CHECK(text_report({passes()}, kVerbose) ==
          "PASS   n  guest-halted after 42 steps\n"
          "1 passed, 0 failed\n");
    CHECK(text_report({passes()}, {.verbose = true, .color = true, .not_run = 3}) ==
          "\x1b[32mPASS \x1b[0m  n  guest-halted after 42 steps\n"
          "3 not run\n"
          "1 passed, 0 failed\n");
    CHECK(text_report({fails(), passes(), cut_off(), broken()}, kVerbose) ==
          fmt::format("FAIL   n  guest-halted after 42 steps\n"
                      "       end\n"
                      "         expected  stuck\n"
                      "         got       guest-halted  (step {0})\n"
                      "       events around step {0}\n"
                      "              9  vtl0  0x1000              guest       insn hlt\n"
                      "       why   w\n"
                      "       look  vtlsim trace f.json\n"
                      "       run   vtlsim run f.json\n"
                      "PASS   n  guest-halted after 42 steps\n"
                      "LIMIT  n  step-limit after 42 steps\n"
                      "       the run ends\n"
                      "         expected  within 300 steps\n"
                      "         got       step-limit  (step 300)\n"
                      "       events around step 300\n"
                      "              9  vtl0  0x1000              guest       insn hlt\n"
                      "       why   w\n"
                      "       look  vtlsim trace f.json\n"
                      "       run   vtlsim run f.json\n"
                      "ERROR  bad.json\n"
                      "1 passed, 3 failed\n",
                      result_of(scenario("\"show\":[]")).steps));
    CHECK(
        text_report({gap()}).starts_with("ERROR  n  not-modelled after 42 steps\n"
                                         "       everything is modelled\n"
                                         "         expected  no gap\n"));
    CHECK(text_report({}) == "0 passed, 0 failed\n");
}

TEST_CASE("Names that a shell would take apart are quoted", "[report]") {
    FileResults file = fails();
    file.results[0].file = "it's a file.json";
    CHECK(text_report({file}).find("look  vtlsim trace 'it'\\''s a file.json'\n") !=
          std::string::npos);
}

TEST_CASE("A why of several lines stays on one", "[report]") {
    FileResults file = fails();
    file.scenario->why = "first\nsecond\x1B[1m";
    CHECK(text_report({file}).find("why   first second [1m\n") != std::string::npos);
}

TEST_CASE("Variants make a table", "[report]") {
    CHECK(
        text_report(
            {run(scenario(
                R"("variants":{"switches":{"gpr_model":["shared","shadow"],"vmm_fix":["V0","V2","V1V2"]}},
                 "show":["vtl0.rip","message.port"])"))},
            kVerbose) ==
        "PASS   n  6 variants\n"
        "       gpr_model"
        "  vmm_fix=V0                                 "
        "  vmm_fix=V2                                 "
        "  vmm_fix=V1V2\n"
        "       shared   "
        "  guest-halted vtl0.rip=0x1001 message.port=-"
        "  guest-halted vtl0.rip=0x1001 message.port=-"
        "  guest-halted vtl0.rip=0x1001 message.port=-\n"
        "       shadow   "
        "  guest-halted vtl0.rip=0x1001 message.port=-"
        "  guest-halted vtl0.rip=0x1001 message.port=-"
        "  guest-halted vtl0.rip=0x1001 message.port=-\n"
        "6 passed, 0 failed\n");
}

TEST_CASE("A table of one switch, and one with failures", "[report]") {
    CHECK(text_report({run(scenario(
              R"("variants":{"switches":{"gpr_model":["shared","shadow"]},
                 "expect":[{"when":{"gpr_model":"shadow"},"expect":{"end":"vmm-panic"}}]})"))}) ==
          fmt::format("FAIL   n  [gpr_model=shadow]  guest-halted after 42 steps\n"
                      "       end\n"
                      "         expected  vmm-panic\n"
                      "         got       guest-halted  (step {0})\n"
                      "       events around step {0}\n"
                      "              9  vtl0  0x1000              guest       insn hlt\n"
                      "       why   w\n"
                      "       look  vtlsim trace f.json --variant gpr_model=shadow\n"
                      "       run   vtlsim run f.json --variant gpr_model=shadow\n"
                      "       gpr_model\n"
                      "       shared     guest-halted\n"
                      "       shadow     guest-halted (!)\n"
                      "1 passed, 1 failed\n",
                      result_of(scenario(R"("switches":{"gpr_model":"shadow"})")).steps));
}

TEST_CASE("A table of three switches", "[report]") {
    CHECK(
        text_report({run(scenario(
                        R"("variants":{"switches":{"cr2_model":["shared"],"dr6_shared":["no","yes"],
                 "vmm_fix":["V0","V2"]}})"))},
                    kVerbose) ==
        "PASS   n  4 variants\n"
        "       cr2_model  dr6_shared  vmm_fix=V0    vmm_fix=V2\n"
        "       shared     no          guest-halted  guest-halted\n"
        "       shared     yes         guest-halted  guest-halted\n"
        "4 passed, 0 failed\n");
}

TEST_CASE("A JSON report is as the design says, to the letter", "[report]") {
    CHECK(json_report({run(scenario(R"("variants":{"switches":{"vmm_fix":["V2"]}})")), broken()}) ==
          R"({
  "results": [
    {
      "scenario": "n",
      "file": "f.json",
      "variant": {
        "vmm_fix": "V2"
      },
      "status": "pass",
      "failures": [],
      "steps": 42,
      "hash": "0123456789abcdef"
    },
    {
      "scenario": "bad.json",
      "file": "bad.json",
      "variant": {},
      "status": "error",
      "failures": [
        {
          "expectation": "the file is well-formed",
          "expected": "no error",
          "got": "bad.json:3:7: /name: it is wrong",
          "step": 0
        }
      ],
      "steps": 0,
      "hash": ""
    }
  ],
  "summary": {
    "passed": 1,
    "failed": 1,
    "total": 2
  }
}
)");
    FileResults odd = passes();
    odd.results[0].file = "\xFF.json";
    CHECK(nlohmann::json::parse(json_report({odd}))["results"][0]["file"] == "\xEF\xBF\xBD.json");
}

TEST_CASE("The exit status: a wrong file before a failure before a limit", "[report]") {
    CHECK(exit_status({passes()}) == 0);
    CHECK(exit_status({passes(), fails()}) == 1);
    CHECK(exit_status({gap()}) == 1);
    CHECK(exit_status({cut_off(), passes()}) == 3);
    CHECK(exit_status({cut_off(), fails()}) == 1);
    CHECK(exit_status({cut_off(), fails(), broken()}) == 2);
    CHECK(exit_status({}) == 2);
}

}  // namespace
}  // namespace vtlsim::runner
