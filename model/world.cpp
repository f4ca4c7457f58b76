#include "model/world.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <type_traits>

#include <fmt/format.h>

#include "model/vtl2/layout.hpp"
#include "model/vtl2/vtl2_kernel.hpp"

namespace vtlsim::model {

using sim::Reg;

namespace {

// Pages whose changes by VTL2 code are in the log.
constexpr std::array kWatchedPages = {layout::kAssistPage,  layout::kControlPage,
                                      layout::kCommandPage, layout::kRegisterPage,
                                      layout::kHclRun,      layout::kIoctlPage};

}  // namespace

// Turns what the executor reports into events and decides where it pauses.
class World::Watcher : public sim::Observer {
  public:
    explicit Watcher(World& world) : world_(world) {
        for (u64 page : kWatchedPages) world_.board_.machine.watch_page(page >> sim::kPageShift);
    }

    bool before_instruction(const sim::Cpu& cpu, u64 rip) override {
        Board& board = world_.board_;
        if (world_.due_event(rip) != nullptr || board.end != EndReason::none) return true;
        const bool line = world_.hypervisor_.deliverable().has_value();
        if (line != line_) return true;
        if (board.step >= board.config.limits.steps) return true;
        ++board.step;
        started_ = true;
        rip_ = rip;
        for (std::size_t i = 0; i < world_.pins_.size(); ++i) {
            const PinnedEvent& e = board.config.events[i];
            if (e.vtl == board.vp().active_vtl && e.address == rip) ++world_.pins_[i].started;
        }
        const std::vector<u8> bytes = cpu.peek_code(rip, 15);
        std::array<u64, 2> code{};
        std::memcpy(code.data(), bytes.data(), bytes.size());
        board.emit(EventKind::insn, board.code_lane(), {code[0], code[1], bytes.size()});
        return false;
    }

    void stored(const sim::Cpu&, u64 physical, std::size_t size) override {
        Board& board = world_.board_;
        std::span<u8> known = known_bytes(physical, size);
        std::array<u8, sim::kPageSize> now{};
        board.machine.read(physical, {now.data(), known.size()});
        if (std::equal(known.begin(), known.end(), now.begin())) return;
        std::copy_n(now.begin(), known.size(), known.begin());
        u64 low = 0;
        std::memcpy(&low, now.data(), std::min(known.size(), sizeof(low)));
        board.emit_at(rip_, EventKind::store, board.code_lane(), {physical, known.size(), low});
    }

    void delivering(const sim::Cpu&, const sim::Fault& f) override {
        Board& board = world_.board_;
        // An instruction and the fault that it ends in are one step; a fault of the fetch has none.
        if (!started_) ++board.step;
        started_ = false;
        board.emit(EventKind::fault, board.code_lane(),
                   {static_cast<u64>(f.vector), f.has_error_code ? f.error_code : kNone, f.cr2});
    }

    // Before each run of the processor: the interrupt line, and what others wrote meanwhile.
    void begin(bool line) {
        line_ = line;
        started_ = false;
        for (std::size_t i = 0; i < kWatchedPages.size(); ++i) {
            world_.board_.machine.read(kWatchedPages[i], known_[i]);
        }
    }

  private:
    std::span<u8> known_bytes(u64 physical, std::size_t size) {
        const u64 page = physical & ~sim::kPageMask;
        const auto* at = std::find(kWatchedPages.begin(), kWatchedPages.end(), page);
        const auto i = static_cast<std::size_t>(at - kWatchedPages.begin());
        return std::span<u8>(known_[i]).subspan(physical - page, size);
    }

