#include "runner/trace/kvm_recorder.hpp"

#include <algorithm>

#include "runner/format.hpp"

namespace vtlsim::runner::trace {
namespace {

struct LaneRow {
    model::Lane lane;
    std::string_view title;
};
constexpr LaneRow kLanes[] = {
    {model::Lane::guest, "Guest"},         {model::Lane::hypervisor, "KVM"},
    {model::Lane::vmm, "Userspace (VMM)"}, {model::Lane::device, "Devices"},
    {model::Lane::vtl2, "VTL2 kernel"},    {model::Lane::driver, "Driver"},
};

struct Arrow {
    model::EventKind kind;
    model::Lane to;
};
constexpr Arrow kArrows[] = {{model::EventKind::kvm_run, model::Lane::hypervisor},
                             {model::EventKind::kvm_exit, model::Lane::vmm},
                             {model::EventKind::kvm_device, model::Lane::device},
                             {model::EventKind::kvm_inject, model::Lane::guest}};

void add_kinds(Recording& out) {
    for (const model::EventRow& row : model::event_rows()) {
        const auto* arrow = std::find_if(std::begin(kArrows), std::end(kArrows),
                                         [&](const Arrow& a) { return a.kind == row.kind; });
        out.kinds.push_back({row.name, row.meaning,
                             arrow == std::end(kArrows) ? "" : model::lane_name(arrow->to),
                             row.kind == model::EventKind::not_modelled});
    }
    out.kinds.push_back({"turn", "an actor's step that leaves no event", "", false});
}

// Lanes in which something happens, and the lane of each event.
std::vector<u16> add_lanes(Recording& out, std::span<const model::Event> events) {
    std::vector<u16> of(std::size(kLanes), 0);
    for (const LaneRow& row : kLanes) {
        const bool used = std::any_of(events.begin(), events.end(),
                                      [&](const model::Event& e) { return e.lane == row.lane; });
        if (!used) continue;
        of[static_cast<std::size_t>(row.lane)] = static_cast<u16>(out.lanes.size());
        out.lanes.push_back({std::string(model::lane_name(row.lane)), std::string(row.title), 0});
    }
    return of;
}

// The registers that userspace reads at each return of KVM_RUN, as a bank.
void add_observations(Recording& out, const model::kvm::Transcript& transcript) {
    if (transcript.observations.empty()) return;
    out.banks.push_back({"vcpu", "vCPU, as userspace sees it",
                         "what KVM_GET_REGS gives at each return of KVM_RUN", 0});
    for (sim::Reg reg : model::kvm::compared_registers()) {
        const sim::RegInfo& row = sim::info(reg);
        out.cells.push_back({0, row.name, row.bits, Vec128{}});
    }
    std::size_t next = 0;
    for (u32 i = 0; i < out.items.size() && next < transcript.observations.size(); ++i) {
        if (out.items[i].kind != static_cast<u16>(model::EventKind::kvm_exit)) continue;
        const model::kvm::Observation& now = transcript.observations[next];
        for (u32 cell = 0; cell < out.cells.size(); ++cell) {
            const sim::Reg reg = model::kvm::compared_registers()[cell];
            const bool changed =
                next == 0 ||
                !(transcript.observations[next - 1].registers.get(reg) == now.registers.get(reg));
            if (!changed) continue;
            out.writes.push_back({.item = i,
                                  .where = cell,
                                  .value = now.registers.get(reg),
                                  .bytes = {},
                                  .sources = {}});
        }
        ++next;
    }
}

}  // namespace

Recording record_kvm(const KvmScenario& scenario, std::size_t variant) {
    const KvmVariant& v = scenario.variants[variant];
    const KvmRun run = run_kvm(scenario, v);
    const KvmCase own = scenario.case_of(v);
    Recording out;
    out.scenario = scenario.name;
    out.variant = v.label();
    out.why = scenario.why;
    out.source = scenario.source;
    out.result = judge_kvm(run, scenario, v);
    add_kinds(out);
    const auto events = run.log.events();
    const std::vector<u16> lanes = add_lanes(out, events);
    for (const auto& [address, name] : own.labels) out.labels.emplace(address, name);
    add_lines(out, own.listing);
    out.turns.push_back({"vcpu", "", 0});
    for (const model::Event& e : events) {
        out.items.push_back({.step = e.step,
                             .kind = static_cast<u16>(e.kind),
                             .lane = lanes[static_cast<std::size_t>(e.lane)],
                             .vp = e.vp,
                             .vtl = e.vtl,
                             .rip = e.rip,
                             .text = detail_text(run.log, e),
                             .turn = 0});
    }
    add_observations(out, run.transcript);
    add_failures(out);
    return out;
}

}  // namespace vtlsim::runner::trace
