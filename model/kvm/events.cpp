#include "model/kvm/model_vm.hpp"
#include "model/kvm/watcher.hpp"
#include "sim/decode/decoder.hpp"

namespace vtlsim::model::kvm {

using sim::Reg;
using sim::Vector;

namespace {

constexpr u64 kRf = 0x10000;

}  // namespace

// kvm-pio.md 3, "Event order on entry": what is injected already, then a pending exception, then
// NMI. An IRQ of the userspace PIC counts as injected from KVM_INTERRUPT on.
bool ModelVm::inject() {
    if (events_.exception_injected || events_.exception_pending) {
        events_.exception_injected = events_.exception_pending = false;
        sim::Fault fault;
        fault.vector = static_cast<Vector>(events_.exception);
        fault.has_error_code = events_.has_error_code;
        fault.error_code = events_.error_code;
        events_.has_error_code = events_.has_payload = false;
        log(EventKind::kvm_inject, {0, events_.exception});
        injecting_trap_ = fault.vector == Vector::db;
        const bool goes_on = delivered(cpu_->inject_fault(fault));
        injecting_trap_ = false;
        if (goes_on && keeps_rf(fault)) cpu_->set(Reg::rflags, cpu_->get(Reg::rflags) | kRf);
        return goes_on;
    }
    if (events_.nmi_injected) {
        events_.nmi_injected = false;
        log(EventKind::kvm_inject, {2, 2});
        cpu_->raise_nmi();
        return true;
    }
    if (events_.interrupt_injected) {
        events_.interrupt_injected = false;
        log(EventKind::kvm_inject, {1, events_.interrupt});
        injecting_trap_ = true;
        const bool goes_on = delivered(cpu_->deliver_interrupt(events_.interrupt));
        injecting_trap_ = false;
        return goes_on;
    }
    if (debug_.block_irq) return true;
    // Held off by STI or MOV SS it is taken at the next entry: KVM does not look between the
    // instructions that it emulates (docs/conform-kvm.md).
    const bool held_off = cpu_->get(Reg::shadow) != 0 && !by_hardware();
    if (events_.nmi_pending && cpu_->get(Reg::nmi_blocked) == 0 && !held_off) {
        events_.nmi_pending = false;
        log(EventKind::kvm_inject, {2, 2});
        cpu_->raise_nmi();
    }
    return true;
}

bool ModelVm::delivered(const std::optional<sim::Outcome>& outcome) {
    events_.shadow = static_cast<u8>(cpu_->get(Reg::shadow));
    if (!outcome) {
        watcher_->clears_ac = !by_hardware();
        clear_ac();
        return true;
    }
    return handle(without_mmio(*outcome)) == Next::guest;
}

// A delivery whose stack is MMIO is a triple fault at once: KVM makes no exit within one (observed,
// docs/conform-kvm.md).
sim::Outcome ModelVm::without_mmio(sim::Outcome outcome) const {
    const auto* exit = std::get_if<sim::Exit>(&outcome);
    const bool data = exit != nullptr && exit->kind == sim::ExitKind::memory &&
                      exit->access != sim::Access::execute;
    if (!data || by_hardware()) return outcome;
    return sim::Shutdown{};
}

// What a delivery that ends in a triple fault has done before is not known for these.
const char* ModelVm::unknown_shutdown() const {
    if (by_hardware()) return nullptr;
    constexpr u64 kFrame = 48;  // the longest
    const u64 mask = code_mode() == 0 ? ~u64{0} : 0xFFFFFFFF;
    const u64 top = cpu_->get(Reg::ss_base) + cpu_->get(Reg::rsp);
    const auto ram = [&](u64 at) { return machine_.is_ram(0, at & mask, 1); };
    if (ram(top - 1) && !ram(top - kFrame)) {
        return "a delivery whose stack begins in RAM and ends in MMIO";
    }
    const u64 sp = cpu_->get(Reg::rsp) & 0xFFFF;
    const bool real = (cpu_->get(Reg::cr0) & 1) == 0;
    if (real && sp < 16 && sp % 2 != 0) return "a stack of real mode that wraps within a word";
    return nullptr;
}

// KVM sets RF for a fault, and emulates INT for it in real mode, which does not clear it.
bool ModelVm::keeps_rf(const sim::Fault& fault) const {
    const bool trap = fault.software || fault.vector == Vector::db || fault.vector == Vector::bp ||
                      fault.vector == Vector::of;
    return !by_hardware() && code_mode() == 2 && !trap;
}

// The emulator takes a limit of 4 GiB - 1 for none, where the executor has a fault (SDM 3A 5.3
// leaves it open).
bool ModelVm::may_wrap(const sim::Fault& fault) const {
    const bool limit = fault.vector == Vector::gp || fault.vector == Vector::ss;
    if (!limit || fault.error_code != 0 || by_hardware() || code_mode() != 1) return false;
    std::vector<u8> bytes = cpu_->peek_code(linear_rip(), 15);
    bytes.resize(15);
    const sim::Block block =
        sim::decode_one(std::span<const u8, 15>(bytes.data(), 15), {sim::CodeMode::prot32});
    if (block.count == 0) return false;
    const sim::Op& op = block.ops[0];
    const auto past = [](u64 offset, u64 size) { return offset + size - 1 > 0xFFFFFFFF; };
    const sim::CpuState s = cpu_->state();
    constexpr u64 kWidest = 32;  // of a stack operation: PUSHAD
    if (past(s[Reg::rsp], kWidest) || s[Reg::rsp] < kWidest) return true;
    if (opcode_of(bytes, false).is_string()) {
        return past(s[Reg::rsi], op.size) || past(s[Reg::rdi], op.size);
    }
    const auto slot = [&](u8 index) {
        return index == sim::kNoReg ? u64{0} : s[static_cast<Reg>(index)];
    };
    const u64 offset = (slot(op.base) + (slot(op.index) << op.scale) + op.disp) & op.address_mask;
    return op.checked_size != 0 && past(offset, op.checked_size);
}

// Outside of a nested guest the payload goes to DR6 at once (kvm_deliver_exception_payload).
void ModelVm::queue_debug_trap(u64 dr6) {
    cpu_->set(Reg::dr6, (cpu_->get(Reg::dr6) & ~u64{0xF}) | dr6);
    events_.exception_pending = true;
    events_.exception_injected = false;
    events_.exception = 1;
    events_.has_error_code = false;
    events_.has_payload = false;
}

void ModelVm::queue_fault(const sim::Fault& fault) {
    if (may_wrap(fault)) not_modelled("an access that wraps at 4 GiB");
    if (fault.vector == Vector::pf) cpu_->set(Reg::cr2, fault.cr2);
    events_.exception_injected = true;
    events_.exception_pending = false;
    events_.exception = static_cast<u8>(fault.vector);
    events_.has_error_code = fault.has_error_code;
    events_.error_code = fault.error_code;
    events_.has_payload = false;
}

bool ModelVm::window_open() const {
    return (cpu_->get(Reg::rflags) & 0x200) != 0 && cpu_->get(Reg::shadow) == 0 &&
           !events_.interrupt_injected;
}

}  // namespace vtlsim::model::kvm
