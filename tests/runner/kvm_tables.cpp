// The tables of docs/kvm.md about the KVM scenarios are true: what a row says goes wrong and what
// goes right are variants that pass and show different values.
// Run: build/<preset>/vtlsim_tests "[kvm]"; VTLSIM_BLESS=1 writes the list of all scenarios.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/log/event.hpp"
#include "runner/conform_kvm/table.hpp"
#include "runner/load.hpp"
#include "runner/load_kvm.hpp"
#include "runner/run_kvm.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"

namespace vtlsim::runner {
namespace {

const std::string kFolder = "scenarios/kvm/";

std::vector<std::string> scenario_names() {
    std::vector<std::string> names;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(VTLSIM_SOURCE_DIR) + "/" + kFolder)) {
        names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

const Scenario& scenario(const std::string& name) {
    static std::map<std::string, std::optional<Scenario>> loaded;
    auto& slot = loaded[name];
    Diagnostics diagnostics;
    if (!slot) {
        slot = load_scenario(std::string(VTLSIM_SOURCE_DIR) + "/" + kFolder + name + ".json",
                             diagnostics);
    }
    INFO(name << "\n" << diagnostics.to_string());
    REQUIRE(slot);
    return *slot;
}

using Row = std::vector<std::string>;

std::string trimmed(const std::string& text) {
    const auto first = text.find_first_not_of(" `");
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(" `") - first + 1);
}

// The rows of a table of the page, without its head: cells without blanks and backticks.
std::vector<Row> table(const std::string& page, const std::string& part) {
    const std::string text = tests::source_file(page);
    const std::string mark = "<!-- " + part + " -->\n";
    const std::size_t from = text.find(mark);
    REQUIRE(from != std::string::npos);
    const std::size_t to = text.find("<!-- end -->", from);
    std::vector<Row> rows;
    for (std::size_t at = from + mark.size(); at < to;) {
        const std::size_t end = text.find('\n', at);
        Row row;
        for (std::size_t cell = at + 1; cell < end;) {
            const std::size_t bar = std::min(text.find(" |", cell), end);
            row.push_back(trimmed(text.substr(cell, bar - cell)));
            cell = bar + 2;
        }
        rows.push_back(std::move(row));
        at = end + 1;
    }
    REQUIRE(rows.size() > 2);
    rows.erase(rows.begin(), rows.begin() + 2);
    return rows;
}

// The first variant that has all of the values of "kvm=v2,act=p2".
const KvmVariant* variant(const KvmScenario& s, const std::string& wanted) {
    for (const KvmVariant& v : s.variants) {
        std::string label = "," + v.label() + ",";
        for (const model::kvm::SwitchRow& row : model::kvm::switch_rows()) {
            label += fmt::format("{}={},", row.name, row.values[row.get(v.switches)].name);
        }
        bool all = true;
        for (std::size_t at = 0; all && at < wanted.size();) {
            const std::size_t comma = std::min(wanted.find(',', at), wanted.size());
            all = label.find("," + wanted.substr(at, comma - at) + ",") != std::string::npos;
            at = comma + 1;
        }
        if (all) return &v;
    }
    return nullptr;
}

// Runs it, and gives what the scenario shows of it and what each variant's own expectations name.
std::vector<std::string> outcome(const std::string& name, const std::string& wanted) {
    const KvmScenario& s = *scenario(name).kvm;
    INFO(name << " " << wanted);
    const KvmVariant* v = variant(s, wanted);
    REQUIRE(v != nullptr);
    const KvmRun run = run_kvm(s, *v);
    const Result result = judge_kvm(run, s, *v);
    CHECK(result.status == Status::pass);
    std::vector<std::string> out{std::string(model::end_reason_name(run.end))};
    for (const std::string& path : s.show) out.push_back(kvm_value(run, path));
    for (const KvmExpectations& e : s.expectations) {
        for (const auto& [path, value] : e.state) out.push_back(kvm_value(run, path));
        for (const MemoryClaim& claim : e.memory) {
            std::vector<u8> bytes(claim.bytes.size());
            read_final_memory(run, s.case_of(*v).guest, claim.address, bytes);
            out.emplace_back(bytes.begin(), bytes.end());
        }
    }
    return out;
}

TEST_CASE("docs/kvm.md: each family has its wrong and its right behaviour", "[kvm][docs]") {
    std::set<std::string> families, projects;
    for (const Row& row : table("docs/kvm.md", "families")) {
        REQUIRE(row.size() == 5);
        INFO(row[0] << ": " << row[2]);
        const std::string family = row[0].substr(0, row[0].find(' '));
        families.insert(family);
        projects.insert(row[1]);
        const Scenario& s = scenario(row[2]);
        // The source names the section, and the project's or the reference's.
        CHECK(s.source.find("kvm-pio.md") != std::string::npos);
        CHECK(s.source.find(family) != std::string::npos);
        CHECK(!s.kvm->teaches.empty());
        CHECK(outcome(row[2], row[3]) != outcome(row[2], row[4]));
    }
    const auto of_section_6 =
        std::count_if(families.begin(), families.end(), [](const auto& f) { return f[0] == 'F'; });
    CHECK(of_section_6 >= 25);
    for (const char* project :
         {"KVM", "Xen", "Hyper-V", "bhyve", "Firecracker", "Cloud Hypervisor"}) {
        INFO(project);
        CHECK(projects.count(project) == 1);
    }
}

TEST_CASE("docs/kvm.md: each sentence of the commit message has its scenario", "[kvm][docs]") {
    std::set<std::string> scenarios;
    for (const Row& row : table("docs/kvm.md", "sentences")) {
        REQUIRE(row.size() == 4);
        INFO(row[0] << ": " << row[1]);
        scenarios.insert(row[1]);
        CHECK(scenario(row[1]).source.find("003_99092c864e41763a") != std::string::npos);
        CHECK(row[2] + row[3] != "");
        if (!row[2].empty()) outcome(row[1], row[2]);
        if (!row[3].empty()) outcome(row[1], row[3]);
        if (!row[2].empty() && !row[3].empty()) {
            CHECK(outcome(row[1], row[2]) != outcome(row[1], row[3]));
        }
    }
    CHECK(scenarios.size() >= 17);
}

// Section 1.11 of the reference in the words of docs/kvm.md; "?" where it says nothing. Its V2/V3
// stands for both, and its column of string instructions for OUT and IN of the slow path.
struct ReferenceRow {
    const char* name;
    const char *v0, *v1, *v2, *slow_out, *slow_in;
};
constexpr ReferenceRow kReference[] = {
    {"RIP at exit", "r", "r+n", "r", "r+n", "r"},
    {"P0", "r+n", "r+n", "r+n", "r+n", "r+n"},
    {"P1 report", "exact", "off by n", "exact", "off by n", "exact"},
    {"P2", "x+n", "x", "x", "x", "r+n"},
    {"P3", "r+n", "r+n", "r+n", "r+n", "r+n"},
    {"P4", "FFF0+n", "FFF0", "FFF0", "FFF0", "r+n in the reset CS"},
    {"P4 for IN: RAX", "?", "0x5a", "0x0", "-", "0x5a"},
    {"P5", "FFF0+n", "FFF0", "FFF0+n", "FFF0", "FFF0+n"},
    {"P5 on SVM, flat 32-bit code", "?", "FFF0", "FFFFFFF0+n", "FFF0", "-"},
    {"P3 + P10 (#DB)", "lost", "lost", "kept", "never raised", "kept"},
    {"P7", "r+n, eintr", "r+n, eintr", "r+n, eintr", "r+n, eintr", "r+n, eintr"},
    {"P8 OUT effects", "2", "1", "2", "1", "-"},
    {"P8 IN: reads, RAX", "2", "1", "2", "-", "2"},
    {"P9 exits seen", "IO, DEBUG at r+n+next", "IO, DEBUG at r+n+next", "IO, DEBUG at r+n", "IO",
     "IO, DEBUG at r+n"},
    {"P9 in-kernel port", "-", "DEBUG at r+n", "DEBUG at r+n", "DEBUG at r+n", "DEBUG at r+n"},
    {"P12 shadow at exit", "kept", "cleared", "kept", "cleared", "kept"},
    {"P14", "-", "IO, DEBUG at r+n+next", "IO, DEBUG at r+n", "IO, DEBUG at r+n+next",
     "IO, DEBUG at r+n"},
};

TEST_CASE("The outcome matrix equals the reference's, but for what docs/kvm-findings.md argues",
          "[kvm][docs]") {
    const char* const columns[] = {"V0", "V1", "V2", "V3", "slow OUT", "slow IN"};
    std::map<std::string, std::pair<std::string, std::string>> differences;
    const std::vector<Row> rows = table("docs/kvm.md", "outcome-matrix");
    REQUIRE(rows.size() == std::size(kReference));
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const ReferenceRow& r = kReference[i];
        CHECK(rows[i][0] == r.name);
        REQUIRE(rows[i].size() == 7);
        const char* const cells[] = {r.v0, r.v1, r.v2, r.v2, r.slow_out, r.slow_in};
        for (std::size_t c = 0; c < std::size(cells); ++c) {
            const std::string reference = cells[c], here = rows[i][c + 1];
            // Where the reference gives a number alone, the first part of the cell is it.
            if (reference == "?" || here == reference) continue;
            if (here.substr(0, here.find(',')) == reference && here.find("DEBUG") == here.npos) {
                continue;
            }
            differences[std::string(r.name) + ", " + columns[c]] = {reference, here};
        }
    }
    std::map<std::string, std::pair<std::string, std::string>> argued;
    for (const Row& row : table("docs/kvm-findings.md", "matrix-differences")) {
        REQUIRE(row.size() == 4);
        argued[row[0]] = {row[1], row[2]};
        CHECK(row[3].size() > 20);
    }
    const auto text = [](const auto& cells) {
        std::string out;
        for (const auto& [place, pair] : cells) {
            out += fmt::format("{}: {} / {}\n", place, pair.first, pair.second);
        }
        return out;
    };
    CHECK(text(differences) == text(argued));
}

