#include "model/kvm/userspace.hpp"

#include <algorithm>
#include <map>

namespace vtlsim::model::kvm {
namespace {

using sim::CpuState;
using sim::Reg;

constexpr int kAccessedDirty = 0x60;  // of a page table's entry

bool is_access(const RunExit& exit) {
    return exit.reason == ExitReason::io || exit.reason == ExitReason::mmio;
}

bool matches(const ExitPattern& p, const RunExit& exit, u32 number) {
    const auto wants = [](const auto& wanted, auto is) { return !wanted || *wanted == is; };
    const bool io = exit.reason == ExitReason::io;
    const bool mmio = exit.reason == ExitReason::mmio;
    if (p.result != exit.result || !wants(p.number, number)) return false;
    if (p.result != Return::ok) return true;
    return wants(p.reason, exit.reason) && (!p.access || is_access(exit)) &&
           (!p.port || (io && *p.port == exit.port)) && (!p.in || (io && *p.in == exit.in)) &&
           (!p.size || (io && *p.size == exit.size)) &&
           (!p.count || (io && *p.count == exit.count)) &&
           (!p.write || (mmio && *p.write == exit.write)) &&
           (!p.phys || (mmio && *p.phys == exit.phys));
}

bool ends_script(const RunExit& exit) {
    if (exit.result != Return::ok) return true;
    switch (exit.reason) {
        case ExitReason::hlt:
        case ExitReason::shutdown:
        case ExitReason::fail_entry:
        case ExitReason::internal_error:
        case ExitReason::unknown:
            return true;
        default:
            return false;
    }
}

// What KVM_GET_* gives of a vCPU, to be set again.
struct Saved {
    CpuState state{};
    VcpuEvents events;
    u32 mp_state = 0;
};

class Actor {
  public:
    Actor(Vm& vm, const Guest& guest, const Script& script, UserspaceListener* listener)
        : vm_(vm), guest_(guest), script_(script), listener_(listener) {
        matched_.resize(script.rules.size());
    }

    Transcript run() {
        for (const Action& action : script_.start) act(action, RunExit{});
        for (u32 number = 1;; ++number) {
            if (number > script_.max_exits) {
                out_.end = ScriptEnd::exits;
                break;
            }
            Observation o;
            o.exit = vm_.run();
            out_.problem = vm_.problem();
            if (!out_.problem.empty()) {
                out_.end = ScriptEnd::not_modelled;
                break;
            }
            if (vm_.exhausted()) {
                out_.end = ScriptEnd::steps;
                break;
            }
            vm_.observe(o);
            out_.observations.push_back(o);
            if (listener_ != nullptr) listener_->exited(o, number);
            if (!handle(o.exit, number)) break;
        }
        out_.undetermined = vm_.undetermined();
        compare_memory();
        return std::move(out_);
    }

  private:
    // False: the script is over.
    bool handle(const RunExit& exit, u32 number) {
        if (exit.result == Return::ok) serve(exit);
        resume_ = !ends_script(exit);
        for (std::size_t i = 0; i < script_.rules.size(); ++i) {
            const Rule& rule = script_.rules[i];
            if (!matches(rule.when, exit, number)) continue;
            ++matched_[i];
            if (rule.when.nth != 0 && rule.when.nth != matched_[i]) continue;
            for (const Action& action : rule.then) {
                if (action.kind == ActionKind::stop) {
                    out_.end = ScriptEnd::stop;
                    return false;
                }
                act(action, exit);
            }
        }
        return resume_;
    }

    // The device behind the exit.
    void serve(const RunExit& exit) {
        if (!is_access(exit)) return;
        const bool mmio = exit.reason == ExitReason::mmio;
        const u64 address = mmio ? exit.phys : exit.port;
        if (mmio ? exit.write : !exit.in) {
            out_.writes.push_back({mmio, address, mmio ? exit.length : exit.size, exit.data});
            if (listener_ != nullptr) listener_->device_written(out_.writes.back());
            return;
        }
        const auto device =
            std::find_if(script_.devices.begin(), script_.devices.end(),
                         [&](const Device& d) { return d.mmio == mmio && d.address == address; });
        const std::size_t size = mmio ? exit.length : std::size_t{exit.size} * exit.count;
        std::vector<u8> data(size, 0xFF);
        const Device* found = nullptr;
        if (device != script_.devices.end()) {
            found = &*device;
            std::size_t& used = used_[found];
            for (u8& b : data) {
                if (used < found->reads.size()) b = found->reads[used++];
            }
        }
        ++out_.reads;
        vm_.set_read_data(data);
        if (listener_ != nullptr) listener_->device_read(found, exit, data);
    }

