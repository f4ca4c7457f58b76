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
    mmio_ = {};
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

// Of MMIO, too, where the executor's own answer is none.
std::optional<u64> ModelVm::physical_of(u64 linear) {
    auto at = cpu_->peek_physical(linear);
    if (at) return at;
    constexpr u64 kLast = (u64{1} << 52) - 1;
    machine_.set_ram(0, {{0, kLast}});
    at = cpu_->peek_physical(linear);
    machine_.set_ram(0, ram_of(guest_));
    return at;
}

// Where the bytes of INS's or OUTS's memory operand are, through the translation. False: a fault is
// queued; `physical` then ends before it.
bool ModelVm::string_address(u64 offset, Seg segment, bool write, std::vector<u64>& physical,
                             std::size_t size) {
    const bool long_code = mode_mask() == ~u64{0};
    const auto refuse = [&](sim::Vector vector) {
        queue_fault({.vector = vector, .has_error_code = true});
        return false;
    };
    const sim::Vector bad = segment == Seg::ss ? sim::Vector::ss : sim::Vector::gp;
    u64 base = 0;
    if (!long_code || segment == Seg::fs || segment == Seg::gs) base = cpu_->get(base_of(segment));
    // A limit of 4 GiB - 1 is none: the operand wraps.
    const u64 limit = cpu_->get(limit_of(segment));
    if (!long_code && limit != 0xFFFFFFFF && offset + size - 1 > limit) return refuse(bad);
    for (std::size_t i = 0; i < size; ++i) {
        u64 linear = base + offset + i;
        if (!long_code) linear &= 0xFFFFFFFF;
        if (long_code && static_cast<u64>(static_cast<i64>(linear << 16) >> 16) != linear) {
            return refuse(bad);
        }
        const bool same_page = i != 0 && (linear & sim::kPageMask) != 0;
        const auto at = same_page ? std::optional(physical.back() + 1) : physical_of(linear);
        if (!at) {
            queue_fault(not_present(linear, write));
            return false;
        }
        physical.push_back(*at);
    }
    return true;
}

// What INS has got: RAM takes its part at once, the rest goes into mmio_.writes. False: a fault is
// queued, or the model has a problem.
bool ModelVm::store_string(std::span<const u8> bytes) {
    std::vector<u64> physical;
    const bool good = string_address(em_.pointer, Seg::es, true, physical, bytes.size());
    mmio_ = {};
    std::vector<u8> run;
    const std::size_t count = physical.size();  // in front of a page that faults
    for (std::size_t i = 0; i < count; ++i) {
        if (machine_.is_ram(0, physical[i], 1)) {
            if (!machine_.write(physical[i], bytes.subspan(i, 1))) {
                not_modelled("out of memory");
                return false;
            }
            continue;
        }
        run.push_back(bytes[i]);
        const bool last = i + 1 == count || physical[i + 1] != physical[i] + 1 ||
                          machine_.is_ram(0, physical[i + 1], 1);
        if (!last) continue;
        add_write_pieces(physical[i] - (run.size() - 1), run);
        run.clear();
    }
    if (!good) mmio_.writes.clear();
    return good;
}

// One element; a REP is left at each, the last one too.
ModelVm::Next ModelVm::emulate_outs() {
    const u64 mask = width_mask(em_.insn.address_size);
    if (em_.insn.rep && (cpu_->get(Reg::rcx) & mask) == 0) {
        // Userspace has cleared it at the exit of the source's read.
        keep_leftover();
        return emulator_done(false, true);
    }
    std::vector<u8> data;
    if (!mmio_.reads.empty()) {
        for (const auto& [at, part] : mmio_.reads)
            data.insert(data.end(), part.begin(), part.end());
    } else if (leftover_) {
        const auto left = take_leftover(em_.insn.size);
        if (!left) return Next::userspace;
        data = *left;
    } else {
        std::vector<u64> physical;
        if (!string_address(em_.pointer, em_.insn.segment, false, physical, em_.insn.size)) {
            return Next::guest;
        }
        std::size_t outside = 0;
        for (u64 at : physical) outside += machine_.is_ram(0, at, 1) ? 0 : 1;
        if (outside != 0) {
            if (outside != physical.size()) {
                return not_modelled("OUTS whose operand is RAM and MMIO");
            }
            mmio_.at = physical.front();
            mmio_.left = em_.insn.size;
            return mmio_read_exit();
        }
        data.resize(em_.insn.size);
        for (std::size_t i = 0; i < data.size(); ++i) {
            machine_.read(physical[i], std::span(data).subspan(i, 1));
        }
    }
    mmio_.reads.clear();
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
    // An IN with a REP prefix asks for RCX elements, too; it takes one.
    const bool batch =
        opcode_of(std::span(insn.bytes).first(insn.length), code_mode() == 0).rep != 0;
    const bool down = (em_.rflags & kDf) != 0;
    const u64 count_mask = width_mask(insn.address_size);
    for (;;) {
        if (rep && (cpu_->get(Reg::rcx) & count_mask) == 0) {
            if (completing) {            // userspace cleared RCX: what KVM latched is still due
                em_.rip = em_.next_rip;  // ctxt->eip, which an iteration writes back
                cui_ = Completion::emulator;
                pio_.count = pio_latched_;
                return Next::userspace;
            }
            return emulator_done(false, true);
        }
        if (em_.ahead_at == em_.ahead_end) {
            const u64 in_page = cpu_->get(Reg::rdi) & sim::kPageMask;
            u64 n = 1;
            if (batch) {
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
            if (rep) em_.rflags |= kRf;
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
        if (!store_string(chunk)) return problem_.empty() ? Next::guest : Next::userspace;
        const i64 by = static_cast<i64>(size);
        advance(Reg::rdi, down ? -by : by);
        em_.pointer = cpu_->get(Reg::rdi) & count_mask;
        if (rep) advance(Reg::rcx, -by / insn.size);
        if (!mmio_.writes.empty()) {  // of what is ahead nothing survives the exit
            emulator_done(true, !rep);
            return mmio_write_piece();
        }
        if (!rep) return emulator_done(false, true);
        if (em_.ahead_at == em_.ahead_end) return emulator_done(false, false);
    }
}

ModelVm::Next ModelVm::complete_emulator() {
    if (mmio_.pending) return complete_mmio_read();
    return emulate_in(true);
}

}  // namespace vtlsim::model::kvm
