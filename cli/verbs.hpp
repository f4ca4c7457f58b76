// One function per verb; each returns the exit status.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/conform/conform.hpp"
#include "runner/conform_kvm/conform_kvm.hpp"
#include "runner/explore/search.hpp"
#include "runner/suite.hpp"
#include "runner/trace/recording.hpp"

namespace vtlsim::cli {

struct RunOptions {
    std::vector<std::string> paths;
    runner::LoadOptions load;
    std::string format = "text";
    std::string schedule;  // a file; empty: the default order
    std::string shard;     // "2/5"
    std::string output;    // empty: standard output
    std::string state_file = ".vtlsim-failed";
    runner::Selection selection;
    runner::SuiteOptions suite;
    unsigned jobs = 0;  // 0: as many as CPUs
    std::optional<u64> max_steps;
    std::optional<u64> max_memory;  // bytes
    bool list = false;
    bool verbose = false;
    bool failed_first = false;
    bool bless = false;
};
int run_verb(RunOptions options);
// With a schedule: one variant of one scenario.
int run_scheduled_verb(const RunOptions& options);

struct ExploreOptions {
    std::string file;
    runner::LoadOptions load;
    std::string variant;
    std::string format = "text";
    std::string mode = "exhaustive";
    bool no_reduction = false;
    bool progress = false;
    bool matrix = false;
    std::string output;  // empty: standard output
    runner::explore::SearchOptions search;
};
int explore_verb(ExploreOptions options);

struct CheckOptions {
    std::vector<std::string> paths;
    std::string format = "text";
    runner::LoadOptions load;
};
int check_verb(const CheckOptions& options);

struct FormatOptions {
    std::vector<std::string> paths;
    bool check = false;
};
int format_verb(const FormatOptions& options);

struct NewOptions {
    std::string name;
    std::string file;
    bool list = false;
};
int new_verb(const NewOptions& options);

struct AsmOptions {
    std::string file;
    std::string format = "hex";
    std::string output;
    u64 origin = 0x1000;
    int bits = 64;
};
int asm_verb(const AsmOptions& options);

struct DisasmOptions {
    std::vector<std::string> bytes;
    std::string file;
    std::string output;
    bool binary = false;
    u64 origin = 0x1000;
    int bits = 64;
};
int disasm_verb(const DisasmOptions& options);

struct TraceOptions {
    runner::LoadOptions load;
    // Two of one of these are two runs.
    std::vector<std::string> files;
    std::vector<std::string> variants;
    std::vector<std::string> schedules;  // "-": the scenario's own order
    std::string format = "text";
    std::vector<std::string> hide;
    std::string output;  // empty: standard output
};
int trace_verb(const TraceOptions& options);
// Loads, runs and records; nothing, after a message, with the exit status. An empty schedule, or
// "-", is the scenario's own order.
std::optional<runner::trace::Recording> record_run(const std::string& file,
                                                   const std::string& variant,
                                                   const std::string& schedule, bool values,
                                                   int& status,
                                                   const runner::LoadOptions& load = {});

struct StepOptions {
    std::string file;
    std::string variant;
    std::string schedule;
    std::string script;  // a file of commands, "-": standard input; empty: a terminal
};
int step_verb(const StepOptions& options);

struct LearnOptions {
    std::string lesson;  // empty: list them
};
int learn_verb(const LearnOptions& options);

struct ListOptions {
    std::string what;
};
int list_verb(const ListOptions& options);

int schema_verb();

// Requests from standard input, answers to standard output.
int exec_verb();

int conform_verb(const runner::ConformOptions& options);
int conform_kvm_verb(const runner::ConformKvmOptions& options);

// A message on standard error about how vtlsim was called, and the exit status that goes with it.
int usage_error(std::string_view message);

}  // namespace vtlsim::cli