    void set_registers(const Action& action) {
        const bool regs = wants(action, RegisterCall::regs);
        const bool sregs = wants(action, RegisterCall::sregs);
        const bool debug = wants(action, RegisterCall::debugregs);
        CpuState state{};
        if (regs) vm_.get_regs(state);
        if (sregs) vm_.get_sregs(state);
        if (debug) vm_.get_debug_registers(state);
        for (const auto& [reg, value] : action.registers) state[reg] = value;
        if (sregs) vm_.set_sregs(state);
        if (regs) vm_.set_regs(state);
        if (debug) vm_.set_debug_registers(state);
    }

    static bool wants(const Action& action, RegisterCall call) {
        return std::any_of(action.registers.begin(), action.registers.end(),
                           [&](const auto& r) { return call_of(r.first) == call; });
    }

    // Of guests whose code is mapped one to one, as all modes here map it.
    u64 identity_rip() {
        CpuState state{};
        vm_.get_sregs(state);
        vm_.get_regs(state);
        const bool long_code = sim::attr::long_code(state[Reg::cs_attr]);
        return state[Reg::rip] + (long_code ? 0 : state[Reg::cs_base]);
    }

    void reset(bool regs_first) {
        CpuState state = sim::reset_state();
        state[Reg::rdx] = 0x600;  // family 6
        if (regs_first) vm_.set_regs(state);
        vm_.set_sregs(state);
        if (!regs_first) vm_.set_regs(state);
    }

    Saved save() {
        Saved s;
        vm_.get_sregs(s.state);
        vm_.get_regs(s.state);
        vm_.get_debug_registers(s.state);
        s.mp_state = vm_.get_mp_state();
        s.events = vm_.get_events();
        return s;
    }

    void restore(const Saved& s) {
        vm_.set_sregs(s.state);
        vm_.set_regs(s.state);
        vm_.set_debug_registers(s.state);
        vm_.set_mp_state(s.mp_state);
        vm_.set_events(s.events);
    }

    void sync(const Action& action, bool known) {
        const bool sregs = wants(action, RegisterCall::sregs);
        CpuState state{};
        vm_.get_regs(state);
        if (sregs) vm_.get_sregs(state);
        for (const auto& [reg, value] : action.registers) state[reg] = value;
        vm_.sync_regs(state, sregs, known);
    }

