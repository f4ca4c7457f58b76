#include "model/kvm/model_vm.hpp"

namespace vtlsim::model::kvm {

using sim::Reg;

namespace {

constexpr u64 kTf = 0x100;
constexpr u64 kSingleStep = 0x4000;

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

ModelVm::Next ModelVm::debug_exit(u64 dr6, sim::Vector exception) {
    stop(ExitReason::debug);
    run_.exception = static_cast<u32>(exception);
    run_.pc = linear_rip();
    run_.dr6 = dr6;
    return Next::userspace;
}

// What the processor itself does with USE_HW_BP: userspace's DR0-3 and DR7 are in force while the
// guest runs, not the guest's. A #DB of the debugger's leaves the guest's DR6 alone.
void ModelVm::load_breakpoints(bool entering) {
    if (!by_hardware() || (!debug_.single_step && !debug_.use_hw_bp)) return;
    constexpr Reg kRegs[] = {Reg::dr6, Reg::dr7, Reg::dr0, Reg::dr1, Reg::dr2, Reg::dr3};
    const auto& at = debug_.address;
    const u64 theirs[] = {kActiveLow, debug_.dr7, at[0], at[1], at[2], at[3]};
    if (!entering) debug_dr6_ = cpu_->get(Reg::dr6);
    for (std::size_t i = 0; i < (debug_.use_hw_bp ? guest_dr_.size() : 1); ++i) {
        if (entering) guest_dr_[i] = cpu_->get(kRegs[i]);
        cpu_->set(kRegs[i], entering ? theirs[i] : guest_dr_[i]);
    }
}

// MOV to and from a debug register is the guest's, while the processor holds userspace's.
bool ModelVm::moves_debug_register() const {
    const Opcode op = opcode_of(cpu_->peek_code(cpu_->linear_ip(), 15), code_mode() == 0);
    return op.value == 0x0F21 || op.value == 0x0F23;
}

// What KVM's emulator does with USE_HW_BP: breakpoints on execution alone, one byte long, and RF
// does not hold them off (kvm_vcpu_check_code_breakpoint; observed, docs/conform-kvm.md). Bits B0
// to B3 of those that are here.
u64 ModelVm::emulator_breakpoints() const {
    u64 hit = 0;
    for (std::size_t i = 0; debug_.use_hw_bp && i < debug_.address.size(); ++i) {
        const bool on = (debug_.dr7 >> 2 * i & 3) != 0;
        const bool executes = (debug_.dr7 >> (16 + 4 * i) & 0xF) == 0;
        if (on && executes && debug_.address[i] == linear_rip()) hit |= u64{1} << i;
    }
    return hit;
}

// Whether the guest's own DR7 has a breakpoint on data or I/O: the emulator never looks at those.
bool ModelVm::watches_data() const {
    const u64 dr7 = cpu_->get(Reg::dr7);
    for (std::size_t i = 0; i < debug_.address.size(); ++i) {
        if ((dr7 >> 2 * i & 3) != 0 && (dr7 >> (16 + 4 * i) & 3) != 0) return true;
    }
    return false;
}

}  // namespace vtlsim::model::kvm
