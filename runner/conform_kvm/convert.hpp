// KVM's structures as the simulator's, and back. Linux on x86 only.
#pragma once

#if defined(__linux__) && defined(__x86_64__)

#include <linux/kvm.h>
#include <span>

#include "model/kvm/observation.hpp"

namespace vtlsim::runner::conform_kvm {

// Each reads or writes its part of the CpuState alone.
void from_kvm(const kvm_regs& from, sim::CpuState& to);
void from_kvm(const kvm_sregs& from, sim::CpuState& to);
void from_kvm(const kvm_debugregs& from, sim::CpuState& to);
void to_kvm(const sim::CpuState& from, kvm_regs& to);
void to_kvm(const sim::CpuState& from, kvm_sregs& to);
void to_kvm(const sim::CpuState& from, kvm_debugregs& to);
model::kvm::VcpuEvents from_kvm(const kvm_vcpu_events& from);
// An exception that is pending or injected is set as injected: KVM takes no pending ones without
// KVM_CAP_EXCEPTION_PAYLOAD. NMI and shadow are set, whatever they are.
kvm_vcpu_events to_kvm(const model::kvm::VcpuEvents& from);

// `page`: all that is mapped of the vCPU, for the data of an IO exit.
model::kvm::RunExit exit_of(const kvm_run& run, model::kvm::Return result,
                            std::span<const u8> page);

int new_eventfd();

}  // namespace vtlsim::runner::conform_kvm

#endif
