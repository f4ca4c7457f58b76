// One function per verb; each returns the exit status.
#pragma once

#include <string>
#include <vector>

#include "runner/conform/conform.hpp"

namespace vtlsim::cli {

struct RunOptions {
    std::vector<std::string> paths;
    std::string format = "text";
};
int run_verb(const RunOptions& options);

struct CheckOptions {
    std::vector<std::string> paths;
};
int check_verb(const CheckOptions& options);

struct TraceOptions {
    std::string file;
    std::string variant;
    std::vector<std::string> hide;
    std::string output;  // empty: standard output
};
int trace_verb(const TraceOptions& options);

struct ListOptions {
    std::string what;
};
int list_verb(const ListOptions& options);

int schema_verb();

// Requests from standard input, answers to standard output.
int exec_verb();

int conform_verb(const runner::ConformOptions& options);

// A message on standard error about how vtlsim was called, and the exit status that goes with it.
int usage_error(std::string_view message);

}  // namespace vtlsim::cli
