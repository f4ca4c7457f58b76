// What the model hears of the guest's execution: for the log, and for MMIO.
#pragma once

#include <optional>
#include <utility>

#include "model/kvm/model_vm.hpp"

namespace vtlsim::model::kvm {

class ModelVm::Watcher final : public sim::Observer {
  public:
    explicit Watcher(ModelVm& vm) : vm_(vm) {}

    bool before_instruction(const sim::Cpu& cpu, u64 rip) override {
        if (!logging) return false;
        if (clears_ac) return true;
        vm_.delivering_ = false;
        first.reset();
        vm_.begun_ = {rip, cpu.get(sim::Reg::rcx), cpu.get(sim::Reg::rflags)};
        vm_.first_of_handler_ = std::exchange(delivered, false);
        if (vm_.by_hardware()) {
            vm_.note_artefacts();
        } else if (!vm_.can_emulate()) {
            return true;
        }
        if (!alone && vm_.own_way().kind != OwnWay::none) return true;
        if (vm_.log_ == nullptr) return false;
        Event e;
        e.step = vm_.log_step(cpu);
        e.kind = EventKind::insn;
        e.lane = Lane::guest;
        e.rip = rip;
        const std::vector<u8> bytes = cpu.peek_code(cpu.linear_ip(), 15);
        for (std::size_t i = 0; i < bytes.size(); ++i) e.args[i / 8] |= u64{bytes[i]} << i % 8 * 8;
        e.args[2] = bytes.size();
        e.args[3] = vm_.code_mode();
        vm_.log_->add(e);
        return false;
    }
    void stored(const sim::Cpu&, u64 physical, std::span<const u8>,
                std::span<const u8> after) override {
        stores.emplace_back(physical, std::vector<u8>(after.begin(), after.end()));
    }
    void delivering(const sim::Cpu& cpu, const sim::Fault& fault) override {
        if (!logging) return;
        constexpr u64 kAc = 0x40000;
        clears_ac = !vm_.by_hardware() && (cpu.get(sim::Reg::rflags) & kAc) != 0;
        vm_.delivering_ = !fault.software;  // INT n is an instruction
        if (!first) first = fault;
        delivered = vm_.keeps_rf(fault);
        if (vm_.may_wrap(fault)) vm_.not_modelled("an access that wraps at 4 GiB");
        if (vm_.log_ == nullptr) return;
        Event e;
        e.step = vm_.log_step(cpu);
        e.kind = EventKind::fault;
        e.lane = Lane::guest;
        e.rip = cpu.get(sim::Reg::rip);
        e.args = {static_cast<u64>(fault.vector), fault.has_error_code ? fault.error_code : kNone,
                  fault.cr2};
        vm_.log_->add(e);
    }

    bool logging = true;
    bool clears_ac = false;           // a delivery that KVM makes clears AC, in all modes
    std::optional<sim::Fault> first;  // that the instruction at hand has led to
    bool alone = false;               // the instruction's own way is seen to
    std::vector<std::pair<u64, std::vector<u8>>> stores;  // to watched pages
    bool delivered = false;                               // a fault that keeps RF, just now

  private:
    ModelVm& vm_;
};

}  // namespace vtlsim::model::kvm
