// Intercepts as SynIC messages (intercept_delivery synic_message; hyperv-vtl.md 1.5; TLFS: SynIC
// messages). The entry's reason is INTERRUPT, for it is SINT0's interrupt that VTL2 is entered for.
#include <fmt/format.h>

#include "model/hyperv/hypervisor.hpp"
#include "model/hyperv/names.hpp"
#include "model/vtl2/layout.hpp"

namespace vtlsim::model {

namespace {
constexpr u8 kMessagePending = 1;  // of HvMessage::flags
}

void Hypervisor::post(const SynIc::Posted& posted) {
    SynIc& synic = state_.synic;
    if (!synic.enabled || !synic.has_page || synic.masked) {
        board_.not_modelled("an intercept message before VTL2 has enabled SINT0 and its page");
        return;
    }
    const u64 slot = board_.page(layout::kSimpPage);
    if (synic.queue.empty() && board_.load<u32>(slot + offsetof(HvMessage, type)) == 0) {
        write_slot(posted);
        return;
    }
    if (synic.queue.size() == SynIc::kQueue) {
        board_.not_modelled(fmt::format("more than {} SynIC messages in a queue", SynIc::kQueue));
        return;
    }
    synic.queue.push_back(posted);
    const u64 flags = slot + offsetof(HvMessage, flags);
    board_.store(flags, static_cast<u8>(board_.load<u8>(flags) | kMessagePending));
    board_.emit(EventKind::message_queued, Lane::hypervisor, {posted.serial});
}

void Hypervisor::write_slot(const SynIc::Posted& posted) {
    HvMessage message = posted.message;
    message.flags = state_.synic.queue.empty() ? 0 : kMessagePending;
    board_.store(board_.page(layout::kSimpPage), message);
    board_.emit(EventKind::message, Lane::hypervisor, {message.type, posted.serial, posted.rax});
    board_.emit(EventKind::interrupt_pending, Lane::hypervisor, {kVtl2, state_.synic.vector});
    state_.apic[kVtl2].request(state_.synic.vector);
}

// EOM: the slot is looked at again. One that VTL2 has not emptied keeps its message.
void Hypervisor::end_of_message() {
    SynIc& synic = state_.synic;
    const u64 slot = board_.page(layout::kSimpPage);
    if (synic.queue.empty() || board_.load<u32>(slot + offsetof(HvMessage, type)) != 0) return;
    const SynIc::Posted next = synic.queue.front();
    synic.queue.erase(synic.queue.begin());
    write_slot(next);
}

// Whether the MSR is one of the SynIC's; a value that is not modelled ends the run.
bool Hypervisor::write_synic_msr(u32 number, u64 value) {
    SynIc& synic = state_.synic;
    constexpr u64 kMasked = 1 << 16;
    switch (number) {
        case msr::kScontrol:
            synic.enabled = (value & 1) != 0;
            return true;
        case msr::kSimp:
            if ((value & 1) != 0 && value != (board_.page(layout::kSimpPage) | 1)) {
                board_.not_modelled("a SynIC message page somewhere else");
            }
            synic.has_page = (value & 1) != 0;
            return true;
        case msr::kSint0:
            // Auto-EOI, polling and proxy.
            if ((value & ~(kMasked | 0xFF)) != 0) {
                board_.not_modelled(fmt::format("SINT0 {:#x}", value));
            }
            synic.masked = (value & kMasked) != 0;
            synic.vector = static_cast<u8>(value);
            return true;
        case msr::kEom:
            end_of_message();
            return true;
        default:
            return false;
    }
}

}  // namespace vtlsim::model
