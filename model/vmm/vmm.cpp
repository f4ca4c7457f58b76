#include "model/vmm/vmm.hpp"

#include <fmt/format.h>

#include "model/hyperv/names.hpp"
#include "model/vtl2/layout.hpp"

namespace vtlsim::model {

using sim::Reg;

namespace {

constexpr u64 kStatus = layout::kControlPage + offsetof(ControlPage, cpu_status);
constexpr u64 kIoctlCommand = layout::kIoctlPage;
constexpr u64 kIoctlResult = layout::kIoctlPage + 4;
constexpr u64 kIoctlRequest = layout::kIoctlPage + 0x10;
// The driver's request vector (hyperv-vtl.md 3.1).
constexpr u8 kRequestVector = 0x20;

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
    return sidecar() ? layout::kCommandPage + offsetof(CommandPage, cpu_context)
                     : layout::kHclRun + offsetof(HclRun, context);
}
u64 Vmm::message_address() const {
    return sidecar() ? layout::kCommandPage + offsetof(CommandPage, intercept_message)
                     : layout::kHclRun + offsetof(HclRun, exit_message);
}

CpuStatus Vmm::cpu_status() const { return board_.load<CpuStatus>(kStatus); }

bool Vmm::ready() const {
    switch (state_.phase) {
        case Phase::boot:
        case Phase::running:
        case Phase::setting_rip:
            return cpu_status() == CpuStatus::idle;
        default:
            return true;
    }
}

void Vmm::step() {
    ++board_.step;
    switch (state_.phase) {
        case Phase::boot:
            set_initial_context();
            state_.phase = Phase::start;
            break;
        case Phase::start:
            if (state_.stopping) {  // the exit that won the race has been handled
                board_.finish(EndReason::stopped);
                break;
            }
            give_command(SidecarCommand::run_vp);
            state_.phase = Phase::running;
            break;
        case Phase::running:
            finish_run();
            break;
        case Phase::handle:
            handle();
            break;
        case Phase::set_rip:
            set_rip();
            break;
        case Phase::setting_rip:
            finish_set();
            break;
    }
}

void Vmm::stop() {
    ++board_.step;
    if (state_.phase != Phase::running) return;
    state_.stopping = true;
    if (sidecar()) {
        if (cpu_status() != CpuStatus::run) return;  // cmpxchg RUN -> STOP
        write_wire(kStatus, CpuStatus::stop);
    } else {
        write_wire(layout::kHclRun + offsetof(HclRun, cancel), u32{1});
    }
    hypervisor_.interrupt(kVtl2, kRequestVector, false);
}

template <class T>
void Vmm::write_wire(u64 address, const T& value) {
    u64 low = 0;
    std::memcpy(&low, &value, std::min(sizeof(T), sizeof(low)));
    board_.store(address, value);
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

void Vmm::give_command(SidecarCommand command) {
    board_.emit(EventKind::vmm_run, Lane::vmm, {static_cast<u64>(command)});
    write_wire(sidecar() ? layout::kCommandPage + offsetof(CommandPage, command) : kIoctlCommand,
               command);
    write_wire(kStatus, CpuStatus::run);
    hypervisor_.interrupt(kVtl2, kRequestVector, false);
}

void Vmm::finish_run() {
    if (sidecar() &&
        board_.load<u8>(layout::kCommandPage + offsetof(CommandPage, has_error)) != 0) {
        const auto error =
            board_.load<SidecarError>(layout::kCommandPage + offsetof(CommandPage, error));
        const u64 text = board_.log.add_text(
            std::string(reinterpret_cast<const char*>(error.text.data()), error.length));
        board_.emit(EventKind::vmm_error, Lane::vmm, {text});
        board_.finish(EndReason::vmm_error);
        return;
    }
    const u64 flag =
        sidecar() ? layout::kCommandPage + offsetof(CommandPage, request_data) : kIoctlResult;
    if (board_.load<u8>(flag) == 0) {
        board_.emit(EventKind::vmm_no_intercept, Lane::vmm);
        board_.finish(EndReason::stopped);
        return;
    }
    state_.phase = Phase::handle;
}

void Vmm::handle() {
    ++state_.exits;
    const auto message = board_.load<HvMessage>(message_address());
    const auto header = board_.load<HvInterceptHeader>(message_address() + kMessagePayload);
    board_.emit(EventKind::vmm_exit, Lane::vmm, {message.type, header.rip});
    state_.next_rip = header.rip + (header.length_cr8 & 0xF);  // 64-bit, wrapping: 4.2
    state_.phase = Phase::set_rip;
    const u64 payload = message_address() + kMessagePayload;
    switch (static_cast<MessageType>(message.type)) {
        case MessageType::io_port_intercept:
            handle_io_port_exit(board_.load<HvIoPortIntercept>(payload));
            break;
        case MessageType::cpuid_intercept:
            handle_cpuid(board_.load<HvCpuidIntercept>(payload));
            break;
        case MessageType::msr_intercept:
            handle_msr(board_.load<HvMsrIntercept>(payload));
            break;
        case MessageType::hypercall_intercept:
            handle_hypercall(board_.load<HvHypercallIntercept>(payload));
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

void Vmm::set_rip() {
    const bool page_valid =
        board_.load<u8>(layout::kRegisterPage + offsetof(HvRegisterPage, is_valid)) != 0;
    if (board_.switches().set_rip_path == SetRipPath::register_page && page_valid) {
        write_wire(layout::kRegisterPage + offsetof(HvRegisterPage, rip), state_.next_rip);
        const u32 bits = board_.load<u32>(layout::kRegisterPage + offsetof(HvRegisterPage, dirty));
        write_wire(layout::kRegisterPage + offsetof(HvRegisterPage, dirty), bits | dirty::rip);
        state_.phase = Phase::start;
        return;
    }
    const u64 request =
        sidecar() ? layout::kCommandPage + offsetof(CommandPage, request_data) : kIoctlRequest;
    RegisterRequest head{};
    head.count = 1;
    head.target_vtl = 0x10 | kVtl0;
    RegisterAssociation assoc{};
    assoc.name = kHvRegisterRip;
    assoc.value = {state_.next_rip, 0};
    write_wire(request, head);
    write_wire(request + sizeof(head), assoc);
    give_command(SidecarCommand::set_vp_registers);
    state_.phase = Phase::setting_rip;
}

void Vmm::finish_set() {
    const u64 request =
        sidecar() ? layout::kCommandPage + offsetof(CommandPage, request_data) : kIoctlRequest;
    const auto head = board_.load<RegisterRequest>(request);
    if (head.status != hv_status::kSuccess) {
        const u64 text =
            board_.log.add_text(fmt::format("SET of RIP failed with status {:#x}", head.status));
        board_.emit(EventKind::vmm_error, Lane::vmm, {text});
        board_.finish(EndReason::vmm_error);
        return;
    }
    state_.phase = Phase::start;
}

}  // namespace vtlsim::model
