#include "runner/conform_kvm/compare.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/kvm/model_vm.hpp"
#include "model/kvm/userspace.hpp"

namespace vtlsim::runner::conform_kvm {
namespace {

using model::kvm::Observation;
using model::kvm::ScriptEnd;
using model::kvm::Transcript;
using sim::Reg;

constexpr u64 kRf = 0x10000;

Transcript without_rf(Transcript t) {
    for (Observation& o : t.observations) o.registers[Reg::rflags] &= ~kRf;
    return t;
}

std::string line(const Observation& o) {
    return fmt::format("{:<44} rip={:x} rflags={:x} rax={:x} rcx={:x} rsi={:x} rdi={:x}",
                       exit_text(o.exit), o.registers[Reg::rip], o.registers[Reg::rflags],
                       o.registers[Reg::rax], o.registers[Reg::rcx], o.registers[Reg::rsi],
                       o.registers[Reg::rdi]);
}

std::string end_text(const Transcript& t) {
    return t.problem.empty() ? std::string(script_end_name(t.end)) : t.problem;
}

}  // namespace

Transcript run_model(const model::kvm::Guest& guest, const model::kvm::Script& script,
                     model::kvm::Version version, model::kvm::Vendor vendor) {
    model::kvm::Switches switches;
    switches.kvm = version;
    switches.vendor = vendor;
    model::kvm::ModelVm vm(guest, script, switches);
    return run_script(vm, guest, script);
}

std::optional<std::string> difference(const Transcript& real, const Transcript& model, bool native,
                                      bool events) {
    // Native code that faults into the emulator has RF set by the CPU's fault, which a model of KVM
    // alone does not see.
    if (native) return first_difference(without_rf(real), without_rf(model), events);
    return first_difference(real, model, events);
}

Both run_both(RealKvm& kvm, const KvmFacts& facts, const model::kvm::Guest& guest,
              const model::kvm::Script& script, const RealOptions& options) {
    const ModeFacts& mode = facts.of(guest.mode);
    Both out;
    out.model = run_model(guest, script, *mode.version);
    if (!out.model.problem.empty()) {
        out.gap = true;
        return out;
    }
    out.real = kvm.run(guest, script, options);
    if (!out.real.problem.empty()) {
        out.gap = true;
        return out;
    }
    const auto not_compared = [&](std::string why) {
        out.difference.reset();
        out.gap = true;
        out.real.problem = std::move(why);
    };
    // A guest that runs on without exits: the model stops after so many steps, KVM after some time,
    // and memory at the end is what they got to.
    if (out.real.end == ScriptEnd::steps || out.model.end == ScriptEnd::steps) {
        const bool same_end = out.real.end == out.model.end &&
                              out.real.observations.size() == out.model.observations.size();
        Transcript real = out.real, model = out.model;
        const std::size_t both = std::min(real.observations.size(), model.observations.size());
        for (Transcript* t : {&real, &model}) {
            t->observations.resize(both);
            t->end = ScriptEnd::steps;
            t->writes.clear();
            t->memory.clear();
            t->reads = 0;
        }
        out.difference = difference(real, model, mode.native, options.events);
        if (!out.difference && !same_end) not_compared("a limit of steps or time was hit");
    } else {
        out.difference = difference(out.real, out.model, mode.native, options.events);
    }
    if (!out.difference) return out;
    // What KVM's emulator does not know ends in an internal error, and says nothing about the
    // model.
    const auto& last = out.real.observations;
    const bool unknown = !last.empty() && last.size() <= out.model.observations.size() &&
                         last.back().exit.reason == model::kvm::ExitReason::internal_error &&
                         out.model.observations[last.size() - 1].exit.reason !=
                             model::kvm::ExitReason::internal_error;
    if (unknown &&
        out.difference->starts_with(fmt::format("exit {}: exit internal", last.size()))) {
        not_compared("an instruction that KVM's emulator does not have");
    } else if (!out.model.undetermined.empty()) {
        not_compared(out.model.undetermined);
    }
    return out;
}

std::optional<std::string> check_recorded(const KvmFacts& facts, const RecordedCase& recorded) {
    const ModeFacts& mode = facts.of(recorded.guest.mode);
    if (!mode.version) return "recorded in a mode that the recording's KVM does not run";
    const Transcript model = run_model(recorded.guest, recorded.script, *mode.version);
    if (!model.problem.empty()) return "the model: " + model.problem;
    return difference(recorded.transcript, model, mode.native, false);
}

std::string transcripts_text(const Both& both) {
    std::string out;
    const auto& a = both.real.observations;
    const auto& b = both.model.observations;
    constexpr int kAfter = 3;  // exits that differ are shown
    int left = kAfter;
    for (std::size_t i = 0; i < std::max(a.size(), b.size()) && left > 0; ++i) {
        const std::string real = i < a.size() ? line(a[i]) : "";
        const std::string model = i < b.size() ? line(b[i]) : "";
        if (real == model) {
            out += fmt::format("  {:>3}  both   {}\n", i + 1, real);
            if (left != kAfter) --left;
            continue;
        }
        --left;
        if (!real.empty()) out += fmt::format("  {:>3}  real   {}\n", i + 1, real);
        if (!model.empty()) out += fmt::format("  {:>3}  model  {}\n", i + 1, model);
    }
    return out +
           fmt::format("  end: real {}, model {}\n", end_text(both.real), end_text(both.model));
}

}  // namespace vtlsim::runner::conform_kvm
