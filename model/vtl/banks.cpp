#include "model/vtl/banks.hpp"

namespace vtlsim::model {
namespace {

using sim::Reg;

constexpr std::string_view kTlfs = "TLFS: VSM, Virtual Processor State Isolation";

constexpr BankRow kRows[] = {
    {Reg::rax, Reg::rbx, BankClass::shared_gpr, kTlfs},
    {Reg::rsp, Reg::rsp, BankClass::vtl_private, "TLFS: every GPR is shared except this one"},
    {Reg::rbp, Reg::r15, BankClass::shared_gpr, kTlfs},
    {Reg::rip, Reg::rflags, BankClass::vtl_private, kTlfs},
    {Reg::es, Reg::tr_attr, BankClass::vtl_private, kTlfs},
    {Reg::gdtr_base, Reg::idtr_limit, BankClass::vtl_private, kTlfs},
    {Reg::cr0, Reg::cr0, BankClass::vtl_private, kTlfs},
    {Reg::cr2, Reg::cr2, BankClass::shared_cr2, kTlfs},
    {Reg::cr3, Reg::cr8, BankClass::vtl_private, kTlfs},
    {Reg::xcr0, Reg::xcr0, BankClass::vp_shared, "TLFS; openvmm: Xfem"},
    {Reg::dr0, Reg::dr3, BankClass::vp_shared, "TLFS (DR0-DR5); openvmm names DR0-DR3"},
    {Reg::dr6, Reg::dr6, BankClass::by_capability, "TLFS: VsmCapabilities.dr6_shared"},
    {Reg::dr7, Reg::dr7, BankClass::vtl_private, kTlfs},
    {Reg::efer, Reg::tsc_aux, BankClass::vtl_private, kTlfs},
    {Reg::tsc, Reg::tsc, BankClass::vp_shared, "one clock for both (inferred)"},
    {Reg::apic_base, Reg::apic_base, BankClass::vtl_private, "TLFS: one local APIC per VTL"},
    {Reg::misc_enable, Reg::misc_enable, BankClass::vtl_private, "not said (inferred)"},
    {Reg::mtrr_def_type, Reg::mtrr_fix4k_f8000, BankClass::vp_shared, kTlfs},
    {Reg::fcw, Reg::mxcsr, BankClass::shared_fx, kTlfs},
    {Reg::shadow, Reg::nmi_pending, BankClass::vtl_private, "with RFLAGS and RIP"},
    {Reg::activity, Reg::activity, BankClass::vp_shared, "one processor; VTL entry un-halts it"},
    {Reg::pending_debug, Reg::identity_map, BankClass::vtl_private, "with RFLAGS and CR3"},
    {Reg::fpr0, Reg::xmm15, BankClass::shared_fx, kTlfs},
};

constexpr bool covers_the_list() {
    std::size_t next = 0;
    for (const BankRow& row : kRows) {
        if (sim::index_of(row.first) != next) return false;
        next = sim::index_of(row.last) + 1;
    }
    return next == sim::kRegCount;
}
static_assert(covers_the_list(), "every register needs a bank");

constexpr auto kClassOf = [] {
    std::array<BankClass, sim::kRegCount> table{};
    for (const BankRow& row : kRows) {
        for (std::size_t i = sim::index_of(row.first); i <= sim::index_of(row.last); ++i) {
            table[i] = row.bank;
        }
    }
    return table;
}();

// Registers that only the second-reentry rule moves.
bool follows_gprs(BankClass c, const Switches& switches) {
    return c == BankClass::shared_gpr || c == BankClass::shared_fx ||
           (c == BankClass::shared_cr2 && switches.cr2_model == Cr2Model::shadow);
}

}  // namespace

std::span<const BankRow> bank_rows() { return kRows; }
BankClass bank_class(Reg reg) { return kClassOf[sim::index_of(reg)]; }

Bank bank_of(Reg reg, const Switches& switches) {
    const BankClass c = bank_class(reg);
    switch (c) {
        case BankClass::vtl_private:
            return Bank::per_vtl;
        case BankClass::vp_shared:
            return Bank::shared;
        case BankClass::by_capability:
            return switches.dr6_shared == Dr6Shared::yes ? Bank::shared : Bank::per_vtl;
        default:
            break;
    }
    const bool shadowed = switches.gpr_model == GprModel::shadow && follows_gprs(c, switches);
    return shadowed ? Bank::shadow : Bank::shared;
}

void VtlBanks::lower(sim::CpuState& live, const Switches& switches) {
    for (const sim::RegInfo& row : sim::registers()) {
        const Bank bank = bank_of(row.reg, switches);
        if (bank != Bank::shared) {
            saved_[kVtl2].set(row.reg, live.get(row.reg));
            live.set(row.reg, saved_[kVtl0].get(row.reg));
        } else if (displaced_ && follows_gprs(bank_class(row.reg), switches)) {
            live.set(row.reg, saved_[kVtl0].get(row.reg));
        }
    }
    displaced_ = false;
}

void VtlBanks::raise(sim::CpuState& live, const Switches& switches, bool interrupt_entry,
                     const ShadowListener& on_shadow) {
    const bool second_rule = switches.gpr_model == GprModel::shadow_on_second_reentry;
    const bool stale = second_rule && last_entry_interrupt_;
    if (second_rule && !stale) captured_ = live;
    const sim::CpuState before = live;
    for (const sim::RegInfo& row : sim::registers()) {
        const Bank bank = bank_of(row.reg, switches);
        const bool restored = stale && follows_gprs(bank_class(row.reg), switches);
        if (bank == Bank::shared && !restored) continue;
        saved_[kVtl0].set(row.reg, live.get(row.reg));
        live.set(row.reg, restored ? captured_.get(row.reg) : saved_[kVtl2].get(row.reg));
        const Vec128 was = before.get(row.reg);
        const Vec128 is = live.get(row.reg);
        if ((restored || bank == Bank::shadow) && !(was == is)) {
            on_shadow(row.reg, was.lo, is.lo);
        }
    }
    displaced_ = stale;
    last_entry_interrupt_ = interrupt_entry;
}

bool VtlBanks::in_cpu(u8 active, u8 vtl, Reg reg, const Switches& switches) const {
    if (active == vtl) return true;
    if (bank_of(reg, switches) != Bank::shared) return false;
    return !(displaced_ && vtl == kVtl0 && follows_gprs(bank_class(reg), switches));
}

Vec128 VtlBanks::view(const sim::CpuState& live, u8 active, u8 vtl, Reg reg,
                      const Switches& switches) const {
    return in_cpu(active, vtl, reg, switches) ? live.get(reg) : saved_[vtl].get(reg);
}

void VtlBanks::write(sim::CpuState& live, u8 active, u8 vtl, Reg reg, Vec128 value,
                     const Switches& switches) {
    (in_cpu(active, vtl, reg, switches) ? live : saved_[vtl]).set(reg, value);
}

}  // namespace vtlsim::model
