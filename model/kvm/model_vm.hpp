// A model of KVM's x86 vCPU as userspace sees it: who moves RIP when, and what userspace may do in
// between (kvm-pio.md). sim/ executes the guest; this decides what an exit does. The version of KVM
// is a switch. One vCPU; the LAPIC is userspace's.
//
//   run.cpp          KVM_RUN: its order, and the loop around the guest
//   events.cpp       what is injected at entry
//   fast_path.cpp    exits of a CPU with VMX or SVM: IN and OUT, and the vendor's skip
//   slow_path.cpp    the full emulator: IN, OUT, INS, OUTS
//   mmio.cpp         accesses to what is not RAM, always by the emulator
//   own_way.cpp      what the emulator does otherwise than the manual
//   leftover.cpp     data of a read that the emulator gives to another one
//   completion.cpp   what the next KVM_RUN does with a pending exit
//   guest_debug.cpp  single-step, breakpoints, TF
//   registers.cpp    the other ioctls
#pragma once

#include <array>
#include <memory>

#include "model/kvm/opcode.hpp"
#include "model/kvm/switches.hpp"
#include "model/kvm/vm.hpp"
#include "model/log/event_log.hpp"
#include "sim/decode/code_cache.hpp"

namespace vtlsim::model::kvm {

// What the emulator does otherwise than the executor with the instruction at hand (own_way.cpp).
struct OwnWay {
    enum Kind : u8 {
        none,
        result,       // other flags, another width: one instruction, which is then corrected
        reads_first,  // its operand in MMIO is read before #UD or #GP is found
        faults,
        nop,
        salc,           // SALC, which no manual has
        undeliverable,  // INT 80h to FFh of real mode
        missing,        // the model has no rule for it
    } kind = none;
    sim::Fault fault{};
    u64 at = 0;  // reads_first: physical
    u8 size = 0;
    const char* what = "";  // missing
};

// complete_userspace_io: what the next KVM_RUN calls.
enum class Completion : u8 {
    none,
    skip,        // v0: the vendor's skip, unconditionally; IN writes RAX
    fast_out,    // v2: compare linear RIP, then skip
    fast_in,     // v1c: RAX; v2: compare, RAX, then skip
    zero,        // v3, port 7Eh: nothing left but the count
    emulator,    // the emulator goes on from its old decode: IN, INS, MMIO reads
    mmio_write,  // further pieces of a write
    msr,         // write EDX:EAX or inject #GP, then skip
    next_rip,    // x2: RIP := the address that was kept
    fulfil,      // x3: as the entry's command says
    step,        // x4: the trap or step that the access owes
};

class ModelVm final : public Vm {
  public:
    // `log` may be null; it must outlive the Vm.
    ModelVm(const Guest& guest, const Script& script, const Switches& switches,
            EventLog* log = nullptr);
    ~ModelVm() override;

    RunExit run() override;
    bool exhausted() const override { return steps_left_ == 0; }
    std::string problem() const override { return problem_; }
    std::string undetermined() const override { return undetermined_; }
    void get_regs(sim::CpuState& state) override;
    void set_regs(const sim::CpuState& state) override;
    void get_sregs(sim::CpuState& state) override;
    void set_sregs(const sim::CpuState& state) override;
    void get_debug_registers(sim::CpuState& state) override;
    void set_debug_registers(const sim::CpuState& state) override;
    VcpuEvents get_events() override;
    void set_events(const VcpuEvents& events) override;
    u32 get_mp_state() override { return mp_state_; }
    void set_mp_state(u32 state) override;
    void sync_regs(const sim::CpuState& state, bool sregs, bool known) override;
    void set_guest_debug(const GuestDebug& debug) override;
    void interrupt(u8 vector) override;
    void nmi() override;
    void announce_reset() override { announced_ = true; }
    void abandon_access() override;
    void init_sipi(u8 vector) override;
    void set_immediate_exit(bool on) override { immediate_exit_ = on; }
    void request_interrupt_window(bool on) override { window_requested_ = on; }
    void set_read_data(std::span<const u8> data) override;
    void set_msr_error(bool error) override { msr_error_ = error; }
    void read_memory(u64 physical, std::span<u8> out) override;
    void write_memory(u64 physical, std::span<const u8> bytes) override;
    void replace_vcpu() override;
    void observe(Observation& observation) override;

    const sim::Cpu& cpu() const { return *cpu_; }
    u64 steps() const { return steps_; }

  private:
    class Watcher;
    // What a step of KVM_RUN leads to: back to userspace with run_, or on with the guest.
    enum class Next : u8 { userspace, guest };

