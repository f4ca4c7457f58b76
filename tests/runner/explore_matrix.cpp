// Theory x fix x evidence. The report of the incident has to come out as the sources reason
// (hyperv-vtl.md 1.7, 1.8, 5). Run: build/<preset>/vtlsim_tests "[explore-matrix]"; VTLSIM_BLESS=1
// writes the table of docs/incident.md anew.
#include <set>

#include <nlohmann/json.hpp>

#include "runner/explore/matrix.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner::explore {
namespace {

using nlohmann::json;

MatrixResult filled(const Scenario& scenario, SearchOptions options = {}) {
    return fill_matrix(scenario, options, [](const Cell&) {});
}

const Scenario& incident() {
    static const Scenario scenario =
        loaded(tests::source_file("scenarios/race/incident-matrix.json"));
    return scenario;
}
const MatrixResult& incident_result() {
    static const MatrixResult result = filled(incident());
    return result;
}

// The report as a stranger reads it.
class Report {
  public:
    explicit Report(const MatrixResult& result) : report_(json::parse(matrix_json(result))) {}

    const json& top() const { return report_; }
    const json& cell(const std::string& guest, const std::string& theory,
                     const std::string& fix) const {
        for (const json& c : report_["cells"]) {
            if (c["guest"] == guest && c["theory"] == theory && c["fix"] == fix) return c;
        }
        throw std::runtime_error("no such cell: " + guest + ", " + theory + ", " + fix);
    }
    static std::set<std::string> broken(const json& cell) {
        std::set<std::string> out;
        for (const json& v : cell["violations"]) out.insert(std::string(v["invariant"]));
        return out;
    }
    static std::set<std::string> evidence(const json& cell) {
        std::set<std::string> out;
        for (const auto& [name, fits] : cell["evidence"].items()) {
            if (fits == true) out.insert(name);
        }
        return out;
    }

