// The interrupt handler, the scan, poll and read.
#include <fmt/format.h>

#include "model/driver/driver.hpp"

namespace vtlsim::model {

namespace {

constexpr u64 kNeedsScan = layout::kDriverPage + offsetof(DriverPage, needs_vp_scan);
constexpr u64 kNeedsAttention = layout::kControlPage + offsetof(ControlPage, needs_attention);

}  // namespace

// --- IPIs ---------------------------------------------------------------------------------------

void SidecarDriver::send_attention_ipi() {
    board_.touch(Object::attention_ipi, 0, true);
    if (state_.attention_ipis != 0xFF) ++state_.attention_ipis;
    state_.attention_delay = board_.config.attention_delay;
    board_.emit(EventKind::ipi_sent, Lane::vtl2, {kResponseVector, kBaseCpu});
}

void SidecarDriver::land_attention_ipi() {
    board_.touch(Object::attention_ipi, 0, true);
    board_.touch(Object::isr, 0, true);
    --state_.attention_ipis;
    if (state_.isr != Isr::none) {
        state_.isr_again = true;
    } else {
        state_.isr = Isr::read;
    }
    board_.emit(EventKind::ipi_landed, Lane::driver, {kResponseVector});
}

// --- the interrupt handler ----------------------------------------------------------------------

std::string SidecarDriver::isr_step_name() const {
    switch (state_.isr) {
        case Isr::read:
            return "read needs_attention";
        case Isr::set_scan:
            return "needs_vp_scan = 1";
        case Isr::clear:
            return "needs_attention = 0";
        case Isr::wake:
            return "wake";
        case Isr::none:
            break;
    }
    return {};
}

void SidecarDriver::isr_step() {
    const auto done = [&] {
        state_.isr = std::exchange(state_.isr_again, false) ? Isr::read : Isr::none;
    };
    board_.touch(Object::isr, 0, true);
    switch (state_.isr) {
        case Isr::read:
            if (board_.read<u32>(kNeedsAttention) != 0) {
                state_.isr = Isr::set_scan;
            } else {
                done();
            }
            break;
        case Isr::set_scan:
            board_.write(kNeedsScan, u32{1});
            log_write(kNeedsScan, sizeof(u32), 1);
            state_.isr = Isr::clear;
            break;
        case Isr::clear:
            board_.exchange(kNeedsAttention, u32{0});
            log_write(kNeedsAttention, sizeof(u32), 0);
            state_.isr = Isr::wake;
            break;
        case Isr::wake:
            wake_poller();
            for (unsigned vp = 0; vp < board_.vps.size(); ++vp) {
                board_.touch(Object::sync_wake, vp, true);
                state_.sync_woken[vp] = true;
            }
            done();
            break;
        case Isr::none:
            break;
    }
}

void SidecarDriver::wake_poller() {
    // A wake-up is a full barrier (Linux: Documentation/memory-barriers.txt, sleep and wake-up).
    board_.fence();
    board_.touch(Object::poll_wake, 0, true);
    state_.poll_wake = true;
}

// --- poll and read ------------------------------------------------------------------------------

bool SidecarDriver::poller_ready() const { return state_.poll != Poll::asleep || state_.poll_wake; }

std::string SidecarDriver::poller_step_name() const {
    const auto first_load = racy() ? "cpu_status" : "vp_state";
    const auto second_load = racy() ? "vp_state" : "cpu_status";
    switch (state_.poll) {
        case Poll::asleep:
            return "poll";
        case Poll::take_flag:
            return "take needs_vp_scan";
        case Poll::first:
            return fmt::format("scan vp{} {}", state_.scan_vp, first_load);
        case Poll::second:
            return fmt::format("scan vp{} {}", state_.scan_vp, second_load);
        case Poll::mark:
            return fmt::format("vp{} ASYNC_STOPPED", state_.scan_vp);
        case Poll::read:
            return fmt::format("read vp{}", state_.scan_vp);
        case Poll::tell:
            return fmt::format("finished vp{}", state_.scan_vp);
    }
    return {};
}

void SidecarDriver::next_vp() {
    if (++state_.scan_vp < board_.vps.size()) return;
    state_.scan_vp = 0;
    state_.poll = Poll::read;
}

void SidecarDriver::poller_step() {
    const unsigned vp = state_.scan_vp;
    const auto async = [](VpState s) {
        return s == VpState::async || s == VpState::async_stopping;
    };
    switch (state_.poll) {
        case Poll::asleep:
            board_.touch(Object::poll_wake, 0, true);
            state_.poll_wake = false;
            state_.poll = Poll::take_flag;
            break;
        case Poll::take_flag: {
            const u32 was = board_.exchange(kNeedsScan, u32{0});
            if (was != 0) log_write(kNeedsScan, sizeof(u32), 0);
            state_.scan_vp = 0;
            state_.poll = was != 0 ? Poll::first : Poll::read;
            break;
        }
        case Poll::first: {
            // Stored version: status, then state. #157: state first, so that ASYNC says RUN was
            // set.
            bool interesting = false;
            if (racy()) {
                interesting = board_.read<CpuStatus>(status_address(vp)) == CpuStatus::idle;
            } else {
                interesting = async(vp_state(vp));
            }
            if (interesting) {
                state_.poll = Poll::second;
            } else {
                next_vp();
            }
            break;
        }
        case Poll::second: {
            const bool over = racy()
                                  ? async(vp_state(vp))
                                  : board_.read<CpuStatus>(status_address(vp)) == CpuStatus::idle;
            state_.poll = over ? Poll::mark : Poll::first;
            if (!over) next_vp();
            break;
        }
        case Poll::mark: {
            board_.fence();
            const VpState was = vp_state(vp);
            board_.touch_address(vp_state_address(vp), true);
            board_.store(vp_state_address(vp), VpState::async_stopped);
            log_state(vp, was, VpState::async_stopped);
            state_.poll = Poll::first;
            next_vp();
            break;
        }
        case Poll::read:
            // read() gives one stopped VP; poll() sleeps when there is none.
            if (vp_state(vp) == VpState::async_stopped) {
                board_.fence();
                board_.touch_address(vp_state_address(vp), true);
                board_.store(vp_state_address(vp), VpState::avail);
                log_state(vp, VpState::async_stopped, VpState::avail);
                state_.poll = Poll::tell;
            } else if (vp + 1 < board_.vps.size()) {
                ++state_.scan_vp;
            } else {
                state_.scan_vp = 0;
                state_.poll = Poll::asleep;
            }
            break;
        case Poll::tell:
            board_.touch(Object::finished, vp, true);
            state_.finished[vp] = true;
            board_.emit(EventKind::poll_finished, Lane::driver, {vp});
            state_.poll = Poll::take_flag;
            break;
    }
}

}  // namespace vtlsim::model
