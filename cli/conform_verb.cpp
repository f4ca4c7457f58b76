#include <chrono>

#include <fmt/format.h>

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

}  // namespace vtlsim::cli
