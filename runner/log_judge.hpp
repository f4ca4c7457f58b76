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
    // Each pattern gets an event of its own. Events are taken in order, and each may move the
    // events that patterns have already (Kuhn's algorithm), so this ends at the earliest event by
    // which all have one.
    bool any_order(const std::vector<EventPattern>& patterns);
    bool place(std::size_t event, const std::vector<EventPattern>& patterns,
               std::vector<std::size_t>& event_of, std::vector<bool>& seen);
    // How often the patterns of "never" and "count" occur from the last match up to event `end`.
    void check_counted(std::size_t end);
    u64 step_of(std::size_t i) const { return i == 0 ? 0 : events_[i - 1].step; }
    void fail(std::string expectation, std::string expected, std::string got);

    const model::EventLog& log_;
    std::span<const model::Event> events_;
    std::vector<Failure>& failures_;
    Matches matches_;
    static constexpr std::size_t kNoEvent = ~std::size_t{0};
    std::vector<const LogClaim*> counted_;
    std::size_t at_ = 0;  // events before this one are behind us
};

}  // namespace vtlsim::runner
