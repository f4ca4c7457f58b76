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
                forbidden_.push_back(&claim.pattern);
                break;
            case LogMode::then:
                if (!then(claim.pattern)) return;
                break;
            case LogMode::next:
                if (!next(claim.pattern)) return;
                break;
        }
    }
    check_forbidden(events_.size());
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
    check_forbidden(i);
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
    check_forbidden(i);
    at_ = i + 1;
    return true;
}

void LogJudge::check_forbidden(std::size_t end) {
    for (const EventPattern* pattern : forbidden_) {
        for (std::size_t i = at_; i < end; ++i) {
            if (!matches_(events_[i], *pattern)) continue;
            failures_.push_back({"never: " + pattern->text, "no such event",
                                 event_text(log_, events_[i]), events_[i].step});
            break;
        }
    }
    forbidden_.clear();
}

void LogJudge::fail(std::string expectation, std::string expected, std::string got) {
    failures_.push_back(
        {std::move(expectation), std::move(expected), std::move(got), step_of(at_)});
}

}  // namespace vtlsim::runner
