// What the VMM's thread asks of the VTL2 kernel, and what it does with the answers.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "model/hyperv/names.hpp"
#include "model/vmm/vmm.hpp"

namespace vtlsim::model {

using sim::Reg;

namespace {

// The result of the kernel driver's stand-in for an ioctl (layout::kIoctlPage).
constexpr u64 kIoctlResult = 4;

// What the emulator asks for: RSP, ES, DS, FS, GS, SS, CR0, EFER (4.7).
constexpr u32 kEmulationCache[] = {kHvRegisterRsp,    kHvRegisterEs + 0, kHvRegisterEs + 3,
                                   kHvRegisterEs + 4, kHvRegisterEs + 5, kHvRegisterEs + 2,
                                   hv_register::kCr0, hv_register::kEfer};
// Of what is saved when the VP leaves the sidecar, that which the context has not (3.5).
constexpr u32 kSaved[] = {kHvRegisterRip, kHvRegisterDr0, kHvRegisterDr0 + 1, kHvRegisterDr0 + 2,
                          kHvRegisterDr0 + 3};
// More than a request has room for with the others.
constexpr std::array<u32, 28> kSavedMtrrs = [] {
    std::array<u32, 28> names{kHvRegisterMtrrCap + 1};  // the default type
    std::size_t at = 1;
    const auto add = [&](u32 first, u32 count) {
        for (u32 i = 0; i < count; ++i) names[at++] = first + i;
    };
    add(0x80010, 8);   // bases
    add(0x80040, 8);   // masks
    add(0x80070, 11);  // fixed ranges
    return names;
}();

RegisterRequest register_request(u16 count) {
    RegisterRequest head{};
    head.count = count;
    head.target_vtl = 0x10 | kVtl0;
    return head;
}
RegisterAssociation association(u32 name, u64 value) {
    RegisterAssociation assoc{};
    assoc.name = name;
    assoc.value = {value, 0};
    return assoc;
}
RegisterAssociation association(u32 name, Vec128 value) {
    RegisterAssociation assoc{};
    assoc.name = name;
    assoc.value = value;
    return assoc;
}

}  // namespace

void Vmm::begin_run() {
    if (state_.stopping) {  // the exit that won has been handled
        end_run();
        return;
    }
    board_.emit(EventKind::vmm_run, Lane::vmm, {static_cast<u64>(SidecarCommand::run_vp)});
    if (!sidecar()) {
        direct_command(SidecarCommand::run_vp);
        state_.phase = Phase::running;
        return;
    }
    if (board_.switches().vmm_fix == VmmFix::VH) {
        write_wire(message_address() + offsetof(HvMessage, type), u32{0});
        write_wire(request_address(), u8{0});
    }
    write_wire(board_.page(layout::kCommandPage) + offsetof(CommandPage, command),
               SidecarCommand::run_vp);
    driver_.clear_finished();
    state_.phase = Phase::start_claim;
}

// The kernel driver's VMM enters the ioctl on the VP's own thread: nothing comes between.
void Vmm::direct_command(SidecarCommand command) {
    write_wire(board_.page(layout::kIoctlPage), command);
    write_wire(SidecarDriver::status_address(vp_), CpuStatus::run);
    board_.touch(Object::apic, board_.at, true);
    hypervisor_.interrupt(kVtl2, kRequestVector, false);
}

void Vmm::stop() {
    board_.next_step();
    if (!can_request_stop()) return;
    state_.stopping = true;
    if (!sidecar()) {
        write_wire(board_.page(layout::kHclRun) + offsetof(HclRun, cancel), u32{1});
        hypervisor_.interrupt(kVtl2, kRequestVector, false);
        return;
    }
    driver_.begin_stop();
    if (driver_.stop_status()) hypervisor_.interrupt(kVtl2, kRequestVector, false);
}

void Vmm::stop_step() {
    switch (state_.phase) {
        case Phase::stop_claim:
            state_.phase = driver_.begin_stop() ? Phase::stop_status : Phase::running;
            break;
        case Phase::stop_status:
            state_.phase = driver_.stop_status() ? Phase::stop_ipi : Phase::running;
            break;
        default:
            driver_.send_request_ipi();
            state_.phase = Phase::running;
            break;
    }
}

// wait_event: the condition is looked at before the first sleep, too, and before a signal (3.3).
void Vmm::wait_step() {
    board_.touch(Object::sync_wake, board_.at, true);
    const bool removal = state_.sync == Sync::remove;
    const bool signal = std::exchange(state_.signal, false);
    if (removal ? driver_.removal_seen() : driver_.idle()) {
        state_.phase = removal ? Phase::response : Phase::sync_release;
    } else if (signal) {
        board_.emit(EventKind::driver_signal, Lane::driver, {board_.at});
        state_.phase = Phase::cancel_status;
    } else {
        driver_.sleep_sync();
        state_.phase = Phase::sync_asleep;
    }
}

// What a signal makes of the wait: STOP, without an IPI, and a wait that no signal ends. The ioctl
// then succeeds as if there had been none (OHCL kernel: sidecar_ioctl_run).
void Vmm::cancel_step() {
    switch (state_.phase) {
        case Phase::cancel_status:
            switch (driver_.status()) {
                case CpuStatus::idle:
                    state_.phase = Phase::sync_release;
                    break;
                case CpuStatus::run:
                    state_.phase = Phase::cancel_stop;
                    break;
                case CpuStatus::stop:
                    state_.phase = Phase::cancel_wait;
                    break;
                default:
                    board_.not_modelled("a synchronous command of a VP that is being removed");
                    break;
            }
            break;
        case Phase::cancel_stop:
            driver_.cancel_status();
            state_.phase = Phase::cancel_status;
            break;
        default:
            board_.touch(Object::sync_wake, board_.at, true);
            if (driver_.status() != CpuStatus::stop) {
                state_.phase = Phase::cancel_status;
            } else {
                driver_.sleep_sync();
                state_.phase = Phase::cancel_asleep;
            }
            break;
    }
}

void Vmm::finish_run() {
    if (sidecar()) {
        board_.touch(Object::finished, board_.at, true);
    } else {
        board_.touch(Object::cpu_status, board_.at, false);
    }
    // A stop that comes too late: what the run brought is handled first (3.4).
    if (std::exchange(state_.stop_wanted, false)) state_.stopping = true;
    const u64 command = board_.page(layout::kCommandPage);
    if (sidecar() && board_.read<u8>(command + offsetof(CommandPage, has_error)) != 0) {
        const auto error = board_.read<SidecarError>(command + offsetof(CommandPage, error));
        const u64 text = board_.log.add_text(
            std::string(reinterpret_cast<const char*>(error.text.data()), error.length));
        board_.emit(EventKind::vmm_error, Lane::vmm, {text});
        conclude(EndReason::vmm_error);
        return;
    }
    const u64 flag = sidecar() ? request_address() : board_.page(layout::kIoctlPage) + kIoctlResult;
    const bool hardened = board_.switches().vmm_fix == VmmFix::VH;
    const bool none = hardened && board_.read<u32>(message_address()) == 0;
    if (board_.read<u8>(flag) != 0 && !none) {
        state_.phase = Phase::handle;
        return;
    }
    board_.emit(EventKind::vmm_no_intercept, Lane::vmm);
    if (hardened && !state_.stopping) {
        state_.phase = Phase::start;
    } else {
        end_run();
    }
}

// The VP runs no more here: it was stopped, or it moves to Linux and its state is saved first.
void Vmm::end_run() {
    if (!state_.leaving) {
        conclude(EndReason::stopped);
        return;
    }
    state_.sync = Sync::save_mtrrs;
    state_.phase = Phase::request;
}

void Vmm::write_request() {
    SidecarCommand command = SidecarCommand::set_vp_registers;
    if (state_.sync == Sync::set_rip) {
        const u64 page = board_.page(layout::kRegisterPage);
        const bool page_valid = board_.read<u8>(page + offsetof(HvRegisterPage, is_valid)) != 0;
        if (board_.switches().set_rip_path == SetRipPath::register_page && page_valid) {
            set_rip_in_page();
            return;
        }
        write_set_request();
    } else if (state_.sync == Sync::translate) {
        command = SidecarCommand::translate_gva;
        write_translate_request();
    } else if (state_.sync == Sync::cache) {
        command = SidecarCommand::get_vp_registers;
        write_get_request(kEmulationCache);
    } else if (state_.sync == Sync::inject) {
        write_wire(request_address(), register_request(1));
        write_wire(request_address() + sizeof(RegisterRequest),
                   association(hv_register::kPendingEvent0, state_.event));
    } else {
        command = SidecarCommand::get_vp_registers;
        if (state_.sync == Sync::save) {
            write_get_request(kSaved);
        } else {
            write_get_request(kSavedMtrrs);
        }
    }
    board_.emit(EventKind::vmm_run, Lane::vmm, {static_cast<u64>(command)});
    if (sidecar()) {
        write_wire(board_.page(layout::kCommandPage) + offsetof(CommandPage, command), command);
        state_.phase = Phase::sync_claim;
    } else {
        direct_command(command);
        state_.phase = Phase::direct_wait;
    }
}

// RIP; after the emulator RFLAGS and RSP too, which it flushes with it (4).
void Vmm::write_set_request() {
    std::vector<RegisterAssociation> set{association(kHvRegisterRip, state_.next_rip)};
    if (state_.emulated) {
        set.push_back(association(kHvRegisterRflags, state_.next_rflags));
        set.push_back(association(kHvRegisterRsp, state_.next_rsp));
    }
    write_wire(request_address(), register_request(static_cast<u16>(set.size())));
    for (std::size_t i = 0; i < set.size(); ++i) {
        write_wire(request_address() + sizeof(RegisterRequest) + i * sizeof(RegisterAssociation),
                   set[i]);
    }
}

void Vmm::write_get_request(std::span<const u32> names) {
    write_wire(request_address(), register_request(static_cast<u16>(names.size())));
    for (std::size_t i = 0; i < names.size(); ++i) {
        write_wire(request_address() + sizeof(RegisterRequest) + i * sizeof(RegisterAssociation),
                   association(names[i], 0));
    }
}

u64 Vmm::answered(std::size_t i) {
    return board_
        .read<RegisterAssociation>(request_address() + sizeof(RegisterRequest) +
                                   i * sizeof(RegisterAssociation))
        .value.lo;
}

void Vmm::set_rip_in_page() {
    const u64 page = board_.page(layout::kRegisterPage);
    write_wire(page + offsetof(HvRegisterPage, rip), state_.next_rip);
    u32 bits = board_.read<u32>(page + offsetof(HvRegisterPage, dirty)) | dirty::rip;
    if (state_.emulated) {
        write_wire(page + offsetof(HvRegisterPage, rflags), state_.next_rflags);
        bits |= dirty::flags;
    }
    if (state_.emulated &&
        state_.next_rsp != board_.read<u64>(page + offsetof(HvRegisterPage, rsp))) {
        write_wire(page + offsetof(HvRegisterPage, rsp), state_.next_rsp);
        bits |= dirty::general_purpose;
    }
    write_wire(page + offsetof(HvRegisterPage, dirty), bits);
    set_done();
}

// The emulator's event follows what it has flushed.
void Vmm::set_done() {
    if (std::exchange(state_.emulation.event_follows, false)) {
        inject(state_.event);
    } else {
        exit_handled();
    }
}

void Vmm::exit_handled() {
    // 3.5: the VP is to move after its first exit, and runs here until its new thread is there.
    if (board_.config.hotplug && state_.exits == 1) state_.leaving = true;
    state_.phase = Phase::start;
}

void Vmm::finish_request() {
    if (state_.sync == Sync::remove) {
        conclude(EndReason::removed);
        return;
    }
    if (state_.sync == Sync::translate) {
        finish_translation();
        return;
    }
    const auto head = board_.read<RegisterRequest>(request_address());
    if (head.status != hv_status::kSuccess) {
        const bool getting = state_.sync == Sync::save || state_.sync == Sync::save_mtrrs ||
                             state_.sync == Sync::cache;
        const u64 text = board_.log.add_text(
            fmt::format("{} of {} failed with status {:#x}", getting ? "GET" : "SET",
                        state_.sync == Sync::inject ? "PendingEvent0" : "RIP", head.status));
        board_.emit(EventKind::vmm_error, Lane::vmm, {text});
        conclude(EndReason::vmm_error);
        return;
    }
    if (state_.sync == Sync::cache) {
        state_.next_rsp = answered(0);
        emulate();
        return;
    }
    if (state_.sync == Sync::save_mtrrs) {
        state_.sync = Sync::save;
        state_.phase = Phase::request;
        return;
    }
    if (state_.sync == Sync::save) {
        board_.emit(EventKind::vmm_removed, Lane::vmm, {answered(0)});
        state_.sync = Sync::remove;
        state_.phase = Phase::sync_claim;
        return;
    }
    if (state_.sync == Sync::inject) {
        exit_handled();
    } else {
        set_done();
    }
}

}  // namespace vtlsim::model
