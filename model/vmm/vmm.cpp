#include "model/vmm/vmm.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/hyperv/names.hpp"

namespace vtlsim::model {

CpuStatus Vmm::cpu_status() const {
    return board_.load<CpuStatus>(SidecarDriver::status_address(vp_));
}

bool Vmm::ready() const {
    switch (state_.phase) {
        case Phase::boot:
        case Phase::direct_wait:
            return cpu_status() == CpuStatus::idle;
        case Phase::running:
            return sidecar() ? driver_.finished(vp_) || state_.stop_wanted
                             : cpu_status() == CpuStatus::idle;
        case Phase::sync_asleep:
            return driver_.sync_woken(vp_) || state_.signal;
        case Phase::cancel_asleep:
            return driver_.sync_woken(vp_);
        case Phase::over:
            return false;
        default:
            return true;
    }
}

std::string Vmm::step_name() const {
    const bool removal = state_.sync == Sync::remove;
    switch (state_.phase) {
        case Phase::boot:
            return "initial context";
        case Phase::start:
            return state_.stopping ? "return" : "command RUN_VP";
        case Phase::start_claim:
            return driver_.publishes() ? "claim ASYNC_STARTING" : "claim ASYNC";
        case Phase::start_status:
            return "status RUN";
        case Phase::start_ipi:
            return "request IPI";
        case Phase::start_publish:
            return "publish ASYNC";
        case Phase::start_recheck:
            return "status again";
        case Phase::start_rearm:
            return "re-arm the scan";
        case Phase::running:
            return sidecar() && !driver_.finished(vp_) ? "STOP" : "run finished";
        case Phase::stop_claim:
            return "claim ASYNC_STOPPING";
        case Phase::stop_status:
            return "status STOP";
        case Phase::stop_ipi:
            return "stop IPI";
        case Phase::handle:
            return "handle";
        case Phase::request:
            return state_.sync == Sync::set_rip     ? "command SET rip"
                   : state_.sync == Sync::inject    ? "command SET event"
                   : state_.sync == Sync::translate ? "command TRANSLATE"
                   : state_.sync == Sync::cache     ? "command GET cache"
                                                    : "command GET";
        case Phase::sync_claim:
            return removal ? "claim REMOVED" : "claim SYNC";
        case Phase::sync_status:
            return removal ? "status REMOVE" : "status RUN (sync)";
        case Phase::sync_ipi:
            return "request IPI (sync)";
        case Phase::sync_wait:
        case Phase::sync_asleep:
            return removal ? "removed?" : "idle?";
        case Phase::cancel_status:
            return "status (signal)";
        case Phase::cancel_stop:
            return "status STOP (signal)";
        case Phase::cancel_wait:
        case Phase::cancel_asleep:
            return "stopped?";
        case Phase::sync_release:
            return "release AVAIL";
        case Phase::direct_wait:
            return "ioctl done";
        case Phase::response:
            return "response";
        case Phase::over:
            break;
    }
    return {};
}

void Vmm::step() {
    board_.next_step();
    const auto next = [&](Phase phase) { state_.phase = phase; };
    switch (state_.phase) {
        case Phase::boot:
            board_.touch(Object::cpu_status, board_.at, false);
            set_initial_context();
            next(Phase::start);
            break;
        case Phase::start:
            begin_run();
            break;
        case Phase::start_claim:
            if (driver_.claim(driver_.start_claim())) {
                next(Phase::start_status);
            } else {
                conclude(EndReason::vmm_error);
            }
            break;
        case Phase::start_status:
            driver_.change_status(CpuStatus::idle, CpuStatus::run);
            next(Phase::start_ipi);
            break;
        case Phase::start_ipi:
            driver_.send_request_ipi();
            next(driver_.publishes() ? Phase::start_publish : Phase::running);
            break;
        case Phase::start_publish:
            driver_.publish();
            next(Phase::start_recheck);
            break;
        case Phase::start_recheck:
            next(driver_.idle() ? Phase::start_rearm : Phase::running);
            break;
        case Phase::start_rearm:
            driver_.rearm();
            next(Phase::running);
            break;
        case Phase::running:
            if (sidecar() && !driver_.finished(vp_)) {
                board_.touch(Object::finished, board_.at, false);
                state_.stop_wanted = false;
                state_.stopping = true;
                next(Phase::stop_claim);
            } else {
                finish_run();
            }
            break;
        case Phase::stop_claim:
        case Phase::stop_status:
        case Phase::stop_ipi:
            stop_step();
            break;
        case Phase::handle:
            handle();
            break;
        case Phase::request:
            write_request();
            break;
        case Phase::sync_claim: {
            const bool removal = state_.sync == Sync::remove;
            if (driver_.claim(removal ? VpState::removed : VpState::sync)) {
                next(Phase::sync_status);
            } else {
                conclude(EndReason::vmm_error);
            }
            break;
        }
        case Phase::sync_status:
            driver_.change_status(CpuStatus::idle,
                                  state_.sync == Sync::remove ? CpuStatus::remove : CpuStatus::run);
            next(Phase::sync_ipi);
            break;
        case Phase::sync_ipi:
            driver_.send_request_ipi();
            next(Phase::sync_wait);
            break;
        case Phase::sync_wait:
        case Phase::sync_asleep:
            wait_step();
            break;
        case Phase::cancel_status:
        case Phase::cancel_stop:
        case Phase::cancel_wait:
        case Phase::cancel_asleep:
            cancel_step();
            break;
        case Phase::sync_release:
            driver_.release();
            next(Phase::response);
            break;
        case Phase::direct_wait:
            board_.touch(Object::cpu_status, board_.at, false);
            next(Phase::response);
            finish_request();
            break;
        case Phase::response:
            finish_request();
            break;
        case Phase::over:
            break;
    }
}

void Vmm::conclude(EndReason reason) {
    state_.phase = Phase::over;
    state_.result = reason;
    if (board_.vps.size() == 1 || reason == EndReason::vmm_error) board_.finish(reason);
}

}  // namespace vtlsim::model
