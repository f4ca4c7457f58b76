// The table of a matrix, as text and as JSON.
#include <algorithm>

#include <fmt/format.h>

#include "model/invariants/invariants.hpp"
#include "runner/explore/matrix.hpp"

namespace vtlsim::runner::explore {
namespace {

using nlohmann::ordered_json;

std::string row(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
    std::string out;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        out += fmt::format("{:<{}}", cells[i], i + 1 < cells.size() ? widths[i] + 2 : 0);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out + "\n";
}

// Theories down, fixes across, for one guest.
std::string grid(const MatrixResult& result, const MatrixGuest& guest) {
    const Matrix& matrix = *result.scenario->matrix;
    std::vector<std::vector<std::string>> rows;
    rows.push_back({fmt::format("guest {}", guest.name)});
    for (std::size_t fix : guest.fixes) rows.back().push_back(matrix.fixes[fix].name);
    for (std::size_t theory : guest.theories) {
        rows.push_back({matrix.theories[theory].name});
        for (const Cell& cell : result.cells) {
            if (cell.guest == guest.name && cell.theory == rows.back().front()) {
                rows.back().push_back(cell.word());
            }
        }
    }
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& cells : rows) {
        for (std::size_t i = 0; i < cells.size(); ++i) {
            widths[i] = std::max(widths[i], cells[i].size());
        }
    }
    std::string out;
    for (const auto& cells : rows) out += row(cells, widths);
    return out + "\n";
}

std::string answers_text(std::string_view what, const Answers& answers) {
    if (answers.empty()) return {};
    std::string out = fmt::format("  {}:", what);
    for (const auto& [name, answer] : answers) {
        out += fmt::format(" {} {}{}", name, answer_name(answer),
                           name == answers.back().first ? "\n" : ",");
    }
    return out;
}

std::string details(const Cell& cell) {
    std::string out =
        fmt::format("{}, {}, {}: {}\n", cell.guest, cell.theory, cell.fix, cell.word());
    const auto& violations = cell.exploration.violations;
    for (std::size_t i = 0; i < violations.size(); ++i) {
        const ReportedViolation& v = violations[i];
        const bool as_before =
            i != 0 && schedule_json(violations[i - 1].schedule) == schedule_json(v.schedule);
        if (!as_before) {
            out +=
                fmt::format("  with {} deviation{}, {} of them preemptions:\n", v.schedule.size(),
                            v.schedule.size() == 1 ? "" : "s", v.cost.preemptions);
            out += deviations_text(v.schedule);
        }
        out += fmt::format("  turn {} breaks {} ({}): {}\n", v.cost.turns - 1,
                           v.violation.invariant, v.violation.key, v.violation.what);
    }
    out += answers_text("evidence", cell.evidence);
    out += answers_text("facts of the smallest run", cell.facts);
    if (cell.expected && cell.as_expected() != Answer::yes) {
        out += fmt::format("  expected: {}\n", *cell.expected);
    }
    return out + "  " + search_text(cell.exploration);
}

ordered_json answer_json(Answer answer) {
    return answer == Answer::unknown ? ordered_json(nullptr) : ordered_json(answer == Answer::yes);
}

ordered_json answers_json(const Answers& answers) {
    ordered_json out = ordered_json::object();
    for (const auto& [name, answer] : answers) out[name] = answer_json(answer);
    return out;
}

ordered_json cell_json(const Cell& cell) {
    ordered_json switches = ordered_json::object();
    for (const auto& [name, value] : cell.switches) switches[name] = value;
    ordered_json out = {{"guest", cell.guest},
                        {"theory", cell.theory},
                        {"fix", cell.fix},
                        {"switches", switches},
                        {"observed", answer_json(cell.observed)},
                        {"fits", cell.fits()},
                        {"evidence", answers_json(cell.evidence)},
                        {"facts", answers_json(cell.facts)}};
    if (cell.expected) {
        out["expected"] = *cell.expected;
        out["as_expected"] = answer_json(cell.as_expected());
    }
    out.update(report_json(cell.exploration));
    out.erase("scenario");
    return out;
}

ordered_json settings_json(const std::vector<NamedSwitches>& settings) {
    ordered_json out = ordered_json::array();
    for (const NamedSwitches& s : settings) {
        ordered_json switches = ordered_json::object();
        for (const auto& [row, value] : s.values) {
            switches[std::string(row->name)] = row->values[value].name;
        }
        out.push_back({{"name", s.name}, {"why", s.why}, {"switches", switches}});
    }
    return out;
}

// How many cells are as the scenario says, and which are not.
std::string expected_text(const MatrixResult& result) {
    std::size_t stated = 0;
    std::size_t good = 0;
    std::string out;
    for (const Cell& cell : result.cells) {
        if (!cell.expected) continue;
        ++stated;
        const Answer answer = cell.as_expected();
        if (answer == Answer::yes) ++good;
        if (answer == Answer::yes) continue;
        out += fmt::format("{}: {}, {}, {}: expected {}, got {}\n",
                           answer == Answer::no ? "not as expected" : "not known", cell.guest,
                           cell.theory, cell.fix, *cell.expected, cell.word());
    }
    if (stated == 0) return {};
    return fmt::format("{} of {} cells as expected\n{}\n", good, stated, out);
}

template <class List>
std::string legend(std::string_view what, const List& list) {
    std::string out;
    for (const auto& entry : list) {
        if (!entry.why.empty()) out += fmt::format("{} {}: {}\n", what, entry.name, entry.why);
    }
    return out;
}

std::string_view observed_name(const Matrix& matrix) {
    return model::invariant_rows()[static_cast<std::size_t>(matrix.observed)].name;
}

}  // namespace

std::string matrix_text(const MatrixResult& result) {
    const Matrix& matrix = *result.scenario->matrix;
    std::string out =
        fmt::format("{}: observed is a broken {}; schedules of {}\n\n", result.scenario->name,
                    observed_name(matrix),
                    result.options.preemptions
                        ? fmt::format("at most {} preemption{}", *result.options.preemptions,
                                      *result.options.preemptions == 1 ? "" : "s")
                        : "any number of preemptions");
    for (const MatrixGuest& guest : matrix.guests) out += grid(result, guest);
    out += expected_text(result);
    out += legend("theory", matrix.theories) + legend("fix", matrix.fixes) +
           legend("evidence", matrix.evidence) + legend("guest", matrix.guests);
    for (const Cell& cell : result.cells) out += fmt::format("\n{}", details(cell));
    return out;
}

std::string matrix_json(const MatrixResult& result) {
    const Matrix& matrix = *result.scenario->matrix;
    ordered_json cells = ordered_json::array();
    for (const Cell& cell : result.cells) cells.push_back(cell_json(cell));
    const bool complete =
        std::all_of(result.cells.begin(), result.cells.end(),
                    [](const Cell& cell) { return cell.exploration.search.complete; });
    ordered_json out = {{"scenario", result.scenario->name},
                        {"observed", observed_name(matrix)},
                        {"complete", complete},
                        {"theories", settings_json(matrix.theories)},
                        {"fixes", settings_json(matrix.fixes)}};
    if (result.options.preemptions) out["preemption_bound"] = *result.options.preemptions;
    out["cells"] = cells;
    return out.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace vtlsim::runner::explore
