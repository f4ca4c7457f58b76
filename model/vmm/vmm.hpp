// The VMM's thread for one VP: gives commands to the VTL2 kernel and handles what comes back
// (openvmm: openhcl/virt_mshv_vtl, processor/mshv/x64.rs; openhcl/sidecar_client; hyperv-vtl.md
// 3.4, 3.5, 4). Its ioctls are the driver's code, run step by step on this thread.
#pragma once

#include <functional>
#include <optional>

#include "model/devices/devices.hpp"
#include "model/driver/driver.hpp"
#include "model/hyperv/hypervisor.hpp"
#include "sim/decode/insn_view.hpp"

namespace vtlsim::model {

constexpr u64 low_bits(unsigned bytes) { return bytes >= 8 ? ~u64{0} : (u64{1} << bytes * 8) - 1; }
constexpr u64 page_base(u64 address) { return address & ~(sim::kPageSize - 1); }

class Vmm {
  public:
    Vmm(Board& board, unsigned vp, Hypervisor& hypervisor, SidecarDriver& driver, Devices& devices)
        : board_(board), vp_(vp), hypervisor_(hypervisor), driver_(driver), devices_(devices) {}

    // Whether step() has something to do now, whichever VP is at hand. While a command runs there
    // is nothing.
    bool ready() const;
    // One atomic step; the thread's VP is at hand.
    void step();
    // What step() would do ("claim ASYNC").
    std::string step_name() const;
    // Asks the VTL2 kernel to stop the run (cancel): all of the STOP ioctl at once; nothing if no
    // run is going on. An intercept that comes first is still handled (hyperv-vtl.md 3.4).
    void stop();
    // The same, but the thread does the ioctl in steps of its own, when it is scheduled.
    void request_stop() { state_.stop_wanted = true; }
    bool can_request_stop() const { return state_.phase == Phase::running && !state_.stopping; }
    // A signal: it ends the wait of a synchronous command, and does nothing elsewhere.
    void signal() { state_.signal = can_signal(); }
    bool can_signal() const {
        const bool waits = state_.phase == Phase::sync_wait || state_.phase == Phase::sync_asleep;
        return waits && state_.sync != Sync::remove && !state_.signal;
    }

    // In the order of a run; `start_` and `sync_` are the START and RUN ioctls of the driver.
    enum class Phase : u8 {
        boot,   // waiting for the VTL2 kernel to be idle for the first time
        start,  // about to run the VP
        start_claim,
        start_status,
        start_ipi,
        start_publish,
        start_recheck,
        start_rearm,
        running,  // RUN_VP given, waiting
        stop_claim,
        stop_status,
        stop_ipi,
        handle,   // an intercept is to be handled
        request,  // it has been; a synchronous command is to be written
        sync_claim,
        sync_status,
        sync_ipi,
        sync_wait,
        sync_asleep,
        cancel_status,  // a signal has ended that wait
        cancel_stop,
        cancel_wait,
        cancel_asleep,
        sync_release,
        direct_wait,  // kernel_driver: the ioctl runs
        response,     // the command is done
        over,
    };
    // What the synchronous command at hand is for; set_rip ends the handling of an exit.
    enum class Sync : u8 { set_rip, cache, translate, inject, save_mtrrs, save, remove };
    enum class GvaMode : u8 { none, read, write, execute };
    // The emulator's work on the exit at hand, from one TRANSLATE command to the next.
    struct Emulation {
        u64 gva_page = 0;  // the one translation that it remembers, for `known`
        u64 gpa_page = 0;
        u64 wanted = 0;                // the address that it has asked for, for `asked`
        std::array<Vec128, 2> read{};  // what the instruction or element at hand has read so far
        Vec128 code{};                 // fetched, where the message has no bytes
        u16 elements = 0;              // of a repeated string instruction, done at this exit
        u8 reads = 0;
        u8 code_size = 0;
        GvaMode known = GvaMode::none;
        GvaMode asked = GvaMode::none;
        bool event_follows = false;  // the guest gets State::event once RIP, RFLAGS, RSP are back
        friend bool operator==(const Emulation&, const Emulation&) = default;
    };
    struct State {
        Phase phase = Phase::boot;
        Sync sync = Sync::set_rip;
        u64 next_rip = 0;
        u64 next_rflags = 0;  // of an emulated instruction
        u64 next_rsp = 0;     // likewise
        Vec128 event{};       // for the guest (PendingEvent0)
        Emulation emulation;
        bool ext_int_done = false;
        bool emulated = false;  // the exit at hand, by the emulator: RIP, RFLAGS and RSP go back
        u64 exits = 0;          // intercepts handled
        bool signal = false;
        bool stop_wanted = false;
        bool stopping = false;
        bool leaving = false;                // the sidecar, after the first exit (3.5)
        EndReason result = EndReason::none;  // when over
        friend bool operator==(const State&, const State&) = default;
    };
    const State& state() const { return state_; }
    void set_state(const State& state) { state_ = state; }

