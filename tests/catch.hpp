// The one place that includes Catch2 (2.13 or 3), and the tests' way to say "skipped".
#pragma once

#include <string>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define VTLSIM_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VTLSIM_ADDRESS_SANITIZER 1
#endif
#endif

namespace vtlsim::tests {

// Counts the running test case as skipped, unless it fails as well. See VTLSIM_SKIP.
void record_skip(const std::string& test_case, const std::string& reason);

}  // namespace vtlsim::tests

// Ends a test case that needs what this machine lacks. Catch2 2.13 has no SKIP(), so the count is
// kept by tests/main.cpp; SUCCEED keeps the "test case without assertions" check quiet.
// Use it in the test case itself: it returns.
#define VTLSIM_SKIP(reason)                                                           \
    do {                                                                              \
        ::vtlsim::tests::record_skip(                                                 \
            std::string(::Catch::getResultCapture().getCurrentTestName()), (reason)); \
        SUCCEED("skipped");                                                           \
        return;                                                                       \
    } while (false)