    // run.cpp
    bool wakes();
    Next enter();  // one round: events, then the guest, then its exit
    Next enter_guest(u64 steps);
    Next emulate_one();
    bool can_emulate() const;  // the instruction at RIP
    bool halt_is_due();
    std::optional<sim::Outcome> software_interrupt(sim::Fault fault);
    Next handle(const sim::Outcome& outcome);
    Next handle_exit(const sim::Exit& exit);
    Next stop(ExitReason reason);
    Next not_modelled(std::string what);
    std::array<u64, 4> data_selectors() const;
    sim::Outcome execute(u64 steps, u64 iterations = u64{1} << 24);
    u64 mode_mask() const;  // of RIP in the mode at hand
    u64 code_mode() const;  // 0: 64-bit, 1: 32-bit, 2: 16-bit

    // events.cpp
    bool inject();  // false: run_ is filled, back to userspace
    bool delivered(const std::optional<sim::Outcome>& outcome);
    sim::Outcome without_mmio(sim::Outcome outcome) const;
    void queue_debug_trap(u64 dr6);
    void queue_fault(const sim::Fault& fault);
    bool keeps_rf(const sim::Fault& fault) const;
    bool may_wrap(const sim::Fault& fault) const;
    bool window_open() const;

    // fast_path.cpp
    bool is_fast(const sim::Exit& exit) const;
    Next fast_io(const sim::Exit& exit);
    void io_answered();
    void commit();
    Next skip();  // kvm_skip_emulated_instruction
    void move_rip();
    void move_rip_to(u64 rip);
    void latch(const sim::Exit& exit);
    void merge_rax();
    bool cancelled() const;
    std::optional<u8> length_at_rip() const;

    // slow_path.cpp
    Next slow_io(const sim::Exit& exit);
    Next emulate_outs();
    Next emulate_in(bool completing);
    Next complete_emulator();
    void decode(const sim::Exit& exit);
    void io_exit(u32 count);
    Next emulator_done(bool to_userspace, bool retired);
    std::optional<u64> physical_of(u64 linear);
    bool string_address(u64 offset, sim::Seg segment, bool write, std::vector<u64>& physical,
                        std::size_t size);
    bool store_string(std::span<const u8> bytes);
    void advance(sim::Reg reg, i64 by);
    void in_kernel_access(const sim::Exit& exit);
    const Device* in_kernel_device(u16 port) const;

    // mmio.cpp
    Next mmio(const sim::Exit& exit);
    Next mmio_read();
    Next mmio_has_read();
    Next mmio_read_exit();
    Next complete_mmio_read();
    Next mmio_execute();
    std::optional<Next> mmio_iteration();  // nothing: a REP goes on
    void write_back_flags_of_rep(const Opcode& op);
    struct Operand {
        u64 linear = 0;
        u8 size = 0;
    };
    std::vector<Operand> operands();
    std::optional<Next> next_operand();
    void show_popped();
    sim::Outcome try_step(std::vector<sim::RamRange> ram);
    u64 whole_access(u64 at, u64 size);
    void add_write_pieces(u64 at, const std::vector<u8>& data);
    Next mmio_write_piece();

    // leftover.cpp
    void keep_leftover();
    std::optional<std::vector<u8>> take_leftover(u64 size);
    struct Loan {
        u64 at = 0;
        std::vector<u8> before, lent;
        bool keeps = false;  // the instruction writes there itself
    };
    std::optional<Loan> lend_leftover();
    Next mmio_of_leftover();
    void take_back(const Loan& loan);

    // own_way.cpp
    OwnWay own_way();
    Next emulate_own_way(const OwnWay& way);
    void decode_here();
    Next push_interrupt();
    Next emulation_fails();
    sim::Seg segment_of_operand(const std::vector<u8>& code) const;
    sim::Fault not_present(u64 linear, bool write = false) const;
    bool overwrites_itself(const Opcode& op) const;
    sim::Block decoded(std::vector<u8> code) const;  // one instruction in the mode at hand
    u8 decoded_size() const;
    std::optional<u64> operand_address(const std::vector<u8>& code) const;  // linear
    u8 operand_bytes(const Opcode& op) const;
    u64 own_flags(const Opcode& op, u64 rflags) const;
    static sim::Fault own_fault(const Opcode& op, sim::Fault fault);
    struct Kept {
        u64 at = 0;  // physical
        std::array<u8, 2> bytes{};
    };
    std::optional<Kept> keep_of_push(const Opcode& op) const;
    void put_back(const Kept& kept);
    void own_shadow(const Opcode& op, u64 before);
    OwnWay reads_source_first(const Opcode& op);
    void note_artefacts();
    bool clear_ac();
    void pass_int3();
    const char* unknown_shutdown() const;

    // completion.cpp
    Next complete();
    Next complete_msr();
    Next msr_exit(const sim::Exit& exit);

    // guest_debug.cpp
    bool stepping() const { return debug_.single_step; }
    bool by_hardware() const;  // whether the CPU itself executes the guest
    u64 linear_rip() const { return linear_rip(cpu_->get(sim::Reg::rip)); }
    u64 linear_rip(u64 rip) const;
    u64 get_rflags() const;
    void set_rflags(u64 value);
    Next do_singlestep();
    static constexpr u64 kActiveLow = 0xFFFF0FF0;  // DR6's bits that are always 1
    Next debug_exit(u64 dr6, sim::Vector exception = sim::Vector::db);
    bool moves_debug_register() const;
    u64 emulator_breakpoints() const;
    bool watches_data() const;
    void load_breakpoints(bool entering);

