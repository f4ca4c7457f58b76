#include "model/world.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "model/hyperv/names.hpp"
#include "model/plugins.hpp"
#include "model/vp_watcher.hpp"
#include "model/vtl2/vtl2_kernel.hpp"
#include "sim/mmu/walk.hpp"

namespace vtlsim::model {

using sim::Reg;

namespace {
constexpr u64 kInstructionsPerTurn = 4096;
}

World::World(const WorldConfig& config)
    : board_(config),
      driver_(board_),
      devices_(board_),
      invariants_(board_),
      pins_(config.events.size()) {
    const auto problems = check_config(config);
    if (!problems.empty()) throw std::invalid_argument(problems.front());
    for (unsigned vp = 0; vp < config.vp_count(); ++vp) {
        hypervisors_.push_back(std::make_unique<Hypervisor>(board_, driver_, invariants_));
        vmms_.push_back(std::make_unique<Vmm>(board_, vp, *hypervisors_[vp], driver_, devices_));
        kernels_.push_back(assemble_vtl2_kernel(config.switches, vp));
        if (!kernels_[vp].ok()) {
            const sim::AsmError& e = kernels_[vp].errors.front();
            throw std::logic_error(fmt::format("VTL2 kernel, line {}: {}", e.line, e.message));
        }
    }
    if (config.plugins) board_.plugin_states.resize(config.plugins->state_count());
    for (unsigned vp = 0; vp < config.vp_count(); ++vp) {
        vmms_[vp]->lookup = [this, vp](std::string_view path) { return vp_value(path, vp); };
    }
    load_images();
    for (unsigned vp = 0; vp < config.vp_count(); ++vp) init_registers(vp);
    at(0);
    watcher_ = std::make_unique<Watcher>(*this);
    make_actors();
}
World::~World() = default;

void World::load_images() {
    const auto put = [&](u64 address, std::span<const u8> bytes) {
        if (!board_.machine.write(address, bytes)) board_.finish(EndReason::memory_limit);
    };
    const auto& vps = board_.vps;
    const bool sidecar = board_.switches().vp_runner == VpRunner::sidecar;
    ControlPage control{};
    control.cpu_count = static_cast<u32>(vps.size());
    control.request_vector = kRequestVector;
    // The kernel driver's VMM looks at the status by itself.
    control.response_cpu = sidecar ? static_cast<u32>(kBaseCpu) : 0;
    control.response_vector = sidecar ? kResponseVector : 0;
    for (unsigned vp = 0; vp < vps.size(); ++vp) {
        at(vp);
        put(board_.page(layout::kVtl2Code), kernels_[vp].bytes);
        put(board_.page(layout::kHypercallPage), hypercall_page(board_.switches().stub_bytes));
        // The VP is started: RUN until its kernel says IDLE.
        control.cpu_status[vp] = static_cast<u8>(CpuStatus::run);
    }
    board_.store(layout::kControlPage, control);
    for (const MemoryImage& image : board_.config.memory) put(image.address, image.bytes);
    board_.machine.set_ram(kVtl0, {{0, board_.config.guest_ram - 1}});
    const u64 vtl2_end = layout::vtl2_end(board_.config.vp_count());
    board_.machine.set_ram(kVtl2,
                           {{0, board_.config.guest_ram - 1}, {layout::kVtl2Base, vtl2_end - 1}});
}

void World::init_registers(unsigned vp) {
    at(vp);
    const auto symbol = [&](std::string_view name) { return kernels_[vp].find(name)->value; };
    sim::CpuState vtl2 = sim::long_mode_state();
    vtl2[Reg::rip] = symbol("ap_start");
    vtl2[Reg::rsp] = board_.page(layout::kVtl2StackTop);
    // hyperv-vtl.md 3.2: CR4 = PAE|MCE|OSFXSR.
    vtl2[Reg::cr4] = sim::cr4::pae | sim::cr4::mce | sim::cr4::osfxsr;
    vtl2[Reg::gdtr_base] = symbol("gdt");
    vtl2[Reg::gdtr_limit] = symbol("gdt_end") - symbol("gdt") - 1;
    vtl2[Reg::idtr_base] = symbol("idt");
    vtl2[Reg::idtr_limit] = symbol("idt_end") - symbol("idt") - 1;
    for (const auto& [reg, value] : board_.config.vtl2_registers) vtl2.set(reg, value);
    sim::CpuState vtl0 = sim::long_mode_state();
    const auto& own = vp == 0 ? board_.config.vtl0_registers : board_.config.other_vps[vp - 1];
    for (const auto& [reg, value] : own) {
        vtl0.set(reg, value);
        // The one copy of a shared register that no context carries (DR0-3, XCR0) is the CPU's.
        const BankClass c = bank_class(reg);
        if (c == BankClass::vp_shared ||
            (c == BankClass::by_capability && bank_of(reg, board_.switches()) == Bank::shared)) {
            vtl2.set(reg, value);
        }
    }
    VtlBanks& banks = hypervisors_[vp]->banks();
    banks.saved(kVtl0) = vtl0;
    banks.saved(kVtl2) = vtl2;
    board_.cpu().set_state(vtl2);
    board_.cpu().set_address_space(kVtl2);
    board_.cpu().set_exits({.cpuid = true, .unknown_msr = true});
}

// --- code of a VP -------------------------------------------------------------------------------

const PinnedEvent* World::due_event(u64 rip) const {
    for (std::size_t i = 0; i < pins_.size(); ++i) {
        const PinnedEvent& e = board_.config.events[i];
        if (!e.free && e.vp == board_.at && e.vtl == board_.vp().active_vtl && e.address == rip &&
            !pins_[i].fired && pins_[i].started + 1 == e.nth) {
            return &e;
        }
    }
    return nullptr;
}

void World::fire_due_event() {
    const PinnedEvent* event = due_event(board_.cpu().get(Reg::rip));
    if (event == nullptr) return;
    const auto index = static_cast<std::size_t>(event - board_.config.events.data());
    pins_[index].fired = true;
    if (event->action == PinnedAction::stop) {
        board_.acting_cpu = cpu_of_vmm(board_.at);
        board_.touch(Object::finished, board_.at, true);
        board_.touch(Object::apic, board_.at, true);
        board_.touch(Object::vp_pages, board_.at, true);
        vmms_[board_.at]->stop();
    } else if (event->action == PinnedAction::signal) {
        board_.next_step();
        board_.touch(Object::sync_wake, board_.at, true);
        vmms_[board_.at]->signal();
    } else {
        board_.next_step();
        board_.touch(Object::apic, board_.at, true);
        board_.touch(Object::vp_pages, board_.at, true);
        hypervisor_event(*event);
    }
}

void World::hypervisor_event(const PinnedEvent& event) {
    Hypervisor& hypervisor = *hypervisors_[event.vp];
    if (event.action == PinnedAction::intercept) {
        hypervisor.asynchronous_intercept(static_cast<MessageType>(event.message_type), event.value,
                                          event.interruption_pending);
    } else if (event.with_exit) {
        hypervisor.interrupt_with_exit(event.vector, event.transient);
    } else {
        hypervisor.interrupt(event.for_vtl, event.vector, event.transient);
    }
}

// The same without a place: a stop is done in steps by the VMM's thread.
void World::fire_event(std::size_t index) {
    const PinnedEvent& event = board_.config.events[index];
    pins_[index].fired = true;
    board_.next_step();
    if (event.action == PinnedAction::stop) {
        board_.touch(Object::finished, event.vp, true);
        vmms_[event.vp]->request_stop();
    } else if (event.action == PinnedAction::signal) {
        board_.touch(Object::sync_wake, event.vp, true);
        vmms_[event.vp]->signal();
    } else {
        board_.touch(Object::apic, event.vp, true);
        board_.touch(Object::vp_pages, event.vp, true);
        hypervisor_event(event);
    }
}

void World::run_vp() {
    Hypervisor& hypervisor = *hypervisors_[board_.at];
    const CpuId cpu = cpu_of_vp(board_.at);
    board_.acting_cpu = cpu;
    const bool tso = board_.switches().memory_order == MemoryOrder::tso;
    const bool line = hypervisor.deliverable().has_value();
    const bool started_in_guest = board_.vp().active_vtl == kVtl0;
    watcher_->begin(line);
    board_.cpu().set_interrupt_line(line);
    // This flushes the TLB: a turn starts from nothing that a snapshot leaves out.
    board_.cpu().set(Reg::cr3, board_.cpu().get(Reg::cr3));
    // A guest that does not exit must let others act, too.
    const u64 left = std::min<u64>(board_.config.limits.steps - board_.step, kInstructionsPerTurn);
    bool memory_left = !tso || board_.buffers.show(cpu);
    sim::Outcome outcome = board_.cpu().run({.steps = left}, watcher_.get());
    const bool paused = std::holds_alternative<sim::Paused>(outcome);
    if (tso) {
        const auto* exit = std::get_if<sim::Exit>(&outcome);
        const bool weak = exit != nullptr && exit->kind == sim::ExitKind::wrmsr &&
                          exit->msr == msr::kX2apicIcr &&
                          board_.switches().icr_write == IcrWrite::weak;
        if (paused || weak) {
            const auto& stores = board_.buffers.entries(cpu);
            for (std::size_t i = StoreBuffers::kCapacity; i < stores.size(); ++i) {
                board_.touch_address(stores[i - StoreBuffers::kCapacity].address, true);
            }
            memory_left = board_.buffers.hide(cpu) && memory_left;
        } else {
            watcher_->drain_all();
        }
    }
    if (!memory_left) board_.finish(EndReason::memory_limit);
    if (started_in_guest) {
        board_.touch(Object::guest_ram, 0, true);
        board_.touch(Object::request_ipi, board_.at, false);  // lands_in_guest()
    }
    if (started_in_guest || !paused || watcher_->window()) {
        board_.touch(Object::apic, board_.at, true);
        board_.touch(Object::vp_pages, board_.at, true);
    }
    after_run(std::move(outcome), line);
}

void World::after_run(sim::Outcome outcome, bool line) {
    Hypervisor& hypervisor = *hypervisors_[board_.at];
    const bool wakes =
        std::holds_alternative<sim::Halted>(outcome) && line && board_.cpu().interruptible();
    if (wakes && board_.step >= board_.config.limits.steps) return;
    if (wakes || std::holds_alternative<sim::InterruptWindow>(outcome)) {
        board_.next_step();
        const u8 vector = hypervisor.accept();
        board_.emit(EventKind::interrupt_accepted, board_.code_lane(), {vector});
        watcher_->did("takes an interrupt");
        const auto failed = board_.cpu().deliver_interrupt(vector);
        if (!failed) return;
        outcome = *failed;
    }
    if (const auto* exit = std::get_if<sim::Exit>(&outcome)) {
        watcher_->did_exit(*exit);
        hypervisor.on_exit(*exit);
    } else if (std::holds_alternative<sim::Paused>(outcome)) {
        if (hypervisor.waits_for_exit()) {
            hypervisor.expire_with_exit();
        } else {
            fire_due_event();
        }
    } else if (std::holds_alternative<sim::Halted>(outcome)) {
        watcher_->did("HLT");
        board_.emit(EventKind::halt, board_.code_lane());
    } else if (std::holds_alternative<sim::Shutdown>(outcome)) {
        if (board_.vp().active_vtl == kVtl0) {
            hypervisor.on_guest_shutdown();
        } else {
            board_.finish(EndReason::vtl2_crash);
        }
    } else if (std::holds_alternative<sim::OutOfMemory>(outcome)) {
        board_.finish(EndReason::memory_limit);
    } else if (std::holds_alternative<sim::OutOfWork>(outcome)) {
        board_.finish(EndReason::step_limit);
    } else if (const auto* gap = std::get_if<sim::NotModelled>(&outcome)) {
        board_.not_modelled(gap->what);
    }
}

// --- the other actors ---------------------------------------------------------------------------

void World::land_request_ipi() {
    board_.next_step();
    driver_.take_request_ipi(board_.at);
    board_.touch(Object::apic, board_.at, true);
    board_.touch(Object::vp_pages, board_.at, true);
    hypervisors_[board_.at]->interrupt(kVtl2, kRequestVector, false);
}

void World::drain(CpuId cpu) {
    board_.next_step();
    const BufferedStore store = board_.buffers.entries(cpu).front();
    board_.touch(Object::store_buffer, cpu, true);
    board_.touch_address(store.address, true);
    u64 low = 0;
    std::memcpy(&low, store.bytes.data(), std::min(store.bytes.size(), sizeof(low)));
    if (!board_.buffers.drain_one(cpu)) board_.finish(EndReason::memory_limit);
    board_.emit(EventKind::drain, Lane::hypervisor, {cpu, store.address, store.bytes.size(), low});
}

void World::log_instructions(bool on) { watcher_->log_instructions = on; }

EndReason World::run() {
    while (turn()) {
    }
    return board_.end;
}

std::string World::hash() const { return fmt::format("{:016x}", board_.log.hash()); }

Vec128 World::register_of(u8 vtl, Reg reg, unsigned vp) const {
    return hypervisors_[vp]->banks().view(board_.vps[vp].cpu.state(), board_.vps[vp].active_vtl,
                                          vtl, reg, board_.switches());
}

std::optional<u64> World::physical_of(unsigned vp, u64 linear) const {
    const sim::CpuState s = board_.vps[vp].cpu.state();
    if (s[Reg::identity_map] != 0) return linear;
    const sim::Walk walk = sim::walk_tables(board_.machine, board_.vps[vp].active_vtl, s, linear);
    return walk.end == sim::Walk::End::mapped ? std::optional(walk.physical) : std::nullopt;
}

}  // namespace vtlsim::model
