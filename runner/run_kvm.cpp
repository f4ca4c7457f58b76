#include "runner/run_kvm.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "model/kvm/model_vm.hpp"
#include "model/kvm/userspace.hpp"
#include "runner/format.hpp"
#include "runner/log_judge.hpp"

namespace vtlsim::runner {
namespace {

using model::EndReason;
using model::Event;
using model::EventKind;
using model::Lane;
namespace kvm = model::kvm;

u64 little_endian(std::span<const u8> bytes) {
    u64 value = 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 8); ++i) {
        value |= u64{bytes[i]} << 8 * i;
    }
    return value;
}

// Userspace's deeds as events.
class Recorder final : public kvm::UserspaceListener {
  public:
    Recorder(model::EventLog& log, const kvm::ModelVm& vm) : log_(log), vm_(vm) {}

    void exited(const kvm::Observation& o, u32 number) override {
        const u64 text = log_.add_text(exit_text(o.exit));
        add(EventKind::kvm_exit, Lane::hypervisor,
            {number, static_cast<u64>(o.exit.result), static_cast<u64>(o.exit.reason), text});
    }
    void acted(const kvm::Action& a) override {
        u64 value = a.value;
        if (!a.registers.empty()) value = a.registers.front().second;
        if (!a.bytes.empty()) value = little_endian(a.bytes);
        add(EventKind::userspace, Lane::vmm, {static_cast<u64>(a.kind), value});
    }
    void device_read(const kvm::Device* device, const kvm::RunExit& exit,
                     std::span<const u8> data) override {
        if (exit.reason == kvm::ExitReason::mmio) {
            add(EventKind::mmio_read, Lane::device, {exit.phys, data.size(), little_endian(data)});
        } else {
            add(EventKind::device_read, Lane::device,
                {exit.port, data.size(), little_endian(data), device != nullptr});
        }
    }
    void device_written(const kvm::DeviceWrite& w) override {
        add(w.mmio ? EventKind::mmio_write : EventKind::device_write, Lane::device,
            {w.address, w.data.size(), little_endian(w.data), 1});
    }

  private:
    void add(EventKind kind, Lane lane, std::initializer_list<u64> args) {
        Event e;
        e.step = vm_.steps() + 1;
        e.kind = kind;
        e.lane = lane;
        e.rip = vm_.cpu().get(sim::Reg::rip);
        std::copy(args.begin(), args.end(), e.args.begin());
        log_.add(e);
    }

    model::EventLog& log_;
    const kvm::ModelVm& vm_;
};

EndReason end_of(const kvm::Transcript& t) {
    switch (t.end) {
        case kvm::ScriptEnd::stop:
            return EndReason::stopped;
        case kvm::ScriptEnd::exits:
        case kvm::ScriptEnd::steps:
            return EndReason::step_limit;
        case kvm::ScriptEnd::not_modelled:
            return EndReason::not_modelled;
        case kvm::ScriptEnd::exit:
            break;
    }
    const kvm::RunExit& last = t.observations.back().exit;
    if (last.result != kvm::Return::ok) return EndReason::vmm_error;
    if (last.reason == kvm::ExitReason::hlt) return EndReason::guest_halted;
    if (last.reason == kvm::ExitReason::shutdown) return EndReason::guest_triple_fault;
    return EndReason::vmm_error;
}

}  // namespace

KvmRun run_kvm(const KvmScenario& scenario, const KvmVariant& variant) {
    const KvmCase c = scenario.case_of(variant);
    KvmRun run;
    kvm::ModelVm vm(c.guest, c.script, variant.switches, &run.log);
    Recorder recorder(run.log, vm);
    run.transcript = kvm::run_script(vm, c.guest, c.script, &recorder);
    run.end = end_of(run.transcript);
    run.steps = vm.steps();
    Event e;
    e.step = run.steps + 1;
    e.kind = EventKind::end;
    e.lane = Lane::vmm;
    e.rip = vm.cpu().get(sim::Reg::rip);
    e.args[0] = static_cast<u64>(run.end);
    run.log.add(e);
    return run;
}

Result judge_kvm(const KvmRun& run, const KvmScenario& scenario, const KvmVariant& variant) {
    Result result;
    result.scenario = scenario.name;
    result.file = scenario.file;
    result.variant = variant.choice;
    result.steps = run.steps;
    result.hash = fmt::format("{:016x}", run.log.hash());
    result.end = end_reason_name(run.end);
    for (const std::string& path : scenario.show) result.shown.push_back(kvm_value(run, path));
    if (run.end == EndReason::not_modelled) {
        result.status = Status::error;
        result.failures.push_back(
            {"everything is modelled", "no gap", run.transcript.problem, run.steps});
        return result;
    }
    std::optional<EndReason> end;
    for (std::size_t i : variant.expect) {
        if (scenario.expectations[i].end) end = scenario.expectations[i].end;
    }
    if (run.end == EndReason::step_limit && end != run.end) {
        result.status = Status::limit;
        result.failures.push_back(
            {"the run ends", "within max_exits and max_steps", result.end, run.steps});
        return result;
    }
    std::vector<Failure>& failures = result.failures;
    if (end && *end != run.end) {
        failures.push_back({"end", std::string(end_reason_name(*end)), result.end, run.steps});
    }
    for (std::size_t i : variant.expect) {
        const KvmExpectations& expect = scenario.expectations[i];
        for (const auto& [path, wanted] : expect.state) {
            const std::string got = kvm_value(run, path);
            if (got != wanted) failures.push_back({path, wanted, got, run.steps});
        }
        for (const MemoryClaim& claim : expect.memory) {
            std::vector<u8> got(claim.bytes.size());
            read_final_memory(run, scenario.case_of(variant).guest, claim.address, got);
            if (got == claim.bytes) continue;
            failures.push_back({fmt::format("memory at {:#x}", claim.address),
                                bytes_text(claim.bytes), bytes_text(got), run.steps});
        }
        LogJudge(run.log, failures, matches_plainly).judge(expect.log);
    }
    if (!failures.empty()) result.status = Status::fail;
    return result;
}

void read_final_memory(const KvmRun& run, const kvm::Guest& guest, u64 address, std::span<u8> out) {
    const auto overlay = [&](const std::vector<model::MemoryImage>& images) {
        for (const model::MemoryImage& image : images) {
            for (std::size_t i = 0; i < out.size(); ++i) {
                const u64 at = address + i;
                if (at < image.address || at - image.address >= image.bytes.size()) continue;
                out[i] = image.bytes[at - image.address];
            }
        }
    };
    overlay(initial_memory(guest));
    overlay(run.transcript.memory);
}

Result run_kvm_variant(const KvmScenario& scenario, std::size_t variant) {
    const KvmVariant& v = scenario.variants[variant];
    return judge_kvm(run_kvm(scenario, v), scenario, v);
}

}  // namespace vtlsim::runner
