// The hypervisor of one VP: VTL switches, intercepts, the assist and register pages, hypercalls
// and MSRs of VTL2, one APIC per VTL.
#pragma once

#include "model/driver/driver.hpp"
#include "model/hyperv/apic.hpp"
#include "model/hyperv/synic.hpp"
#include "model/invariants/invariants.hpp"
#include "model/wire/message.hpp"
#include "model/wire/pages.hpp"
#include "sim/mmu/walk.hpp"

namespace vtlsim::model {

class Hypervisor {
  public:
    Hypervisor(Board& board, SidecarDriver& driver, Invariants& invariants)
        : board_(board), driver_(driver), invariants_(invariants) {}

    // An exit of the running VTL's code, at most one per instruction.
    void on_exit(const sim::Exit& exit);
    // The guest's processor has met a triple fault.
    void on_guest_shutdown();

    // An interrupt for a VTL. While VTL0 runs, one for VTL2 switches at once unless VTL2's CR8
    // masks it (TLFS: VTL Interrupt Management; RFLAGS.IF does not matter).
    void interrupt(u8 vtl, u8 vector, bool transient);

    // An interrupt for VTL2 that comes with the guest's next exit, and before it (reason_merge). If
    // the instruction at hand does not exit, expire_with_exit() makes it an interrupt like others.
    void interrupt_with_exit(u8 vector, bool transient);
    bool waits_for_exit() const { return state_.with_exit != 0; }
    void expire_with_exit();
    // An intercept that no instruction asks for: the message of this type is about `value`.
    // Its header says that an event's delivery was going on, or not.
    void asynchronous_intercept(MessageType type, u64 value, bool interruption_pending);

    // The vector that the running VTL would take now, whatever its IF.
    std::optional<u8> deliverable() const { return deliverable_at(board_.vp()); }
    std::optional<u8> deliverable_at(const Vp& vp) const { return deliverable(vp, vp.active_vtl); }
    // Takes it: from requested to in service.
    u8 accept();

    VtlBanks& banks() { return state_.banks; }
    const VtlBanks& banks() const { return state_.banks; }

    // All that changes, as a value.
    struct State {
        VtlBanks banks;
        std::array<Apic, kVtlCount> apic{};
        bool assist_page_enabled = false;
        bool register_page_mapped = false;
        u8 with_exit = 0;  // the vector that comes with the guest's next exit; 0: none
        bool with_exit_transient = false;
        u64 messages = 0;
        SynIc synic;             // VTL2's
        Vec128 pending_event{};  // VTL0's PendingEvent0
    };
    const State& state() const { return state_; }
    void set_state(const State& state) { state_ = state; }

  private:
    template <class Payload>
    void store_message(MessageType type, const Payload& payload);
    // An exception of the running VTL, through its own IDT.
    void raise_exception(const sim::Fault& fault);
    // What delivering an event through the running VTL's IDT ended with, if it ended the run.
    void delivered(const std::optional<sim::Outcome>& failed);
    void guest_exit(const sim::Exit& exit);
    void vtl2_exit(const sim::Exit& exit);

    // --- intercepts (intercepts.cpp) ---
    HvInterceptHeader header(u8 length, u8 access) const;
    HvSegment segment(sim::Seg seg) const;
    template <class Payload>
    void deliver_intercept(MessageType type, const Payload& payload);
    void fill_register_page();
    // --- by SynIC messages (synic.cpp) ---
    void post(const SynIc::Posted& posted);
    void write_slot(const SynIc::Posted& posted);
    void end_of_message();
    bool write_synic_msr(u32 number, u64 value);
    void io_intercept(const sim::Exit& exit);
    void cpuid_intercept(const sim::Exit& exit);
    void msr_intercept(const sim::Exit& exit);
    void hypercall_intercept(const sim::Exit& exit);
    void memory_intercept(const sim::Exit& exit);

    // --- VTL switches ---
    void enter_vtl2(EntryReason reason);
    void vtl_return(const sim::Exit& exit);
    void flush_register_page();
    void deliver_pending_event();
    std::optional<u8> deliverable(const Vp& vp, u8 vtl) const;

    // --- services for VTL2 (services.cpp) ---
    void hypercall(const sim::Exit& exit);
    u64 set_vp_registers(u64 input);
    u64 set_register(u8 vtl, u32 name, Vec128 value);
    u64 get_vp_registers(u64 input, u64 output);
    u64 translate_gva(u64 input, u64 output);
    bool translation_allowed(const sim::Walk& walk, u64 flags) const;
    void set_table_bits(const sim::Walk& walk, bool dirty);
    void write_msr(const sim::Exit& exit);

    u64 guest(sim::Reg reg) const { return board_.cpu().get(reg); }

    Board& board_;
    SidecarDriver& driver_;
    Invariants& invariants_;
    State state_;
};

}  // namespace vtlsim::model