    World& world_;
    std::array<std::array<u8, sim::kPageSize>, kWatchedPages.size()> known_{};
    bool line_ = false;
    bool started_ = false;  // an instruction has, since the run began or the last fault
    u64 rip_ = 0;           // of the instruction that is executing
};

World::World(const WorldConfig& config)
    : board_(config),
      hypervisor_(board_),
      devices_(board_),
      vmm_(board_, hypervisor_, devices_),
      kernel_(assemble_vtl2_kernel(config.switches)),
      pins_(config.events.size()) {
    const auto problems = check_config(config);
    if (!problems.empty()) throw std::invalid_argument(problems.front());
    if (!kernel_.ok()) {
        const sim::AsmError& e = kernel_.errors.front();
        throw std::logic_error(fmt::format("VTL2 kernel, line {}: {}", e.line, e.message));
    }
    load_images();
    init_registers();
    watcher_ = std::make_unique<Watcher>(*this);
}
World::~World() = default;

void World::load_images() {
    const auto put = [&](u64 address, std::span<const u8> bytes) {
        if (!board_.machine.write(address, bytes)) board_.finish(EndReason::memory_limit);
    };
    put(layout::kVtl2Code, kernel_.bytes);
    put(layout::kHypercallPage, hypercall_page());
    ControlPage control{};
    control.cpu_count = 1;
    control.request_vector = 0x20;
    // The VP is started: RUN until its kernel says IDLE. No response vector: this VMM looks at the
    // status by itself.
    control.cpu_status[0] = static_cast<u8>(CpuStatus::run);
    board_.store(layout::kControlPage, control);
    for (const MemoryImage& image : board_.config.memory) put(image.address, image.bytes);
    board_.machine.set_ram(kVtl0, {{0, board_.config.guest_ram - 1}});
    board_.machine.set_ram(
        kVtl2, {{0, board_.config.guest_ram - 1}, {layout::kVtl2Base, layout::kVtl2End - 1}});
}

void World::init_registers() {
    const auto symbol = [&](std::string_view name) { return kernel_.find(name)->value; };
    sim::CpuState vtl2 = sim::long_mode_state();
    vtl2[Reg::rip] = symbol("ap_start");
    vtl2[Reg::rsp] = layout::kVtl2StackTop;
    // hyperv-vtl.md 3.2: CR4 = PAE|MCE|OSFXSR.
    vtl2[Reg::cr4] = sim::cr4::pae | sim::cr4::mce | sim::cr4::osfxsr;
    vtl2[Reg::gdtr_base] = symbol("gdt");
    vtl2[Reg::gdtr_limit] = symbol("gdt_end") - symbol("gdt") - 1;
    vtl2[Reg::idtr_base] = symbol("idt");
    vtl2[Reg::idtr_limit] = symbol("idt_end") - symbol("idt") - 1;
    for (const auto& [reg, value] : board_.config.vtl2_registers) vtl2.set(reg, value);
    sim::CpuState vtl0 = sim::long_mode_state();
    for (const auto& [reg, value] : board_.config.vtl0_registers) {
        vtl0.set(reg, value);
        // The one copy of a shared register that no context carries (DR0-3, XCR0) is the CPU's.
        const BankClass c = bank_class(reg);
        if (c == BankClass::vp_shared ||
            (c == BankClass::by_capability && bank_of(reg, board_.switches()) == Bank::shared)) {
            vtl2.set(reg, value);
        }
    }
    hypervisor_.banks().saved(kVtl0) = vtl0;
    hypervisor_.banks().saved(kVtl2) = vtl2;
    board_.cpu().set_state(vtl2);
    board_.cpu().set_address_space(kVtl2);
    board_.cpu().set_exits({.cpuid = true, .unknown_msr = true});
}

const PinnedEvent* World::due_event(u64 rip) const {
    for (std::size_t i = 0; i < pins_.size(); ++i) {
        const PinnedEvent& e = board_.config.events[i];
        if (e.vtl == board_.vp().active_vtl && e.address == rip && !pins_[i].fired &&
            pins_[i].started + 1 == e.nth) {
            return &e;
        }
    }
    return nullptr;
}

void World::fire_due_event() {
    const PinnedEvent* event = due_event(board_.cpu().get(Reg::rip));
    if (event == nullptr) return;
    pins_[static_cast<std::size_t>(event - board_.config.events.data())].fired = true;
    switch (event->action) {
        case PinnedAction::interrupt:
            ++board_.step;
            hypervisor_.interrupt(event->for_vtl, event->vector, event->transient);
            break;
        case PinnedAction::stop:
            vmm_.stop();
            break;
    }
}

void World::run_vp() {
    const bool line = hypervisor_.deliverable().has_value();
    watcher_->begin(line);
    board_.cpu().set_interrupt_line(line);
    // This flushes the TLB: a turn starts from nothing that a snapshot leaves out.
    board_.cpu().set(Reg::cr3, board_.cpu().get(Reg::cr3));
    const u64 left = board_.config.limits.steps - board_.step;
    sim::Outcome outcome = board_.cpu().run({.steps = left}, watcher_.get());
    const bool wakes =
        std::holds_alternative<sim::Halted>(outcome) && line && board_.cpu().interruptible();
    if (wakes && board_.step >= board_.config.limits.steps) return;
    if (wakes || std::holds_alternative<sim::InterruptWindow>(outcome)) {
        ++board_.step;
        const u8 vector = hypervisor_.accept();
        board_.emit(EventKind::interrupt_accepted, board_.code_lane(), {vector});
        const auto failed = board_.cpu().deliver_interrupt(vector);
        if (!failed) return;
        outcome = *failed;
    }
    if (const auto* exit = std::get_if<sim::Exit>(&outcome)) {
        hypervisor_.on_exit(*exit);
    } else if (std::holds_alternative<sim::Paused>(outcome)) {
        fire_due_event();
    } else if (std::holds_alternative<sim::Halted>(outcome)) {
        board_.emit(EventKind::halt, board_.code_lane());
    } else if (std::holds_alternative<sim::Shutdown>(outcome)) {
        if (board_.vp().active_vtl == kVtl0) {
            hypervisor_.on_guest_shutdown();
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

bool World::turn() {
    if (board_.end != EndReason::none) return false;
    if (board_.step >= board_.config.limits.steps) {
        board_.finish(EndReason::step_limit);
        return false;
    }
    // The VP goes first: the VMM acts when the VP waits. Other orders are schedules of their own.
    const bool halted = board_.cpu().get(Reg::activity) != 0;
    const bool wakes = hypervisor_.deliverable().has_value() && board_.cpu().interruptible();
    if (!halted || wakes) {
        run_vp();
    } else if (vmm_.ready()) {
        vmm_.step();
    } else {
        board_.finish(board_.vp().active_vtl == kVtl0 ? EndReason::guest_halted : EndReason::stuck);
    }
    return board_.end == EndReason::none;
}

EndReason World::run() {
    while (turn()) {
    }
    return board_.end;
}

std::string World::hash() const { return fmt::format("{:016x}", board_.log.hash()); }

Vec128 World::register_of(u8 vtl, Reg reg) const {
    return hypervisor_.banks().view(board_.cpu().state(), board_.vp().active_vtl, vtl, reg,
                                    board_.switches());
}

struct World::Snapshot {
    sim::Memory memory;
    sim::CpuState cpu;
    EventLog log;
    u64 step;
    u8 active_vtl;
    EndReason end;
    Hypervisor::State hypervisor;
    Devices::State devices;
    Vmm::State vmm;
    std::vector<Pin> pins;
};

std::shared_ptr<const World::Snapshot> World::snapshot() {
    return std::make_shared<Snapshot>(Snapshot{
        board_.machine.snapshot_memory(), board_.cpu().state(), board_.log, board_.step,
        board_.vp().active_vtl, board_.end, hypervisor_.state(), devices_.state(), vmm_.state(), pins_});
}

void World::restore(const Snapshot& s) {
    board_.machine.set_memory(s.memory);
    board_.cpu().set_state(s.cpu);
    board_.cpu().set_address_space(s.active_vtl);
    board_.log = s.log;
    board_.step = s.step;
    board_.vp().active_vtl = s.active_vtl;
    board_.end = s.end;
    hypervisor_.set_state(s.hypervisor);
    devices_.set_state(s.devices);
    vmm_.set_state(s.vmm);
    pins_ = s.pins;
}

namespace {

void check_registers(std::span<const RegisterValue> registers, std::vector<std::string>& problems) {
    for (const auto& [reg, value] : registers) {
        if (reg == Reg::activity && value.lo != 0) {
            problems.emplace_back("a processor cannot start halted: the VTL2 kernel runs first");
        }
    }
}

void check_events(std::span<const PinnedEvent> events, std::vector<std::string>& problems) {
    for (const PinnedEvent& e : events) {
        const auto bad = [&](std::string_view what) {
            problems.push_back(fmt::format("event at {:#x}: {}", e.address, what));
        };
        if (e.vtl != kVtl0 && e.vtl != kVtl2) bad("the code is VTL 0's or 2's");
        if (e.nth == 0) bad("the first execution is number 1");
        if (e.action != PinnedAction::interrupt) continue;
        if (e.for_vtl != kVtl0 && e.for_vtl != kVtl2) bad("an interrupt is for VTL 0 or 2");
        if (e.vector < 0x10) bad("interrupt vectors below 10h are illegal in an APIC");
        if (e.transient && (e.vtl != kVtl0 || e.for_vtl != kVtl2)) {
            bad("a transient interrupt only makes VTL0's code enter VTL2");
        }
    }
}

// No two rows may answer the same question.
template <class Rows, class Key>
void check_unique(std::string_view what, const Rows& rows, Key key,
                  std::vector<std::string>& problems) {
    std::set<std::invoke_result_t<Key, decltype(rows.front())>> seen;
    for (const auto& row : rows) {
        if (!seen.insert(key(row)).second) {
            problems.push_back(fmt::format("{} is given twice", what));
        }
    }
}

void check_answers(const WorldConfig& config, std::vector<std::string>& problems) {
    for (const PortScript& p : config.ports) {
        if (p.size != 1 && p.size != 2 && p.size != 4) {
            problems.push_back(fmt::format("port {:#x}: accesses are of 1, 2 or 4 bytes", p.port));
        }
    }
    const auto port = [](const PortScript& p) { return std::pair(p.port, p.size); };
    check_unique("a port with the same size", config.ports, port, problems);
    check_unique(
        "a CPUID leaf", config.cpuid, [](const CpuidAnswer& a) { return a.leaf; }, problems);
    check_unique(
        "an MSR", config.msrs, [](const MsrAnswer& a) { return a.msr; }, problems);
    check_unique(
        "a hypercall", config.hypercalls, [](const HypercallAnswer& a) { return a.code; },
        problems);
}

}  // namespace

std::vector<std::string> check_config(const WorldConfig& config) {
    std::vector<std::string> problems;
    const Switches& s = config.switches;
    if (s.vp_runner == VpRunner::kernel_driver) {
        // These are about the sidecar's run_vp_once only.
        if (s.vmm_fix != VmmFix::V0 && s.vmm_fix != VmmFix::V2) {
            problems.emplace_back(
                "vmm_fix V1 is a change of the sidecar kernel: it does not apply to vp_runner "
                "kernel_driver");
        }
        if (s.fx_cr2_restore != FxCr2Restore::head) {
            problems.emplace_back(
                "fx_cr2_restore is about the sidecar kernel: it does not apply to vp_runner "
                "kernel_driver");
        }
    }
    if (config.guest_ram == 0 || config.guest_ram > layout::kMaxGuestRam ||
        config.guest_ram % sim::kPageSize != 0) {
        problems.push_back(fmt::format("guest RAM must be a multiple of 4 KiB up to {:#x} bytes",
                                       layout::kMaxGuestRam));
    }
    check_registers(config.vtl0_registers, problems);
    check_registers(config.vtl2_registers, problems);
    check_events(config.events, problems);
    check_answers(config, problems);
    for (const MemoryImage& image : config.memory) {
        const u64 last = image.address + (image.bytes.empty() ? 0 : image.bytes.size() - 1);
        const bool vtl0 = last < config.guest_ram && image.address <= last;
        const bool vtl2 =
            image.address >= layout::kVtl2Base && image.address <= last && last < layout::kVtl2End;
        if (!vtl0 && !vtl2) {
            problems.push_back(
                fmt::format("memory at {:#x} is neither guest RAM nor VTL2's", image.address));
        }
    }
    return problems;
}

}  // namespace vtlsim::model
