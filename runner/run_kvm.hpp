// Runs and judges KVM scenarios on the model.
#pragma once

#include <optional>
#include <string>

#include "model/kvm/observation.hpp"
#include "model/log/event_log.hpp"
#include "runner/load_kvm.hpp"
#include "runner/run.hpp"

namespace vtlsim::runner {

// A finished run of the model.
struct KvmRun {
    model::kvm::Transcript transcript;
    model::EventLog log;
    model::EndReason end = model::EndReason::none;
    u64 steps = 0;
};

KvmRun run_kvm(const KvmScenario& scenario, const KvmVariant& variant);
// Runs and judges; `variant` is an index.
Result run_kvm_variant(const KvmScenario& scenario, std::size_t variant);
Result judge_kvm(const KvmRun& run, const KvmScenario& scenario, const KvmVariant& variant);
// What guest memory holds at the end.
void read_final_memory(const KvmRun& run, const model::kvm::Guest& guest, u64 address,
                       std::span<u8> out);

// Values of a run, as texts. Registers are those of the last return of KVM_RUN; N counts from 1:
//   rip  rax  ...  mp_state          exit.N.rip  exit.N.mp_state  exit.N.shadow
//   exit.N.text   "io out port=0x80 ..."      exit.N  the reason or, if not 0, the result
//   exits         "io,debug,hlt"     runs     how many KVM_RUNs
//   writes        "41,42": what devices were written, by exit      reads  read exits served
bool known_kvm_value(const std::string& path);
bool kvm_value_is_number(const std::string& path);
std::string kvm_value(const KvmRun& run, const std::string& path);

}  // namespace vtlsim::runner
