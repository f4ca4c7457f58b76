#include <algorithm>

#include "model/kvm/model_vm.hpp"
#include "model/kvm/watcher.hpp"

namespace vtlsim::model::kvm {

using sim::CpuState;
using sim::Reg;

namespace {

constexpr u32 kRunnable = 0;

// Those of one call; RFLAGS has its own rules.
template <class F>
void each(RegisterCall call, F f) {
    for (const sim::RegInfo& row : sim::registers()) {
        if (call_of(row.reg) == call && row.reg != Reg::rflags) f(row.reg);
    }
}

}  // namespace

void ModelVm::get_regs(CpuState& state) {
    each(RegisterCall::regs, [&](Reg reg) { state[reg] = cpu_->get(reg); });
    state[Reg::rflags] = get_rflags();
}

void ModelVm::set_regs(const CpuState& state) {
    em_.registers_stale = true;
    rip_written_ = true;
    if (!moved_) pio_.next_rip = state[Reg::rip];
    each(RegisterCall::regs, [&](Reg reg) { cpu_->set(reg, state[reg]); });
    set_rflags(state[Reg::rflags] | 2);
    events_.exception_pending = false;  // kvm-pio.md 1.3, P10
}

void ModelVm::get_sregs(CpuState& state) {
    const CpuState now = cpu_->state();
    each(RegisterCall::sregs, [&](Reg reg) { state[reg] = now[reg]; });
    if (switches_.flaw == Flaw::cr2_copy_is_stale) state[Reg::cr2] = cr2_copy_;
}

void ModelVm::set_sregs(const CpuState& state) {
    CpuState now = cpu_->state();
    // Observed (docs/conform-kvm.md): what makes KVM reset its MMU drops the emulator's completion.
    for (Reg reg : {Reg::cr0, Reg::cr3, Reg::cr4, Reg::efer}) {
        if (now[reg] != state[reg] && cui_ == Completion::emulator) cui_ = Completion::none;
    }
    each(RegisterCall::sregs, [&](Reg reg) { now[reg] = state[reg]; });
    cr2_copy_ = state[Reg::cr2];
    cpu_->set_state(now);
    // For userspace that resets the BSP without KVM_SET_MP_STATE (kvm-pio.md 4.6): RIP has to be
    // there already.
    const bool at_reset = now[Reg::rip] == 0xFFF0 && now[Reg::cs] == 0xF000 &&
                          now[Reg::cs_base] == 0xFFFF0000 && (now[Reg::cr0] & 1) == 0;
    if (at_reset) mp_state_ = kRunnable;
}

void ModelVm::get_debug_registers(CpuState& state) {
    each(RegisterCall::debugregs, [&](Reg reg) { state[reg] = cpu_->get(reg); });
}

void ModelVm::set_debug_registers(const CpuState& state) {
    each(RegisterCall::debugregs, [&](Reg reg) { cpu_->set(reg, state[reg]); });
}

VcpuEvents ModelVm::get_events() {
    VcpuEvents out = events_;
    // Without KVM_CAP_EXCEPTION_PAYLOAD userspace is told that a pending one is injected, too.
    out.exception_injected = out.exception_injected || out.exception_pending;
    out.shadow = static_cast<u8>(cpu_->get(Reg::shadow));
    out.nmi_masked = cpu_->get(Reg::nmi_blocked) != 0;
    return out;
}

void ModelVm::set_events(const VcpuEvents& events) {
    const bool stale = events_.interrupt_injected && switches_.flaw == Flaw::keeps_injection;
    const u8 vector = events_.interrupt;
    events_ = events;
    if (stale) interrupt(vector);
    cpu_->set(Reg::shadow, events.shadow);
    cpu_->set(Reg::nmi_blocked, events.nmi_masked);
}

void ModelVm::set_mp_state(u32 state) {
    mp_state_ = state;
    mp_state_set_ = true;
}

void ModelVm::sync_regs(const CpuState& state, bool sregs, bool known) {
    synced_ = state;
    dirty_ = !known ? Dirty::unknown : sregs ? Dirty::both : Dirty::regs;
}

void ModelVm::interrupt(u8 vector) {
    events_.interrupt_injected = true;
    events_.interrupt = vector;
    events_.interrupt_soft = false;
}

void ModelVm::nmi() { events_.nmi_pending = true; }

void ModelVm::init_sipi(u8 vector) {
    if (mp_state_ == kRunnable) {
        reset_vcpu(vector);
    } else {
        pending_sipi_ = vector;
    }
}

// kvm_vcpu_reset and kvm_vcpu_deliver_sipi_vector. The completion survives (kvm-pio.md 4.5).
void ModelVm::reset_vcpu(u8 sipi_vector) {
    CpuState s = sim::reset_state();
    const CpuState old = cpu_->state();
    constexpr u64 kCacheBits = 0x60000000;  // INIT keeps CD and NW
    s[Reg::cr0] = 0x10 | (old[Reg::cr0] & kCacheBits);
    s[Reg::rdx] = 0x600;
    s.vector = old.vector;  // INIT keeps x87 and SSE (SDM 3A table 9-1)
    for (Reg reg : {Reg::fcw, Reg::fsw, Reg::ftw, Reg::fop, Reg::fip, Reg::fdp, Reg::mxcsr}) {
        s[reg] = old[reg];
    }
    if (switches_.flaw != Flaw::init_resets_apic_base) s[Reg::apic_base] = old[Reg::apic_base];
    s[Reg::cs] = u64{sipi_vector} << 8;
    s[Reg::cs_base] = u64{sipi_vector} << 12;
    s[Reg::rip] = 0;
    cpu_->set_state(s);
    events_ = {};
    mp_state_ = kRunnable;
    log(EventKind::kvm_reset, {sipi_vector});
}

void ModelVm::set_read_data(std::span<const u8> data) {
    std::copy_n(data.begin(), std::min(data.size(), pio_data_.size()), pio_data_.begin());
    read_data_.assign(data.begin(), data.end());
    if (pio_.in && pio_.count != 0) io_answered();
}

void ModelVm::abandon_access() {
    abandoned_ = true;
    read_data_.assign(run_.size * std::size_t{run_.count}, 0xFF);
}

void ModelVm::read_memory(u64 physical, std::span<u8> out) { machine_.read(physical, out); }

void ModelVm::write_memory(u64 physical, std::span<const u8> bytes) {
    if (!machine_.write(physical, bytes)) problem_ = "out of memory";
}

void ModelVm::replace_vcpu() {
    cpu_ = &machine_.add_cpu();
    cpu_->set_exits({.ports = true, .cpuid = false, .unknown_msr = true});
    cpu_->set_state(new_vcpu_state());
    // X2's snapshot has the next RIP, and restoring does not write RIP as userspace does
    // (FreeBSD sys/amd64/vmm/vmm.c: vm_snapshot_vcpus).
    moved_ = switches_.kvm == Version::x2 && cui_ == Completion::next_rip;
    if (moved_) {
        pio_.in = false;  // RAX has been written
    } else {
        cui_ = Completion::none;
        pio_ = {};
    }
    mp_state_ = kRunnable;
    pending_sipi_.reset();
    events_ = {};
    debug_ = {};
    singlestep_rip_ = 0;
    halt_request_ = false;
    em_ = {};
    mmio_ = {};
    leftover_.reset();
    rip_written_ = mp_state_set_ = announced_ = abandoned_ = false;
    cr2_copy_ = cpu_->get(Reg::cr2);
    run_ = {};
    immediate_exit_ = window_requested_ = msr_error_ = false;
    dirty_ = Dirty::no;
}

void ModelVm::observe(Observation& observation) {
    observation.registers = cpu_->state();
    observation.registers[Reg::rflags] = get_rflags();
    observation.events = get_events();
    observation.mp_state = mp_state_;
    observation.needs_completion = switches_.kvm == Version::a6 && cui_ != Completion::none;
}

}  // namespace vtlsim::model::kvm
