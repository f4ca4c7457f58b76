// Accesses to what is not RAM, as the emulator makes them: cut at pages, at most 8 bytes an exit. A
// read exits first, and the instruction runs when all its data are there; a write has run when it
// exits. The executor runs the instruction over pages that are RAM for this one step.
#include <algorithm>
#include <set>

#include "model/kvm/model_vm.hpp"
#include "model/kvm/watcher.hpp"

namespace vtlsim::model::kvm {

using sim::Exit;
using sim::Reg;

namespace {

constexpr u64 kRf = 0x10000;
constexpr u64 kPiece = 8;

// A REP of MOVS, CMPS, STOS, LODS or SCAS: the emulator leaves it at every access.
bool is_rep_string(const Exit& exit) {
    bool rep = false;
    for (std::size_t i = 0; i < exit.length; ++i) {
        const u8 b = exit.bytes[i];
        if (b == 0xF2 || b == 0xF3) {
            rep = true;
        } else if (b == 0x66 || b == 0x67 || b == 0x2E || b == 0x36 || b == 0x3E || b == 0x26 ||
                   (b >= 0x64 && b <= 0x65) || (b >= 0x40 && b <= 0x4F)) {
            continue;
        } else {
            return rep && ((b >= 0xA4 && b <= 0xA7) || (b >= 0xAA && b <= 0xAF));
        }
    }
    return false;
}

}  // namespace

ModelVm::Next ModelVm::mmio(const Exit& exit) {
    if (exit.access == sim::Access::execute) {
        stop(ExitReason::internal_error);
        run_.suberror = 1;  // KVM_INTERNAL_ERROR_EMULATION: no code to fetch
        return Next::userspace;
    }
    decode(exit);
    mmio_ = {};
    em_.rflags &= ~kRf;
    if (is_rep_string(exit)) em_.rflags |= kRf;
    return mmio_goes_on(exit);
}

// The instruction has met an access to memory that is not RAM, for which there is no datum yet.
ModelVm::Next ModelVm::mmio_goes_on(const Exit& exit) {
    if (exit.access == sim::Access::write) return mmio_execute();
    mmio_.at = exit.gpa;
    mmio_.left = exit.size;
    return mmio_read_exit();
}

ModelVm::Next ModelVm::mmio_read_exit() {
    const u64 in_page = sim::kPageSize - (mmio_.at & sim::kPageMask);
    const u64 size = std::min({mmio_.left, in_page, kPiece});
    stop(ExitReason::mmio);
    run_.phys = mmio_.at;
    run_.length = static_cast<u8>(size);
    read_data_.clear();
    mmio_.pending = true;
    cui_ = Completion::emulator;
    return Next::userspace;
}

ModelVm::Next ModelVm::complete_mmio_read() {
    mmio_.pending = false;
    std::vector<u8> data = read_data_;
    data.resize(run_.length);
    mmio_.reads.emplace_back(mmio_.at, data);
    mmio_.at += data.size();
    mmio_.left -= data.size();
    if (mmio_.left != 0) return mmio_read_exit();
    return mmio_execute();
}

// One step (one iteration of a REP) with the data that have come so far.
ModelVm::Next ModelVm::mmio_execute() {
    const bool stale = em_.registers_stale;
    const bool rep = is_rep_string(em_.insn);
    const sim::CpuState users = cpu_->state();
    sim::CpuState s = users;
    if (stale) {
        // The decoded operands are gone with the cache: only what does not depend on registers that
        // userspace has changed can be told.
        bool same = true;
        for (std::size_t i = 0; i < 16; ++i) same = same && s[sim::gpr(i)] == decoded_[sim::gpr(i)];
        if (!same) return not_modelled("an MMIO read whose registers userspace has changed");
    }
    // The old decode: RIP, RFLAGS.
    s[Reg::rip] = em_.rip;
    s[Reg::rflags] = em_.rflags & ~u64{0x100} & ~kRf;
    s[Reg::shadow] = 0;
    cpu_->set_state(s);

    std::set<u64> pages;
    const std::vector<sim::RamRange> ram = ram_of(guest_);
    const auto give_pages = [&] {
        std::vector<sim::RamRange> more = ram;
        for (u64 page : pages)
            more.push_back({page * sim::kPageSize, (page + 1) * sim::kPageSize - 1});
        std::sort(more.begin(), more.end(),
                  [](const auto& a, const auto& b) { return a.first < b.first; });
        machine_.set_ram(0, more);
    };
    const sim::Memory before = machine_.snapshot_memory();
    for (const auto& [at, data] : mmio_.reads) {
        pages.insert(at / sim::kPageSize);
        if (!machine_.write(at, data)) return not_modelled("out of memory");
    }
    watcher_->logging = false;
    watcher_->stores.clear();
    sim::Outcome outcome;
    cpu_->set_deliver_faults(false);
    for (;;) {
        for (u64 page : pages) machine_.watch_page(page);
        give_pages();
        outcome = cpu_->run({.steps = 1, .iterations = 1}, watcher_.get());
        const auto* exit = std::get_if<Exit>(&outcome);
        if (exit == nullptr || exit->kind != sim::ExitKind::memory) break;
        if (exit->access == sim::Access::write) {
            if (!pages.insert(exit->gpa / sim::kPageSize).second) break;
            continue;
        }
        break;
    }
    cpu_->set_deliver_faults(true);
    watcher_->logging = true;
    machine_.set_ram(0, ram);
    const auto restore_mmio = [&] {
        const std::vector<u8> zeros(sim::kPageSize);
        for (u64 page : pages) {
            if (!machine_.write(page * sim::kPageSize, zeros)) problem_ = "out of memory";
        }
    };
    if (const auto* exit = std::get_if<Exit>(&outcome)) {
        machine_.set_memory(before);
        cpu_->set_state(users);
        if (exit->kind != sim::ExitKind::memory)
            return not_modelled("an exit within an MMIO access");
        if (pages.count(exit->gpa / sim::kPageSize) != 0) {
            return not_modelled("two MMIO reads of one instruction in one page");
        }
        return mmio_goes_on(*exit);
    }
    restore_mmio();
    if (const auto* fault = std::get_if<sim::Fault>(&outcome)) {
        cpu_->set_state(users);
        queue_fault(*fault);
        return Next::guest;
    }
    if (std::holds_alternative<sim::NotModelled>(outcome)) return handle(outcome);
    ++steps_;
    if (steps_left_ > 0) --steps_left_;
    const bool retired = !rep;
    em_.next_rip = cpu_->get(Reg::rip);
    em_.rflags = (cpu_->get(Reg::rflags) & ~kRf & ~u64{0x100}) | (em_.rflags & (u64{0x100} | kRf));
    if (stale) {
        // The result went to a register cache that nobody writes back.
        for (std::size_t i = 0; i < 16; ++i) cpu_->set(sim::gpr(i), users[sim::gpr(i)]);
    }
    cpu_->set(Reg::pending_debug, 0);
    mmio_.writes.clear();
    for (const auto& [at, data] : watcher_->stores) add_write_pieces(at, data);
    watcher_->stores.clear();
    const Next next = emulator_done(!mmio_.writes.empty(), retired);
    if (mmio_.writes.empty()) return next;
    return mmio_write_piece();
}

void ModelVm::add_write_pieces(u64 at, const std::vector<u8>& data) {
    for (std::size_t i = 0; i < data.size();) {
        const u64 in_page = sim::kPageSize - ((at + i) & sim::kPageMask);
        const std::size_t n =
            std::min({data.size() - i, std::size_t{in_page}, std::size_t{kPiece}});
        const auto first = data.begin() + static_cast<std::ptrdiff_t>(i);
        mmio_.writes.emplace_back(at + i,
                                  std::vector<u8>(first, first + static_cast<std::ptrdiff_t>(n)));
        i += n;
    }
}

ModelVm::Next ModelVm::mmio_write_piece() {
    if (mmio_.writes.empty()) return Next::guest;
    const auto [at, data] = mmio_.writes.front();
    mmio_.writes.erase(mmio_.writes.begin());
    stop(ExitReason::mmio);
    run_.phys = at;
    run_.length = static_cast<u8>(data.size());
    run_.write = true;
    run_.data = data;
    cui_ = Completion::mmio_write;
    return Next::userspace;
}

}  // namespace vtlsim::model::kvm