// The same table twice over: from the scenarios (which the page holds) and by `conform kvm
// --table`.
TEST_CASE("conform kvm --table has the outcome matrix of docs/kvm.md", "[kvm][docs]") {
    const conform_kvm::Table printed = conform_kvm::model_outcomes();
    for (const Row& row : table("docs/kvm.md", "outcome-matrix")) {
        INFO(row[0]);
        const auto line = std::find_if(printed.begin(), printed.end(),
                                       [&](const Row& l) { return l[0] == row[0]; });
        REQUIRE(line != printed.end());
        CHECK(*line == row);
    }
    u64 differ = 0;  // without a KVM none can
    const std::string text = conform_kvm::table_text(nullptr, nullptr, differ);
    CHECK(text.find("The models alone") != std::string::npos);
    CHECK(text.find("X4 VirtualBox") != std::string::npos);
    CHECK(differ == 0);
}

TEST_CASE("docs/kvm.md says where alternatives and other hypervisors differ from V2",
          "[kvm][docs][golden]") {
    std::string text = "| | OUT: other than V2 | IN: other than V2 |\n|---|---|---|\n";
    for (const Row& line : conform_kvm::differences_from_v2()) {
        text += fmt::format("| {} |\n", fmt::join(line, " | "));
    }
    const std::string diff = tests::golden_part_diff("docs/kvm.md", "alternatives", text);
    INFO(diff);
    CHECK(diff.empty());
}

