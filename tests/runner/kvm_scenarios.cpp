// KVM scenarios: the files of scenarios/kvm, the printed outcome matrix, and what the loader
// refuses. Run: build/<preset>/vtlsim_tests "[kvm]"; VTLSIM_BLESS=1 writes the table of
// docs/kvm.md.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/kvm/model_vm.hpp"
#include "model/kvm/userspace.hpp"
#include "runner/load.hpp"
#include "runner/load_kvm.hpp"
#include "runner/run_kvm.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

namespace kvm = model::kvm;

std::vector<std::string> kvm_files() {
    std::vector<std::string> files;
    const std::string root = std::string(VTLSIM_SOURCE_DIR) + "/";
    for (const auto& entry : std::filesystem::directory_iterator(root + "scenarios/kvm")) {
        files.push_back(entry.path().string().substr(root.size()));
    }
    std::sort(files.begin(), files.end());
    return files;
}

// The reference, its observations, the seed, the manual and this project's own measurements.
constexpr std::string_view kSources[] = {"kvm-pio.md", "kvm-observed.md", "seeds/003_", "SDM ",
                                         "docs/conform-kvm.md"};

TEST_CASE("Every KVM scenario names source, evidence and what it teaches", "[kvm]") {
    const std::set<std::string> grades{"observed", "read", "derived"};
    REQUIRE(kvm_files().size() > 40);
    for (const std::string& file : kvm_files()) {
        INFO(file);
        const auto json = nlohmann::json::parse(tests::source_file(file), nullptr, true, true);
        const std::string source = json.at("source"), grade = json.at("evidence");
        CHECK(grades.count(grade) == 1);
        // One that a reader can open.
        CHECK(std::any_of(std::begin(kSources), std::end(kSources), [&](std::string_view known) {
            return source.find(known) != std::string::npos;
        }));
        CHECK(json.at("teaches").get<std::string>().size() > 20);
        CHECK(json.at("name").get<std::string>() ==
              "kvm-" + std::filesystem::path(file).stem().string());
        // Only the slow path has been seen.
        Diagnostics diagnostics;
        const auto scenario =
            load_scenario(std::string(VTLSIM_SOURCE_DIR) + "/" + file, diagnostics);
        REQUIRE(scenario);
        for (const KvmVariant& v : scenario->kvm->variants) {
            const bool slow = v.switches.kvm == kvm::Version::slow;
            CHECK((slow && v.switches.flaw == kvm::Flaw::none || grade != "observed"));
        }
    }
}

// Section 1.11's table from runs of the outcome-matrix scenarios, in its words.
class Matrix {
  public:
    std::string text() {
        std::string out = "| |";
        for (const Column& c : kColumns) out += fmt::format(" {} |", c.name);
        out += "\n|---|";
        for (std::size_t i = 0; i < std::size(kColumns); ++i) out += "---|";
        out += '\n';
        row("RIP at exit", "", "p0", [](const KvmRun& r) { return rip(r, 1); });
        row("P0", "", "p0", [](const KvmRun& r) { return rip(r, 2); });
        row("P1 report", "", "p1",
            [](const KvmRun& r) { return std::string(rip(r, 1) == "r" ? "exact" : "off by n"); });
        for (const char* act : {"p2", "p3", "p4"}) {
            row(upper(act), "", act, [](const KvmRun& r) { return rip(r, 2); });
        }
        row("P4 for IN: RAX", "in", "p4",
            [](const KvmRun& r) { return kvm_value(r, "exit.2.rax"); });
        scenario_ = "outcome-matrix-p5";
        row("P5", "", "p5", [](const KvmRun& r) { return rip(r, 2); });
        scenario_ = "corner-reset-vector";
        vendor_ = "svm";
        row("P5 on SVM, flat 32-bit code", "flat32", "p5",
            [](const KvmRun& r) { return rip(r, 2); });
        scenario_ = "outcome-matrix-tf";
        vendor_ = "vmx";
        row("P3 + P10 (#DB)", "", "p3", [&](const KvmRun& r) { return trap(r); });
        scenario_ = "outcome-matrix";
        row("P7", "", "p7",
            [](const KvmRun& r) { return rip(r, 2) + ", " + kvm_value(r, "exit.2"); });
        row("P8 OUT effects", "", "p8", [](const KvmRun& r) {
            return r.transcript.writes.empty() ? "-"
                                               : fmt::format("{}", r.transcript.writes.size());
        });
        row("P8 IN: reads, RAX", "in", "p8", [](const KvmRun& r) {
            return fmt::format("{}, {}", r.transcript.reads, kvm_value(r, "rax"));
        });
        row("P9 exits seen", "", "p9", debug);
        scenario_ = "outcome-matrix-kernel-port";
        row("P9 in-kernel port", "", "p9", debug);
        scenario_ = "outcome-matrix";
        row("P12 shadow at exit", "", "p12", [](const KvmRun& r) {
            return kvm_value(r, "exit.1.shadow") == "0x0" ? "cleared" : "kept";
        });
        row("P14", "", "p14", debug);
        return out + text_;
    }

