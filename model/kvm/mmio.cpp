// Accesses to what is not RAM, as the emulator makes them: cut at pages, at most 8 bytes an exit. A
// read exits first, and the instruction runs when all its data are there; a write has run when it
// exits. The executor runs the instruction over pages that are RAM for this one step.
#include <algorithm>
#include <set>

#include "model/kvm/model_vm.hpp"
#include "model/kvm/opcode.hpp"
#include "model/kvm/watcher.hpp"

namespace vtlsim::model::kvm {

using sim::Exit;
using sim::Reg;
using sim::Seg;

namespace {

constexpr u64 kTf = 0x100, kRf = 0x10000, kZf = 0x40, kPf = 4;
constexpr u64 kStatus = 0x8D5;  // OF, SF, ZF, AF, PF, CF
constexpr u64 kPiece = 8;
constexpr u16 kPopf = 0x9D, kIret = 0xCF, kLeave = 0xC9, kPopa = 0x61;
// The emulator goes back to the guest when RCX is a multiple of this (x86_emulate_insn).
constexpr u64 kIterations = 1024;

// INT3, INT n, INTO
bool makes_interrupt(const Opcode& op) { return op.value >= 0xCC && op.value <= 0xCE; }

}  // namespace

// Each time that the emulator goes back to the guest within a REP, it writes RFLAGS back, with RF
// set. The executor does a REP in RAM at once, and leaves its flags to the end.
void ModelVm::write_back_flags_of_rep(const Opcode& op) {
    if (begun_.rip != cpu_->get(Reg::rip)) return;
    const u64 mask =
        em_.insn.address_size == 8 ? ~u64{0} : (u64{1} << 8 * em_.insn.address_size) - 1;
    const u64 first = begun_.rcx & mask, now = cpu_->get(Reg::rcx) & mask;
    const bool went_back = first > now && (first - 1) / kIterations * kIterations >= now;
    u64 flags = cpu_->get(Reg::rflags) | (begun_.rflags & kRf);
    if (went_back) {
        flags |= kRf;
        if (op.compares() && op.rep == 0xF2) {
            not_modelled("REPNE that exits for MMIO after a multiple of 1024 in RAM");
        } else if (op.compares()) {  // what has been compared was equal
            flags = (flags & ~kStatus) | kZf | kPf;
        }
    }
    cpu_->set(Reg::rflags, flags);
}

ModelVm::Next ModelVm::mmio(const Exit& exit) {
    if (exit.access == sim::Access::execute) {
        return emulation_fails();  // no code to fetch
    }
    decode(exit);
    mmio_ = {};
    // An exit of memory does not say which instruction it is.
    const u8 length = length_at_rip().value_or(0);
    mmio_.code = cpu_->peek_code(cpu_->linear_ip(), length);
    mmio_.code_at = cpu_->peek_physical(cpu_->linear_ip()).value_or(0);
    const Opcode op = opcode_of(mmio_.code, code_mode() == 0);
    mmio_.op = op;
    em_.next_rip = (em_.rip + length) & mode_mask();
    const u8 usual = code_mode() == 0 ? 8 : code_mode() == 1 ? 4 : 2;
    em_.insn.address_size = !op.address_size ? usual : usual == 4 ? u8{2} : u8{4};
    em_.rflags &= ~kRf;
    if (op.rep != 0 && op.is_string()) {
        if (!by_hardware()) write_back_flags_of_rep(op);
        em_.rflags = get_rflags() | kRf;
        if (!problem_.empty()) return Next::userspace;
    }
    if (!can_emulate()) {
        queue_fault({.vector = sim::Vector::ud});
        return Next::guest;
    }
    const bool writes = exit.access == sim::Access::write && !op.reads_destination();
    if (!writes && makes_interrupt(op)) return not_modelled("INT n whose vectors are in MMIO");
    if (writes && leftover_ && by_hardware()) return mmio_of_leftover();
    if (writes || !operands().empty()) return mmio_execute();
    mmio_.at = exit.gpa;
    mmio_.left = whole_access(exit.gpa, exit.size);
    if (op.far_pointer(code_mode() == 0)) {
        const u8 offset = op.wide ? 8 : (code_mode() == 2) == op.operand_size ? 4 : 2;
        mmio_.left = u64{offset} + 2;
    }
    if (op.pops_segment()) mmio_.left = 2;  // whatever its operand size
    // LEAVE has moved RSP in the emulator's registers when it reads.
    if (op.value == kLeave) {
        constexpr u64 kBig = 1 << 14;
        const bool big = (cpu_->get(Reg::ss_attr) & kBig) != 0;
        const u64 mask = code_mode() == 0 ? ~u64{0} : big ? 0xFFFFFFFF : 0xFFFF;
        cpu_->set(Reg::rsp, (cpu_->get(Reg::rsp) & ~mask) | (cpu_->get(Reg::rbp) & mask));
    }
    return mmio_read();
}

// At the start of an access: what is left over from another one answers it.
ModelVm::Next ModelVm::mmio_read() {
    if (!leftover_) return mmio_read_exit();
    const auto data = take_leftover(mmio_.left);
    if (!data) return Next::userspace;
    mmio_.reads.emplace_back(mmio_.at - mmio_.shift, *data);
    mmio_.left = 0;
    return mmio_has_read();
}

// All of an operand is there.
ModelVm::Next ModelVm::mmio_has_read() {
    ++mmio_.operands;
    return em_.insn.kind == sim::ExitKind::io ? emulate_outs() : mmio_execute();
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
    mmio_.reads.emplace_back(mmio_.at - mmio_.shift, data);
    mmio_.at += data.size();
    mmio_.left -= data.size();
    if (mmio_.left != 0) return mmio_read_exit();
    return mmio_has_read();
}

// From what is read so far up to the next exit, or the end of the instruction. Between iterations
// of a REP the emulator writes GPRs back, but neither RIP nor RFLAGS.
ModelVm::Next ModelVm::mmio_execute() {
    std::optional<Next> next;
    while (!next) next = mmio_iteration();
    return *next;
}

// CMPS reads its source first, then its destination, which the executor looks at the other way
// round. RETF, IRET and POPA read one slot after the other, where the executor finds the next one
// in a page that is already there.
std::vector<ModelVm::Operand> ModelVm::operands() {
    const Opcode& op = mmio_.op;
    const sim::CpuState s = em_.registers_stale ? decoded_ : cpu_->state();
    const u64 mask =
        em_.insn.address_size == 8 ? ~u64{0} : (u64{1} << 8 * em_.insn.address_size) - 1;
    const auto linear = [&](Seg seg, u64 offset) {
        const bool flat = code_mode() == 0 && seg != Seg::fs && seg != Seg::gs;
        const u64 at = (flat ? 0 : s[base_of(seg)]) + offset;
        return code_mode() == 0 ? at : at & 0xFFFFFFFF;
    };
    const u8 size = op.value == 0xA6 ? 1 : operand_bytes(op);
    if (op.value == 0xA6 || op.value == 0xA7) {
        mmio_.source = linear(op.segment_or(Seg::ds), s[Reg::rsi] & mask);
        mmio_.first_is_mmio = !machine_.is_ram(0, mmio_.source, 1);
        return {{mmio_.source, size}, {linear(Seg::es, s[Reg::rdi] & mask), size}};
    }
    constexpr u64 kBig = 1 << 14, kSlotOfSp = 3;
    const bool wide = code_mode() != 0 && (s[Reg::ss_attr] & kBig) != 0;
    const u64 stack = code_mode() == 0 ? ~u64{0} : wide ? 0xFFFFFFFF : 0xFFFF;
    const u64 slots = op.returns_far() ? 2 : op.value == kIret ? 3 : op.value == kPopa ? 8 : 0;
    std::vector<Operand> out;
    for (u64 i = 0; i < slots; ++i) {
        if (op.value == kPopa && i == kSlotOfSp) continue;
        out.push_back({linear(Seg::ss, (decoded_[Reg::rsp] + i * size) & stack), size});
    }
    return out;
}

// Something: there is one more to read, or a fault.
std::optional<ModelVm::Next> ModelVm::next_operand() {
    const std::vector<Operand> all = operands();
    std::vector<Operand> outside;
    for (const Operand& o : all) {
        const auto at = physical_of(o.linear);
        if (!at && outside.size() >= mmio_.operands) {
            queue_fault(not_present(o.linear));
            return Next::guest;
        }
        if (at && !machine_.is_ram(0, *at, 1)) outside.push_back(o);
    }
    if (mmio_.operands >= outside.size()) return std::nullopt;
    const bool cmps = (mmio_.op.value | 1) == 0xA7;
    if (!cmps && outside.size() != all.size()) {
        return not_modelled("several reads of a stack that is RAM and MMIO");
    }
    mmio_.at = outside[mmio_.operands].linear;
    mmio_.left = outside[mmio_.operands].size;
    const u64 far = outside.back().linear - outside.front().linear + mmio_.left - 1;
    if (cmps && outside.size() == 2 && far < 2 * mmio_.left - 1) {
        return not_modelled("CMPS of MMIO addresses that overlap");
    }
    // Each KVM_RUN begins the instruction again, with RSP as the pops before the exit have left it.
    if (!cmps && mmio_.operands != 0) {
        const u64 popped = mmio_.at - outside.front().linear;
        mmio_.shift = mmio_.moved;
        mmio_.moved += popped;
        mmio_.at += mmio_.shift;
        cpu_->set(Reg::rsp, cpu_->get(Reg::rsp) + popped);
        if (mmio_.op.value == kPopa) show_popped();
    }
    return mmio_read();
}

// What POPA has read goes to the registers at once.
void ModelVm::show_popped() {
    constexpr Reg kOrder[] = {Reg::rdi, Reg::rsi, Reg::rbp, Reg::rbx, Reg::rdx, Reg::rcx, Reg::rax};
    std::vector<u8> data;
    for (const auto& [at, part] : mmio_.reads) data.insert(data.end(), part.begin(), part.end());
    const std::size_t size = operand_bytes(mmio_.op);
    for (std::size_t i = 0; i < mmio_.operands; ++i) {
        u64 value = 0;
        for (std::size_t b = size; b-- > 0;) value = value << 8 | data[i * size + b];
        const u64 kept = size == 2 ? cpu_->get(kOrder[i]) & ~u64{0xFFFF} : 0;
        cpu_->set(kOrder[i], kept | value);
    }
}

// What the next instruction would do if only that were RAM; nothing of it stays.
sim::Outcome ModelVm::try_step(std::vector<sim::RamRange> ram) {
    std::sort(ram.begin(), ram.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    const sim::CpuState state = cpu_->state();
    const sim::Memory memory = machine_.snapshot_memory();
    machine_.set_ram(0, std::move(ram));
    cpu_->set_deliver_faults(false);
    watcher_->logging = false;
    sim::Outcome outcome = cpu_->run({.steps = 1, .iterations = 1}, watcher_.get());
    watcher_->logging = true;
    cpu_->set_deliver_faults(true);
    machine_.set_ram(0, ram_of(guest_));
    machine_.set_memory(memory);
    cpu_->set_state(state);
    return outcome;
}

// At `at` in MMIO the executor's exit has `size` bytes, up to the end of the page at most. Those of
// the whole access, where it goes on in MMIO.
u64 ModelVm::whole_access(u64 at, u64 size) {
    const u64 next = at + size;
    if ((next & sim::kPageMask) != 0 || machine_.is_ram(0, next, 1)) return size;
    if (switches_.flaw == Flaw::split_reads_once) return size;
    std::vector<sim::RamRange> ram = ram_of(guest_);
    ram.push_back({at & ~sim::kPageMask, next - 1});
    const sim::Outcome outcome = try_step(std::move(ram));
    const auto* exit = std::get_if<Exit>(&outcome);
    const bool goes_on =
        exit != nullptr && exit->kind == sim::ExitKind::memory && exit->gpa == next;
    return goes_on ? size + exit->size : size;
}

std::optional<ModelVm::Next> ModelVm::mmio_iteration() {
    const Opcode& op = mmio_.op;
    const bool rep = op.rep != 0 && op.is_string();
    const bool stale = em_.registers_stale;
    const u64 count_mask =
        em_.insn.address_size == 8 ? ~u64{0} : (u64{1} << 8 * em_.insn.address_size) - 1;
    const sim::CpuState users = cpu_->state();
    if (rep && (users[Reg::rcx] & count_mask) == 0) {
        keep_leftover();
        return emulator_done(false, true);
    }
    if (const auto next = next_operand()) return next;

    // The old decode: RIP, RFLAGS, and the operands where userspace has written GPRs since.
    sim::CpuState s = users;
    if (stale) {
        for (std::size_t i = 0; i < 16; ++i) s[sim::gpr(i)] = decoded_[sim::gpr(i)];
    }
    if (!stale) s[Reg::rsp] -= mmio_.moved;
    s[Reg::rip] = em_.rip;
    s[Reg::rflags] = em_.rflags & ~kTf & ~kRf;
    s[Reg::shadow] = 0;
    // One iteration, and all of its results: the executor keeps some until a REP ends.
    const u64 count = s[Reg::rcx];
    if (rep) s[Reg::rcx] = 1;
    cpu_->set_state(s);

    std::set<u64> pages;
    const std::vector<sim::RamRange> ram = ram_of(guest_);
    const auto give_pages = [&] {
        std::vector<sim::RamRange> more = ram;
        for (u64 page : pages) {
            more.push_back({page * sim::kPageSize, (page + 1) * sim::kPageSize - 1});
        }
        std::sort(more.begin(), more.end(),
                  [](const auto& a, const auto& b) { return a.first < b.first; });
        machine_.set_ram(0, more);
    };
    const sim::Memory before = machine_.snapshot_memory();
    // The old decode, whatever userspace has written over the instruction since.
    std::vector<u8> code(mmio_.code.size());
    machine_.read(mmio_.code_at, code);
    const bool rewritten = code != mmio_.code;
    if (rewritten && !machine_.write(mmio_.code_at, mmio_.code)) {
        return not_modelled("out of memory");
    }
    for (const auto& [at, data] : mmio_.reads) {
        pages.insert(at / sim::kPageSize);
        pages.insert((at + data.size() - 1) / sim::kPageSize);
        if (!machine_.write(at, data)) return not_modelled("out of memory");
    }
    watcher_->logging = false;
    watcher_->stores.clear();
    sim::Outcome outcome;
    cpu_->set_deliver_faults(makes_interrupt(op));
    for (;;) {
        for (u64 page : pages) machine_.watch_page(page);
        give_pages();
        outcome = cpu_->run({.steps = 1, .iterations = 1}, watcher_.get());
        const auto* exit = std::get_if<Exit>(&outcome);
        if (exit == nullptr || exit->kind != sim::ExitKind::memory) break;
        if (exit->access != sim::Access::write || op.reads_destination()) break;
        if (!pages.insert(exit->gpa / sim::kPageSize).second) break;
    }
    cpu_->set_deliver_faults(true);
    watcher_->logging = true;
    machine_.set_ram(0, ram);
    if (const auto* exit = std::get_if<Exit>(&outcome)) {
        machine_.set_memory(before);
        cpu_->set_state(users);
        if (exit->kind != sim::ExitKind::memory) {
            return not_modelled("an exit within an MMIO access");
        }
        if (pages.count(exit->gpa / sim::kPageSize) != 0) {
            return not_modelled("two MMIO reads of one instruction in one page");
        }
        if (switches_.flaw == Flaw::split_reads_once && !mmio_.reads.empty()) {
            std::vector<u8> first = mmio_.reads.front().second;
            first.resize(exit->size);
            mmio_.reads.emplace_back(exit->gpa, std::move(first));
            return std::nullopt;
        }
        mmio_.at = exit->gpa;
        mmio_.shift = 0;
        mmio_.left = stale ? exit->size : whole_access(exit->gpa, exit->size);
        return mmio_read();
    }
    const std::vector<u8> zeros(sim::kPageSize);
    for (u64 page : pages) {
        if (!machine_.write(page * sim::kPageSize, zeros)) return not_modelled("out of memory");
    }
    if (rewritten && !machine_.write(mmio_.code_at, code)) return not_modelled("out of memory");
    if (const auto* fault = std::get_if<sim::Fault>(&outcome)) {
        cpu_->set_state(users);
        queue_fault(own_fault(op, *fault));
        return Next::guest;
    }
    if (std::holds_alternative<sim::NotModelled>(outcome)) return handle(outcome);

    sim::CpuState after = cpu_->state();
    if (rep) after[Reg::rcx] = s[Reg::rcx] = count;
    ++steps_;
    if (steps_left_ > 0) --steps_left_;
    const u64 keeps = op.value == kPopf || op.value == kIret ? kRf : kTf | kRf;
    em_.rflags = (after[Reg::rflags] & ~kRf & ~(keeps & kTf)) | (em_.rflags & keeps);
    sim::CpuState result = after;
    result[Reg::rip] = users[Reg::rip];
    result[Reg::rflags] = users[Reg::rflags];
    result[Reg::shadow] = users[Reg::shadow];
    result[Reg::pending_debug] = 0;
    // What went to the dropped register cache is lost, but for the pointers and the count of a
    // string, which are stepped from what userspace wrote.
    if (stale) {
        for (std::size_t i = 0; i < 16; ++i) result[sim::gpr(i)] = users[sim::gpr(i)];
        for (std::size_t i = 0; op.value == kPopa && i < 8; ++i)
            result[sim::gpr(i)] = after[sim::gpr(i)];
        if (op.value == kLeave) result[Reg::rbp] = after[Reg::rbp];
    }
    if (stale && op.uses_stack()) result[Reg::rsp] = after[Reg::rsp];
    result[Reg::rsp] += mmio_.moved;
    cpu_->set_state(result);
    if (stale && op.is_string()) {
        for (Reg reg : {Reg::rsi, Reg::rdi}) {
            if (after[reg] != s[reg]) advance(reg, static_cast<i64>(after[reg] - s[reg]));
        }
    }
    if (rep) advance(Reg::rcx, -1);
    mmio_.writes.clear();
    mmio_.reads.clear();
    mmio_.operands = 0;
    // Each access of an instruction that makes several (PUSHA) replaces the fragments of the last.
    u64 end = 0;
    for (auto& [at, data] : watcher_->stores) {
        if (op.pushes_segment() && data.size() == 4) data.resize(2);
        if (at != end) mmio_.writes.clear();
        add_write_pieces(at, data);
        end = at + data.size();
    }
    watcher_->stores.clear();
    const bool to_userspace = !mmio_.writes.empty();
    if (!rep) {
        em_.next_rip = after[Reg::rip];
        const Next next = emulator_done(to_userspace, true);
        return to_userspace ? mmio_write_piece() : next;
    }
    const bool zero = (em_.rflags & kZf) != 0;
    if (op.compares() && zero == (op.rep == 0xF2)) return emulator_done(false, true);
    if (to_userspace) {
        emulator_done(true, false);
        return mmio_write_piece();
    }
    if ((cpu_->get(Reg::rcx) & count_mask) % kIterations == 0) return emulator_done(false, false);
    // The next iteration steps pointers, and has the operands of the old decode else.
    for (Reg reg : {Reg::rsi, Reg::rdi}) decoded_[reg] = cpu_->get(reg);
    return std::nullopt;
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
