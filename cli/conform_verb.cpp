#include <chrono>

#include <fmt/format.h>

#include "cli/choose.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"

namespace vtlsim::cli {

int conform_verb(const runner::ConformOptions& options) {
    const std::string problem = runner::check_mnemonics(options.only);
    if (!problem.empty()) return usage_error("--only: " + problem);
    const auto start = std::chrono::steady_clock::now();
    const runner::ConformResult result = runner::conform_host(options, stderr);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    fmt::print("{}", result.report);
    if (result.cases != 0) {
        fmt::print(stderr, "{:.0f} cases a second\n",
                   static_cast<double>(result.cases) / time.count());
    }
    return result.mismatches == 0 ? 0 : 1;
}

int conform_kvm_verb(const runner::ConformKvmOptions& options) {
    constexpr int kBadInput = 2;
    if (options.paths.empty() && !options.table && options.random == 0 &&
        options.recording.empty()) {
        return usage_error("conform kvm needs scenarios, --table, --random or --recording");
    }
    const auto start = std::chrono::steady_clock::now();
    runner::Diagnostics diagnostics;
    const auto result = runner::conform_with_kvm(options, diagnostics, stderr);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    print_errors(diagnostics);
    if (result.bad_input) return kBadInput;
    if (!write_output("", result.report)) return kBadInput;
    if (!result.recording.empty() && !write_output(options.record, result.recording)) {
        return kBadInput;
    }
    if (result.cases != 0) {
        fmt::print(stderr, "{:.0f} cases a second\n",
                   static_cast<double>(result.cases) / time.count());
    }
    return result.failed == 0 ? 0 : 1;
}

}  // namespace vtlsim::cli
