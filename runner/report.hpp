// Results as text, JSON (design: interfaces that are fixed), JUnit and TAP.
#pragma once

#include <string>
#include <vector>

#include "runner/run.hpp"

namespace vtlsim::runner {

struct Summary {
    std::size_t passed = 0;  // failures that the scenario expects included
    std::size_t failed = 0;  // limits, errors and unexpected passes included
    std::size_t total = 0;
};
Summary summarize(const std::vector<FileResults>& files);

struct TextOptions {
    bool verbose = false;     // passes too, and the tables of variants
    bool color = false;       // ANSI escapes
    std::size_t not_run = 0;  // how many a failure kept from running
};
// What fails, and a last line "N passed, N failed". What is wrong with a bad file is not repeated:
// it is on standard error.
std::string text_report(const std::vector<FileResults>& files, const TextOptions& options = {});
std::string json_report(const std::vector<FileResults>& files);
// JUnit's XML: a suite for each file, a case for each variant. `timestamp`: when it ran, as in
// 2026-01-31T23:59:59. What XML cannot hold becomes '?'.
std::string junit_report(const std::vector<FileResults>& files, const std::string& timestamp);
// The Test Anything Protocol, version 13.
std::string tap_report(const std::vector<FileResults>& files);

// 0 all as expected; 2 a file is wrong, or nothing ran; else 1 something failed, or is not
// modelled; else 3 a limit was hit.
int exit_status(const std::vector<FileResults>& files);

}  // namespace vtlsim::runner
