#include "runner/report.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vtlsim::runner {
namespace {

constexpr std::string_view kWords[] = {"PASS ", "FAIL ", "LIMIT", "ERROR"};
std::string_view word(Status status) { return kWords[static_cast<std::size_t>(status)]; }

bool passed(const Result& r) { return r.status == Status::pass; }

// "gpr_model=shadow,vmm_fix=V1", as --variant takes it.
std::string variant_text(const Result& r) {
    std::string out;
    for (const auto& [name, value] : r.variant) {
        out += fmt::format("{}{}={}", out.empty() ? "" : ",", name, value);
    }
    return out;
}

std::string one_line(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<u8>(c) < 0x20 || c == 0x7F; },
        ' ');
    return text;
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

std::string result_text(const FileResults& file, const Result& r) {
    if (!file.scenario) return fmt::format("{}  {}\n", word(r.status), r.file);
    const std::string variant = variant_text(r);
    std::string out =
        fmt::format("{}  {}{}  {} after {} steps\n", word(r.status), r.scenario,
                    variant.empty() ? "" : fmt::format("  [{}]", variant), r.end, r.steps);
    if (passed(r)) return out;
    for (const Failure& f : r.failures) {
        out += fmt::format("       {}\n         expected  {}\n         got       {}  (step {})\n",
                           f.expectation, f.expected, f.got, f.step);
    }
    out += fmt::format("       why   {}\n", one_line(file.scenario->why));
    out += fmt::format("       look  vtlsim trace {}{}\n", shell_word(r.file),
                       variant.empty() ? "" : " --variant " + variant);
    return out;
}

std::string cell(const ScenarioHead& scenario, const Result& r) {
    std::string out = r.end;
    for (std::size_t i = 0; i < r.shown.size(); ++i) {
        out += fmt::format(" {}={}", scenario.show[i], r.shown[i]);
    }
    return passed(r) ? out : out + " (!)";
}

// Columns: the switch that varies fastest, if there are several; rows: the others. A cell says how
// the run ended, what the scenario shows, and with (!) that this is not what it expects.
std::string table(const ScenarioHead& scenario, const std::vector<Result>& results) {
    const std::size_t axes = scenario.axes.size();
    const std::size_t row_axes = axes == 1 ? 1 : axes - 1;
    std::size_t columns = 1;
    while (axes > 1 && columns < results.size() &&
           results[columns].variant[row_axes] != results[0].variant[row_axes]) {
        ++columns;
    }
    std::vector<std::vector<std::string>> cells(1);
    for (std::size_t a = 0; a < row_axes; ++a) cells[0].push_back(scenario.axes[a]);
    for (std::size_t c = 0; c < columns; ++c) {
        const auto& last = results[c].variant.back();
        cells[0].push_back(axes == 1 ? "" : fmt::format("{}={}", last.first, last.second));
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
        if (i % columns == 0) {
            cells.emplace_back();
            for (std::size_t a = 0; a < row_axes; ++a) {
                cells.back().push_back(results[i].variant[a].second);
            }
        }
        cells.back().push_back(cell(scenario, results[i]));
    }
    std::vector<std::size_t> widths(row_axes + columns);
    for (const auto& row : cells) {
        for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
    }
    std::string out;
    for (const auto& row : cells) {
        std::string line = "     ";
        for (std::size_t c = 0; c < row.size(); ++c) {
            line += fmt::format("  {:<{}}", row[c], widths[c]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out;
}

std::string file_text(const FileResults& file) {
    if (!file.scenario || file.scenario->axes.empty()) return result_text(file, file.results[0]);
    std::string out;
    if (std::all_of(file.results.begin(), file.results.end(), passed)) {
        out += fmt::format("{}  {}  {} variants\n", word(Status::pass), file.scenario->name,
                           file.results.size());
    }
    for (const Result& r : file.results) {
        if (!passed(r)) out += result_text(file, r);
    }
    return out + table(*file.scenario, file.results);
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
    for (const FileResults& file : files) out += file_text(file);
    const Summary s = summarize(files);
    return out + fmt::format("{} passed, {} failed\n", s.passed, s.failed);
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
        if (!f.scenario) return 2;
        for (const Result& r : f.results) {
            failed = failed || r.status == Status::fail || r.status == Status::error;
            limited = limited || r.status == Status::limit;
        }
    }
    if (files.empty()) return 2;
    return failed ? 1 : limited ? 3 : 0;
}

}  // namespace vtlsim::runner
