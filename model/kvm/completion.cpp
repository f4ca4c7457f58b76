#include "model/kvm/model_vm.hpp"

namespace vtlsim::model::kvm {

using sim::Exit;
using sim::ExitKind;
using sim::Reg;

ModelVm::Next ModelVm::complete() {
    if (abandoned_) {
        // The exit in run_ is given again. That is also what X3 makes of an entry that fulfils
        // nothing (illumos usr/src/uts/intel/io/vmm/vmm.c: vm_loop_checks).
        abandoned_ = switches_.flaw == Flaw::dead_model_retries;
        if (abandoned_ || switches_.kvm == Version::x3) return Next::userspace;
    }
    const Completion cui = std::exchange(cui_, Completion::none);
    pio_.count = 0;
    const auto done = [&](Next next, bool was_cancelled = false) {
        log(EventKind::kvm_complete, {static_cast<u64>(cui), was_cancelled});
        return next;
    };
    switch (cui) {
        case Completion::none:
        case Completion::zero:
            return done(Next::guest);
        case Completion::next_rip:
            move_rip_to(pio_.next_rip);
            return done(Next::guest);
        case Completion::fulfil:
            if (announced_) return done(Next::guest, true);
            if (pio_.in) merge_rax();
            move_rip_to(pio_.next_rip + latch_.length);
            return done(Next::guest);
        case Completion::step:
            return done(do_singlestep());
        case Completion::skip:
            if (pio_.in) merge_rax();
            if (switches_.kvm == Version::x5) {
                // From the intercept message, with a 64-bit addition; TF and the shadow are not
                // touched.
                cpu_->set(Reg::rip, pio_.rip + latch_.length);
                return done(Next::guest);
            }
            return done(skip());
        case Completion::fast_out:
            if (cancelled()) return done(Next::guest, true);
            return done(skip());
        case Completion::fast_in:
            if (switches_.kvm == Version::v1a || switches_.kvm == Version::v1b ||
                switches_.kvm == Version::v1c || switches_.kvm == Version::x1) {
                merge_rax();
                return done(Next::guest);
            }
            if (cancelled()) return done(Next::guest, true);
            merge_rax();
            return done(skip());
        case Completion::emulator:
            return done(complete_emulator());
        case Completion::mmio_write:
            return done(mmio_write_piece());
        case Completion::msr:
            return done(complete_msr());
    }
    return Next::guest;
}

ModelVm::Next ModelVm::msr_exit(const Exit& exit) {
    if (!script_.userspace_msr) {
        queue_fault({.vector = sim::Vector::gp, .has_error_code = true});
        return Next::guest;
    }
    const bool read = exit.kind == ExitKind::rdmsr;
    stop(read ? ExitReason::rdmsr : ExitReason::wrmsr);
    run_.msr = exit.msr;
    run_.msr_value = read ? 0 : exit.value;
    msr_error_ = false;
    read_data_.clear();
    em_.insn = exit;
    em_.rip = cpu_->get(Reg::rip);
    em_.next_rip = latch_.next_rip;
    em_.rflags = get_rflags();
    em_.tf = (em_.rflags & 0x100) != 0;
    em_.registers_stale = false;
    pio_ = {};
    pio_.linear_rip = linear_rip();
    cui_ = Completion::msr;
    return Next::userspace;
}

// No comparison of RIP but in a7 (kvm-pio.md 5, 1.8). The emulator's variant keeps to its old
// decode.
ModelVm::Next ModelVm::complete_msr() {
    const bool read = em_.insn.kind == ExitKind::rdmsr;
    if (switches_.kvm == Version::a7 && linear_rip() != pio_.linear_rip) return Next::guest;
    if (msr_error_) {
        queue_fault({.vector = sim::Vector::gp, .has_error_code = true});
        return Next::guest;
    }
    const bool slow = switches_.kvm == Version::slow;
    if (read && !(slow && em_.registers_stale)) {
        u64 value = 0;
        for (std::size_t i = 0; i < 8 && i < read_data_.size(); ++i) {
            value |= u64{read_data_[i]} << 8 * i;
        }
        cpu_->set(Reg::rax, value & 0xFFFFFFFF);
        cpu_->set(Reg::rdx, value >> 32);
    }
    if (!slow) return skip();
    return emulator_done(false, true);
}

}  // namespace vtlsim::model::kvm
