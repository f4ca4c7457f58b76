#include <algorithm>

#include <fmt/format.h>

#include "runner/report.hpp"

namespace vtlsim::runner {
namespace {

constexpr std::string_view kWords[] = {"PASS ", "FAIL ", "LIMIT", "ERROR", "XFAIL", "XPASS"};

std::string word(Status status, const TextOptions& options) {
    const std::string text(kWords[static_cast<std::size_t>(status)]);
    if (!options.color) return text;
    const std::string_view color = status == Status::pass    ? "32"
                                   : status == Status::xfail ? "33"
                                                             : "31";
    return fmt::format("\x1b[{}m{}\x1b[0m", color, text);
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

// The other failures: values after the run as a table, the rest in a line each.
std::string others(const std::vector<Failure>& failures) {
    std::string state, rest;
    std::size_t width = 0;
    for (const Failure& f : failures) {
        if (f.is_state) width = std::max(width, f.expectation.size());
    }
    for (const Failure& f : failures) {
        if (f.is_state) {
            state += fmt::format("         {:<{}}  expected {}  got {}\n", f.expectation, width,
                                 f.expected, f.got);
        } else if (&f != &failures.front()) {
            rest += fmt::format("       also  {}: expected {}, got {}  (step {})\n", f.expectation,
                                f.expected, f.got, f.step);
        }
    }
    const bool only_first = failures.front().is_state && failures.size() == 1;
    if (!state.empty() && !only_first) state.insert(0, "       state after the run\n");
    return rest + (only_first ? "" : state);
}

std::string failure_text(const FileResults& file, const Result& r) {
    const Failure& first = r.failures.front();
    std::string out =
        fmt::format("       {}\n         expected  {}\n         got       {}  (step {})\n",
                    first.expectation, first.expected, first.got, first.step);
    out += others(r.failures);
    if (!r.around.empty()) out += fmt::format("       events around step {}\n", first.step);
    for (const std::string& line : r.around) out += fmt::format("       {}\n", line);
    const std::string variant =
        r.variant.empty() ? "" : " --variant " + shell_word(choice_label(r.variant));
    out += fmt::format("       why   {}\n", one_line(file.scenario->why));
    out += fmt::format("       look  vtlsim trace {}{}\n", shell_word(r.file), variant);
    out += fmt::format("       run   vtlsim run {}{}\n", shell_word(r.file), variant);
    return out;
}

std::string result_text(const FileResults& file, const Result& r, const TextOptions& options) {
    if (!file.scenario) return fmt::format("{}  {}\n", word(r.status, options), r.file);
    const std::string variant = choice_label(r.variant);
    std::string out =
        fmt::format("{}  {}{}  {} after {} steps{}\n", word(r.status, options), r.scenario,
                    variant.empty() ? "" : fmt::format("  [{}]", variant), r.end, r.steps,
                    r.status == Status::xfail ? ": " + one_line(r.xfail) : "");
    return r.good() ? out : out + failure_text(file, r);
}

std::string cell(const ScenarioHead& scenario, const Result& r) {
    std::string out = r.end;
    for (std::size_t i = 0; i < r.shown.size(); ++i) {
        out += fmt::format(" {}={}", scenario.show[i], r.shown[i]);
    }
    return r.status == Status::pass ? out : out + (r.good() ? " (xfail)" : " (!)");
}

// The place of a text in a list, where it is put if it is not there yet.
std::size_t place_of(std::vector<std::string>& list, const std::string& text) {
    const auto it = std::find(list.begin(), list.end(), text);
    if (it != list.end()) return static_cast<std::size_t>(it - list.begin());
    list.push_back(text);
    return list.size() - 1;
}

// Columns: the switch that varies fastest, if there are several; rows: the others. A cell says how
// the run ended, what the scenario shows, and with (!) that this is not what it expects. Variants
// that have not run leave theirs empty.
std::string table(const ScenarioHead& scenario, const std::vector<Result>& results) {
    const std::size_t axes = scenario.axes.size();
    const std::size_t row_axes = axes == 1 ? 1 : axes - 1;
    std::vector<std::vector<std::string>> cells(1);
    for (std::size_t a = 0; a < row_axes; ++a) cells[0].push_back(scenario.axes[a]);
    std::vector<std::string> rows, columns;
    for (const Result& r : results) {
        std::string key;
        for (std::size_t a = 0; a < row_axes; ++a) key += r.variant[a].second + ',';
        const auto& last = r.variant.back();
        const std::size_t row = place_of(rows, key) + 1;
        const std::size_t column =
            row_axes +
            place_of(columns, axes == 1 ? "" : fmt::format("{}={}", last.first, last.second));
        if (row == cells.size()) {
            cells.emplace_back();
            for (std::size_t a = 0; a < row_axes; ++a) {
                cells.back().push_back(r.variant[a].second);
            }
        }
        if (cells[row].size() <= column) cells[row].resize(column + 1);
        cells[row][column] = cell(scenario, r);
    }
    cells[0].insert(cells[0].end(), columns.begin(), columns.end());
    std::vector<std::size_t> widths(row_axes + columns.size());
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

std::string file_text(const FileResults& file, const TextOptions& options) {
    std::string out;
    const bool has_table = file.scenario && !file.scenario->axes.empty();
    const bool all_pass = std::all_of(file.results.begin(), file.results.end(),
                                      [](const Result& r) { return r.status == Status::pass; });
    if (all_pass && !options.verbose) return out;
    if (all_pass && has_table) {
        out += fmt::format("{}  {}  {} variants\n", word(Status::pass, options),
                           file.scenario->name, file.results.size());
    }
    for (const Result& r : file.results) {
        if (r.status != Status::pass || !has_table) out += result_text(file, r, options);
    }
    return has_table ? out + table(*file.scenario, file.results) : out;
}

}  // namespace

std::string text_report(const std::vector<FileResults>& files, const TextOptions& options) {
    std::string out;
    std::size_t xfailed = 0;
    for (const FileResults& file : files) {
        out += file_text(file, options);
        for (const Result& r : file.results) xfailed += r.status == Status::xfail ? 1 : 0;
    }
    const Summary s = summarize(files);
    if (xfailed != 0) out += fmt::format("{} of the passed fail as expected\n", xfailed);
    if (options.not_run != 0) out += fmt::format("{} not run\n", options.not_run);
    return out + fmt::format("{} passed, {} failed\n", s.passed, s.failed);
}

}  // namespace vtlsim::runner
