#include "runner/log_judge.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runner/format.hpp"

namespace vtlsim::runner {

bool matches_plainly(const model::Event& event, const EventPattern& p) {
    if (event.kind != p.kind) return false;
    if (p.vtl && *p.vtl != event.vtl) return false;
    if (p.rip && *p.rip != event.rip) return false;
    return std::all_of(p.args.begin(), p.args.end(),
                       [&](const auto& arg) { return event.args[arg.first] == arg.second; });
}

void LogJudge::judge(const std::vector<LogClaim>& claims) {
    for (const LogClaim& claim : claims) {
        switch (claim.mode) {
            case LogMode::never:
            case LogMode::count:
                counted_.push_back(&claim);
                break;
            case LogMode::any_order:
                if (!any_order(claim.patterns)) return;
                break;
            case LogMode::then:
                if (!then(claim.pattern)) return;
                break;
            case LogMode::next:
                if (!next(claim.pattern)) return;
                break;
        }
    }
    check_counted(events_.size());
}

bool LogJudge::then(const EventPattern& pattern) {
    std::size_t i = at_;
    while (i < events_.size() && !matches_(events_[i], pattern)) ++i;
    if (i == events_.size()) {
        fail("event: " + pattern.text,
             at_ == 0 ? "in the log" : fmt::format("after {}", event_text(log_, events_[at_ - 1])),
             "no such event");
        return false;
    }
    check_counted(i);
    at_ = i + 1;
    return true;
}

bool LogJudge::next(const EventPattern& pattern) {
    std::size_t i = at_;
    while (i < events_.size() && events_[i].kind == model::EventKind::insn &&
           pattern.kind != model::EventKind::insn) {
        ++i;
    }
    if (i == events_.size() || !matches_(events_[i], pattern)) {
        fail("next event: " + pattern.text, pattern.text,
             i == events_.size() ? "the end of the log" : event_text(log_, events_[i]));
        return false;
    }
    check_counted(i);
    at_ = i + 1;
    return true;
}

bool LogJudge::any_order(const std::vector<EventPattern>& patterns) {
    std::vector<std::size_t> event_of(patterns.size(), kNoEvent);
    std::size_t matched = 0;
    std::size_t i = at_;
    for (; i < events_.size() && matched < patterns.size(); ++i) {
        std::vector<bool> seen(patterns.size());
        matched += place(i, patterns, event_of, seen) ? 1 : 0;
    }
    if (matched < patterns.size()) {
        std::string missing;
        for (std::size_t p = 0; p < patterns.size(); ++p) {
            if (event_of[p] != kNoEvent) continue;
            missing += (missing.empty() ? "" : "; ") + patterns[p].text;
        }
        fail("events in any order: " + missing, "each by an event of its own",
             "no such event (left)");
        return false;
    }
    check_counted(i);
    at_ = i;
    return true;
}

bool LogJudge::place(std::size_t event, const std::vector<EventPattern>& patterns,
                     std::vector<std::size_t>& event_of, std::vector<bool>& seen) {
    for (std::size_t p = 0; p < patterns.size(); ++p) {
        if (seen[p] || !matches_(events_[event], patterns[p])) continue;
        seen[p] = true;
        if (event_of[p] == kNoEvent || place(event_of[p], patterns, event_of, seen)) {
            event_of[p] = event;
            return true;
        }
    }
    return false;
}

void LogJudge::check_counted(std::size_t end) {
    for (const LogClaim* claim : counted_) {
        u64 count = 0;
        std::size_t last = at_;
        for (std::size_t i = at_; i < end && count <= claim->max; ++i) {
            if (!matches_(events_[i], claim->pattern)) continue;
            ++count;
            last = i;
        }
        if (claim->min <= count && count <= claim->max) continue;
        const bool never = claim->mode == LogMode::never;
        const std::string wanted = claim->min == claim->max ? fmt::format("{}", claim->min)
                                   : claim->max == ~u64{0}
                                       ? fmt::format("at least {}", claim->min)
                                       : fmt::format("{} to {}", claim->min, claim->max);
        failures_.push_back(
            {fmt::format("{}: {}", never ? "never" : "count", claim->pattern.text),
             never ? "no such event" : wanted,
             count > claim->max ? event_text(log_, events_[last]) : fmt::format("{}", count),
             count == 0 ? step_of(end) : events_[last].step});
        if (!never && count > claim->max) {
            failures_.back().got = fmt::format("more: {}", failures_.back().got);
        }
    }
    counted_.clear();
}

void LogJudge::fail(std::string expectation, std::string expected, std::string got) {
    failures_.push_back(
        {std::move(expectation), std::move(expected), std::move(got), step_of(at_)});
}

}  // namespace vtlsim::runner
