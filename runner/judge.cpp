#include <fmt/format.h>

#include "model/fields.hpp"
#include "model/world.hpp"
#include "runner/format.hpp"
#include "runner/result.hpp"

namespace vtlsim::runner {
namespace {

bool matches(const model::Event& event, const EventPattern& p) {
    if (event.kind != p.kind) return false;
    if (p.vtl && *p.vtl != event.vtl) return false;
    if (p.rip && *p.rip != event.rip) return false;
    for (const auto& [index, value] : p.args) {
        if (event.args[index] != value) return false;
    }
    return true;
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
        while (i < events_.size() && !matches(events_[i], pattern)) ++i;
        if (i == events_.size()) {
            fail("event: " + pattern.text, fmt::format("after step {}", step_of(at_)),
                 "not in the rest of the log");
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
        if (i == events_.size() || !matches(events_[i], pattern)) {
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
                if (!matches(events_[i], *pattern)) continue;
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

std::vector<Failure> judge(const model::World& world, const Variant& variant) {
    std::vector<Failure> failures;
    const Expectations& expect = variant.expect;
    const u64 last = world.steps();
    if (expect.end && *expect.end != world.end()) {
        failures.push_back({"end", std::string(end_reason_name(*expect.end)),
                            std::string(end_reason_name(world.end())), last});
    }
    for (std::size_t i = 0; i < variant.config.events.size(); ++i) {
        if (world.event_happened(i) || variant.event_optional[i]) continue;
        const model::PinnedEvent& e = variant.config.events[i];
        failures.push_back(
            {fmt::format("event {} happens", i),
             e.address == ~u64{0}
                 ? "its label exists in this variant's VTL2 kernel"
                 : fmt::format("the instruction at {:#x} starts {} times", e.address, e.nth),
             fmt::format("{} times", world.times_started(i)), last});
    }
    for (const StateClaim& claim : expect.state) {
        const auto got = world.value(claim.path);
        if (got && *got == claim.value) continue;
        failures.push_back({claim.path, hex_text(claim.value),
                            got ? hex_text(*got) : "no such field in this message", last});
    }
    for (const MemoryClaim& claim : expect.memory) {
        std::vector<u8> got(claim.bytes.size());
        world.read_memory(claim.address, got);
        if (got == claim.bytes) continue;
        failures.push_back({fmt::format("memory at {:#x}", claim.address), bytes_text(claim.bytes),
                            bytes_text(got), last});
    }
    LogJudge(world, failures).judge(expect.log);
    return failures;
}

std::string_view status_name(Status status) {
    constexpr std::string_view kNames[] = {"pass", "fail", "limit", "error"};
    return kNames[static_cast<std::size_t>(status)];
}

Result run_variant(const Scenario& scenario, const Variant& variant) {
    model::World world(variant.config);
    const model::EndReason end = world.run();
    Result result;
    result.scenario = scenario.name;
    result.file = scenario.file;
    result.variant = variant.choice;
    result.steps = world.steps();
    result.hash = world.hash();
    result.end = end_reason_name(end);
    for (const std::string& path : scenario.show) {
        const auto value = world.value(path);
        result.shown.push_back(value ? hex_text(*value) : "-");
    }
    result.failures = judge(world, variant);
    const bool limited =
        end == model::EndReason::step_limit || end == model::EndReason::memory_limit;
    if (end == model::EndReason::not_modelled) {
        // No scenario passes on a gap of the model, whatever it expects.
        result.status = Status::error;
        const model::Event& gap = world.log().events()[world.log().events().size() - 2];
        result.failures.insert(result.failures.begin(), {"everything is modelled", "",
                                                         event_text(world, gap), world.steps()});
    } else if (limited && variant.expect.end != end) {
        result.status = Status::limit;
    } else if (!result.failures.empty()) {
        result.status = Status::fail;
    }
    return result;
}

}  // namespace vtlsim::runner