    // How a plug-in's names are resolved (World::value).
    std::function<std::optional<Vec128>(std::string_view)> lookup;

    // Where the VTL2 kernel in use keeps the guest's registers and the message.
    u64 context_address() const;
    u64 message_address() const;

  private:
    friend class Intercept;
    bool sidecar() const { return board_.switches().vp_runner == VpRunner::sidecar; }
    u64 request_address() const;
    CpuStatus cpu_status() const;
    void set_initial_context();

    void begin_run();
    void direct_command(SidecarCommand command);
    void stop_step();
    void wait_step();
    void cancel_step();
    void finish_run();
    void handle();
    void write_request();
    void write_set_request();
    void write_translate_request();
    void set_done();
    void write_get_request(std::span<const u32> names);
    u64 answered(std::size_t i);  // the low half of a GET's i-th value
    void finish_translation();
    void set_rip_in_page();
    void finish_request();
    void end_run();
    void conclude(EndReason reason);

    // --- handlers, one per intercept; each leaves next_rip, or says that nothing moves ---
    void handle_io_port_exit(const HvIoPortIntercept& message);
    void handle_cpuid(const HvCpuidIntercept& message);
    void handle_msr(const HvMsrIntercept& message);
    void handle_hypercall(const HvHypercallIntercept& message);
    std::optional<u64> serve(const HypercallAnswer& answer, u64 control, bool long_mode);
    void take_fast_input(u8 words, bool long_mode);
    void give_fast_output(std::size_t at, const std::vector<u64>& words, bool long_mode);
    void handle_asynchronous(MessageType type, u64 payload);
    // The guest gets the event instead of the instruction's end: RIP stays (4).
    void inject(Vec128 event);
    void exit_handled();
    void nothing_moves(MessageType type, u64 value);
    void panic(MessageType type, u64 value);

    // --- the emulator (emulator.cpp, emulator_memory.cpp) ---
    bool emulation_fails(const HvInterceptHeader& header);
    // The registers that it wants besides are fetched first (4.7).
    void begin_emulation(const HvInterceptHeader& header);
    // Starts, or goes on after a translation, from the context as it is.
    void emulate();
    bool fetch(u64 address);
    void emulate_operand(const sim::InsnView& insn, const sim::CpuState& s,
                         std::span<const u8> bytes);
    void emulate_string(const sim::InsnView& insn, const sim::CpuState& s);
    void finish_emulation(u64 rip);
    sim::CpuState emulated_state(const HvInterceptHeader& header);
    void commit_registers(const sim::CpuState& from, const sim::CpuState& to);
    // The guest gets an exception instead of the instruction's end, or with it.
    void emulation_event(sim::Vector vector, std::optional<u32> error_code, u64 parameter = 0);
    void emulation_fault(const std::string& why);  // the VP cannot go on
    // Accesses of the emulator. False, nothing: it waits for a translation, or has ended. `taken`
    // counts the reads of the instruction or element at hand.
    std::optional<u64> linear_address(const sim::CpuState& s, sim::Seg seg, u64 offset, u64 size);
    std::optional<u64> translate(u64 gva, GvaMode mode);
    std::optional<Vec128> emulated_read(unsigned& taken, u64 gva, u8 size);
    bool emulated_write(u64 gva, u8 size, const Vec128& value);
    std::optional<bool> meets_ram(u64 gpa, u8 size);
    bool may_access_port();
    std::optional<u32> emulated_in(unsigned& taken, u16 port, u8 size);

    CpuContext context() { return board_.read<CpuContext>(context_address()); }
    void write_gp(std::size_t offset, u64 value);
    template <class T>
    void write_wire(u64 address, const T& value) {
        board_.write(address, value);
        log_write(address, sizeof(T), &value);
    }
    void log_write(u64 address, std::size_t size, const void* value);

    Board& board_;
    unsigned vp_;  // step() is called while this VP is the one at hand, ready() at any time
    Hypervisor& hypervisor_;
    SidecarDriver& driver_;
    Devices& devices_;
    State state_;
};

}  // namespace vtlsim::model
