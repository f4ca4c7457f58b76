// Runs many scenarios: which, in which order, on how many threads, and what is remembered of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runner/load.hpp"
#include "runner/run.hpp"
#include "runner/select.hpp"

namespace vtlsim::runner {

struct LoadedFile {
    std::string file;
    std::optional<Scenario> scenario;  // nothing: the diagnostics say why
    Diagnostics diagnostics;
};
// Files, and folders of them, in the order given and by path. A folder that cannot be read, or has
// no scenario, is a file that is wrong.
std::vector<LoadedFile> load_files(const std::vector<std::string>& paths, unsigned jobs,
                                   const LoadOptions& options = {});

struct Case {
    std::size_t file = 0;  // index into the loaded files
    std::size_t variant = 0;
};
std::vector<Case> select_cases(const std::vector<LoadedFile>& files, const Selection& selection);

struct SuiteOptions {
    unsigned jobs = 1;  // the results do not depend on it
    u64 repeat = 1;     // runs of each; all have to have the same log
    bool fail_fast = false;
    bool keep_traces = false;         // Result::trace of those with a golden one, unjudged
    bool verify_determinism = false;  // see determinism.hpp
    std::vector<std::string> first;   // failed_key()s of cases to run before the others
    std::function<void(std::size_t done, std::size_t total)> progress;
};

struct SuiteResult {
    // In the order of the files, whatever the order of the runs; only variants that have run.
    std::vector<FileResults> files;
    std::size_t not_run = 0;  // left out by fail_fast
};
// A bad file's result says what is wrong with it. With fail_fast nothing behind the first failure
// has run, in the order of the runs.
SuiteResult run_suite(const std::vector<LoadedFile>& files, const std::vector<Case>& cases,
                      const SuiteOptions& options);

// A result's name in the list of those that failed.
std::string failed_key(const Result& result);
// One a line, in the order of the results.
std::string failed_list(const std::vector<FileResults>& files);
std::vector<std::string> read_failed_list(const std::string& path);

}  // namespace vtlsim::runner
