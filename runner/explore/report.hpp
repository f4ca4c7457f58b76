// What explore found, ready to be printed.
#pragma once

#include "runner/explore/schedule.hpp"
#include "runner/explore/search.hpp"

namespace vtlsim::runner::explore {

struct ReportedViolation {
    Violation violation;
    Schedule schedule;
    Cost cost;
    std::vector<std::string> story;
};

struct Exploration {
    std::string scenario;  // and variant: what the report is about; may be empty
    std::string variant;
    SearchOptions options;
    SearchResult search;  // its violations are minimised below
    std::vector<ReportedViolation> violations;
};

// Searches, makes the schedules as small as they get, and puts them into words.
Exploration explore(const SubjectFactory& factory, const SearchOptions& options);

std::string text_report(const Exploration& exploration);
// Parts of it: a line for each deviation; what was looked at, and whether that was all.
std::string deviations_text(const Schedule& schedule);
std::string search_text(const Exploration& exploration);
std::string json_report(const Exploration& exploration);
nlohmann::ordered_json report_json(const Exploration& exploration);
// 0, 1 for violations, 3 for a limit that was hit before there was a verdict.
int exit_status(const Exploration& exploration);

std::string_view mode_name(Mode mode);

}  // namespace vtlsim::runner::explore
