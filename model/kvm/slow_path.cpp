// The full emulator's port I/O (kvm-pio.md 1.6). An instruction is decoded into em_; reads leave it
// there until the next KVM_RUN completes them, whatever userspace has done in between.
#include <algorithm>

#include "model/kvm/model_vm.hpp"

namespace vtlsim::model::kvm {

using sim::Exit;
using sim::Reg;
using sim::Seg;

namespace {

constexpr u64 kTf = 0x100, kDf = 0x400, kRf = 0x10000;

u64 width_mask(u8 bytes) { return bytes == 8 ? ~u64{0} : (u64{1} << 8 * bytes) - 1; }

}  // namespace

const Device* ModelVm::in_kernel_device(u16 port) const {
    for (const Device& d : script_.devices) {
        if (d.in_kernel && d.address == port) return &d;
    }
    return nullptr;
}

// A device of KVM: it takes what is written, and answers ones.
void ModelVm::in_kernel_access(const Exit& exit) {
    log(EventKind::kvm_device, {exit.port, exit.size, exit.in ? u64{0} : u64{1}, exit.data});
    if (!exit.in) return;
    if (switches_.flaw != Flaw::kernel_port_unset) read_data_.assign(exit.size, 0xFF);
    pio_.size = exit.size;
    merge_rax();
}

void ModelVm::decode(const Exit& exit) {
    em_.insn = exit;
    em_.rip = cpu_->get(Reg::rip);
    em_.next_rip = (em_.rip + exit.length) & mode_mask();
    em_.rflags = get_rflags();
    em_.tf = (em_.rflags & kTf) != 0;
    em_.registers_stale = false;
    decoded_ = cpu_->state();
    em_.pointer = cpu_->get(exit.in ? Reg::rdi : Reg::rsi) & width_mask(exit.address_size);
    em_.ahead_at = em_.ahead_end = 0;
}

ModelVm::Next ModelVm::slow_io(const Exit& exit) {
    decode(exit);
    if (exit.string && exit.rep) {
        em_.rflags |= kRf;
    } else {
        em_.rflags &= ~kRf;
    }
    if (in_kernel_device(exit.port) != nullptr && !exit.string) {
        in_kernel_access(exit);
        return emulator_done(false, true);
    }
    if (in_kernel_device(exit.port) != nullptr) {
        return not_modelled("string I/O to a device in the kernel");
    }
    if (exit.in) return emulate_in(false);
    if (exit.string) return emulate_outs();
    io_exit(1);
    for (u8 i = 0; i < exit.size; ++i) {
        run_.data.push_back(static_cast<u8>(exit.data >> 8 * i));
    }
    // Userspace shares the page with KVM.
    std::copy(run_.data.begin(), run_.data.end(), pio_data_.begin());
    return emulator_done(true, true);
}

void ModelVm::io_exit(u32 count) {
    stop(ExitReason::io);
    run_.in = em_.insn.in;
    run_.size = em_.insn.size;
    run_.port = em_.insn.port;
    run_.count = count;
}

// What the emulator writes back when an instruction, or an iteration of a REP, is through. Only if
// nothing goes to userspace is a step looked at: the KVM source has a FIXME there.
ModelVm::Next ModelVm::emulator_done(bool to_userspace, bool retired) {
    cpu_->set(Reg::shadow, 0);
    events_.shadow = 0;
    cpu_->set(Reg::rip, retired ? em_.next_rip : em_.rip);
    if (retired) em_.rflags &= ~kRf;
    Next next = to_userspace ? Next::userspace : Next::guest;
    if (!to_userspace && (em_.tf || stepping())) next = do_singlestep();
    set_rflags(em_.rflags);
    return next;
}

void ModelVm::advance(Reg reg, i64 by) {
    const u64 mask = width_mask(em_.insn.address_size);
    const u64 old = cpu_->get(reg);
    const u64 sum = (old + static_cast<u64>(by)) & mask;
    // 32-bit results clear the upper half, 16-bit ones keep it.
    cpu_->set(reg, em_.insn.address_size == 2 ? (old & ~mask) | sum : sum);
}

// The memory operand of INS or OUTS, byte by byte through the translation. False: a fault is
// queued.
bool ModelVm::string_memory(u64 offset, Seg segment, std::span<u8> bytes, bool write) {
    const bool long_code = mode_mask() == ~u64{0};
    const auto refuse = [&](sim::Vector vector) {
        queue_fault({.vector = vector, .has_error_code = true});
        return false;
    };
    const sim::Vector bad = segment == Seg::ss ? sim::Vector::ss : sim::Vector::gp;
    u64 base = 0;
    if (!long_code || segment == Seg::fs || segment == Seg::gs) base = cpu_->get(base_of(segment));
    if (!long_code && offset + bytes.size() - 1 > cpu_->get(limit_of(segment))) return refuse(bad);
    std::vector<u64> physical;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        u64 linear = base + offset + i;
        if (!long_code) linear &= 0xFFFFFFFF;
        if (long_code && static_cast<u64>(static_cast<i64>(linear << 16) >> 16) != linear) {
            return refuse(bad);
        }
        const auto at = cpu_->peek_physical(linear);
        if (!at) {
            not_modelled("a page fault of INS or OUTS");
            return false;
        }
        if (!machine_.is_ram(0, *at, 1)) {
            not_modelled("INS or OUTS whose memory operand is MMIO");
            return false;
        }
        physical.push_back(*at);
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (!write) {
            machine_.read(physical[i], bytes.subspan(i, 1));
        } else if (!machine_.write(physical[i], bytes.subspan(i, 1))) {
            not_modelled("out of memory");
            return false;
        }
    }
    return true;
}

