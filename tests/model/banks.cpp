// What a VTL switch does with each register, under every policy.
#include "model/vtl/banks.hpp"

#include <set>

#include "tests/catch.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;
using sim::CpuState;
using sim::Reg;
using sim::RegInfo;

enum class Policy { shared, per_vtl, gpr, fx, cr2, dr6 };

// Typed in from hyperv-vtl.md 1.1, by name, not derived from the banks' table.
Policy policy_of(std::string_view name) {
    static const std::set<std::string_view> kGprs{"rax", "rbx", "rcx", "rdx", "rsi",
                                                  "rdi", "rbp", "r8",  "r9",  "r10",
                                                  "r11", "r12", "r13", "r14", "r15"};
    static const std::set<std::string_view> kFx{"fcw", "fsw", "ftw", "fop", "fip", "fdp", "mxcsr"};
    static const std::set<std::string_view> kShared{"xcr0", "dr0", "dr1",     "dr2",
                                                    "dr3",  "tsc", "activity"};
    static const std::set<std::string_view> kPrivate{"rip",           "rsp",
                                                     "rflags",        "cr0",
                                                     "cr3",           "cr4",
                                                     "cr8",           "dr7",
                                                     "idtr_base",     "idtr_limit",
                                                     "gdtr_base",     "gdtr_limit",
                                                     "efer",          "pat",
                                                     "sysenter_cs",   "sysenter_esp",
                                                     "sysenter_eip",  "star",
                                                     "lstar",         "cstar",
                                                     "sfmask",        "kernel_gs_base",
                                                     "tsc_aux",       "apic_base",
                                                     "misc_enable",   "shadow",
                                                     "nmi_blocked",   "nmi_pending",
                                                     "pending_debug", "identity_map"};
    if (kGprs.count(name) != 0) return Policy::gpr;
    if (kFx.count(name) != 0 || name.starts_with("xmm") || name.starts_with("fpr")) {
        return Policy::fx;
    }
    if (name == "cr2") return Policy::cr2;
    if (name == "dr6") return Policy::dr6;
    if (kShared.count(name) != 0 || name.starts_with("mtrr_")) return Policy::shared;
    if (kPrivate.count(name) != 0) return Policy::per_vtl;
    for (const char* seg : {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"}) {
        for (const char* part : {"", "_base", "_limit", "_attr"}) {
            if (name == std::string(seg) + part) return Policy::per_vtl;
        }
    }
    FAIL("a register that the test does not know: " << name);
    return Policy::shared;
}

bool swaps(const RegInfo& r, const Switches& s) {
    switch (policy_of(r.name)) {
        case Policy::shared:
            return false;
        case Policy::per_vtl:
            return true;
        case Policy::dr6:
            return s.dr6_shared == Dr6Shared::no;
        case Policy::cr2:
            return s.gpr_model == GprModel::shadow && s.cr2_model == Cr2Model::shadow;
        default:
            return s.gpr_model == GprModel::shadow;
    }
}
// What the second-reentry rule moves on top.
bool goes_stale(const RegInfo& r, const Switches& s) {
    const Policy p = policy_of(r.name);
    return p == Policy::gpr || p == Policy::fx ||
           (p == Policy::cr2 && s.cr2_model == Cr2Model::shadow);
}

Vec128 cut(const RegInfo& r, Vec128 v) {
    CpuState s;
    s.set(r.reg, v);
    return s.get(r.reg);
}
// A value that no other (who, register) pair has, as far as the width goes; narrow registers
// differ at least between who = 0 and 1.
Vec128 distinct(u64 who, const RegInfo& r) {
    const u64 n = sim::index_of(r.reg) * 8 + 0x1000;
    const u64 lo = (n << 40) | (who << 32) | (n << 8) | (who << 4) | who;
    return cut(r, {lo, lo ^ 0x5A5A'0000'0000'0000});
}
CpuState filled(u64 who) {
    CpuState s;
    for (const RegInfo& r : sim::registers()) s.set(r.reg, distinct(who, r));
    return s;
}
constexpr u64 kLive = 1, kOther = 2;
void ignore(Reg, u64, u64) {}

template <class Check>
void for_all_policies(Check check) {
    for (auto gpr : {GprModel::shared, GprModel::shadow, GprModel::shadow_on_second_reentry}) {
        for (auto cr2 : {Cr2Model::shared, Cr2Model::shadow}) {
            for (auto dr6 : {Dr6Shared::no, Dr6Shared::yes}) {
                CAPTURE(static_cast<int>(gpr), static_cast<int>(cr2), static_cast<int>(dr6));
                check(Switches{.gpr_model = gpr, .cr2_model = cr2, .dr6_shared = dr6});
            }
        }
    }
}

}  // namespace

TEST_CASE("banks: the values of the tests are distinct", "[model]") {
    for (const RegInfo& r : sim::registers()) {
        CAPTURE(r.name);
        CHECK(distinct(0, r) != distinct(1, r));
        if (r.bits > 1) {
            CHECK(distinct(1, r) != distinct(2, r));
            CHECK(distinct(0, r) != distinct(2, r));
        }
    }
}

TEST_CASE("banks: the switch down and up, register by register", "[model]") {
    for_all_policies([](const Switches& s) {
        for (const RegInfo& r : sim::registers()) {
            CAPTURE(r.name);
            const bool swap = swaps(r, s);
            VtlBanks banks;
            banks.saved(kVtl0) = filled(0);
            CpuState live = filled(kLive);
            banks.lower(live, s);
            CHECK(live.get(r.reg) == distinct(swap ? 0 : kLive, r));
            if (swap) CHECK(banks.saved(kVtl2).get(r.reg) == distinct(kLive, r));

            live = filled(kOther);  // what the guest has at the exit
            banks.raise(live, s, false, ignore);
            CHECK(live.get(r.reg) == distinct(swap ? kLive : kOther, r));
            if (swap) CHECK(banks.saved(kVtl0).get(r.reg) == distinct(kOther, r));
        }
    });
}

TEST_CASE("banks: RSP, RIP and RFLAGS are private under every policy", "[model]") {
    for_all_policies([](const Switches& s) {
        for (Reg reg : {Reg::rsp, Reg::rip, Reg::rflags, Reg::cr8, Reg::fs_base}) {
            CHECK(bank_of(reg, s) == Bank::per_vtl);
        }
        CHECK(bank_of(Reg::dr0, s) == Bank::shared);
        CHECK((bank_of(Reg::rax, s) == Bank::shadow) == (s.gpr_model == GprModel::shadow));
        CHECK((bank_of(Reg::xmm9, s) == Bank::shadow) == (s.gpr_model == GprModel::shadow));
    });
}

TEST_CASE("banks: view and write find the copy of each VTL", "[model]") {
    for_all_policies([](const Switches& s) {
        for (const RegInfo& r : sim::registers()) {
            CAPTURE(r.name);
            const bool swap = swaps(r, s);
            for (u8 active : {kVtl0, kVtl2}) {
                const u8 other = active == kVtl0 ? kVtl2 : kVtl0;
                VtlBanks banks;
                banks.saved(other) = filled(0);
                CpuState live = filled(kLive);
                CHECK(banks.view(live, active, active, r.reg, s) == distinct(kLive, r));
                CHECK(banks.view(live, active, other, r.reg, s) == distinct(swap ? 0 : kLive, r));

                banks.write(live, active, other, r.reg, distinct(kOther, r), s);
                CHECK(live.get(r.reg) == distinct(swap ? kLive : kOther, r));
                CHECK(banks.view(live, active, other, r.reg, s) == distinct(kOther, r));
                // No other register has moved.
                for (const RegInfo& q : sim::registers()) {
                    if (q.reg == r.reg) continue;
                    if (live.get(q.reg) != distinct(kLive, q)) FAIL_CHECK(q.name);
                }
                banks.write(live, active, active, r.reg, distinct(0, r), s);
                CHECK(live.get(r.reg) == distinct(0, r));
            }
        }
    });
}

TEST_CASE("banks: what is written while away is there after the switch", "[model]") {
    for_all_policies([](const Switches& s) {
        for (const RegInfo& r : sim::registers()) {
            VtlBanks banks;
            CpuState live = filled(kLive);
            banks.write(live, kVtl2, kVtl0, r.reg, distinct(kOther, r), s);
            banks.lower(live, s);
            CAPTURE(r.name);
            CHECK(live.get(r.reg) == distinct(kOther, r));
        }
    });
}

TEST_CASE("banks: the shadow listener hears of exactly the registers that differ", "[model]") {
    for (auto cr2 : {Cr2Model::shared, Cr2Model::shadow}) {
        const Switches s{.gpr_model = GprModel::shadow, .cr2_model = cr2};
        std::set<Reg> wanted;
        for (const RegInfo& r : sim::registers()) {
            if (swaps(r, s) && goes_stale(r, s)) wanted.insert(r.reg);
        }
        CHECK(wanted.size() == 15 + 7 + 8 + 16 + (cr2 == Cr2Model::shadow ? 1 : 0));
        VtlBanks banks;
        CpuState live = filled(kLive);
        banks.lower(live, s);
        live = filled(kOther);
        std::set<Reg> heard;
        banks.raise(live, s, false, [&](Reg reg, u64 was, u64 is) {
            CHECK(heard.insert(reg).second);
            CHECK(was == distinct(kOther, sim::info(reg)).lo);
            CHECK(is == distinct(kLive, sim::info(reg)).lo);
        });
        CHECK(heard == wanted);

        // Only the ones that differ, whatever the policy about them.
        banks.lower(live, s);
        live = filled(kLive);
        live[Reg::r9] ^= 1;
        live[Reg::rsp] ^= 1;
        live[Reg::dr0] ^= 1;
        live.vec(Reg::xmm7).hi ^= 1;
        heard.clear();
        banks.raise(live, s, true, [&](Reg reg, u64, u64) { heard.insert(reg); });
        CHECK(heard == std::set<Reg>{Reg::r9, Reg::xmm7});
    }
}

TEST_CASE("banks: nobody hears of a shadow where registers are shared", "[model]") {
    const Switches s{};
    VtlBanks banks;
    std::size_t heard = 0;
    CpuState live = filled(kLive);
    for (bool interrupt : {true, false, true}) {
        banks.lower(live, s);
        live = filled(kOther);
        banks.raise(live, s, interrupt, [&](Reg, u64, u64) { ++heard; });
    }
    CHECK(heard == 0);
}

TEST_CASE("banks: the entry after an interrupt entry is stale", "[model]") {
    for (auto cr2 : {Cr2Model::shared, Cr2Model::shadow}) {
        const Switches s{.gpr_model = GprModel::shadow_on_second_reentry, .cr2_model = cr2};
        for (const RegInfo& r : sim::registers()) {
            CAPTURE(r.name, static_cast<int>(cr2));
            const bool stale = goes_stale(r, s);
            const bool swap = swaps(r, s);
            VtlBanks banks;
            banks.saved(kVtl0) = filled(0);
            CpuState live = filled(3);
            banks.lower(live, s);

            // First entry, by interrupt: the rule of sharing.
            live = filled(kLive);
            banks.raise(live, s, true, ignore);
            CHECK(live.get(r.reg) == distinct(swap ? 3 : kLive, r));
            if (stale) CHECK(banks.view(live, kVtl2, kVtl0, r.reg, s) == distinct(kLive, r));
            banks.lower(live, s);

            // Second entry: VTL2 gets what it had at the first; VTL0's own values wait.
            live = filled(kOther);
            std::set<Reg> heard;
            banks.raise(live, s, false, [&](Reg reg, u64, u64) { heard.insert(reg); });
            if (stale) {
                CHECK(live.get(r.reg) == distinct(kLive, r));
                CHECK(heard.count(r.reg) == 1);
                CHECK(banks.view(live, kVtl2, kVtl0, r.reg, s) == distinct(kOther, r));
                // The VMM's picture of VTL2 changes nothing of VTL0's.
                live.set(r.reg, distinct(3, r));
                CHECK(banks.view(live, kVtl2, kVtl0, r.reg, s) == distinct(kOther, r));
            } else {
                CHECK(heard.count(r.reg) == 0);
            }
            banks.lower(live, s);
            if (stale) CHECK(live.get(r.reg) == distinct(kOther, r));

            // That entry was an intercept: the rule starts anew, with sharing.
            live = filled(4);
            heard.clear();
            banks.raise(live, s, false, [&](Reg reg, u64, u64) { heard.insert(reg); });
            CHECK(heard.empty());
            if (stale) CHECK(live.get(r.reg) == distinct(4, r));
        }
    }
}

TEST_CASE("banks: staleness lasts over interrupt entries, with the first one's values", "[model]") {
    const Switches s{.gpr_model = GprModel::shadow_on_second_reentry};
    VtlBanks banks;
    CpuState live;
    banks.lower(live, s);
    const auto enter = [&](u64 guest_rax, bool interrupt) {
        live[Reg::rax] = guest_rax;
        banks.raise(live, s, interrupt, ignore);
        const u64 seen = live[Reg::rax];
        banks.lower(live, s);
        return seen;
    };
    CHECK(enter(1, false) == 1);
    CHECK(enter(2, true) == 2);
    CHECK(enter(3, true) == 2);
    CHECK(live[Reg::rax] == 3);  // VTL0's own again
    CHECK(enter(4, false) == 2);
    CHECK(live[Reg::rax] == 4);
    CHECK(enter(5, true) == 5);
    CHECK(enter(6, false) == 5);
    CHECK(enter(7, false) == 7);
}

}  // namespace vtlsim::tests
