// The VMM of one VP: gives commands to the VTL2 kernel and handles what comes back
// (openvmm: openhcl/virt_mshv_vtl, processor/mshv/x64.rs; hyperv-vtl.md 3.4, 4).
#pragma once

#include "model/hyperv/hypervisor.hpp"
#include "model/vmm/devices.hpp"

namespace vtlsim::model {

class Vmm {
  public:
    Vmm(Board& board, Hypervisor& hypervisor, Devices& devices)
        : board_(board), hypervisor_(hypervisor), devices_(devices) {}

    // Whether step() has something to do now. While a command runs there is nothing.
    bool ready() const;
    // One atomic step.
    void step();
    // Asks the VTL2 kernel to stop the run (cancel); nothing if no run is going on. An intercept
    // that comes first is still handled (hyperv-vtl.md 3.4).
    void stop();

    enum class Phase : u8 {
        boot,        // waiting for the VTL2 kernel to be idle for the first time
        start,       // about to run the VP
        running,     // RUN_VP given, waiting
        handle,      // an intercept is to be handled
        set_rip,     // it has been; RIP moves
        setting_rip  // SET given, waiting
    };
    struct State {
        Phase phase = Phase::boot;
        u64 next_rip = 0;
        u64 exits = 0;  // intercepts handled
        bool stopping = false;
    };
    const State& state() const { return state_; }
    void set_state(const State& state) { state_ = state; }

    // Where the VTL2 kernel in use keeps the guest's registers and the message.
    u64 context_address() const;
    u64 message_address() const;

  private:
    bool sidecar() const { return board_.switches().vp_runner == VpRunner::sidecar; }
    CpuStatus cpu_status() const;
    void give_command(SidecarCommand command);
    void set_initial_context();
    void finish_run();
    void handle();
    void set_rip();
    void finish_set();

    // --- handlers, one per intercept; each leaves next_rip ---
    void handle_io_port_exit(const HvIoPortIntercept& message);
    void emulate_string_io(const HvIoPortIntercept& message);
    void handle_cpuid(const HvCpuidIntercept& message);
    void handle_msr(const HvMsrIntercept& message);
    void handle_hypercall(const HvHypercallIntercept& message);

    CpuContext context() const { return board_.load<CpuContext>(context_address()); }
    void write_gp(std::size_t offset, u64 value);
    template <class T>
    void write_wire(u64 address, const T& value);

    Board& board_;
    Hypervisor& hypervisor_;
    Devices& devices_;
    State state_;
};

}  // namespace vtlsim::model
