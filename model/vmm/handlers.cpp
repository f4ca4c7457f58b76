// What the VMM does for each intercept: what it reads from the message and what from the context
// decides who is hurt by a stale context (hyperv-vtl.md 4).
#include <fmt/format.h>

#include "model/hyperv/names.hpp"
#include "model/plugins.hpp"
#include "model/vmm/vmm.hpp"

namespace vtlsim::model {

namespace {

constexpr u8 kStringOp = 1 << 3;
constexpr u8 kRepPrefix = 1 << 4;

// emulate_io for IN (4.3).
u64 merge_in(u64 rax, u32 data, unsigned size, EmulateIoWidth width) {
    const u64 mask = low_bits(size);
    if (width == EmulateIoWidth::openvmm || size == 4) {
        return (rax & 0xFFFFFFFF & ~mask) | data;
    }
    return (rax & ~mask) | data;
}

}  // namespace

void Vmm::handle() {
    ++state_.exits;
    const auto message = board_.read<HvMessage>(message_address());
    const u64 payload = message_address() + kMessagePayload;
    HvInterceptHeader header{};  // which an EOI has not
    if (message.type != static_cast<u32>(MessageType::apic_eoi)) {
        header = board_.read<HvInterceptHeader>(payload);
    }
    board_.emit(EventKind::vmm_exit, Lane::vmm, {message.type, header.rip});
    state_.next_rip = header.rip + (header.length_cr8 & 0xF);  // 64-bit, wrapping: 4.2
    state_.phase = Phase::request;
    state_.sync = Sync::set_rip;
    state_.emulated = false;
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
        case MessageType::unmapped_gpa:
        case MessageType::gpa_intercept:
            begin_emulation(board_.read<HvMemoryIntercept>(payload).header);
            break;
        default:
            handle_asynchronous(static_cast<MessageType>(message.type), payload);
            break;
    }
}

// The intercepts that no instruction of the guest waits for: RIP stays, no command is given.
void Vmm::handle_asynchronous(MessageType type, u64 payload) {
    switch (type) {
        case MessageType::unaccepted_gpa:
            // RAM that is not accepted is fatal; what is not RAM goes to the emulator (4).
            if (board_.machine.is_ram(kVtl0, board_.read<HvMemoryIntercept>(payload).gpa, 1)) {
                panic(type, board_.read<HvMemoryIntercept>(payload).gpa);
            } else {
                begin_emulation(board_.read<HvMemoryIntercept>(payload).header);
            }
            break;
        case MessageType::interruption_deliverable: {
            const u8 kind = board_.read<HvInterruptionDeliverable>(payload).interrupt_type;
            if (kind != 0) {
                panic(type, kind);
                break;
            }
            nothing_moves(type, kind);
            const auto& waiting = board_.config.ext_int;
            if (vp_ == 0 && waiting && !std::exchange(state_.ext_int_done, true)) {
                inject(pending_event::external(*waiting));
            }
            break;
        }
        case MessageType::synic_sint_deliverable:
            nothing_moves(type, board_.read<HvSintDeliverable>(payload).deliverable_sints);
            break;
        case MessageType::apic_eoi:
            nothing_moves(type, board_.read<HvApicEoi>(payload).vector);
            break;
        case MessageType::exception_intercept:
            nothing_moves(type, board_.read<HvExceptionIntercept>(payload).vector);
            break;
        case MessageType::halt:
            panic(type, 0);  // run_vp has no arm for it: its unreachable!() (4)
            break;
        default:
            board_.not_modelled(fmt::format("the VMM's handler for {} messages",
                                            message_type_name(static_cast<u32>(type))));
            break;
    }
}

void Vmm::nothing_moves(MessageType type, u64 value) {
    board_.emit(EventKind::vmm_notice, Lane::vmm, {static_cast<u64>(type), value});
    exit_handled();
}

void Vmm::inject(Vec128 event) {
    state_.event = event;
    state_.sync = Sync::inject;
    state_.phase = Phase::request;
}

void Vmm::panic(MessageType type, u64 value) {
    board_.emit(EventKind::vmm_notice, Lane::vmm, {static_cast<u64>(type), value});
    board_.finish(EndReason::vmm_panic);
}

void Vmm::handle_io_port_exit(const HvIoPortIntercept& message) {
    const VmmFix fix = board_.switches().vmm_fix;
    if (fix == VmmFix::V2 || fix == VmmFix::V1V2) {
        write_gp(offsetof(CpuContext, rax), message.rax);
    } else if (const u64 rax = context().rax; message.rax != rax) {
        board_.emit(EventKind::vmm_assert, Lane::vmm, {message.rax, rax});
        board_.finish(EndReason::vmm_panic);
        return;
    }
    if ((message.access_info & (kStringOp | kRepPrefix)) != 0) {
        begin_emulation(message.header);
        return;
    }
    const u8 size = message.access_info & 7;
    const u64 rax = context().rax;
    constexpr u8 kWrite = 1;
    if (message.header.access == kWrite) {
        devices_.write(message.port, size, static_cast<u32>(rax & low_bits(size)));
    } else {
        const u32 data = devices_.read(message.port, size);
        write_gp(offsetof(CpuContext, rax),
                 merge_in(rax, data, size, board_.switches().emulate_io_width));
    }
}

void Vmm::handle_cpuid(const HvCpuidIntercept& message) {
    u64 a = message.default_rax;
    u64 b = message.default_rbx;
    u64 c = message.default_rcx;
    u64 d = message.default_rdx;
    for (const CpuidAnswer& answer : board_.config.cpuid) {
        if (answer.leaf != (message.rax & 0xFFFFFFFF)) continue;
        a = answer.eax;
        b = answer.ebx;
        c = answer.ecx;
        d = answer.edx;
    }
    write_gp(offsetof(CpuContext, rax), a & 0xFFFFFFFF);
    write_gp(offsetof(CpuContext, rbx), b & 0xFFFFFFFF);
    write_gp(offsetof(CpuContext, rcx), c & 0xFFFFFFFF);
    write_gp(offsetof(CpuContext, rdx), d & 0xFFFFFFFF);
}

// An MSR that the VMM does not know reads as zero and ignores writes (4).
void Vmm::handle_msr(const HvMsrIntercept& message) {
    const MsrAnswer* known = nullptr;
    for (const MsrAnswer& answer : board_.config.msrs) {
        if (answer.msr == message.msr) known = &answer;
    }
    constexpr u8 kWrite = 1;
    const bool write = message.header.access == kWrite;
    const u64 value = write              ? message.rdx << 32 | (message.rax & 0xFFFFFFFF)
                      : known != nullptr ? known->value
                                         : 0;
    board_.emit(EventKind::vmm_msr, Lane::vmm,
                {message.msr, write ? 1u : 0u, value, known != nullptr ? 1u : 0u});
    if (known != nullptr && known->invalid) {
        inject(pending_event::exception(static_cast<u8>(sim::Vector::gp), 0, 0));
        return;
    }
    if (write) return;
    write_gp(offsetof(CpuContext, rax), value & 0xFFFFFFFF);
    write_gp(offsetof(CpuContext, rdx), value >> 32);
}

}  // namespace vtlsim::model