// One element; a REP is left at each, the last one too.
ModelVm::Next ModelVm::emulate_outs() {
    std::vector<u8> data(em_.insn.size);
    if (!string_memory(em_.pointer, em_.insn.segment, data, false)) {
        return problem_.empty() ? Next::guest : Next::userspace;
    }
    const i64 step = em_.insn.size;
    advance(Reg::rsi, (em_.rflags & kDf) != 0 ? -step : step);
    if (em_.insn.rep) advance(Reg::rcx, -1);
    io_exit(1);
    run_.data = data;
    return emulator_done(true, !em_.insn.rep);
}

// IN and INS, first up to the exit, then, `completing`, from it: NO_DECODE.
ModelVm::Next ModelVm::emulate_in(bool completing) {
    const Exit& insn = em_.insn;
    const bool rep = insn.string && insn.rep;
    const bool down = (em_.rflags & kDf) != 0;
    const u64 count_mask = width_mask(insn.address_size);
    for (;;) {
        if (rep && (cpu_->get(Reg::rcx) & count_mask) == 0) {
            if (completing) {  // userspace cleared RCX: what KVM latched is still due
                cui_ = Completion::emulator;
                pio_.count = pio_latched_;
                return Next::userspace;
            }
            return emulator_done(false, true);
        }
        if (em_.ahead_at == em_.ahead_end) {
            const u64 in_page = cpu_->get(Reg::rdi) & sim::kPageMask;
            u64 n = 1;
            if (rep) {
                n = std::min({down ? in_page : sim::kPageSize - in_page,
                              em_.ahead.size() / insn.size, cpu_->get(Reg::rcx) & count_mask});
            }
            n = std::max<u64>(n, 1);
            em_.ahead_at = em_.ahead_end = 0;
            if (!completing) {
                io_exit(static_cast<u32>(n));
                pio_latched_ = static_cast<u32>(n);
                read_data_.clear();
                cui_ = Completion::emulator;
                return Next::userspace;
            }
            // The count that KVM latched, not what RCX says now (d07898eaf399).
            completing = false;
            const bool trusts = switches_.flaw == Flaw::rep_ins_trusts_rcx;
            const std::size_t bytes = (trusts ? n : u64{pio_latched_}) * insn.size;
            for (std::size_t i = 0; i < bytes; ++i) {
                em_.ahead[i] = i < read_data_.size() ? read_data_[i] : pio_data_[i];
            }
            em_.ahead_end = n * insn.size;
        }
        if (!insn.string) {
            if (!em_.registers_stale) {
                pio_.size = insn.size;
                merge_rax();
            }
            return emulator_done(false, true);
        }
        // Upwards the whole batch is one store, downwards each element is its own iteration.
        const std::size_t size = rep && !down ? em_.ahead_end - em_.ahead_at : insn.size;
        const std::span<u8> chunk = std::span(em_.ahead).subspan(em_.ahead_at, size);
        em_.ahead_at += size;
        if (!string_memory(em_.pointer, Seg::es, chunk, true)) {
            return problem_.empty() ? Next::guest : Next::userspace;
        }
        const i64 by = static_cast<i64>(size);
        advance(Reg::rdi, down ? -by : by);
        em_.pointer = cpu_->get(Reg::rdi) & count_mask;
        if (!rep) return emulator_done(false, true);
        advance(Reg::rcx, -by / insn.size);
        if (em_.ahead_at == em_.ahead_end) return emulator_done(false, false);
    }
}

ModelVm::Next ModelVm::complete_emulator() {
    if (mmio_.pending) return complete_mmio_read();
    return emulate_in(true);
}

}  // namespace vtlsim::model::kvm
