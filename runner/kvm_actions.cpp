#include "runner/kvm_actions.hpp"

#include "model/log/event.hpp"

namespace vtlsim::runner {
namespace {

using model::kvm::ActionKind;

constexpr std::string_view kRegisters[] = {"registers"};
constexpr std::string_view kVector[] = {"vector"};
constexpr std::string_view kValue[] = {"value"};
constexpr std::string_view kBytes[] = {"bytes"};
constexpr std::string_view kPlace[] = {"at", "rip_minus"};
constexpr std::string_view kDebug[] = {"single_step", "software_breakpoints", "breakpoints",
                                       "block_irq"};

constexpr KvmActionRow kRows[] = {
    {ActionKind::get_regs, "KVM_GET_REGS and KVM_GET_SREGS.", {}, {}},
    {ActionKind::set_regs,
     "GPRs, rip and rflags by KVM_SET_REGS, segments and control registers by KVM_SET_SREGS, dr0 "
     "to dr7 by KVM_SET_DEBUGREGS; what is not listed stays as it is.",
     kRegisters,
     {}},
    {ActionKind::rewrite_regs, "KVM_GET_REGS, then KVM_SET_REGS of the same values.", {}, {}},
    {ActionKind::rewrite_sregs, "KVM_GET_SREGS, then KVM_SET_SREGS of the same values.", {}, {}},
    {ActionKind::sync_regs,
     "As set-regs, but through kvm_run.s.regs and kvm_dirty_regs for the next KVM_RUN; no debug "
     "registers.",
     kRegisters,
     {}},
    {ActionKind::bad_dirty_regs,
     "A bit in kvm_dirty_regs that KVM does not know: the next KVM_RUN fails with EINVAL.",
     {},
     {}},
    {ActionKind::reset_bsp,
     "KVM_SET_SREGS, then KVM_SET_REGS, with the state after RESET#.",
     {},
     {}},
    {ActionKind::reset_bsp_regs_first, "The same in the other order.", {}, {}},
    {ActionKind::init_sipi,
     "An INIT and a SIPI with this vector come from another vCPU.",
     kVector,
     {}},
    {ActionKind::mp_state, "KVM_SET_MP_STATE.", kValue, {}, 10},
    {ActionKind::get_mp_state, "KVM_GET_MP_STATE.", {}, {}},
    {ActionKind::move_vcpu,
     "Everything that KVM lets userspace save goes into a new vCPU, without KVM_RUN in between.",
     {},
     {}},
    {ActionKind::restore_state,
     "What the last save-state has saved is set again, in the same vCPU.",
     {},
     {}},
    {ActionKind::save_state, "Registers, debug registers, events and MP state are saved.", {}, {}},
    {ActionKind::guest_debug, "KVM_SET_GUEST_DEBUG; without more it switches off.", {}, kDebug},
    {ActionKind::irq_window, "kvm_run.request_interrupt_window := value.", kValue, {}, 1},
    {ActionKind::interrupt, "KVM_INTERRUPT.", kVector, {}},
    {ActionKind::nmi, "KVM_NMI.", {}, {}},
    {ActionKind::exception,
     "KVM_SET_VCPU_EVENTS: this exception is pending, without an error code.",
     kVector,
     {}},
    {ActionKind::clear_exception,
     "KVM_SET_VCPU_EVENTS: no exception is pending or injected.",
     {},
     {}},
    {ActionKind::clear_interrupt, "KVM_SET_VCPU_EVENTS: no interrupt is injected.", {}, {}},
    {ActionKind::shadow,
     "KVM_SET_VCPU_EVENTS: the interrupt shadow becomes 0 (none), 1 (STI) or 2 (MOV SS).",
     kValue,
     {},
     2},
    {ActionKind::write_memory,
     "Guest memory is overwritten, at a physical address or relative to RIP.", kBytes, kPlace},
    {ActionKind::answer, "Data for the read at hand, instead of the device's.", kBytes, {}},
    {ActionKind::announce_reset,
     "Userspace announces that it has reset the vCPU or moved RIP. Only kvm=a5 and x3 have a call "
     "for it; elsewhere nothing happens.",
     {},
     {}},
    {ActionKind::abandon,
     "The device model of the access at hand has died, and its answer is lost: a read gives ones, "
     "if "
     "the hypervisor gives up waiting.",
     {},
     {}},
    {ActionKind::msr_error, "msr.error := value: 1 makes the access a #GP.", kValue, {}, 1},
    {ActionKind::immediate_exit,
     "kvm_run.immediate_exit := value; it stays until it is set again.",
     kValue,
     {},
     1},
    {ActionKind::resume, "Goes on where the script would end.", {}, {}},
    {ActionKind::stop, "The script ends here.", {}, {}},
};

constexpr bool in_order() {
    for (std::size_t i = 0; i < std::size(kRows); ++i) {
        if (static_cast<std::size_t>(kRows[i].kind) != i) return false;
    }
    return true;
}
static_assert(in_order());
static_assert(std::size(kRows) == static_cast<std::size_t>(ActionKind::stop) + 1);

}  // namespace

bool can_set(ActionKind kind, sim::Reg reg) {
    const auto call = model::kvm::call_of(reg);
    if (call == model::kvm::RegisterCall::debugregs) return kind == ActionKind::set_regs;
    return call != model::kvm::RegisterCall::none;
}

std::span<const KvmActionRow> kvm_action_rows() { return kRows; }

std::string_view KvmActionRow::name() const {
    return model::format_words(model::Format::kvm_action)[static_cast<std::size_t>(kind)];
}

}  // namespace vtlsim::runner
