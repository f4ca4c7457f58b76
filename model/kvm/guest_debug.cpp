#include "model/kvm/model_vm.hpp"

namespace vtlsim::model::kvm {

using sim::Reg;

namespace {

constexpr u64 kTf = 0x100;
constexpr u64 kSingleStep = 0x4000, kActiveLow = 0xFFFF0FF0;

}  // namespace

// Of the slow path only CPL 3 in 64-bit mode runs on the CPU itself (kvm-observed.md).
bool ModelVm::by_hardware() const {
    if (switches_.kvm != Version::slow) return true;
    const sim::CpuState s = cpu_->state();
    return mode_mask() == ~u64{0} && sim::cpl(s) == 3;
}

// kvm-pio.md 2.
u64 ModelVm::linear_rip(u64 rip) const {
    if (mode_mask() == ~u64{0}) return rip;
    return (cpu_->get(Reg::cs_base) + rip) & 0xFFFFFFFF;
}

// TF that KVM put there is hidden, and the guest's own with it (kvm-pio.md 3).
u64 ModelVm::get_rflags() const {
    const u64 raw = cpu_->get(Reg::rflags);
    return stepping() ? raw & ~kTf : raw;
}

void ModelVm::set_rflags(u64 value) {
    if (stepping() && linear_rip() == singlestep_rip_) value |= kTf;
    cpu_->set(Reg::rflags, value);
}

void ModelVm::set_guest_debug(const GuestDebug& debug) {
    if (debug.use_sw_bp) not_modelled("KVM_GUESTDBG_USE_SW_BP");
    const u64 rflags = get_rflags();
    debug_ = debug;
    singlestep_rip_ = debug_.single_step ? linear_rip() : 0;
    set_rflags(rflags);
}

ModelVm::Next ModelVm::do_singlestep() {
    if (stepping()) return debug_exit(kSingleStep | kActiveLow);
    queue_debug_trap(kSingleStep);
    return Next::guest;
}

ModelVm::Next ModelVm::debug_exit(u64 dr6) {
    stop(ExitReason::debug);
    run_.exception = 1;
    run_.pc = linear_rip();
    run_.dr6 = dr6;
    return Next::userspace;
}

// With USE_HW_BP userspace's DR0-3 and DR7 are in force while the guest runs, not the guest's.
void ModelVm::load_breakpoints(bool entering) {
    if (!debug_.use_hw_bp) return;
    for (std::size_t i = 0; i < 4; ++i) {
        const Reg reg = sim::offset(Reg::dr0, i);
        if (entering) guest_dr_[i] = cpu_->get(reg);
        cpu_->set(reg, entering ? debug_.address[i] : guest_dr_[i]);
    }
    if (entering) guest_dr_[4] = cpu_->get(Reg::dr7);
    cpu_->set(Reg::dr7, entering ? debug_.dr7 : guest_dr_[4]);
}

}  // namespace vtlsim::model::kvm
