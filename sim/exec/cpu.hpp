// A virtual processor and the machine (memory, decoded code) it belongs to: what users of the
// simulator's CPU see.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "sim/exec/exec.hpp"

namespace vtlsim::sim {

class CodeCache;
class Cpu;

// Listens to one run. Stores are reported for watched pages only (Machine::watch_page).
class Observer {
  public:
    virtual ~Observer() = default;
    // Before each instruction, at the boundary where an event could still come first; not between
    // the iterations of a REP. True pauses the run there (outcome Paused); a resumed run asks again
    // for the same instruction. What it would change in the processor it changes while paused.
    virtual bool before_instruction(const Cpu& cpu, u64 rip) = 0;
    // A store of this processor's instructions, 1 to 4096 bytes: what was there, what is there now.
    virtual void stored(const Cpu&, u64 /*physical*/, std::span<const u8> /*before*/,
                        std::span<const u8> /*after*/) {}
    // A fault or trap is delivered through the guest's IDT.
    virtual void delivering(const Cpu&, const Fault&) {}
};

class Cpu {
  public:
    explicit Cpu(Machine& machine);
    Cpu(const Cpu&) = delete;
    Cpu& operator=(const Cpu&) = delete;
    ~Cpu();

    // The whole state, with all flags made. Setting it flushes the TLB.
    CpuState state() const;
    void set_state(const CpuState& state);
    // One register, of a vector the low half; set() clears the high one.
    u64 get(Reg reg) const {
        if (reg <= Reg::rip) return x_->s[reg];
        return reg == Reg::rflags ? x_->rflags() : get_other(reg);
    }
    void set(Reg reg, u64 value);

    // Which RAM map of the machine this processor's accesses go through (0 to 3).
    void set_address_space(u8 id);
    void set_exits(ExitControls exits) { x_->exits = exits; }
    // On (default): faults go through the guest's IDT. Off: they end the run.
    void set_deliver_faults(bool on) { x_->deliver_faults = on; }

    // Runs until a limit or an outcome of another kind. Never returns Fault while faults are
    // delivered. An Exit has not retired.
    Outcome run(const RunLimits& limits, Observer* observer = nullptr);
    // Steps made since the processor exists: one a retired instruction or delivered event. An
    // observer that is asked before an instruction gets those before it.
    u64 steps() const { return x_->block == nullptr ? steps_ : x_->steps() + x_->asked_position(); }

    // The level of the interrupt input: while it is up, run() ends with InterruptWindow as soon as
    // RFLAGS.IF and the shadow allow (SDM 3A 6.8.1).
    void set_interrupt_line(bool up) { x_->interrupt_line = up; }
    bool interruptible() const;
    // Delivers an external interrupt through the IDT now; wakes a halted processor. An outcome is
    // returned only when delivery itself ends the run (triple fault, exit, gap).
    std::optional<Outcome> deliver_interrupt(u8 vector);

    // A non-maskable interrupt: taken at the next boundary at which neither an NMI is being handled
    // (until IRET) nor MOV SS shadows it; one can wait. Wakes a halted processor.
    void raise_nmi() { x_->s[Reg::nmi_pending] = 1; }

    // Delivers an exception as if the instruction at RIP had raised it. Outcomes as above.
    std::optional<Outcome> inject_fault(const Fault& fault);
    // The instruction of the Exit is done: RIP moves past it, the interrupt shadow ends, TF and the
    // breakpoints that it has hit take effect. Its results are the caller's to write. Counts as a
    // step.
    void retire_exit(const Exit& exit);

    // The linear address of the instruction at RIP.
    u64 linear_ip() const {
        const u64 linear = x_->code_base() + x_->s[Reg::rip];
        return x_->long_code ? linear : linear & 0xFFFFFFFF;
    }
    // Bytes at a linear address as an instruction fetch would see them, without faults or side
    // effects: fewer than asked where the translation ends.
    std::vector<u8> peek_code(u64 address, std::size_t size) const;
    // Linear to physical as a supervisor read would, without side effects; nothing if unmapped.
    std::optional<u64> peek_physical(u64 address) const;

    Machine& machine() const { return *x_->machine; }

  private:
    friend class Machine;
    friend struct Exec;
    enum class Boundary : u8 { clear, taken, ended };
    template <bool Observed>
    bool loop(u64 start, u64 limit);
    bool observed() const { return x_->observer != nullptr || x_->watching; }
    Boundary take_events();
    u64 get_other(Reg reg) const;
    Block* fetch();
    u64 within_limit(const Block& block);
    Flow run_block(const Block& block, u64 count);
    template <bool Observed>
    Flow run_alone(const Block& block, bool asked);
    Flow run_chain(Block& block, u64 left);
    Flow run_asking(Block& block, u64 left, u64 within, bool asked);
    Flow end_chain(Flow flow);
    void take_breakpoints();  // that were hit become a trap
    // True, of all that follow: the run has ended, as Exec::pending says.
    bool take_debug_exception(u64 bits);
    bool take_nmi();
    bool take_fault();
    // Through the IDT (SDM 3A 6.14), with double and triple faults.
    bool deliver(Fault fault, bool external);

    std::unique_ptr<Exec> x_;
    std::unique_ptr<Block> crossing_;  // the instruction at hand when it crosses a page: not cached
    u64 steps_ = 0;
};

// A range of physical addresses, both ends included.
struct RamRange {
    u64 first = 0;
    u64 last = 0;
};

class Machine {
  public:
    explicit Machine(Memory memory = Memory{});
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;
    ~Machine();

    Cpu& add_cpu();

    const Memory& memory() const { return memory_; }
    // Replaces all of memory: restores what snapshot_memory() gave.
    void set_memory(Memory memory);
    // A copy of memory that later writes do not change.
    Memory snapshot_memory();
    // Writes from outside the processors. False: the page budget is used up.
    [[nodiscard]] bool write(u64 physical, std::span<const u8> bytes);
    void read(u64 physical, std::span<u8> out) const { memory_.read(physical, out); }

    // The RAM of an address space, sorted and disjoint. Other addresses exit (ExitKind::memory).
    // Without this call everything is RAM.
    void set_ram(u8 address_space, std::vector<RamRange> ranges);
    bool is_ram(u8 address_space, u64 physical, std::size_t size) const;

    // Reports stores to this physical page to the observer of the run.
    void watch_page(u64 page_number);

    // --- for Exec and Cpu ------------------------------------------------------------------------
    // A page about to be written by a processor: unshared, its cached code dropped. Null: budget.
    u8* page_for_write(u64 page_number);
    bool watched(u64 page_number) const { return watched_.count(page_number) != 0; }
    // Whether a TLB may let stores through to the page without asking.
    bool direct_writes(u64 page_number) const;
    // From now on stores to the page come by page_for_write.
    void forget_writes(u64 page_number);
    CodeCache& code() { return *code_; }

  private:
    Memory memory_;
    std::unique_ptr<CodeCache> code_;
    std::vector<std::unique_ptr<Cpu>> cpus_;
    std::array<std::optional<std::vector<RamRange>>, 4> ram_;
    std::set<u64> watched_;
};

}  // namespace vtlsim::sim
