#include "runner/report.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vtlsim::runner {
namespace {

constexpr std::string_view kWords[] = {"PASS ", "FAIL ", "LIMIT", "ERROR"};
std::string_view word(Status status) { return kWords[static_cast<std::size_t>(status)]; }

std::string variant_label(const Result& r) {
    std::string out;
    for (const auto& [name, value] : r.variant) {
        out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, value);
    }
    return out;
}

std::string shell_word(std::string_view text) {
    const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '=' || c == ',' || c == '.' || c == '/';
    });
    if (plain && !text.empty()) return std::string(text);
    std::string out = "'";
    for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string reproduce(const Result& r) {
    std::string variant;
    for (const auto& [name, value] : r.variant) {
        variant += fmt::format("{}{}={}", variant.empty() ? " --variant " : ",", name, value);
    }
    return fmt::format("vtlsim trace {}{}", shell_word(r.file), variant);
}

std::string failures_text(const Result& r) {
    std::string out;
    for (const Failure& f : r.failures) {
        if (r.hash.empty()) {  // a file that did not load: its diagnostics have been printed
            continue;
        }
        out +=
            fmt::format("        {}\n          expected  {}\n          got       {}   (step {})\n",
                        f.expectation, f.expected, f.got, f.step);
    }
    if (!r.hash.empty()) out += fmt::format("        look      {}\n", reproduce(r));
    return out;
}

// Rows: the first switch; columns: the second. Each cell says how the run ended, what the scenario
// shows, and whether that was expected.
std::string table(const Scenario& scenario, const std::vector<Result>& results) {
    const std::size_t columns = static_cast<std::size_t>(std::count_if(
        results.begin(), results.end(),
        [&](const Result& r) { return r.variant[0].second == results[0].variant[0].second; }));
    std::vector<std::vector<std::string>> cells(1);
    cells[0].push_back(fmt::format("{} \\ {}", scenario.axes[0], scenario.axes[1]));
    for (std::size_t c = 0; c < columns; ++c) cells[0].push_back(results[c].variant[1].second);
    for (std::size_t i = 0; i < results.size(); ++i) {
        const Result& r = results[i];
        if (i % columns == 0) cells.push_back({r.variant[0].second});
        std::string cell = r.end;
        for (std::size_t s = 0; s < r.shown.size(); ++s) {
            cell += fmt::format(" {}={}", scenario.show[s].substr(scenario.show[s].find('.') + 1),
                                r.shown[s]);
        }
        if (r.status != Status::pass) cell += " (!)";
        cells.back().push_back(cell);
    }
    std::vector<std::size_t> widths(columns + 1);
    for (const auto& row : cells) {
        for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
    }
    std::string out;
    for (const auto& row : cells) {
        std::string line = "       ";
        for (std::size_t c = 0; c < row.size(); ++c) {
            line += fmt::format(" {:<{}} ", row[c], widths[c]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out;
}

}  // namespace

Summary summarize(const std::vector<FileResults>& files) {
    Summary s;
    for (const FileResults& f : files) {
        for (const Result& r : f.results) {
            ++s.total;
            ++(r.status == Status::pass ? s.passed : s.failed);
        }
    }
    return s;
}

std::string text_report(const std::vector<FileResults>& files) {
    std::string out;
    for (const FileResults& f : files) {
        const bool tabular = f.scenario != nullptr && f.scenario->axes.size() == 2;
        const bool all_pass = std::all_of(f.results.begin(), f.results.end(),
                                          [](const Result& r) { return r.status == Status::pass; });
        if (f.results.size() > 1 && all_pass) {
            out += fmt::format("{}  {}  {} variants\n", word(Status::pass),
                               f.results.front().scenario, f.results.size());
        }
        for (const Result& r : f.results) {
            if (f.results.size() > 1 && all_pass) continue;
            const std::string label = variant_label(r);
            out += fmt::format("{}  {}{}", word(r.status), r.scenario,
                               label.empty() ? "" : fmt::format("  [{}]", label));
            if (!r.hash.empty()) out += fmt::format("  {} after {} steps", r.end, r.steps);
            out += '\n';
            if (r.status != Status::pass) out += failures_text(r);
        }
        if (tabular) out += table(*f.scenario, f.results);
    }
    const Summary s = summarize(files);
    out += fmt::format("{} passed, {} failed\n", s.passed, s.failed);
    return out;
}

std::string json_report(const std::vector<FileResults>& files) {
    using nlohmann::ordered_json;
    ordered_json results = ordered_json::array();
    for (const FileResults& f : files) {
        for (const Result& r : f.results) {
            ordered_json variant = ordered_json::object();
            for (const auto& [name, value] : r.variant) variant[name] = value;
            ordered_json failures = ordered_json::array();
            for (const Failure& failure : r.failures) {
                failures.push_back({{"expectation", failure.expectation},
                                    {"expected", failure.expected},
                                    {"got", failure.got},
                                    {"step", failure.step}});
            }
            results.push_back({{"scenario", r.scenario},
                               {"file", r.file},
                               {"variant", variant},
                               {"status", status_name(r.status)},
                               {"failures", failures},
                               {"steps", r.steps},
                               {"hash", r.hash}});
        }
    }
    const Summary s = summarize(files);
    const ordered_json report = {
        {"results", results},
        {"summary", {{"passed", s.passed}, {"failed", s.failed}, {"total", s.total}}}};
    // File names come from the system and need not be UTF-8.
    return report.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

int exit_status(const std::vector<FileResults>& files) {
    bool failed = false;
    bool limited = false;
    for (const FileResults& f : files) {
        if (f.scenario == nullptr) return 2;
        for (const Result& r : f.results) {
            failed = failed || r.status == Status::fail || r.status == Status::error;
            limited = limited || r.status == Status::limit;
        }
    }
    return failed ? 1 : limited ? 3 : 0;
}

}  // namespace vtlsim::runner
