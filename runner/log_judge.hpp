// Compares an event log with the claims of a scenario's "log".
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model/log/event_log.hpp"
#include "runner/result.hpp"

namespace vtlsim::runner {

using Matches = std::function<bool(const model::Event&, const EventPattern&)>;

// Whether kind, VTL, RIP and arguments agree; names that only a world can resolve are not looked
// at.
bool matches_plainly(const model::Event& event, const EventPattern& pattern);

class LogJudge {
  public:
    LogJudge(const model::EventLog& log, std::vector<Failure>& failures, Matches matches)
        : log_(log), events_(log.events()), failures_(failures), matches_(std::move(matches)) {}

    void judge(const std::vector<LogClaim>& claims);

  private:
    bool then(const EventPattern& pattern);
    bool next(const EventPattern& pattern);
    // The patterns that must not occur from the last match up to event `end`.
    void check_forbidden(std::size_t end);
    u64 step_of(std::size_t i) const { return i == 0 ? 0 : events_[i - 1].step; }
    void fail(std::string expectation, std::string expected, std::string got);

    const model::EventLog& log_;
    std::span<const model::Event> events_;
    std::vector<Failure>& failures_;
    Matches matches_;
    std::vector<const EventPattern*> forbidden_;
    std::size_t at_ = 0;  // events before this one are behind us
};

}  // namespace vtlsim::runner