  private:
    struct Column {
        const char* name;
        const char* guest;
        const char* kvm;
    };
    static constexpr Column kColumns[] = {{"V0", "out", "v0"},         {"V1", "out", "v1c"},
                                          {"V2", "out", "v2"},         {"V3", "out", "v3"},
                                          {"slow OUT", "out", "slow"}, {"slow IN", "in", "slow"}};

    static std::string upper(const char* act) { return std::string("P") + (act + 1); }
    // The guests of the matrix: the access, 1 byte, is at 1000h, the label "other" at 1004h.
    static std::string place(u64 at) {
        switch (at) {
            case 0x1000:
                return "r";
            case 0x1001:
                return "r+n";
            case 0x1002:
                return "r+n+next";
            case 0x1004:
                return "x";
            case 0x1005:
                return "x+n";
            case 0xFFF0:
                return "FFF0";
            case 0xFFF1:
            case 0xFFF2:  // corner-reset-vector's access has 2 bytes
                return "FFF0+n";
            case 0xFFFFFFF2:
                return "FFFFFFF0+n";
            default:
                return fmt::format("{:#x}", at);
        }
    }
    static std::string rip(const KvmRun& run, std::size_t exit) {
        const auto& o = run.transcript.observations.at(exit - 1);
        const std::string where = place(o.registers[sim::Reg::rip]);
        const bool reset = o.registers[sim::Reg::cs_base] == 0xFFFF0000;
        return reset && where[0] == 'r' ? where + " in the reset CS" : where;
    }
    // Exits up to the first DEBUG, and where that one is.
    static std::string debug(const KvmRun& run) {
        std::string out;
        for (const auto& o : run.transcript.observations) {
            const bool stop = o.exit.reason == kvm::ExitReason::debug;
            if (o.exit.result != kvm::Return::ok) continue;
            if (!out.empty()) out += ", ";
            if (!stop) out += o.exit.reason == kvm::ExitReason::io ? "IO" : "HLT";
            if (stop) return out + "DEBUG at " + place(o.exit.pc);
        }
        return out;
    }
    // The return address in the frame of the #DB tells which instruction's trap it was.
    std::string trap(const KvmRun& run) {
        std::array<u8, 2> frame{};
        const KvmScenario& s = *scenario("outcome-matrix-tf").kvm;
        read_final_memory(run, s.cases[0][0].guest, 0x6FFA, frame);
        return frame[0] == 1 ? "kept" : "lost";
    }
    const Scenario& scenario(const std::string& name) {
        auto& slot = loaded_[name];
        Diagnostics diagnostics;
        if (!slot) {
            slot = load_scenario(
                std::string(VTLSIM_SOURCE_DIR) + "/scenarios/kvm/" + name + ".json", diagnostics);
        }
        REQUIRE(slot);
        return *slot;
    }
    template <class F>
    void row(const std::string& label, std::string guest, const std::string& act, F cell) {
        text_ += "| " + label + " |";
        for (const Column& c : kColumns) {
            const KvmScenario& s = *scenario(scenario_).kvm;
            const std::string wanted = guest.empty() ? c.guest : guest;
            std::string found = " - |";
            for (const KvmVariant& v : s.variants) {
                const auto is = [&](std::string_view axis, std::string_view value) {
                    return std::all_of(v.choice.begin(), v.choice.end(), [&](const auto& choice) {
                        return choice.first != axis || choice.second == value;
                    });
                };
                // A row about IN says nothing of slow OUT, one about OUT nothing of slow IN.
                const bool other = (wanted == "in") != (std::string_view(c.guest) == "in");
                if (std::string_view(c.kvm) == "slow" && other) continue;
                if (is("guest", wanted) && is("act", act) && is("kvm", c.kvm) &&
                    is("vendor", vendor_)) {
                    found = fmt::format(" {} |", cell(run_kvm(s, v)));
                }
            }
            text_ += found;
        }
        text_ += '\n';
    }

    std::map<std::string, std::optional<Scenario>> loaded_;
    std::string scenario_ = "outcome-matrix", vendor_ = "vmx";
    std::string text_;
};

TEST_CASE("The outcome matrix of docs/kvm.md is what the scenarios give", "[kvm][golden]") {
    const std::string diff =
        tests::golden_part_diff("docs/kvm.md", "outcome-matrix", Matrix().text());
    INFO(diff);
    CHECK(diff.empty());
}

