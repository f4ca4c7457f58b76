#include "model/kvm/model_vm.hpp"

namespace vtlsim::model::kvm {

using sim::Exit;
using sim::Reg;

namespace {

constexpr u64 kTf = 0x100, kRf = 0x10000;
constexpr u64 kResetVector = 0xFFFFFFF0;
constexpr u16 kVapicPort = 0x7E;

}  // namespace

// kvm-pio.md 1.6: strings go to the emulator.
bool ModelVm::is_fast(const Exit& exit) const {
    if (switches_.kvm == Version::slow || exit.string) return false;
    // IN was the emulator's before V1c.
    return !(switches_.kvm == Version::v1b && exit.in);
}

void ModelVm::latch(const Exit& exit) {
    latch_.length = exit.length;
    latch_.next_rip = (cpu_->get(Reg::rip) + exit.length) & mode_mask();
}

std::optional<u8> ModelVm::length_at_rip() const {
    const std::vector<u8> bytes = cpu_->peek_code(linear_rip(), sim::kMaxInsnLength);
    if (bytes.empty()) return std::nullopt;
    const sim::Block block = decoded(bytes);
    if (block.count == 0) return std::nullopt;
    return block.ops[0].length;
}

// The vendor's skip: RIP and the shadow (kvm-pio.md 2).
void ModelVm::move_rip() {
    const u64 rip = cpu_->get(Reg::rip);
    switch (switches_.vendor) {
        case Vendor::vmx: {
            u64 next = rip + latch_.length;
            // Truncated only if a carry out of bit 31 is seen outside of 64-bit mode.
            const bool cuts = switches_.flaw != Flaw::skip_never_wraps;
            if (cuts && ((next ^ rip) >> 31 & 3) == 3 && mode_mask() != ~u64{0}) {
                next &= 0xFFFFFFFF;
            }
            cpu_->set(Reg::rip, next);
            break;
        }
        case Vendor::svm:
            cpu_->set(Reg::rip, latch_.next_rip);
            break;
        case Vendor::svm_no_nrips: {
            // The emulator decodes what is at RIP now (EMULTYPE_SKIP).
            const std::optional<u8> length = length_at_rip();
            if (!length) {
                not_modelled("skip of an instruction that cannot be decoded");
                return;
            }
            cpu_->set(Reg::rip, (rip + *length) & mode_mask());
            cpu_->set(Reg::rflags, cpu_->get(Reg::rflags) & ~kRf);
            break;
        }
    }
    if (switches_.flaw == Flaw::skip_keeps_shadow) return;
    cpu_->set(Reg::shadow, 0);
    events_.shadow = 0;
}

// bhyve's entry: a RIP other than that of the exit ends the shadow; TF is not looked at, and
// nothing is cut to the mode (FreeBSD sys/amd64/vmm/intel/vmx.c, vmm.c).
void ModelVm::move_rip_to(u64 rip) {
    if (rip != pio_.rip) {
        cpu_->set(Reg::shadow, 0);
        events_.shadow = 0;
    }
    cpu_->set(Reg::rip, rip);
    log(EventKind::kvm_skip, {rip});
}

// kvm_skip_emulated_instruction: the flags from before decide about the trap.
ModelVm::Next ModelVm::skip() {
    const u64 raw = cpu_->get(Reg::rflags);
    move_rip();
    if (!problem_.empty()) return Next::userspace;
    log(EventKind::kvm_skip, {cpu_->get(Reg::rip)});
    // V0 did not look at TF [M].
    if (switches_.kvm == Version::v0 || switches_.flaw == Flaw::skip_ignores_tf) return Next::guest;
    if ((raw & kTf) != 0) return do_singlestep();
    return Next::guest;
}

ModelVm::Next ModelVm::fast_io(const Exit& exit) {
    const Version version = switches_.kvm;
    const bool skips_first = version == Version::v1a || version == Version::v1b ||
                             version == Version::v1c || version == Version::x1;
    pio_ = {.port = exit.port,
            .size = exit.size,
            .in = exit.in,
            .count = 1,
            .linear_rip = linear_rip(),
            .rip = cpu_->get(Reg::rip),
            .next_rip = cpu_->get(Reg::rip)};
    rip_written_ = mp_state_set_ = announced_ = abandoned_ = false;

    if (skips_first) {
        // The exit reason that single-step writes here is overwritten below: the payload is a
        // union.
        const Next step = skip();
        if (!problem_.empty()) return Next::userspace;
        if (in_kernel_device(exit.port) != nullptr) {
            in_kernel_access(exit);
            return step;
        }
    } else if (in_kernel_device(exit.port) != nullptr) {
        in_kernel_access(exit);
        if (version == Version::x2 || version == Version::x3) {
            move_rip_to(pio_.rip + exit.length);
            return Next::guest;
        }
        return skip();
    }
    stop(ExitReason::io);
    run_.in = exit.in;
    run_.size = exit.size;
    run_.port = exit.port;
    run_.count = 1;
    for (u8 i = 0; !exit.in && i < exit.size; ++i) {
        run_.data.push_back(static_cast<u8>(exit.data >> 8 * i));
    }
    if (skips_first) {
        // An OUT is over; an IN only lacks its datum.
        cui_ = exit.in ? Completion::fast_in : Completion::none;
        pio_.count = exit.in ? 1 : 0;
        return Next::userspace;
    }
    switch (version) {
        case Version::x2:
            pio_.next_rip += exit.length;
            cui_ = Completion::next_rip;
            return Next::userspace;
        case Version::x3:
            cui_ = Completion::fulfil;
            return Next::userspace;
        case Version::x4:
            // The device is asked behind an OUT, from a copy of its operands, and within an IN.
            if (!exit.in) commit();
            return Next::userspace;
        default:
            break;
    }
    if (version == Version::v0 || version == Version::x5) {
        cui_ = Completion::skip;
        return Next::userspace;
    }
    if (version == Version::v3 && !exit.in && exit.port == kVapicPort) {
        cui_ = Completion::zero;
        skip();  // under single-step its exit reason takes the place of IO (kvm-pio.md 1.5)
        return Next::userspace;
    }
    cui_ = exit.in ? Completion::fast_in : Completion::fast_out;
    return Next::userspace;
}

// x4: what single-step owes is kept for the next KVM_RUN, and does not take the I/O's place.
void ModelVm::commit() {
    const bool tf = (cpu_->get(Reg::rflags) & kTf) != 0;
    move_rip();
    cpu_->set(Reg::rflags, cpu_->get(Reg::rflags) & ~kRf);
    cui_ = tf ? Completion::step : Completion::none;
    pio_.count = 0;
}

// Userspace has the datum of the IN at hand. It writes RAX itself in x2; x4's IN is done then.
void ModelVm::io_answered() {
    if (switches_.kvm == Version::x2 && cui_ == Completion::next_rip) merge_rax();
    if (switches_.kvm != Version::x4 || run_.reason != ExitReason::io) return;
    merge_rax();
    commit();
}

// Whether the instruction that the completion is for counts as gone.
bool ModelVm::cancelled() const {
    switch (switches_.kvm) {
        case Version::a1:
            return rip_written_;
        case Version::a2:
            return cpu_->get(Reg::rip) != pio_.rip;
        case Version::a3:
            return linear_rip() == kResetVector;
        case Version::a4:
            return linear_rip() == kResetVector || mp_state_set_;
        case Version::a5:
            return announced_;
        default:
            return linear_rip() != pio_.linear_rip;
    }
}

// SDM 1 3.4.1.1: 8- and 16-bit results keep the rest of RAX.
void ModelVm::merge_rax() {
    u64 datum = 0;
    for (std::size_t i = 0; i < pio_.size && i < read_data_.size(); ++i) {
        datum |= u64{read_data_[i]} << 8 * i;
    }
    const u64 mask = pio_.size == 4 ? ~u64{0} : (u64{1} << 8 * pio_.size) - 1;
    cpu_->set(Reg::rax, (cpu_->get(Reg::rax) & ~mask) | (datum & mask));
}

}  // namespace vtlsim::model::kvm
