// `vtlsim conform host`: the simulator against the processor that runs it. docs/conform.md.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "sim/types.hpp"

namespace vtlsim::runner {

namespace conform {
struct Case;
struct Answer;
}  // namespace conform

inline constexpr u32 kMaxJobs = 256;

struct ConformOptions {
    u64 seed = 1;
    u64 count = 1'000'000;          // cases, over all forms
    std::vector<std::string> only;  // mnemonics, lower case; empty: all
    bool shrink = false;
    u32 jobs = 1;  // at most kMaxJobs; changes nothing but the time
    // For tests of the comparison itself: changes the simulator's answers. Called by several
    // threads if there are several jobs.
    std::function<void(const conform::Case&, conform::Answer&)> distort;
};

struct ConformResult {
    bool skipped = false;
    u64 cases = 0;       // run on both
    u64 mismatches = 0;  // cases with a difference in defined state
    u64 undefined = 0;   // cases that differ only in what undefined.hpp or a bound lets differ
    u64 gaps = 0;        // cases that the simulator does not model
    u64 unrepeated = 0;  // cases that differed once, and not when they were run again
    std::string report;  // text, the same for the same options on the same processor
    // The smallest failing case of each mnemonic that differs: lines for `vtlsim exec`.
    std::vector<std::string> shrunk;
};

// `progress` gets a line now and then; null: none. The names in `only` must have passed
// check_mnemonics().
ConformResult conform_host(const ConformOptions& options, std::FILE* progress);

// What is wrong with the names in `only`; empty if nothing is.
std::string check_mnemonics(const std::vector<std::string>& only);

}  // namespace vtlsim::runner
