// The test program's main. Its last line on stdout is "N passed, N failed, N skipped", counted in
// test cases, and it exits non-zero if one failed or none ran.
#define CATCH_CONFIG_RUNNER
#include <iostream>
#include <map>
#include <string>

#include "tests/catch.hpp"

namespace {

std::map<std::string, std::string>& skip_reasons() {
    static std::map<std::string, std::string> reasons;
    return reasons;
}

struct Tally {
    bool complete = false;  // the run was not cut short
    std::size_t passed = 0;
    std::size_t failed = 0;
    std::size_t skipped = 0;
};

Tally& tally() {
    static Tally counts;
    return counts;
}

#if defined(CATCH_VERSION_MAJOR) && CATCH_VERSION_MAJOR >= 3
using ListenerBase = Catch::EventListenerBase;
const std::string& name_of(const Catch::TestCaseStats& stats) { return stats.testInfo->name; }
#else
using ListenerBase = Catch::TestEventListenerBase;
const std::string& name_of(const Catch::TestCaseStats& stats) { return stats.testInfo.name; }
#endif

class TallyListener : public ListenerBase {
  public:
    using ListenerBase::ListenerBase;

    void testCaseEnded(const Catch::TestCaseStats& stats) override {
        if (stats.totals.testCases.failed > 0) {
            ++tally().failed;
        } else if (skip_reasons().contains(name_of(stats))) {
            ++tally().skipped;
        } else {
            ++tally().passed;
        }
    }

    void testRunEnded(const Catch::TestRunStats&) override { tally().complete = true; }
};

CATCH_REGISTER_LISTENER(TallyListener)

}  // namespace

void vtlsim::tests::record_skip(const std::string& test_case, const std::string& reason) {
    skip_reasons()[test_case] = reason;
}

int main(int argc, char** argv) {
    Catch::Session session;
    // A test case that asserts nothing cannot fail; call that a failure.
    auto& config = session.configData();
    config.warnings =
        static_cast<Catch::WarnAbout::What>(config.warnings | Catch::WarnAbout::NoAssertions);
    if (const int usage_error = session.applyCommandLine(argc, argv); usage_error != 0) {
        return usage_error;
    }
    const int status = session.run();
    if (!tally().complete) {
        return status;  // --list-tests, --help
    }
    for (const auto& [test_case, reason] : skip_reasons()) {
        std::cout << "skipped: " << test_case << ": " << reason << '\n';
    }
    const Tally& counts = tally();
    std::cout << counts.passed << " passed, " << counts.failed << " failed, " << counts.skipped
              << " skipped" << std::endl;
    const bool none_ran = counts.passed + counts.failed + counts.skipped == 0;
    return none_ran || status != 0 ? 1 : 0;
}
