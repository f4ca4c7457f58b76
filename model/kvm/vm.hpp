// A virtual machine with one vCPU behind KVM's ioctls. The model and a real /dev/kvm implement it,
// so that one userspace actor (userspace.hpp) drives both.
#pragma once

#include "model/kvm/observation.hpp"

namespace vtlsim::model::kvm {

// Made with the guest's memory and initial registers already set.
class Vm {
  public:
    virtual ~Vm() = default;

    virtual RunExit run() = 0;  // KVM_RUN
    // Whether more steps (or time) than allowed have been used; run() may return early then.
    virtual bool exhausted() const = 0;
    // What the model lacks, empty if nothing: the script ends.
    virtual std::string problem() const { return {}; }
    // Transcript::undetermined, as far as the model sees it.
    virtual std::string undetermined() const { return {}; }

    // Each fills or takes its part of the state alone: GPRs, RIP, RFLAGS; segments, tables, control
    // registers, EFER; DR0-3, DR6, DR7.
    virtual void get_regs(sim::CpuState& state) = 0;
    virtual void set_regs(const sim::CpuState& state) = 0;
    virtual void get_sregs(sim::CpuState& state) = 0;
    virtual void set_sregs(const sim::CpuState& state) = 0;
    virtual void get_debug_registers(sim::CpuState& state) = 0;
    virtual void set_debug_registers(const sim::CpuState& state) = 0;
    virtual VcpuEvents get_events() = 0;
    virtual void set_events(const VcpuEvents& events) = 0;
    virtual u32 get_mp_state() = 0;
    virtual void set_mp_state(u32 state) = 0;
    // What set_regs() and, if asked, set_sregs() take, through kvm_run.s.regs, dirty for the next
    // run(). `known` off: also a bit in kvm_dirty_regs that KVM does not know.
    virtual void sync_regs(const sim::CpuState& state, bool sregs, bool known) = 0;
    virtual void set_guest_debug(const GuestDebug& debug) = 0;
    virtual void interrupt(u8 vector) = 0;
    virtual void nmi() = 0;
    // Userspace says that it has reset the vCPU, or moved RIP. KVM has no call for it.
    virtual void announce_reset() = 0;
    // The device model behind the exit at hand has died, its answer is lost. KVM knows
    // nothing of it; hypervisors whose device models are processes of their own do.
    virtual void abandon_access() = 0;
    virtual void init_sipi(u8 vector) = 0;
    virtual void set_immediate_exit(bool on) = 0;
    virtual void request_interrupt_window(bool on) = 0;
    // The data of a read exit, in order of address: IN's count * size bytes, MMIO's `length`; of an
    // RDMSR 8 bytes.
    virtual void set_read_data(std::span<const u8> data) = 0;
    virtual void set_msr_error(bool error) = 0;

    virtual void read_memory(u64 physical, std::span<u8> out) = 0;
    virtual void write_memory(u64 physical, std::span<const u8> bytes) = 0;
    // A new vCPU over the same memory takes the place of this one; nothing of its state is kept.
    virtual void replace_vcpu() = 0;
    // Looks at the vCPU without disturbing it: what an Observation holds beside the exit.
    virtual void observe(Observation& observation) = 0;
};

}  // namespace vtlsim::model::kvm
