// Whether a run depends on nothing but its scenario: each runs twice, in different orders and on
// different numbers of threads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/log/event_log.hpp"
#include "runner/result.hpp"

namespace vtlsim::runner {

// What is kept of a log to find where another one differs from it: hashes of its beginnings, of at
// most kMaxMarks lengths.
class LogPrint {
  public:
    static constexpr std::size_t kMaxMarks = 1 << 16;
    LogPrint() = default;
    LogPrint(const model::EventLog& log, std::string hash);

    const std::string& hash() const { return hash_; }
    // The steps that the first difference is between; nothing if there is none.
    struct Range {
        u64 first = 0;
        u64 last = 0;
    };
    std::optional<Range> first_difference(const LogPrint& other) const;

  private:
    struct Mark {
        u64 hash = 0;
        u64 step = 0;  // of the last event in it
        bool operator==(const Mark&) const = default;
    };
    std::vector<Mark> marks_;
    std::size_t stride_ = 1;  // events from mark to mark
    std::string hash_;        // of the whole log
};

// "step 17", or the steps that it is between.
std::optional<Failure> difference_of(const LogPrint& first, const LogPrint& second);

struct VariantOf {
    const Scenario* scenario;
    const Variant* variant;
};
// For each of the runs: nothing, or how the second one differs from the first.
std::vector<std::optional<Failure>> verify_determinism(const std::vector<VariantOf>& runs,
                                                       unsigned jobs);

}  // namespace vtlsim::runner