    // registers.cpp
    void reset_vcpu(u8 sipi_vector);

    u64 log_step(const sim::Cpu& cpu) const { return steps_ + cpu.steps() - run_from_ + 1; }
    void log(EventKind kind, std::initializer_list<u64> args = {});
    void log_text(EventKind kind, std::string text);

    const Guest guest_;
    const Script script_;
    const Switches switches_;
    EventLog* const log_;
    sim::Machine machine_;
    sim::Cpu* cpu_ = nullptr;
    std::unique_ptr<Watcher> watcher_;
    u64 steps_left_;
    u64 steps_ = 0;
    u64 run_from_ = 0;  // cpu_->steps() when the run at hand began
    std::string problem_, undetermined_;

    // --- kvm_run ---
    RunExit run_;
    bool immediate_exit_ = false;
    bool window_requested_ = false;
    bool msr_error_ = false;
    std::vector<u8> read_data_;  // of the exit at hand, as userspace left it
    enum class Dirty : u8 { no, regs, both, unknown } dirty_ = Dirty::no;
    sim::CpuState synced_{};

    // --- the vCPU beside its registers ---
    Completion cui_ = Completion::none;
    u32 mp_state_ = 0;
    std::optional<u8> pending_sipi_;
    VcpuEvents events_;
    GuestDebug debug_;
    u64 singlestep_rip_ = 0;
    // vcpu->arch.halt_request: HLT has been emulated, and something else returned to userspace.
    bool halt_request_ = false;
    // The next instruction is the first behind a fault that left RF set.
    bool first_of_handler_ = false;
    // As the instruction at hand has begun: what a REP has done in RAM before it exits.
    struct {
        u64 rip = 0, rcx = 0, rflags = 0;
    } begun_;
    bool delivering_ = false;      // an event, not executing an instruction
    bool injecting_trap_ = false;  // an interrupt or a trap: RF stays as it is
    struct Pio {
        u16 port = 0;
        u8 size = 0;
        bool in = false;
        u32 count = 0;
        u64 linear_rip = 0;
        u64 rip = 0;       // a2
        u64 next_rip = 0;  // x2, x3
    } pio_;
    std::vector<u8> pio_data_;
    struct {  // the vendor's exit latch
        u8 length = 0;
        u64 next_rip = 0;
    } latch_;
    // Of the rejected alternatives: whether userspace has written RIP, set MP_STATE, or announced.
    bool rip_written_ = false, mp_state_set_ = false, announced_ = false;
    bool abandoned_ = false;  // the answer to the access at hand is lost
    bool moved_ = false;      // into a new vCPU, which has not run yet
    u64 cr2_copy_ = 0;        // as it was set last
    struct Emulator {
        sim::Exit insn;
        u64 rip = 0;       // ctxt->eip: of the instruction
        u64 next_rip = 0;  // ctxt->_eip
        u64 rflags = 0;    // without TF under single-step
        bool tf = false;
        bool registers_stale = false;  // userspace wrote GPRs: the cache is dropped
        u64 pointer = 0;               // INS: the offset that was decoded
        std::array<u8, 1024> ahead{};  // io_read.data; kept from one instruction to the next
        std::size_t ahead_at = 0, ahead_end = 0;
    } em_;
    struct Mmio {
        std::vector<std::pair<u64, std::vector<u8>>> reads;   // done
        u64 at = 0;                                           // the piece at hand
        u64 left = 0;                                         // bytes of the access from `at`
        std::vector<std::pair<u64, std::vector<u8>>> writes;  // to come
        bool pending = false;                                 // a read exit is at hand
        u32 operands = 0;                                     // of several: how many have been read
        // Several pops: how far RSP is ahead of the decode's, and the address of the read at hand.
        u64 moved = 0, shift = 0;
        bool first_is_mmio = false;  // CMPS: its source, at `source`
        u64 source = 0;              // linear
        Opcode op;
        std::vector<u8> code;  // the instruction as it was decoded, and where
        u64 code_at = 0;
    } mmio_;
    // vcpu->arch.mmio_read_completed: MMIO data that nobody has taken. The emulator's next read of
    // memory gets them, wherever it reads.
    std::optional<std::vector<u8>> leftover_;
    sim::CpuState decoded_{};        // when the emulator decoded em_.insn
    u32 pio_latched_ = 0;            // of IN and INS: vcpu->arch.pio.count
    std::array<u64, 6> guest_dr_{};  // DR6, DR7, DR0 to DR3, while userspace's are in force
    u64 debug_dr6_ = 0;              // of the debugger's last #DB
};

}  // namespace vtlsim::model::kvm
