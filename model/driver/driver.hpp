// The sidecar driver in the kernel of the base CPU: what its ioctls, its interrupt handler and its
// poll do, each memory access that others can see a step of its own (OHCL kernel:
// drivers/hv/mshv_vtl_sidecar.c as stored, before #154; hyperv-vtl.md 3.3, 3.6).
#pragma once

#include <string>

#include "model/board.hpp"

namespace vtlsim::model {

// Vectors and the base CPU: the request's is the sources' (3.1), the others are this simulator's.
inline constexpr u8 kRequestVector = 0x20;
inline constexpr u8 kResponseVector = 0xF0;
inline constexpr u64 kBaseCpu = 0xFF;  // no VP of the world

class SidecarDriver {
  public:
    explicit SidecarDriver(Board& board) : board_(board) {}

    // --- pieces of the ioctls; the VMM's thread calls them, one a step, for the VP at hand -------
    // AVAIL -> SYNC, or the state that START claims. False: busy.
    bool claim(VpState to);
    // What START claims into: a scan takes ASYNC for a run that may be over.
    VpState start_claim() const;
    bool publishes() const { return start_claim() == VpState::async_starting; }
    void publish();
    // The scan that publish() may have come too late for.
    void rearm();
    // cmpxchg of cpu_status; a warning in the log if it was another. False: it was.
    bool change_status(CpuStatus from, CpuStatus to);
    // ASYNC -> ASYNC_STOPPING. False: the run is over or was never started.
    bool begin_stop();
    // RUN -> STOP; false, without a warning, if the VP is idle.
    bool stop_status();
    // RUN -> STOP of a synchronous command; another status is looked at again.
    void cancel_status();
    CpuStatus status();
    bool idle();  // after publish(): again already, so that a scan may have missed it
    bool removal_seen();
    void release();  // SYNC -> AVAIL
    void send_request_ipi();

    // --- the interrupt handler on the base CPU ---------------------------------------------------
    bool isr_ready() const { return state_.isr != Isr::none; }
    std::string isr_step_name() const;
    void isr_step();

    // --- poll and read, called in a loop by one task of the VMM ----------------------------------
    bool poller_ready() const;
    std::string poller_step_name() const;
    void poller_step();

    // --- IPIs in flight --------------------------------------------------------------------------
    bool request_ipi_in_flight(unsigned vp) const { return state_.request_ipis[vp] != 0; }
    void take_request_ipi(unsigned vp);
    bool attention_ipi_in_flight() const { return state_.attention_ipis != 0; }
    void send_attention_ipi();
    void land_attention_ipi();

    // --- wake-ups of the VMM's threads -----------------------------------------------------------
    bool finished(unsigned vp) const { return state_.finished[vp]; }
    void clear_finished();
    bool sync_woken(unsigned vp) const { return state_.sync_woken[vp]; }
    void sleep_sync();

    enum class Isr : u8 { none, read, set_scan, clear, wake };
    enum class Poll : u8 { asleep, take_flag, first, second, mark, read, tell };
    struct State {
        std::array<u8, layout::kMaxVps> request_ipis{};
        u8 attention_ipis = 0;
        u16 attention_delay = 0;  // turns until one in flight may land
        Isr isr = Isr::none;
        bool isr_again = false;  // another IPI has landed while the handler ran
        Poll poll = Poll::asleep;
        bool poll_wake = false;
        u8 scan_vp = 0;  // the VP that the scan or the read is at
        std::array<bool, layout::kMaxVps> finished{};
        std::array<bool, layout::kMaxVps> sync_woken{};
        friend bool operator==(const State&, const State&) = default;
    };
    const State& state() const { return state_; }
    State& state() { return state_; }
    void set_state(const State& state) { state_ = state; }

    static u64 status_address(unsigned vp);
    static u64 vp_state_address(unsigned vp);

  private:
    VpState vp_state(unsigned vp) { return board_.read<VpState>(vp_state_address(vp)); }
    void log_state(unsigned vp, VpState from, VpState to);
    void log_write(u64 address, u64 size, u64 value);
    bool racy() const { return board_.switches().driver == Driver::racy; }
    void wake_poller();
    void next_vp();

    Board& board_;
    State state_;
};

}  // namespace vtlsim::model
