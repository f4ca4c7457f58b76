#include "model/vmm/vmm.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/hyperv/names.hpp"
#include "model/plugins.hpp"

namespace vtlsim::model {

using sim::Reg;

namespace {

// The kernel driver's stand-in for an ioctl (layout::kIoctlPage).
constexpr u64 kIoctlResult = 4;
constexpr u64 kIoctlRequest = 0x10;

// st0 to st7 count from the top of the stack, the register list does not.
std::optional<Reg> register_of_fxsave_field(std::string_view name, const sim::CpuState& s) {
    if (name.size() == 3 && name.starts_with("st")) {
        const u64 top = s[Reg::fsw] >> 11 & 7;
        return sim::offset(Reg::fpr0, (top + static_cast<u64>(name[2] - '0')) % 8);
    }
    const sim::RegInfo* row = sim::find_register(name);
    return row == nullptr ? std::nullopt : std::optional(row->reg);
}

}  // namespace

u64 Vmm::context_address() const {
    return sidecar() ? board_.page(layout::kCommandPage) + offsetof(CommandPage, cpu_context)
                     : board_.page(layout::kHclRun) + offsetof(HclRun, context);
}
u64 Vmm::message_address() const {
    return sidecar() ? board_.page(layout::kCommandPage) + offsetof(CommandPage, intercept_message)
                     : board_.page(layout::kHclRun) + offsetof(HclRun, exit_message);
}
u64 Vmm::request_address() const {
    return sidecar() ? board_.page(layout::kCommandPage) + offsetof(CommandPage, request_data)
                     : board_.page(layout::kIoctlPage) + kIoctlRequest;
}

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
            return state_.sync == Sync::set_rip ? "command SET rip" : "command GET";
        case Phase::sync_claim:
            return removal ? "claim REMOVED" : "claim SYNC";
        case Phase::sync_status:
            return removal ? "status REMOVE" : "status RUN (sync)";
        case Phase::sync_ipi:
            return "request IPI (sync)";
        case Phase::sync_wait:
        case Phase::sync_asleep:
            return removal ? "removed?" : "idle?";
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
        case Phase::sync_asleep: {
            // wait_event: the condition is looked at before the first sleep, too (3.3).
            board_.touch(Object::sync_wake, board_.at, true);
            const bool removal = state_.sync == Sync::remove;
            if (removal ? driver_.removed() : driver_.idle()) {
                next(removal ? Phase::response : Phase::sync_release);
            } else {
                driver_.sleep_sync();
                next(Phase::sync_asleep);
            }
            break;
        }
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

template <class T>
void Vmm::write_wire(u64 address, const T& value) {
    u64 low = 0;
    std::memcpy(&low, &value, std::min(sizeof(T), sizeof(low)));
    board_.write(address, value);
    board_.emit(EventKind::vmm_write, Lane::vmm, {address, sizeof(T), low});
}

void Vmm::write_gp(std::size_t offset, u64 value) { write_wire(context_address() + offset, value); }

// What the VMM gave the VP before it runs for the first time: only what is not zero is written.
void Vmm::set_initial_context() {
    sim::CpuState vtl0 = hypervisor_.banks().saved(kVtl0);
    for (const WireField& field : WireTraits<CpuContext>::fields()) {
        const sim::RegInfo* reg = sim::find_register(field.name);
        if (reg != nullptr && vtl0[reg->reg] != 0) write_gp(field.offset, vtl0[reg->reg]);
    }
    const u64 fx = context_address() + offsetof(CpuContext, fx);
    for (const WireField& field : WireTraits<Fxsave>::fields()) {
        const auto reg = register_of_fxsave_field(field.name, vtl0);
        if (!reg) continue;
        const Vec128 value = vtl0.get(*reg);
        if (value == Vec128{}) continue;
        switch (field.size) {
            case 1:
                write_wire(fx + field.offset, static_cast<u8>(value.lo));
                break;
            case 2:
                write_wire(fx + field.offset, static_cast<u16>(value.lo));
                break;
            case 4:
                write_wire(fx + field.offset, static_cast<u32>(value.lo));
                break;
            case 8:
                write_wire(fx + field.offset, value.lo);
                break;
            default:
                write_wire(fx + field.offset, value);
                break;
        }
    }
}

void Vmm::finish_run() {
    if (sidecar()) {
        board_.touch(Object::finished, board_.at, true);
    } else {
        board_.touch(Object::cpu_status, board_.at, false);
    }
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
    state_.sync = Sync::save;
    state_.phase = Phase::request;
}

void Vmm::handle() {
    ++state_.exits;
    const auto message = board_.read<HvMessage>(message_address());
    const u64 payload = message_address() + kMessagePayload;
    const auto header = board_.read<HvInterceptHeader>(payload);
    board_.emit(EventKind::vmm_exit, Lane::vmm, {message.type, header.rip});
    state_.next_rip = header.rip + (header.length_cr8 & 0xF);  // 64-bit, wrapping: 4.2
    state_.phase = Phase::request;
    state_.sync = Sync::set_rip;
    board_.touch(Object::devices, 0, true);
    board_.touch(Object::guest_ram, 0, true);
    if (board_.config.plugins && board_.config.plugins->handler) {
        Intercept intercept(*this, message.type, vp_);
        if (board_.config.plugins->handler(intercept, board_.plugin_states[0])) return;
    }
    switch (static_cast<MessageType>(message.type)) {
        case MessageType::io_port_intercept:
            handle_io_port_exit(board_.read<HvIoPortIntercept>(payload));
            break;
        case MessageType::cpuid_intercept:
            handle_cpuid(board_.read<HvCpuidIntercept>(payload));
            break;
        case MessageType::msr_intercept:
            handle_msr(board_.read<HvMsrIntercept>(payload));
            break;
        case MessageType::hypercall_intercept:
            handle_hypercall(board_.read<HvHypercallIntercept>(payload));
            break;
        case MessageType::unrecoverable_exception:
            board_.finish(EndReason::guest_triple_fault);
            break;
        default:
            board_.not_modelled(
                fmt::format("the VMM's handler for {} messages", message_type_name(message.type)));
            break;
    }
}

void Vmm::write_request() {
    SidecarCommand command = SidecarCommand::set_vp_registers;
    RegisterRequest head{};
    head.count = 1;
    head.target_vtl = 0x10 | kVtl0;
    RegisterAssociation assoc{};
    assoc.name = kHvRegisterRip;
    if (state_.sync == Sync::set_rip) {
        const u64 page = board_.page(layout::kRegisterPage);
        const bool page_valid = board_.read<u8>(page + offsetof(HvRegisterPage, is_valid)) != 0;
        if (board_.switches().set_rip_path == SetRipPath::register_page && page_valid) {
            set_rip();
            return;
        }
        assoc.value = {state_.next_rip, 0};
    } else {
        command = SidecarCommand::get_vp_registers;
    }
    write_wire(request_address(), head);
    write_wire(request_address() + sizeof(head), assoc);
    board_.emit(EventKind::vmm_run, Lane::vmm, {static_cast<u64>(command)});
    if (sidecar()) {
        write_wire(board_.page(layout::kCommandPage) + offsetof(CommandPage, command), command);
        state_.phase = Phase::sync_claim;
    } else {
        direct_command(command);
        state_.phase = Phase::direct_wait;
    }
}

void Vmm::set_rip() {
    const u64 page = board_.page(layout::kRegisterPage);
    write_wire(page + offsetof(HvRegisterPage, rip), state_.next_rip);
    const u32 bits = board_.read<u32>(page + offsetof(HvRegisterPage, dirty));
    write_wire(page + offsetof(HvRegisterPage, dirty), bits | dirty::rip);
    state_.phase = Phase::start;
}

void Vmm::finish_request() {
    if (state_.sync == Sync::remove) {
        conclude(EndReason::removed);
        return;
    }
    const auto head = board_.read<RegisterRequest>(request_address());
    if (head.status != hv_status::kSuccess) {
        const u64 text = board_.log.add_text(
            fmt::format("{} of RIP failed with status {:#x}",
                        state_.sync == Sync::set_rip ? "SET" : "GET", head.status));
        board_.emit(EventKind::vmm_error, Lane::vmm, {text});
        conclude(EndReason::vmm_error);
        return;
    }
    if (state_.sync == Sync::save) {
        const auto assoc = board_.read<RegisterAssociation>(request_address() + sizeof(head));
        board_.emit(EventKind::vmm_removed, Lane::vmm, {assoc.value.lo});
        state_.sync = Sync::remove;
        state_.phase = Phase::sync_claim;
        return;
    }
    // 3.5: the VP is to move after its first exit, and runs here until its new thread is there.
    if (board_.config.hotplug && state_.exits == 1) state_.leaving = true;
    state_.phase = Phase::start;
}

}  // namespace vtlsim::model