TEST_CASE("docs/kvm.md lists the switches with all their values", "[kvm][docs][golden]") {
    std::string text;
    for (const model::kvm::SwitchRow& row : model::kvm::switch_rows()) {
        text += fmt::format("{}**`{}`**: {} ({})\n\n| value | meaning |\n|---|---|\n",
                            text.empty() ? "" : "\n", row.name, row.meaning, row.source);
        for (const model::SwitchValue& value : row.values) {
            text += fmt::format("| `{}` | {} |\n", value.name, value.meaning);
        }
    }
    const std::string diff = tests::golden_part_diff("docs/kvm.md", "kvm-switches", text);
    INFO(diff);
    CHECK(diff.empty());
}

TEST_CASE("docs/kvm.md lists every KVM scenario", "[kvm][docs][golden]") {
    std::string text = "| scenario | variants | evidence | what it teaches |\n|---|---|---|---|\n";
    std::size_t variants = 0;
    for (const std::string& name : scenario_names()) {
        const KvmScenario& s = *scenario(name).kvm;
        variants += s.variants.size();
        text += fmt::format("| `{}` | {} | {} | {} |\n", name, s.variants.size(), s.evidence,
                            s.teaches);
    }
    text += fmt::format("\n{} files, {} variants.\n", scenario_names().size(), variants);
    const std::string diff = tests::golden_part_diff("docs/kvm.md", "kvm-scenarios", text);
    INFO(diff);
    CHECK(diff.empty());
}

// Actions and presets that no scenario uses have been tried by nobody.
TEST_CASE("Every action and every preset is in a scenario", "[kvm]") {
    std::set<std::string> used;
    const std::function<void(const nlohmann::json&)> walk = [&](const nlohmann::json& value) {
        if (value.is_object() && value.contains("do")) used.insert(value["do"]);
        if (value.is_object() && value.contains("act")) {
            for (const auto& act :
                 value["act"].is_array() ? value["act"] : nlohmann::json::array({value["act"]}))
                used.insert(act.get<std::string>());
        }
        if (value.is_structured()) {
            for (const auto& inner : value) walk(inner);
        }
    };
    for (const std::string& name : scenario_names()) {
        walk(nlohmann::json::parse(tests::source_file(kFolder + name + ".json"), nullptr, true,
                                   true));
    }
    for (std::string_view action : model::format_words(model::Format::kvm_action)) {
        INFO(action);
        CHECK(used.count(std::string(action)) == 1);
    }
    for (int i = 0; i <= 14; ++i) CHECK(used.count(fmt::format("p{}", i)) == 1);
    for (int i = 1; i <= 10; ++i) {
        const std::string golden = fmt::format("golden-g{}", i);
        INFO(golden);
        CHECK(std::filesystem::exists(std::string(VTLSIM_SOURCE_DIR) + "/" + kFolder + golden +
                                      ".json"));
    }
}

}  // namespace
}  // namespace vtlsim::runner
