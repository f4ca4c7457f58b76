// Results as text and as JSON (design: interfaces that are fixed).
#pragma once

#include <string>
#include <vector>

#include "runner/run.hpp"

namespace vtlsim::runner {

struct Summary {
    std::size_t passed = 0;
    std::size_t failed = 0;  // limits and errors included
    std::size_t total = 0;
};
Summary summarize(const std::vector<FileResults>& files);

// One line a scenario or variant, what it fails, a table of its variants, and a last line
// "N passed, N failed". What is wrong with a bad file is not repeated: it is on standard error.
std::string text_report(const std::vector<FileResults>& files);
std::string json_report(const std::vector<FileResults>& files);

// 0 all passed; 2 a file is wrong, or nothing ran; else 1 something failed, or is not modelled;
// else 3 a limit was hit.
int exit_status(const std::vector<FileResults>& files);

}  // namespace vtlsim::runner
