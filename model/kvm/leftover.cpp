// What a REP does not take when userspace clears its count at the exit of its read: KVM gives it to
// the next read of memory that it emulates (docs/conform-kvm.md).
#include <algorithm>

#include "model/kvm/model_vm.hpp"
#include "model/kvm/watcher.hpp"

namespace vtlsim::model::kvm {

using sim::Exit;
using sim::Reg;

// The emulator's read cache starts with the first operand, which CMPS may have read from RAM.
void ModelVm::keep_leftover() {
    if (mmio_.reads.empty()) return;
    std::vector<u8> data;
    const Opcode& op = mmio_.op;
    const bool cmps = em_.insn.kind == sim::ExitKind::memory && (op.value | 1) == 0xA7;
    if (cmps && !mmio_.first_is_mmio) {
        std::vector<u8> first(mmio_.reads.front().second.size());
        if (const auto at = cpu_->peek_physical(mmio_.source)) machine_.read(*at, first);
        data = first;
    }
    for (const auto& [at, part] : mmio_.reads) data.insert(data.end(), part.begin(), part.end());
    leftover_ = data;
    mmio_.reads.clear();
}

std::optional<std::vector<u8>> ModelVm::take_leftover(u64 size) {
    std::vector<u8> data = *leftover_;
    leftover_.reset();
    if (data.size() < size) {
        not_modelled("a read that gets more than was left over of another one");
        return std::nullopt;
    }
    data.resize(size);
    return data;
}

// While something is left over, emulated instructions go one by one. If the next one reads RAM,
// what is left over is there instead for this step.
std::optional<ModelVm::Loan> ModelVm::lend_leftover() {
    const bool nmi = cpu_->get(Reg::nmi_pending) != 0 && cpu_->get(Reg::nmi_blocked) == 0;
    const auto code = cpu_->peek_physical(cpu_->linear_ip());
    if (!leftover_ || by_hardware() || nmi || !code || !can_emulate()) return std::nullopt;

    // The first read shows when there is no RAM but the code's and the tables'.
    const u64 page = *code & ~sim::kPageMask;
    std::vector<sim::RamRange> few{{page, page + 2 * sim::kPageSize - 1},
                                   {place::kFirst, place::kLast}};
    const sim::Outcome outcome = try_step(few);
    const auto* exit = std::get_if<Exit>(&outcome);
    if (exit == nullptr || exit->kind != sim::ExitKind::memory) return std::nullopt;
    // An access that goes on in the next page exits there again.
    u64 size = exit->size;
    const u64 next = exit->gpa + size;
    if ((next & sim::kPageMask) == 0) {
        few.push_back({next - sim::kPageSize, next - 1});
        const sim::Outcome more = try_step(few);
        const auto* second = std::get_if<Exit>(&more);
        if (second != nullptr && second->gpa == next) {
            size += second->size;
        } else if (second == nullptr) {  // the next page is the code's
            size = std::max<u64>(size, decoded_size());
        }
    }

    const Opcode op = opcode_of(exit->bytes, code_mode() == 0);
    const Opcode here =
        op.value != 0 ? op : opcode_of(cpu_->peek_code(cpu_->linear_ip(), 15), code_mode() == 0);
    const bool reads = exit->access == sim::Access::read || here.reads_destination();
    if (!reads || !machine_.is_ram(0, exit->gpa, exit->size)) return std::nullopt;
    if (!machine_.is_ram(0, exit->gpa, size)) {
        not_modelled("a read of RAM and MMIO that gets what was left over of another one");
        return std::nullopt;
    }
    if (here.value == 0xA6 || here.value == 0xA7) {
        not_modelled("CMPS that gets what was left over of another read");
        return std::nullopt;
    }
    const auto data = take_leftover(size);
    if (!data) return std::nullopt;
    Loan loan{exit->gpa, std::vector<u8>(size), *data, here.reads_destination()};
    machine_.read(loan.at, loan.before);
    if (!machine_.write(loan.at, loan.lent)) not_modelled("out of memory");
    return loan;
}

// Native code whose write goes to MMIO: the emulator does its read of RAM, too.
ModelVm::Next ModelVm::mmio_of_leftover() {
    const Opcode& op = mmio_.op;
    if (op.value != 0xA4 && op.value != 0xA5) {
        const bool reads = op.uses_stack() || op.value == 0x8F;
        return reads ? not_modelled("native code whose read of RAM gets what was left over")
                     : mmio_execute();
    }
    const u64 mask =
        em_.insn.address_size == 8 ? ~u64{0} : (u64{1} << 8 * em_.insn.address_size) - 1;
    const auto at = cpu_->peek_physical(cpu_->get(Reg::rsi) & mask);
    if (!at) return mmio_execute();
    const auto data = take_leftover(op.value == 0xA4 ? 1 : operand_bytes(op));
    if (!data) return Next::userspace;
    Loan loan{*at, std::vector<u8>(data->size()), *data};
    machine_.read(loan.at, loan.before);
    if (!machine_.write(loan.at, loan.lent)) return not_modelled("out of memory");
    const Next next = mmio_execute();
    take_back(loan);
    return next;
}

void ModelVm::take_back(const Loan& loan) {
    std::vector<u8> now(loan.lent.size());
    machine_.read(loan.at, now);
    if (loan.keeps || now != loan.lent) return;
    if (!machine_.write(loan.at, loan.before)) not_modelled("out of memory");
}

}  // namespace vtlsim::model::kvm