    void act(const Action& action, const RunExit& exit) {
        CpuState state{};
        switch (action.kind) {
            case ActionKind::get_regs:
                vm_.get_regs(state);
                vm_.get_sregs(state);
                break;
            case ActionKind::set_regs:
                set_registers(action);
                break;
            case ActionKind::rewrite_regs:
                vm_.get_regs(state);
                vm_.set_regs(state);
                break;
            case ActionKind::rewrite_sregs:
                vm_.get_sregs(state);
                vm_.set_sregs(state);
                break;
            case ActionKind::sync_regs:
                sync(action, true);
                break;
            case ActionKind::bad_dirty_regs:
                sync(action, false);
                break;
            case ActionKind::reset_bsp:
                reset(false);
                break;
            case ActionKind::reset_bsp_regs_first:
                reset(true);
                break;
            case ActionKind::init_sipi:
                vm_.init_sipi(static_cast<u8>(action.value));
                break;
            case ActionKind::mp_state:
                vm_.set_mp_state(static_cast<u32>(action.value));
                break;
            case ActionKind::get_mp_state:
                vm_.get_mp_state();
                break;
            case ActionKind::move_vcpu: {
                const Saved saved = save();
                vm_.replace_vcpu();
                restore(saved);
                break;
            }
            case ActionKind::save_state:
                saved_ = save();
                break;
            case ActionKind::restore_state:
                restore(saved_);
                break;
            case ActionKind::guest_debug:
                vm_.set_guest_debug(action.debug);
                break;
            case ActionKind::irq_window:
                vm_.request_interrupt_window(action.value != 0);
                break;
            case ActionKind::interrupt:
                vm_.interrupt(static_cast<u8>(action.value));
                break;
            case ActionKind::nmi:
                vm_.nmi();
                break;
            case ActionKind::exception: {
                VcpuEvents events = vm_.get_events();
                events.exception_pending = true;
                events.exception_injected = false;
                events.exception = static_cast<u8>(action.value);
                vm_.set_events(events);
                break;
            }
            case ActionKind::clear_exception: {
                VcpuEvents events = vm_.get_events();
                events.exception_pending = events.exception_injected = false;
                vm_.set_events(events);
                break;
            }
            case ActionKind::clear_interrupt: {
                VcpuEvents events = vm_.get_events();
                events.interrupt_injected = false;
                vm_.set_events(events);
                break;
            }
            case ActionKind::announce_reset:
                vm_.announce_reset();
                break;
            case ActionKind::abandon:
                vm_.abandon_access();
                break;
            case ActionKind::shadow: {
                VcpuEvents events = vm_.get_events();
                events.shadow = static_cast<u8>(action.value);
                vm_.set_events(events);
                break;
            }
            case ActionKind::write_memory:
                vm_.write_memory(action.address + (action.from_rip ? identity_rip() : 0),
                                 action.bytes);
                break;
            case ActionKind::answer: {
                std::vector<u8> data = action.bytes;
                const bool mmio = exit.reason == ExitReason::mmio;
                data.resize(mmio                            ? exit.length
                            : exit.reason == ExitReason::io ? std::size_t{exit.size} * exit.count
                                                            : 8);
                vm_.set_read_data(data);
                break;
            }
            case ActionKind::msr_error:
                vm_.set_msr_error(action.value != 0);
                break;
            case ActionKind::immediate_exit:
                vm_.set_immediate_exit(action.value != 0);
                break;
            case ActionKind::resume:
                resume_ = true;
                break;
            case ActionKind::stop:
                break;  // handled by the caller
        }
        if (listener_ != nullptr) listener_->acted(action);
    }

    void compare_memory() {
        std::map<u64, std::vector<u8>> before;
        for (const MemoryImage& image : initial_memory(guest_)) {
            for (std::size_t i = 0; i < image.bytes.size(); ++i) {
                const u64 at = image.address + i;
                auto& page = before[at / sim::kPageSize];
                page.resize(sim::kPageSize);
                page[at % sim::kPageSize] = image.bytes[i];
            }
        }
        const std::vector<u8> zeros(sim::kPageSize);
        std::vector<u8> now(sim::kPageSize);
        for (u64 at : {place::kPml4, place::kPdpt, place::kDirectory}) {
            const auto was = before.find(at / sim::kPageSize);
            if (was == before.end()) continue;
            vm_.read_memory(at, now);
            for (std::size_t i = 0; i < now.size(); ++i) {
                const int kept = i % 8 == 0 ? ~kAccessedDirty : ~0;
                if (((now[i] ^ was->second[i]) & kept) == 0) continue;
                out_.undetermined = "the guest writes over its page tables: the TLB decides";
            }
        }
        for (const sim::RamRange& range : ram_of(guest_)) {
            for (u64 at = range.first; at < range.last; at += sim::kPageSize) {
                if (at >= place::kFirst && at <= place::kLast) continue;
                vm_.read_memory(at, now);
                const auto was = before.find(at / sim::kPageSize);
                if (now == (was == before.end() ? zeros : was->second)) continue;
                out_.memory.push_back({at, now});
            }
        }
    }

    Vm& vm_;
    const Guest& guest_;
    const Script& script_;
    UserspaceListener* listener_;
    Transcript out_;
    std::vector<u32> matched_;
    std::map<const Device*, std::size_t> used_;  // never walked: no order reaches anything
    Saved saved_;
    bool resume_ = true;
};

}  // namespace

Transcript run_script(Vm& vm, const Guest& guest, const Script& script,
                      UserspaceListener* listener) {
    return Actor(vm, guest, script, listener).run();
}

}  // namespace vtlsim::model::kvm