TEST_CASE("The KVM scenarios pass", "[kvm]") {
    Diagnostics diagnostics;
    for (const std::string& file : kvm_files()) {
        for (const Result& r :
             run_file(std::string(VTLSIM_SOURCE_DIR) + "/" + file, diagnostics).results) {
            INFO(file << " " << r.id());
            CHECK(r.status == Status::pass);
        }
    }
    CHECK(diagnostics.empty());
}

std::string error_of(const std::string& text) {
    Diagnostics diagnostics;
    CHECK_FALSE(parse_scenario(text, "f", diagnostics));
    return diagnostics.to_string();
}

TEST_CASE("Wrong KVM scenarios are refused with their place", "[kvm]") {
    const auto scenario = [](const std::string& kvm_part, const std::string& expect) {
        return R"({"name":"n","why":"w","source":"s","evidence":"read","teaches":"t","kvm":)" +
               kvm_part + R"(,"expect":)" + expect + "}";
    };
    const std::string guest = R"({"mode":"real16","code":{"at":4096,"asm":"hlt"}})";
    const std::string good = R"({"end":"guest-halted"})";
    Diagnostics diagnostics;
    REQUIRE(parse_scenario(scenario(R"({"guest":)" + guest + "}", good), "f", diagnostics));

    using Catch::Contains;
    CHECK_THAT(
        error_of(scenario(R"({"guest":{"mode":"real61","code":{"at":1,"asm":"hlt"}}})", good)),
        Contains("unknown value \"real61\""));
    CHECK_THAT(error_of(scenario(R"({"guest":)" + guest + R"(,"switches":{"kvm":"v9"}})", good)),
               Contains("/kvm/switches/kvm"));
    CHECK_THAT(error_of(scenario(R"({"guest":)" + guest + R"(,"switches":{"act":"p2"}})", good)),
               Contains("label \"other\""));
    CHECK_THAT(error_of(scenario(R"({"guest":)" + guest + "}", R"({"state":{"exit.0.rip":1}})")),
               Contains("no value is called"));
    CHECK_THAT(
        error_of(scenario(R"({"guest":)" + guest + R"(,"userspace":{"start":[{"do":"set-regs"}]}})",
                          good)),
        Contains("missing key \"registers\""));
    const auto setting = [&](const std::string& action, const std::string& reg) {
        return scenario(R"({"guest":)" + guest + R"(,"userspace":{"start":[{"do":")" + action +
                            R"(","registers":{")" + reg + R"(":0}}]}})",
                        good);
    };
    for (const char* reg : {"rax", "cs_base", "cr0", "efer"}) {
        CHECK(parse_scenario(setting("set-regs", reg), "f", diagnostics));
        CHECK(parse_scenario(setting("sync-regs", reg), "f", diagnostics));
    }
    CHECK(parse_scenario(setting("set-regs", "dr7"), "f", diagnostics));
    CHECK_THAT(error_of(setting("sync-regs", "dr7")), Contains("sync-regs cannot set dr7"));
    CHECK_THAT(error_of(setting("set-regs", "mxcsr")), Contains("set-regs cannot set mxcsr"));
    CHECK_THAT(error_of(R"({"name":"n","why":"w","source":"s","teaches":"t","kvm":{"guest":)" +
                        guest + R"(},"expect":{"end":"stopped"}})"),
               Contains("missing key \"evidence\""));
}

TEST_CASE("The first difference of two transcripts is told in words", "[kvm]") {
    kvm::Guest guest;
    guest.memory.push_back({0x1000, {0xE6, 0x80, 0xF4}});  // out 80h, al; hlt
    guest.registers.emplace_back(sim::Reg::rip, 0x1000);
    const kvm::Script script;
    const auto run = [&](kvm::Version version) {
        kvm::Switches switches;
        switches.kvm = version;
        kvm::ModelVm vm(guest, script, switches);
        return run_script(vm, guest, script);
    };
    CHECK_FALSE(first_difference(run(kvm::Version::v2), run(kvm::Version::v3)));
    CHECK(first_difference(run(kvm::Version::v2), run(kvm::Version::v1b)) ==
          "exit 1: rip 0x1000, the other has 0x1002");
}

TEST_CASE("What the model lacks ends the run and is no pass", "[kvm]") {
    Diagnostics diagnostics;
    const auto scenario = parse_scenario(
        R"({"name":"n","why":"w","source":"s","evidence":"read","teaches":"t","kvm":{"guest":
            {"mode":"prot32","code":{"at":4096,"asm":"rep outsb"},"registers":{"rcx":1}},
            "userspace":{"devices":[{"port":0,"in_kernel":true}]}},
            "expect":{"end":"guest-halted"}})",
        "f", diagnostics);
    REQUIRE(scenario);
    const Result result = run_variant(*scenario, scenario->variants[0]);
    CHECK(result.status == Status::error);
    CHECK(result.end == "not-modelled");
}

}  // namespace
}  // namespace vtlsim::runner
