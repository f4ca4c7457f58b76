#include <algorithm>

#include <fmt/format.h>

#include "model/fields.hpp"
#include "model/world.hpp"
#include "runner/format.hpp"
#include "runner/result.hpp"

namespace vtlsim::runner {
namespace {

bool matches(const model::World& world, const model::Event& event, const EventPattern& p) {
    if (event.kind != p.kind) return false;
    if (p.vtl && *p.vtl != event.vtl) return false;
    if (p.rip && *p.rip != event.rip) return false;
    if (!p.vtl2_label.empty()) {
        const sim::AsmSymbol* label = world.vtl2_kernel().find(p.vtl2_label);
        if (label == nullptr || label->value != event.rip) return false;
    }
    for (const auto& [index, value] : p.args) {
        if (event.args[index] != value) return false;
    }
    for (const auto& [index, name] : p.fields) {
        if (model::name_of_address(event.args[index]) != name) return false;
    }
    return true;
}

std::string entry_text(const model::ScheduleEntry& entry) {
    const std::string place = entry.turn ? fmt::format("at turn {}", *entry.turn)
                                         : fmt::format("instead of {}'s \"{}\" number {}",
                                                       entry.instead_of, entry.step, entry.nth);
    return fmt::format("{} {}", entry.run, place);
}

class LogJudge {
  public:
    LogJudge(const model::World& world, std::vector<Failure>& failures)
        : world_(world), events_(world.log().events()), failures_(failures) {}

    void judge(const std::vector<LogClaim>& claims) {
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

  private:
    bool then(const EventPattern& pattern) {
        std::size_t i = at_;
        while (i < events_.size() && !matches(world_, events_[i], pattern)) ++i;
        if (i == events_.size()) {
            fail("event: " + pattern.text,
                 at_ == 0 ? "in the log"
                          : fmt::format("after {}", event_text(world_, events_[at_ - 1])),
                 "no such event");
            return false;
        }
        check_forbidden(i);
        at_ = i + 1;
        return true;
    }

    bool next(const EventPattern& pattern) {
        std::size_t i = at_;
        while (i < events_.size() && events_[i].kind == model::EventKind::insn &&
               pattern.kind != model::EventKind::insn) {
            ++i;
        }
        if (i == events_.size() || !matches(world_, events_[i], pattern)) {
            fail("next event: " + pattern.text, pattern.text,
                 i == events_.size() ? "the end of the log" : event_text(world_, events_[i]));
            return false;
        }
        check_forbidden(i);
        at_ = i + 1;
        return true;
    }

    // The patterns that must not occur from the last match up to event `end`.
    void check_forbidden(std::size_t end) {
        for (const EventPattern* pattern : forbidden_) {
            for (std::size_t i = at_; i < end; ++i) {
                if (!matches(world_, events_[i], *pattern)) continue;
                failures_.push_back({"never: " + pattern->text, "no such event",
                                     event_text(world_, events_[i]), events_[i].step});
                break;
            }
        }
        forbidden_.clear();
    }

    u64 step_of(std::size_t i) const { return i == 0 ? 0 : events_[i - 1].step; }
    void fail(std::string expectation, std::string expected, std::string got) {
        failures_.push_back(
            {std::move(expectation), std::move(expected), std::move(got), step_of(at_)});
    }

    const model::World& world_;
    std::span<const model::Event> events_;
    std::vector<Failure>& failures_;
    std::vector<const EventPattern*> forbidden_;
    std::size_t at_ = 0;  // events before this one are behind us
};

}  // namespace

void judge(const model::World& world, const Expectations& expect, std::vector<Failure>& failures) {
    const u64 last = world.steps();
    for (const StateClaim& claim : expect.state) {
        const auto got = world.value(claim.path);
        if (got && *got == claim.value) continue;
        failures.push_back({claim.path, hex_text(claim.value),
                            got ? hex_text(*got) : "no such field in this message", last, true});
    }
    for (const MemoryClaim& claim : expect.memory) {
        std::vector<u8> got(claim.bytes.size());
        world.read_memory(claim.address, got);
        if (got == claim.bytes) continue;
        failures.push_back({fmt::format("memory at {:#x}", claim.address), bytes_text(claim.bytes),
                            bytes_text(got), last, true});
    }
    LogJudge(world, failures).judge(expect.log);
}

std::vector<Failure> judge(const model::World& world, const Scenario& scenario,
                           const Variant& variant) {
    std::vector<Failure> failures;
    const u64 last = world.steps();
    const auto end = scenario.expected_end(variant);
    if (end && *end != world.end()) {
        failures.push_back({"end", std::string(end_reason_name(*end)),
                            std::string(end_reason_name(world.end())), last});
    }
    for (std::size_t i = 0; i < scenario.event_notes.size(); ++i) {
        const EventNote& note = scenario.event_notes[i];
        if (world.event_happened(i) || note.may_not_happen) continue;
        const bool no_label =
            !note.vtl2_label.empty() && world.vtl2_kernel().find(note.vtl2_label) == nullptr;
        const u64 started = world.times_started(i);
        failures.push_back({fmt::format("pinned event {}: {}", i, note.text),
                            fmt::format("it happens before start {} of the instruction",
                                        scenario.world.events[i].nth),
                            no_label ? "the VTL2 kernel of this variant has no such label"
                                     : fmt::format("the instruction started {} time{}", started,
                                                   started == 1 ? "" : "s"),
                            last});
    }
    const auto& schedule = scenario.world.schedule;
    for (std::size_t i = world.schedule_done(); i < schedule.size(); ++i) {
        if (schedule[i].may_not_happen) continue;
        failures.push_back({fmt::format("schedule entry {}: {}", i, entry_text(schedule[i])),
                            "its place is met, and the actor can act there",
                            world.schedule_problem().empty() ? "the run never came there"
                                                             : world.schedule_problem(),
                            last});
        break;  // the ones after it wait for this one
    }
    for (const model::Violation& v : world.all_violations()) {
        failures.push_back(
            {fmt::format("invariant {}",
                         model::invariant_rows()[static_cast<std::size_t>(v.id)].name),
             std::string(model::invariant_rows()[static_cast<std::size_t>(v.id)].meaning), v.what,
             last});
    }
    for (std::size_t index : variant.expect) judge(world, scenario.expectations[index], failures);
    return failures;
}

}  // namespace vtlsim::runner
