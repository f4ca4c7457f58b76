#include <utility>

#include "model/kvm/emulator_table.hpp"
#include "model/kvm/model_vm.hpp"
#include "model/kvm/watcher.hpp"

namespace vtlsim::model::kvm {

using sim::Exit;
using sim::ExitKind;
using sim::Reg;

namespace {

constexpr u32 kUninitialized = 1, kHalted = 3;
constexpr u64 kZf = 0x40, kTf = 0x100, kRf = 0x10000;
// The emulator goes back to the guest when RCX is a multiple of this (x86_emulate_insn).
constexpr u64 kIterations = 1024;
constexpr char kEventWaits[] =
    "an event waits between emulated instructions: the host's scheduler decides how long";

}  // namespace

ModelVm::ModelVm(const Guest& guest, const Script& script, const Switches& switches, EventLog* log)
    : guest_(guest),
      script_(script),
      switches_(switches),
      log_(log),
      steps_left_(script.max_steps),
      pio_data_(sim::kPageSize) {
    for (const MemoryImage& image : initial_memory(guest_)) {
        if (!machine_.write(image.address, image.bytes)) problem_ = "out of memory";
    }
    machine_.set_ram(0, ram_of(guest_));
    watcher_ = std::make_unique<Watcher>(*this);
    replace_vcpu();
    cpu_->set_state(initial_state(guest_));
    events_.shadow = static_cast<u8>(cpu_->get(Reg::shadow));
}

ModelVm::~ModelVm() = default;

u64 ModelVm::mode_mask() const {
    const sim::CpuState s = cpu_->state();
    if (sim::attr::long_code(s[Reg::cs_attr]) && (s[Reg::efer] & 0x400) != 0) return ~u64{0};
    return 0xFFFFFFFF;
}

u64 ModelVm::code_mode() const {
    if (mode_mask() == ~u64{0}) return 0;
    constexpr u64 kBig = 1 << 14;
    const bool protect = (cpu_->get(Reg::cr0) & 1) != 0;
    return protect && (cpu_->get(Reg::cs_attr) & kBig) != 0 ? 1 : 2;
}

// kvm-pio.md 1.4, in its order.
RunExit ModelVm::run() {
    log(EventKind::kvm_run, {immediate_exit_});
    if (mp_state_ == kUninitialized) {
        // Blocks until the INIT and SIPI are there; the completion is not touched.
        if (pending_sipi_) reset_vcpu(*pending_sipi_);
        pending_sipi_.reset();
        run_.result = Return::eagain;
        return run_;
    }
    if (dirty_ == Dirty::unknown) {
        dirty_ = Dirty::no;
        run_.result = Return::einval;
        return run_;
    }
    if (dirty_ != Dirty::no) set_regs(synced_);
    if (dirty_ == Dirty::both) set_sregs(synced_);
    dirty_ = Dirty::no;
    moved_ = false;
    run_.result = Return::ok;
    Next next = Next::guest;
    if (cui_ != Completion::none) next = complete();
    if (next == Next::guest && immediate_exit_) {
        run_.result = Return::eintr;
        return run_;
    }
    if (next == Next::guest && !wakes()) next = stop(ExitReason::hlt);
    while (next == Next::guest && problem_.empty()) next = enter();
    return run_;
}

// A vCPU that userspace has set to HALTED waits in KVM_RUN for an event (its LAPIC is the
// kernel's). Nothing can come while it does; the wait is reported as KVM_EXIT_HLT, as conform kvm
// does.
bool ModelVm::wakes() {
    if (mp_state_ != kHalted) return true;
    const bool interrupted =
        events_.interrupt_injected && switches_.flaw != Flaw::injection_keeps_halted;
    if (!events_.nmi_pending && !interrupted && !events_.exception_pending) return false;
    mp_state_ = 0;
    return true;
}

ModelVm::Next ModelVm::enter() {
    if (!inject()) return Next::userspace;
    if (window_requested_ && window_open()) return stop(ExitReason::irq_window_open);
    if (steps_left_ == 0) return Next::userspace;
    --steps_left_;  // a round that only delivers a fault counts, too
    const bool one_by_one = leftover_.has_value();
    const std::optional<Loan> loan = lend_leftover();
    if (!problem_.empty()) return Next::userspace;
    const Next next = enter_guest(one_by_one || window_requested_ ? 1 : steps_left_ + 1);
    if (loan) take_back(*loan);
    return next;
}

ModelVm::Next ModelVm::enter_guest(u64 steps) {
    const bool looks = debug_.single_step || debug_.use_hw_bp || debug_.use_sw_bp;
    const bool tf = (get_rflags() & kTf) != 0;
    const OwnWay way = own_way();
    if (!by_hardware()) {
        if (const u64 hit = emulator_breakpoints(); hit != 0) return debug_exit(hit | kActiveLow);
        if (way.kind != OwnWay::none) return emulate_own_way(way);
        if (stepping() || tf || halt_request_ || watches_data()) return emulate_one();
    } else if (looks && moves_debug_register()) {
        return not_modelled("MOV DR under KVM_SET_GUEST_DEBUG");
    }
    if (way.kind != OwnWay::none) return emulate_own_way(way);
    load_breakpoints(true);
    cpu_->set_deliver_faults(!looks || !by_hardware());
    const bool nmi = cpu_->get(Reg::nmi_pending) != 0;
    const u64 before = steps_;
    const sim::Outcome outcome = execute(looks ? 1 : steps);
    const bool event = events_.nmi_pending || events_.interrupt_injected;
    if (!by_hardware() && event && steps_ > before + 1) {
        undetermined_ = kEventWaits;
    }
    cpu_->set_deliver_faults(true);
    load_breakpoints(false);
    if (event && std::holds_alternative<sim::Paused>(outcome)) undetermined_ = kEventWaits;
    if (nmi && std::holds_alternative<sim::Shutdown>(outcome)) {
        if (const char* what = unknown_shutdown()) return not_modelled(what);
        return stop(ExitReason::shutdown);
    }
    return handle(outcome);
}

// One instruction where a step or a halt request is due behind it. A REP is left when RCX becomes a
// multiple of 1024, the last time with RCX = 0 (docs/conform-kvm.md).
ModelVm::Next ModelVm::emulate_one() {
    const u64 rflags = get_rflags();
    const u64 rip = cpu_->get(Reg::rip);
    const bool tf = (rflags & kTf) != 0;
    const bool nmi = cpu_->get(Reg::nmi_pending) != 0 && cpu_->get(Reg::nmi_blocked) == 0;
    if (nmi && cpu_->get(Reg::shadow) == 0) {  // delivered first, without an instruction
        // The frame has the TF of a single step, which GET_REGS hides.
        const sim::Outcome outcome = execute(1);
        if (std::holds_alternative<sim::Shutdown>(outcome)) return stop(ExitReason::shutdown);
        if (!std::holds_alternative<sim::StepsDone>(outcome)) return handle(outcome);
        set_rflags(cpu_->get(Reg::rflags));
        return Next::guest;
    }
    const Opcode op = opcode_of(cpu_->peek_code(cpu_->linear_ip(), 15), code_mode() == 0);
    const u8 usual = code_mode() == 0 ? 8 : code_mode() == 1 ? 4 : 2;
    const u8 size = !op.address_size ? usual : usual == 4 ? u8{2} : u8{4};
    const u64 mask = size == 8 ? ~u64{0} : (u64{1} << 8 * size) - 1;
    const u64 count = cpu_->get(Reg::rcx) & mask;
    const bool rep = op.rep != 0 && op.is_string() && count != 0;
    cpu_->set(Reg::rflags, rep ? rflags & ~kTf : rflags);
    // The executor keeps some results until a REP ends, so it gets one that does.
    const u64 now = rep ? (count - 1) % kIterations + 1 : 0;
    const u64 rcx = cpu_->get(Reg::rcx);
    if (rep) cpu_->set(Reg::rcx, now);
    cpu_->set_deliver_faults(false);
    const std::optional<Kept> kept = keep_of_push(op);
    const u64 shadow = cpu_->get(Reg::shadow);
    watcher_->alone = true;
    sim::Outcome outcome = execute(1);
    watcher_->alone = false;
    if (auto* own = std::get_if<sim::Fault>(&outcome)) *own = own_fault(op, *own);
    if (rep) {
        const u64 left = (count - now + (cpu_->get(Reg::rcx) & mask)) & mask;
        cpu_->set(Reg::rcx, size == 2 ? (rcx & ~mask) | left : left);
    }
    cpu_->set_deliver_faults(true);
    cpu_->set(Reg::pending_debug, 0);
    const auto* fault = std::get_if<sim::Fault>(&outcome);
    const bool halted = std::holds_alternative<sim::Halted>(outcome);
    const bool interrupts = fault != nullptr && fault->software;  // an INT is done by the emulator
    if (interrupts) {
        if (const auto ended = software_interrupt(*fault)) return handle(*ended);
    } else if (!halted && !std::holds_alternative<sim::StepsDone>(outcome)) {
        if (rep) cpu_->set(Reg::rflags, cpu_->get(Reg::rflags) | (rflags & kTf));
        set_rflags(cpu_->get(Reg::rflags));
        if (fault == nullptr) return handle(outcome);
        queue_fault(*fault);
        return halt_is_due() ? stop(ExitReason::hlt) : Next::guest;
    }
    own_shadow(op, shadow);
    events_.shadow = static_cast<u8>(cpu_->get(Reg::shadow));
    if (kept) put_back(*kept);
    u64 after = own_flags(op, cpu_->get(Reg::rflags));
    if (rep) {
        after |= rflags & kTf;
        const bool zero = (after & kZf) != 0;
        const bool found = op.compares() && zero == (op.rep == 0xF2);
        if (!found) {  // also when RCX is 0 now: the next round finds that
            cpu_->set(Reg::rip, rip);
            after |= kRf;
        }
    }
    if (halted) {
        cpu_->set(Reg::activity, 0);
        halt_request_ = true;
    }
    // As in x86_emulate_instruction: the step first, then the flags.
    Next next = Next::guest;
    if (tf || stepping()) next = do_singlestep();
    set_rflags(after);
    if (next == Next::guest && halt_is_due()) next = stop(ExitReason::hlt);
    return next;
}

// The executor has moved RIP past the INT already.
std::optional<sim::Outcome> ModelVm::software_interrupt(sim::Fault fault) {
    fault.length = 0;
    const auto outcome = cpu_->inject_fault(fault);
    if (outcome && std::holds_alternative<Exit>(*outcome) && !by_hardware()) {
        return sim::NotModelled{"INT n whose stack is MMIO, under a step"};
    }
    return outcome;
}

bool ModelVm::can_emulate() const {
    const std::vector<u8> code = cpu_->peek_code(cpu_->linear_ip(), 15);
    const bool long_code = code_mode() == 0;
    const Opcode op = opcode_of(code, long_code);
    constexpr u16 kEnter = 0xC8;
    if (op.value == kEnter && !op.lock) {  // without a nesting level only: its last byte, modulo 32
        const std::size_t length = length_at_rip().value_or(0);
        return length == 0 || length > code.size() || code[length - 1] % 32 == 0;
    }
    return emulator_has(op, long_code, (cpu_->get(Reg::cr0) & 1) != 0);
}

bool ModelVm::halt_is_due() { return std::exchange(halt_request_, false); }

std::array<u64, 4> ModelVm::data_selectors() const {
    return {cpu_->get(Reg::es), cpu_->get(Reg::ds), cpu_->get(Reg::fs), cpu_->get(Reg::gs)};
}

sim::Outcome ModelVm::execute(u64 steps, u64 iterations) {
    const u64 before = run_from_ = cpu_->steps();
    delivering_ = false;
    const bool pvm = switches_.kvm == Version::slow && by_hardware();
    const std::array<u64, 4> selectors = data_selectors();
    const sim::Outcome outcome =
        cpu_->run({.steps = steps, .iterations = iterations},
                  log_ != nullptr || switches_.kvm == Version::slow ? watcher_.get() : nullptr);
    const u64 done = cpu_->steps() - before;
    steps_ += done;
    run_from_ = cpu_->steps();
    // A handler that faults where it stands must come to the limit too.
    const u64 counts = std::max<u64>(done, std::holds_alternative<sim::Fault>(outcome));
    steps_left_ -= std::min(steps_left_, counts);
    if (pvm && data_selectors() != selectors) {
        undetermined_ = "kvm_pvm does not see the selectors that native code loads";
    }
    // Where the handler's code cannot be fetched, no instruction has begun.
    if (!std::holds_alternative<sim::StepsDone>(outcome)) {
        first_of_handler_ |= std::exchange(watcher_->delivered, false);
    }
    return delivering_ ? without_mmio(outcome) : outcome;
}

ModelVm::Next ModelVm::handle(const sim::Outcome& outcome) {
    events_.shadow = static_cast<u8>(cpu_->get(Reg::shadow));
    if (first_of_handler_ && !std::holds_alternative<sim::StepsDone>(outcome)) {
        cpu_->set(Reg::rflags, cpu_->get(Reg::rflags) | kRf);
    }
    first_of_handler_ = false;
    if (const auto* exit = std::get_if<Exit>(&outcome)) return handle_exit(*exit);
    if (const auto* fault = std::get_if<sim::Fault>(&outcome)) {
        if (fault->software) {
            if (debug_.use_sw_bp && fault->vector == sim::Vector::bp) {
                cpu_->set(Reg::rip, (cpu_->get(Reg::rip) - fault->length) & mode_mask());
                return debug_exit(0, sim::Vector::bp);
            }
            return delivered(software_interrupt(*fault)) ? Next::guest : Next::userspace;
        }
        if (fault->vector == sim::Vector::db) return debug_exit(debug_dr6_);
        queue_fault(*fault);
        return Next::guest;
    }
    if (std::holds_alternative<sim::Paused>(outcome)) {
        if (clear_ac() || own_way().kind != OwnWay::none) return Next::guest;
        return emulation_fails();
    }
    if (std::holds_alternative<sim::Halted>(outcome)) {
        cpu_->set(Reg::activity, 0);  // the LAPIC is userspace's: the vCPU stays runnable
        // An interrupt that an exception was delivered before is still injected: it ends the HLT
        // (observed, docs/conform-kvm.md).
        if (!by_hardware() && events_.interrupt_injected) return Next::guest;
        return stop(ExitReason::hlt);
    }
    if (std::holds_alternative<sim::Shutdown>(outcome)) {
        constexpr u16 kEnter = 0xC8;
        if (by_hardware() &&
            opcode_of(cpu_->peek_code(linear_rip(), 15), code_mode() == 0).value == kEnter) {
            undetermined_ = "what an ENTER that faults has pushed is up to the processor";
        }
        pass_int3();
        if (const char* what = unknown_shutdown()) return not_modelled(what);
        // KVM sets RF when it injects a fault, before it finds that this cannot be delivered.
        const bool trap = watcher_->first && watcher_->first->vector == sim::Vector::db;
        if (!by_hardware() && !injecting_trap_ && !trap) {
            cpu_->set(Reg::rflags, cpu_->get(Reg::rflags) | kRf);
        }
        return stop(ExitReason::shutdown);
    }
    if (const auto* gap = std::get_if<sim::NotModelled>(&outcome)) return not_modelled(gap->what);
    if (std::holds_alternative<sim::OutOfMemory>(outcome)) return not_modelled("out of memory");
    if (std::holds_alternative<sim::OutOfWork>(outcome)) steps_left_ = 0;
    return steps_left_ == 0 ? Next::userspace : Next::guest;
}

ModelVm::Next ModelVm::handle_exit(const Exit& exit) {
    latch(exit);
    switch (exit.kind) {
        case ExitKind::io:
            return is_fast(exit) ? fast_io(exit) : slow_io(exit);
        case ExitKind::memory:
            return mmio(exit);
        case ExitKind::rdmsr:
        case ExitKind::wrmsr:
            return msr_exit(exit);
        case ExitKind::hypercall: {
            // No hypercall is offered: -KVM_ENOSYS.
            constexpr u64 kNoSys = ~u64{0} - 999;
            cpu_->set(Reg::rax, mode_mask() == ~u64{0} ? kNoSys : kNoSys & 0xFFFFFFFF);
            return skip();
        }
        default:
            return not_modelled("an exit of this kind in a KVM world");
    }
}

ModelVm::Next ModelVm::stop(ExitReason reason) {
    // One writer of exit_reason overwrites another: the payload is a union.
    const Return result = run_.result;
    run_ = RunExit{};
    run_.result = result;
    run_.reason = reason;
    return Next::userspace;
}

ModelVm::Next ModelVm::not_modelled(std::string what) {
    log_text(EventKind::not_modelled, what);
    problem_ = std::move(what);
    return Next::userspace;
}

void ModelVm::log(EventKind kind, std::initializer_list<u64> args) {
    if (log_ == nullptr) return;
    Event e;
    e.step = steps_ + 1;
    e.kind = kind;
    e.lane = Lane::hypervisor;
    e.rip = cpu_->get(Reg::rip);
    std::copy(args.begin(), args.end(), e.args.begin());
    log_->add(e);
}

void ModelVm::log_text(EventKind kind, std::string text) {
    if (log_ != nullptr) log(kind, {log_->add_text(std::move(text))});
}

}  // namespace vtlsim::model::kvm
