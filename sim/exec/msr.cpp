#include "sim/exec/msr.hpp"

#include "sim/exec/exec.hpp"

namespace vtlsim::sim {
namespace {

enum class Rule : u8 {
    any,
    canonical,
    low32,
    pat,
    efer,
    tsc,
    apic_base,
    misc_enable,
    mtrr_fixed,
    mtrr_base,
    mtrr_mask,
    mtrr_def_type,
    mtrr_cap,  // has no register, cannot be written
};

struct MsrRow {
    u32 msr;
    Reg reg;
    Rule rule;
    u32 count = 1;  // consecutive MSRs in consecutive registers
    u32 step = 1;   // between the rows' MSRs and registers
};

// SDM 4 table 2-2.
constexpr MsrRow kMsrs[] = {
    {0x10, Reg::tsc, Rule::tsc},
    {0x1B, Reg::apic_base, Rule::apic_base},
    {0xFE, Reg::rax, Rule::mtrr_cap},
    {0x174, Reg::sysenter_cs, Rule::low32},
    {0x175, Reg::sysenter_esp, Rule::canonical},
    {0x176, Reg::sysenter_eip, Rule::canonical},
    {0x1A0, Reg::misc_enable, Rule::misc_enable},
    {0x200, Reg::mtrr_base0, Rule::mtrr_base, 16, 2},
    {0x201, Reg::mtrr_mask0, Rule::mtrr_mask, 16, 2},
    {0x250, Reg::mtrr_fix64k_00000, Rule::mtrr_fixed},
    {0x258, Reg::mtrr_fix16k_80000, Rule::mtrr_fixed, 2},
    {0x268, Reg::mtrr_fix4k_c0000, Rule::mtrr_fixed, 8},
    {0x277, Reg::pat, Rule::pat},
    {0x2FF, Reg::mtrr_def_type, Rule::mtrr_def_type},
    {0xC0000080, Reg::efer, Rule::efer},
    {0xC0000081, Reg::star, Rule::any},
    {0xC0000082, Reg::lstar, Rule::canonical},
    {0xC0000083, Reg::cstar, Rule::canonical},
    {0xC0000084, Reg::sfmask, Rule::any},
    {0xC0000100, Reg::fs_base, Rule::canonical},
    {0xC0000101, Reg::gs_base, Rule::canonical},
    {0xC0000102, Reg::kernel_gs_base, Rule::canonical},
    {0xC0000103, Reg::tsc_aux, Rule::low32},
};
static_assert(offset(Reg::mtrr_base0, 15) == Reg::mtrr_mask7);
static_assert(offset(Reg::mtrr_fix16k_80000, 1) == Reg::mtrr_fix16k_a0000);
static_assert(offset(Reg::mtrr_fix4k_c0000, 7) == Reg::mtrr_fix4k_f8000);

struct Found {
    Reg reg;
    Rule rule;
};

std::optional<Found> find(u32 msr) {
    for (const MsrRow& row : kMsrs) {
        const u32 at = msr - row.msr;
        if (at < row.count && at % row.step == 0) return Found{offset(row.reg, at), row.rule};
    }
    return std::nullopt;
}

// UC, WC, WT, WP, WB; the PAT has UC- too (SDM 3A tables 12-8, 12-10).
constexpr bool memory_type(u64 type, bool pat) {
    return type == 0 || type == 1 || (type >= 4 && type <= (pat ? 7 : 6));
}

bool memory_types(u64 value, bool pat) {
    for (unsigned i = 0; i < 8; ++i) {
        if (!memory_type(value >> 8 * i & 0xFF, pat)) return false;
    }
    return true;
}

constexpr u64 kPhysicalPages = ((u64{1} << kPhysicalBits) - 1) & ~u64{0xFFF};
constexpr u64 kMtrrCap = 0x508;  // eight variable ranges, fixed ones, write combining

}  // namespace

std::optional<u64> read_msr(const Exec& x, u32 msr) {
    const auto found = find(msr);
    if (!found) return std::nullopt;
    if (found->rule == Rule::mtrr_cap) return kMtrrCap;
    return x.s[found->reg];
}

MsrWrite write_msr(Exec& x, u32 msr, u64 value) {
    const auto found = find(msr);
    if (!found) return MsrWrite::unknown;
    const auto reserved = [&](u64 defined) { return (value & ~defined) != 0; };
    switch (found->rule) {
        case Rule::any:
        case Rule::tsc:
            break;
        case Rule::canonical:
            if (!Exec::canonical(value)) return MsrWrite::invalid;
            break;
        case Rule::low32:
            value &= 0xFFFFFFFF;
            break;
        case Rule::pat:
            if (!memory_types(value, true)) return MsrWrite::invalid;
            break;
        case Rule::efer: {
            if (reserved(efer::sce | efer::lme | efer::lma | efer::nxe)) return MsrWrite::invalid;
            // LME cannot change while paging is on, and LMA not at all by software.
            const bool paging = (x.s[Reg::cr0] & cr0::pg) != 0;
            if (paging && ((value ^ x.s[Reg::efer]) & efer::lme) != 0) return MsrWrite::invalid;
            value = (value & ~efer::lma) | (x.s[Reg::efer] & efer::lma);
            break;
        }
        case Rule::apic_base: {
            constexpr u64 kBsp = 1u << 8, kEnable = 1u << 11;
            if (reserved(kPhysicalPages | kBsp | kEnable)) return MsrWrite::invalid;
            break;
        }
        case Rule::misc_enable: {
            // Fast strings can be switched and mean nothing; that BTS and PEBS are unavailable is
            // read-only. What would change CPUID or NX is not modelled.
            constexpr u64 kFastStrings = 1, kReadOnly = 0x1800, kLimitCpuid = 1u << 22,
                          kNoNx = u64{1} << 34;
            if (reserved(kFastStrings | kReadOnly | kLimitCpuid | kNoNx)) return MsrWrite::invalid;
            if ((value & (kLimitCpuid | kNoNx)) != 0) return MsrWrite::not_modelled;
            value = (value & kFastStrings) | kReadOnly;
            break;
        }
        case Rule::mtrr_fixed:
            if (!memory_types(value, false)) return MsrWrite::invalid;
            break;
        case Rule::mtrr_base:
            if (reserved(kPhysicalPages | 0xFF) || !memory_type(value & 0xFF, false)) {
                return MsrWrite::invalid;
            }
            break;
        case Rule::mtrr_mask:
            if (reserved(kPhysicalPages | 1u << 11)) return MsrWrite::invalid;
            break;
        case Rule::mtrr_def_type:
            if (reserved(0xCFF) || !memory_type(value & 0xFF, false)) return MsrWrite::invalid;
            break;
        case Rule::mtrr_cap:
            return MsrWrite::invalid;
    }
    x.s[found->reg] = value;
    if (found->rule == Rule::efer) x.flush_tlb();
    return MsrWrite::done;
}

}  // namespace vtlsim::sim
