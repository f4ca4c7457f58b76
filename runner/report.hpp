// Results as text and as JSON (design: interfaces that are fixed).
#pragma once

#include <string>
#include <vector>

#include "runner/result.hpp"

namespace vtlsim::runner {

struct FileResults {
    const Scenario* scenario = nullptr;  // null for a file that could not be loaded
    std::vector<Result> results;
};

struct Summary {
    std::size_t passed = 0;
    std::size_t failed = 0;  // limits and errors included
    std::size_t total = 0;
};
Summary summarize(const std::vector<FileResults>& files);

// One line a scenario, its failures, a table where two switches vary, and a last line
// "N passed, N failed".
std::string text_report(const std::vector<FileResults>& files);
std::string json_report(const std::vector<FileResults>& files);

// 0 all passed; 1 something failed; 2 a file is wrong; 3 only limits stand in the way.
int exit_status(const std::vector<FileResults>& files);

}  // namespace vtlsim::runner
