#include <algorithm>

#include <fmt/format.h>

#include "model/fields.hpp"
#include "model/world.hpp"
#include "runner/format.hpp"
#include "runner/log_judge.hpp"
#include "runner/result.hpp"
#include "runner/unlisted.hpp"

namespace vtlsim::runner {
namespace {

bool matches(const model::World& world, const model::Event& event, const EventPattern& p) {
    if (!matches_plainly(event, p)) return false;
    if (!p.vtl2_label.empty()) {
        const sim::AsmSymbol* label = world.vtl2_kernel().find(p.vtl2_label);
        if (label == nullptr || label->value != event.rip) return false;
    }
    return std::all_of(p.fields.begin(), p.fields.end(), [&](const auto& field) {
        return model::name_of_address(event.args[field.first]) == field.second;
    });
}

std::string entry_text(const model::ScheduleEntry& entry) {
    const std::string place = entry.turn ? fmt::format("at turn {}", *entry.turn)
                                         : fmt::format("instead of {}'s \"{}\" number {}",
                                                       entry.instead_of, entry.step, entry.nth);
    return fmt::format("{} {}", entry.run, place);
}

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
    for (const ValueRelation& relation : expect.relations) {
        const std::string values = judge_relation(world, relation);
        if (values.empty()) continue;
        failures.push_back({relation.text, "holds", values, last, true});
    }
    LogJudge(world.log(), failures, [&](const model::Event& event, const EventPattern& p) {
        return matches(world, event, p);
    }).judge(expect.log);
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
        const u64 started = world.times_started(i);
        failures.push_back(
            {fmt::format("pinned event {}: {}", i, note.text),
             fmt::format("it happens before start {} of the instruction",
                         scenario.world.events[i].nth),
             fmt::format("the instruction started {} time{}", started, started == 1 ? "" : "s"),
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
    const bool unlisted = std::any_of(variant.expect.begin(), variant.expect.end(), [&](auto i) {
        return scenario.expectations[i].unlisted_unchanged;
    });
    if (unlisted) {
        for (Failure& f : judge_unlisted(world, scenario, variant))
            failures.push_back(std::move(f));
    }
    return failures;
}

}  // namespace vtlsim::runner
