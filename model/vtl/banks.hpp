// Which copy of a register a VTL sees, and what a VTL switch moves (TLFS: VSM, Virtual Processor
// State Isolation; hyperv-vtl.md 1.1 and 1.6 for the hypotheses).
#pragma once

#include <functional>
#include <string_view>

#include "model/switches.hpp"
#include "sim/state/cpu_state.hpp"

namespace vtlsim::model {

inline constexpr u8 kVtl0 = 0;
inline constexpr u8 kVtl2 = 2;
inline constexpr std::size_t kVtlCount = 3;

// What the sources say of a register. The switches decide about the last four.
enum class BankClass : u8 {
    vtl_private,    // saved and restored at every switch
    vp_shared,      // stays in the CPU
    shared_gpr,     // TLFS: shared; the report: shadowed
    shared_fx,      // x87 and SSE: the same dispute
    shared_cr2,     // the same, apart
    by_capability,  // DR6
};

struct BankRow {
    sim::Reg first;
    sim::Reg last;
    BankClass bank;
    std::string_view source;
};

// Every register of the list is in exactly one row.
std::span<const BankRow> bank_rows();
BankClass bank_class(sim::Reg reg);

// What a switch does with a register under a set of switches.
enum class Bank : u8 { shared, per_vtl, shadow };  // shadow: per VTL, by hypothesis
Bank bank_of(sim::Reg reg, const Switches& switches);

class VtlBanks {
  public:
    // Told of each register that a shadow restores with another value than the live one.
    using ShadowListener = std::function<void(sim::Reg, u64 was, u64 is)>;

    sim::CpuState& saved(u8 vtl) { return saved_[vtl]; }
    const sim::CpuState& saved(u8 vtl) const { return saved_[vtl]; }

    // The switch from VTL2 down to VTL0 and from VTL0 up to VTL2: `live` is the CPU's state.
    void lower(sim::CpuState& live, const Switches& switches);
    void raise(sim::CpuState& live, const Switches& switches, bool interrupt_entry,
               const ShadowListener& on_shadow);

    // The register as the VTL sees or would see it, with `active` running on `live`.
    Vec128 view(const sim::CpuState& live, u8 active, u8 vtl, sim::Reg reg,
                const Switches& switches) const;
    // Writes it where view() reads it.
    void write(sim::CpuState& live, u8 active, u8 vtl, sim::Reg reg, Vec128 value,
               const Switches& switches);

    // All that it holds, for hashes.
    std::array<const sim::CpuState*, kVtlCount + 1> states() const {
        return {&saved_[0], &saved_[1], &saved_[2], &captured_};
    }
    u8 flags() const {
        return static_cast<u8>((last_entry_interrupt_ ? 1 : 0) | (displaced_ ? 2 : 0));
    }

  private:
    bool in_cpu(u8 active, u8 vtl, sim::Reg reg, const Switches& switches) const;

    std::array<sim::CpuState, kVtlCount> saved_{};
    // shadow_on_second_reentry: what VTL2 had at its last entry that followed the rule of sharing,
    // whether the last entry was by interrupt, and whether VTL0's values wait in saved_[0].
    sim::CpuState captured_{};
    bool last_entry_interrupt_ = false;
    bool displaced_ = false;
};

}  // namespace vtlsim::model