  private:
    json report_;
};

const std::set<std::string> kAllEvidence = {"e1", "e2", "e3", "e4", "e5"};

TEST_CASE("the incident: every cell has been searched through", "[explore-matrix]") {
    const Report report(incident_result());
    CHECK(report.top()["complete"] == true);
    CHECK(report.top()["preemption_bound"] == 1);
    CHECK(report.top()["cells"].size() == 42);
    for (const json& cell : report.top()["cells"]) {
        CHECK(cell["complete"] == true);
        CHECK(cell["preemption_bound"] == 1);
        CHECK(cell["limits"].empty());
    }
}

TEST_CASE("the incident: every cell is as the scenario says", "[explore-matrix]") {
    const Report report(incident_result());
    for (const json& cell : report.top()["cells"]) CHECK(cell["as_expected"] == true);
    CHECK(matrix_text(incident_result()).find("\n42 of 42 cells as expected\n") !=
          std::string::npos);
    CHECK(exit_status(incident_result()) == 0);
}

TEST_CASE("the incident: A alone never crashes, whatever the fix", "[explore-matrix]") {
    const Report report(incident_result());
    for (const char* theory : {"A", "C1"}) {
        for (const char* fix : {"V0", "V1", "V2", "V1V2", "VH", "VK"}) {
            const json& cell = report.cell("in", theory, fix);
            CHECK(cell["observed"] == false);
            CHECK(Report::broken(cell).empty());
        }
    }
}

TEST_CASE("the incident: B crashes on every first I/O exit", "[explore-matrix]") {
    const Report report(incident_result());
    const json& cell = report.cell("in", "B", "V0");
    CHECK(cell["observed"] == true);
    CHECK(cell["violations"][0]["length"] == 0);  // without any schedule, so always
    CHECK(cell["violations"][0]["preemptions"] == 0);
    CHECK(Report::evidence(cell) == std::set<std::string>{"e5"});
    for (const json& v : cell["violations"]) {
        CHECK(v["evidence"]["context.rax"] == "0x0");  // a constant, whatever the message has
    }
    // Only if one entry comes back stale it is rare; the value still has no relation to the
    // message.
    const json& loop = report.cell("in", "B-loop", "V0");
    CHECK(loop["observed"] == true);
    CHECK(loop["violations"][0]["length"] == 1);
    CHECK(Report::evidence(loop) == std::set<std::string>{"e2", "e5"});
    // Of this theory the driver's fix is none.
    CHECK(report.cell("in", "B", "VK")["observed"] == true);
}

TEST_CASE("the incident: only A with the racy driver fits everything", "[explore-matrix]") {
    const Report report(incident_result());
    const json& cell = report.cell("in", "A+R", "V0");
    CHECK(cell["observed"] == true);
    CHECK(cell["fits"] == true);
    CHECK(Report::evidence(cell) == kAllEvidence);
    CHECK(cell["violations"][0]["length"] == 1);
    for (const json& v : cell["violations"]) {
        if (v["invariant"] != "no-vmm-panic") continue;
        CHECK(v["evidence"]["message.rax"] == "0xffffffff81234500");
        CHECK(v["evidence"]["context.rax"] == "0x812345b0");
    }
    for (const json& other : report.top()["cells"]) {
        if (other["fits"] == true) CHECK(other["theory"] == "A+R");
    }
}

TEST_CASE("the incident: V1 never runs in the race", "[explore-matrix]") {
    const Report report(incident_result());
    const json& cell = report.cell("in", "A+R", "V1");
    CHECK(cell["observed"] == true);
    CHECK(cell["fits"] == true);
    CHECK(cell["facts"]["ap-exited-once"] == true);
    CHECK(cell["facts"]["v1-ran-once"] == true);
    CHECK(report.cell("in", "A+R", "V0")["facts"]["v1-ran-once"] == false);
}

TEST_CASE("the incident: V2 takes the assert away and reads the device twice", "[explore-matrix]") {
    const Report report(incident_result());
    CHECK(report.cell("in", "A+R", "V0")["facts"]["read-twice"] == false);
    for (const char* fix : {"V2", "V1V2"}) {
        const json& cell = report.cell("in", "A+R", fix);
        CHECK(cell["observed"] == false);
        CHECK(Report::broken(cell).count("device-once") == 1);
        CHECK(Report::broken(cell).count("no-handler-while-ap-runs") == 1);
        CHECK(cell["facts"]["read-twice"] == true);
    }
}

TEST_CASE("the incident: the driver's fix closes it, the VMM's hardening does not",
          "[explore-matrix]") {
    const Report report(incident_result());
    for (const char* guest : {"in", "out", "cpuid", "hypercall"}) {
        const json& cell = report.cell(guest, "A+R", "VK");
        CHECK(cell["observed"] == false);
        CHECK(Report::broken(cell).empty());
    }
    const json& hardened = report.cell("in", "A+R", "VH");
    CHECK(hardened["observed"] == false);
    CHECK(Report::broken(hardened) == std::set<std::string>{"command-page-owner"});
}

TEST_CASE("the incident: OUT, CPUID and hypercalls have the race without an assert",
          "[explore-matrix]") {
    const Report report(incident_result());
    for (const char* fix : {"V0", "V1", "V2"}) {
        for (const auto& [guest, fact] :
             {std::pair{"out", "written-twice"}, std::pair{"cpuid", "handled-twice"},
              std::pair{"hypercall", "handled-twice"}}) {
            const json& cell = report.cell(guest, "A+R", fix);
            CHECK(cell["observed"] == false);
            CHECK(Report::broken(cell).count("message-once") == 1);
            CHECK(cell["facts"][fact] == true);
        }
    }
    CHECK(Report::broken(report.cell("out", "A+R", "V0")).count("device-once") == 1);
}

TEST_CASE("the table of docs/incident.md is the program's", "[explore-matrix][golden]") {
    const std::string text = matrix_text(incident_result());
    const std::string diff =
        tests::golden_part_diff("docs/incident.md", "table of incident-matrix",
                                "```text\n" + text.substr(0, text.find("\ntheory A")) + "```\n");
    INFO(diff);
    CHECK(diff.empty());
}

// --- the tool itself ----------------------------------------------------------------------------

std::string small(const std::string& matrix) {
    return R"({"name":"n","why":"w","source":"s","switches":{"driver":"racy"},
      "guest":{"code":{"asm":["mov eax, 1","mov edx, 0x3FE","in al, dx","hlt"]}},
      "devices":[{"port":"0x3FE","reads":["0xB0"]}],"expect":{"end":"guest-halted"},
      "matrix":)" +
           matrix + "}";
}
const std::string kOne = R"("observed":"no-vmm-panic","theories":[{"name":"t"}],
    "fixes":[{"name":"f"}])";

TEST_CASE("a matrix with limits says what it does not know", "[explore-matrix]") {
    const Scenario scenario =
        loaded(small("{" + kOne + R"(,"guests":[{"name":"g"}],"preemptions":1})"));
    SearchOptions options;
    options.depth = 20;
    const MatrixResult result = filled(scenario, options);
    const Report report(result);
    CHECK(report.top()["complete"] == false);
    CHECK(report.cell("g", "t", "f")["observed"].is_null());
    CHECK(report.cell("g", "t", "f")["fits"] == false);
    CHECK(matrix_text(result).find("nothing?") != std::string::npos);
    CHECK(exit_status(result) == 3);
    options.depth = 10'000;
    options.preemptions = 0;  // goes before the matrix's own bound
    CHECK(exit_status(filled(scenario, options)) == 0);
}

