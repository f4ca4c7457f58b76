// Fills the table of a scenario's matrix (runner/matrix.hpp): a search for each cell.
#pragma once

#include "runner/explore/report.hpp"
#include "runner/matrix.hpp"

namespace vtlsim::runner::explore {

enum class Answer : u8 { no, yes, unknown };  // unknown: a search was not complete
std::string_view answer_name(Answer answer);

using Answers = std::vector<std::pair<std::string, Answer>>;  // by predicate

struct Cell {
    std::string guest, theory, fix;
    // The switches that differ from the scenario's.
    std::vector<std::pair<std::string, std::string>> switches;
    Exploration exploration;  // all distinct violations within the bound
    Answer observed = Answer::no;
    Answers evidence;                     // empty unless it can be observed
    Answers facts;                        // of the guest; empty unless anything is broken
    std::optional<std::string> expected;  // what the scenario says that word() is

    bool fits() const;  // it can be observed, and no evidence is against it
    // What stands in the table: "observed: e1 e2", "other", "nothing"; "?" where not all was seen.
    std::string word() const;
    // Unknown while a search that was cut could still come to what is expected.
    Answer as_expected() const;
};

struct MatrixResult {
    const Scenario* scenario;
    SearchOptions options;
    std::vector<Cell> cells;
};

// The scenario has a matrix, and must outlive the result. A bound on preemptions in `options` goes
// before the matrix's own. `done` is told of each cell.
MatrixResult fill_matrix(const Scenario& scenario, SearchOptions options,
                         const std::function<void(const Cell&)>& done);

std::string matrix_text(const MatrixResult& result);
std::string matrix_json(const MatrixResult& result);
// 1 for a cell that is not as expected, or a violation in one of which nothing is; else 3 for a
// limit that was hit, else 0.
int exit_status(const MatrixResult& result);

}  // namespace vtlsim::runner::explore
