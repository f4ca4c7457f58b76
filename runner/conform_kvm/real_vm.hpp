// One virtual machine with one vCPU behind /dev/kvm. Linux on x86 only.
#pragma once

#if defined(__linux__) && defined(__x86_64__)

#include <string>
#include <vector>

#include "model/kvm/vm.hpp"
#include "runner/conform_kvm/ioctls.hpp"

namespace vtlsim::runner::conform_kvm {

// What a virtual machine is made for; cases that agree in it can use one after another.
struct MachineKind {
    std::vector<sim::RamRange> ram;
    bool userspace_msr = false;
    // An interrupt controller in the kernel: MP_STATE and INIT need it, and HLT then does not exit.
    bool irqchip = false;
    std::vector<u16> in_kernel_ports;  // OUT to these does not exit (KVM_IOEVENTFD)
    friend bool operator==(const MachineKind& a, const MachineKind& b);
};
MachineKind kind_of(const model::kvm::Guest& guest, const model::kvm::Script& script);

class RealVm final : public model::kvm::Vm {
  public:
    // `kvm`: /dev/kvm. An ioctl that fails makes problem() not empty; so for all of this class.
    RealVm(int kvm, MachineKind kind);

    const MachineKind& kind() const { return kind_; }
    // The state of a machine that has just been made, with this guest in it. False: what the last
    // guest left behind cannot be ended; nothing has been done then.
    bool start(const model::kvm::Guest& guest, bool observe_events);
    // Whether start() can make the machine as good as new.
    bool reusable() const { return reusable_ && problem_.empty(); }
    // From here on KVM_RUN returns. Async-signal-safe.
    void interrupt_run() { run_->immediate_exit = 1; }
    void set_expired(const volatile bool* expired) { expired_ = expired; }

    model::kvm::RunExit run() override;
    bool exhausted() const override { return exhausted_; }
    std::string problem() const override { return problem_; }
    void get_regs(sim::CpuState& state) override;
    void set_regs(const sim::CpuState& state) override;
    void get_sregs(sim::CpuState& state) override;
    void set_sregs(const sim::CpuState& state) override;
    void get_debug_registers(sim::CpuState& state) override;
    void set_debug_registers(const sim::CpuState& state) override;
    model::kvm::VcpuEvents get_events() override;
    void set_events(const model::kvm::VcpuEvents& events) override;
    u32 get_mp_state() override;
    void set_mp_state(u32 state) override;
    void sync_regs(const sim::CpuState& state, bool sregs, bool known) override;
    void set_guest_debug(const model::kvm::GuestDebug& debug) override;
    void interrupt(u8 vector) override;
    void nmi() override;
    // cannot_run() keeps these away.
    void init_sipi(u8) override {}
    void announce_reset() override {}
    void abandon_access() override {}
    void set_immediate_exit(bool on) override;
    void request_interrupt_window(bool on) override;
    void set_read_data(std::span<const u8> data) override;
    void set_msr_error(bool error) override;
    void read_memory(u64 physical, std::span<u8> out) override;
    void write_memory(u64 physical, std::span<const u8> bytes) override;
    void replace_vcpu() override;
    void observe(model::kvm::Observation& observation) override;

  private:
    template <typename T>
    int call(const Fd& fd, unsigned long request, const char* name, T argument);
    void fail(const char* what);
    void make_vcpu();
    bool settle();
    void load_memory(const model::kvm::Guest& guest);
    u8* at(u64 physical, std::size_t size);
    std::span<u8> payload();

    MachineKind kind_;
    int kvm_;
    Fd vm_, vcpu_;
    std::vector<Mapping> ram_;  // as kind_.ram
    Mapping run_page_;
    kvm_run* run_ = nullptr;
    std::size_t run_size_ = 0;
    u32 next_vcpu_ = 0;
    kvm_sregs tables_{};  // what a CpuState does not hold
    std::string problem_;
    bool exhausted_ = false;
    bool reusable_ = true;
    bool observe_events_ = false;
    bool immediate_exit_ = false;
    const volatile bool* expired_ = nullptr;
};

}  // namespace vtlsim::runner::conform_kvm

#endif
