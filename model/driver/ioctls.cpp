// START, STOP, RUN and removal, in the pieces that the VMM's thread does one at a time.
#include "model/driver/driver.hpp"

namespace vtlsim::model {

u64 SidecarDriver::status_address(unsigned vp) {
    return layout::kControlPage + offsetof(ControlPage, cpu_status) + vp;
}
u64 SidecarDriver::vp_state_address(unsigned vp) {
    return layout::kDriverPage + offsetof(DriverPage, vp_state) + vp;
}

void SidecarDriver::log_state(unsigned vp, VpState from, VpState to) {
    board_.emit(EventKind::driver_state, Lane::driver,
                {vp, static_cast<u64>(from), static_cast<u64>(to)});
}
void SidecarDriver::log_write(u64 address, u64 size, u64 value) {
    board_.emit(EventKind::driver_write, Lane::driver, {address, size, value});
}

VpState SidecarDriver::start_claim() const {
    return racy() ? VpState::async : VpState::async_starting;
}

bool SidecarDriver::claim(VpState to) {
    const VpState was = board_.compare_exchange(vp_state_address(board_.at), VpState::avail, to);
    if (was != VpState::avail) {
        board_.emit(EventKind::driver_busy, Lane::driver, {board_.at, static_cast<u64>(was)});
        return false;
    }
    log_state(board_.at, was, to);
    return true;
}

// #157: a release store would let the load of the status, which follows, come first.
void SidecarDriver::publish() {
    const u64 address = vp_state_address(board_.at);
    if (board_.switches().driver == Driver::asyncstarting_release_store) {
        board_.write(address, VpState::async);
    } else {
        board_.exchange(address, VpState::async);
    }
    log_state(board_.at, VpState::async_starting, VpState::async);
}

void SidecarDriver::rearm() {
    const u64 address = layout::kDriverPage + offsetof(DriverPage, needs_vp_scan);
    board_.exchange(address, u32{1});
    log_write(address, sizeof(u32), 1);
    wake_poller();
}

bool SidecarDriver::change_status(CpuStatus from, CpuStatus to) {
    const u64 address = status_address(board_.at);
    const CpuStatus was = board_.compare_exchange(address, from, to);
    if (was != from) {
        // An older stored version has a BUG here, and the kernel dies (hyperv-vtl.md 5, V2).
        board_.emit(EventKind::driver_warning, Lane::driver,
                    {board_.at, static_cast<u64>(from), static_cast<u64>(was)});
        return false;
    }
    log_write(address, sizeof(CpuStatus), static_cast<u64>(to));
    return true;
}

bool SidecarDriver::begin_stop() {
    const u64 address = vp_state_address(board_.at);
    const VpState was = board_.compare_exchange(address, VpState::async, VpState::async_stopping);
    if (was != VpState::async) return false;
    log_state(board_.at, was, VpState::async_stopping);
    return true;
}

bool SidecarDriver::stop_status() {
    const u64 address = status_address(board_.at);
    const CpuStatus was = board_.compare_exchange(address, CpuStatus::run, CpuStatus::stop);
    if (was == CpuStatus::idle) return false;
    if (was != CpuStatus::run) {
        board_.emit(EventKind::driver_warning, Lane::driver,
                    {board_.at, static_cast<u64>(CpuStatus::run), static_cast<u64>(was)});
        return false;
    }
    log_write(address, sizeof(CpuStatus), static_cast<u64>(CpuStatus::stop));
    return true;
}

void SidecarDriver::cancel_status() {
    const u64 address = status_address(board_.at);
    if (board_.compare_exchange(address, CpuStatus::run, CpuStatus::stop) == CpuStatus::run) {
        log_write(address, sizeof(CpuStatus), static_cast<u64>(CpuStatus::stop));
    }
}

CpuStatus SidecarDriver::status() { return board_.read<CpuStatus>(status_address(board_.at)); }
bool SidecarDriver::idle() { return status() == CpuStatus::idle; }
bool SidecarDriver::removal_seen() {
    const bool stored = board_.switches().removal_wait == RemovalWait::remove_stored;
    return status() == (stored ? CpuStatus::remove : CpuStatus::removed);
}

void SidecarDriver::release() {
    board_.write(vp_state_address(board_.at), VpState::avail);
    log_state(board_.at, VpState::sync, VpState::avail);
}

void SidecarDriver::send_request_ipi() {
    // The ICR write is the kernel's WRMSR; Linux fences it (weak_wrmsr_fence).
    board_.fence();
    board_.touch(Object::request_ipi, board_.at, true);
    u8& in_flight = state_.request_ipis[board_.at];
    if (in_flight != 0xFF) ++in_flight;
    board_.emit(EventKind::ipi_sent, Lane::driver, {kRequestVector, board_.at});
}

void SidecarDriver::take_request_ipi(unsigned vp) {
    board_.touch(Object::request_ipi, vp, true);
    --state_.request_ipis[vp];
}

void SidecarDriver::clear_finished() {
    board_.touch(Object::finished, board_.at, true);
    state_.finished[board_.at] = false;
}

void SidecarDriver::sleep_sync() {
    board_.touch(Object::sync_wake, board_.at, true);
    state_.sync_woken[board_.at] = false;
    board_.emit(EventKind::driver_sleep, Lane::driver, {board_.at});
}

}  // namespace vtlsim::model