TEST_CASE("a matrix is held to the cells that its scenario expects", "[explore-matrix]") {
    struct Outcome {
        int status;
        json cell;
        std::string text;
    };
    const auto of = [](const std::string& expect, SearchOptions options = {}) {
        const Scenario scenario = loaded(small("{" + kOne + R"(,"preemptions":1,
            "evidence":[{"name":"e1","run":"default","expect":{"end":"guest-halted"}},
                        {"name":"e2","expect":{"end":"stuck"}}],
            "guests":[{"name":"g","expect":{"t":{"f":")" +
                                               expect + R"("}}}]})"));
        const MatrixResult result = filled(scenario, options);
        return Outcome{exit_status(result), Report(result).cell("g", "t", "f"),
                       matrix_text(result)};
    };
    const Outcome good = of("observed: e1");
    CHECK(good.status == 0);
    CHECK(good.cell["as_expected"] == true);
    CHECK(good.text.find("1 of 1 cells as expected\n") != std::string::npos);
    for (const char* wrong :
         {"nothing", "other", "observed: e2", "observed: e1 e2", "observed: no evidence"}) {
        const Outcome result = of(wrong);
        INFO(wrong);
        CHECK(result.status == 1);
        CHECK(result.cell["as_expected"] == false);
        CHECK(result.text.find("not as expected: g, t, f: expected " + std::string(wrong) +
                               ", got observed: e1\n") != std::string::npos);
    }
    // A search that was cut before anything broke could still come to any of them.
    SearchOptions cut;
    cut.depth = 20;
    for (const char* open : {"nothing", "other", "observed: e1"}) {
        const Outcome result = of(open, cut);
        INFO(open);
        CHECK(result.status == 3);
        CHECK(result.cell["as_expected"].is_null());
    }
    SearchOptions none;
    none.preemptions = 0;
    CHECK(of("nothing", none).status == 0);
    CHECK(of("observed: e1", none).status == 1);
}

TEST_CASE("the number of jobs does not show in a matrix", "[explore-matrix]") {
    const Scenario scenario = loaded(small("{" + kOne + R"(,"guests":[{"name":"g"}],"preemptions":1,
          "evidence":[{"name":"e","run":"default","expect":{"end":"guest-halted"}}]})"));
    SearchOptions two;
    two.jobs = 2;
    CHECK(matrix_json(filled(scenario)) == matrix_json(filled(scenario, two)));
}

TEST_CASE("what is wrong with a matrix is told with its place", "[explore-matrix]") {
    const auto error = [](const std::string& matrix) { return errors_of(small(matrix)); };
    const auto with = [](const std::string& more) { return "{" + kOne + "," + more + "}"; };
    const std::string guest = R"("guests":[{"name":"g"}])";
    CHECK(error(with(guest)).empty());
    CHECK(error("{" + kOne + "}").find("missing key \"guests\"") != std::string::npos);
    CHECK(error(with(R"("guests":[{"name":"g"},{"name":"g"}])")).find("given twice") !=
          std::string::npos);
    CHECK(error(with(R"("guests":[{"name":"g","theories":["u"]}])"))
              .find("unknown value \"u\" for a theory") != std::string::npos);
    CHECK(error(with(R"("guests":[{"name":"g","expect":{"u":{"f":"nothing"}}}])"))
              .find("unknown theory \"u\"") != std::string::npos);
    CHECK(error(with(R"("guests":[{"name":"g","expect":{"t":{"x":"nothing"}}}])"))
              .find("unknown fix \"x\"") != std::string::npos);
    CHECK(error(with(R"("guests":[{"name":"g","expect":{"t":{"f":"perhaps"}}}])"))
              .find("\"perhaps\" is nothing that a cell says") != std::string::npos);
    CHECK(error(with(R"("guests":[{"name":"g","fixes":[],"expect":{"t":{"f":"other"}}}])"))
              .find("this guest's table has no such cell") != std::string::npos);
    CHECK(error(with(guest + R"(,"evidence":[{"name":"e"}])")).find("what is to hold?") !=
          std::string::npos);
    CHECK(error(with(guest + R"(,"evidence":[{"name":"e","relations":[
        {"value":"context.rxx","is":"message.rax"}]}])"))
              .find("context has no field \"rxx\"") != std::string::npos);
    CHECK(error(with(guest + R"(,"evidence":[{"name":"e","run":"default",
        "not_with":{"driver":"racy"}}])"))
              .find("\"not_with\" stands alone") != std::string::npos);
    // A cell that cannot be: the kernel driver has no fix V1.
    CHECK(error(R"({"observed":"no-vmm-panic","theories":[{"name":"t","switches":
        {"vp_runner":"kernel_driver"}}],"fixes":[{"name":"V1","switches":{"vmm_fix":"V1"}}],)" +
                guest + "}")
              .find("theory t, fix V1: vmm_fix V1 is a change of the sidecar kernel") !=
          std::string::npos);
}

}  // namespace
}  // namespace vtlsim::runner::explore
