// The parts of a scenario's world about who acts when: VPs beside the first, schedules, invariants.
#include <fmt/format.h>

#include "runner/limits.hpp"
#include "runner/load_world.hpp"

namespace vtlsim::runner {

void WorldReader::read_concurrency(const Fields& root) {
    if (const auto node = root.optional("hotplug")) config_.hotplug = node->boolean();
    if (const auto node = root.optional("attention_delay")) {
        config_.attention_delay = node->integer<u16>();
    }
    if (const auto node = root.optional("fine_steps")) config_.fine_steps = node->boolean();
    if (const auto node = root.optional("guest_steps")) config_.guest_steps = node->boolean();
    if (const auto node = root.optional("invariants")) read_invariants(*node);
    if (const auto node = root.optional("schedule")) read_schedule(*node);
}

void WorldReader::read_vps(const Node& node) {
    const std::vector<Node> entries = node.array();
    if (entries.size() + 1 > model::layout::kMaxVps) {
        node.error(fmt::format("a node has at most {} VPs", model::layout::kMaxVps));
        return;
    }
    for (const Node& entry : entries) {
        const Fields f = entry.object({"entry", "registers"});
        // Each VP has a stack of its own, 64 KiB above the one before.
        const u64 stack = kDefaultStack * (config_.other_vps.size() + 2);
        std::vector<model::RegisterValue> registers{
            {sim::Reg::rip, {labels_.read_address(f.required("entry")), 0}},
            {sim::Reg::rsp, {stack, 0}}};
        if (const auto own = f.optional("registers")) read_registers(*own, registers);
        config_.other_vps.push_back(std::move(registers));
    }
}

void WorldReader::read_invariants(const Node& node) {
    std::vector<std::string_view> names;
    for (const model::InvariantRow& row : model::invariant_rows()) names.push_back(row.name);
    for (const Node& entry : node.array()) {
        const std::size_t errors = entry.diagnostics().count();
        const std::size_t i = entry.one_of("invariant", names);
        if (entry.diagnostics().count() != errors) continue;
        const model::Invariant id = model::invariant_rows()[i].id;
        for (model::Invariant known : config_.invariants) {
            if (known == id) entry.error("this invariant is listed twice");
        }
        config_.invariants.push_back(id);
    }
}

void WorldReader::read_schedule(const Node& node) {
    const std::vector<Node> entries = node.array();
    if (entries.size() > kMaxSchedule) {
        node.error(fmt::format("a schedule has at most {} entries", kMaxSchedule));
        return;
    }
    for (const Node& entry : entries) {
        const Fields f =
            entry.object({"turn", "instead_of", "step", "nth", "run", "does", "may_not_happen"});
        model::ScheduleEntry out;
        if (const auto turn = f.optional("turn")) out.turn = turn->integer();
        if (const auto actor = f.optional("instead_of")) out.instead_of = actor->string();
        if (const auto step = f.optional("step")) out.step = step->string();
        if (const auto nth = f.optional("nth")) out.nth = nth->integer<u64>(1, kMaxSteps);
        if (const auto no = f.optional("may_not_happen")) out.may_not_happen = no->boolean();
        out.run = f.required("run").string();
        if (const auto does = f.optional("does")) out.does = does->string();
        if (!out.turn && (out.instead_of.empty() || out.step.empty())) {
            entry.error("where? \"instead_of\" and \"step\" are needed, or \"turn\"");
        }
        if (out.turn && f.optional("nth")) {
            f.optional("nth")->error_at_key("\"nth\" counts steps; \"turn\" says it all");
        }
        config_.schedule.push_back(std::move(out));
    }
}

}  // namespace vtlsim::runner
