#include "sim/exec/msr.hpp"

#include "sim/exec/exec.hpp"

namespace vtlsim::sim {
namespace {

enum class Rule : u8 { any, canonical, low32, pat, efer };

struct MsrRow {
    u32 msr;
    Reg reg;
    Rule rule;
};

// SDM 4 tables 2-2.
constexpr MsrRow kMsrs[] = {
    {0x174, Reg::sysenter_cs, Rule::low32},      {0x175, Reg::sysenter_esp, Rule::canonical},
    {0x176, Reg::sysenter_eip, Rule::canonical}, {0x277, Reg::pat, Rule::pat},
    {0xC0000080, Reg::efer, Rule::efer},         {0xC0000081, Reg::star, Rule::any},
    {0xC0000082, Reg::lstar, Rule::canonical},   {0xC0000083, Reg::cstar, Rule::canonical},
    {0xC0000084, Reg::sfmask, Rule::any},        {0xC0000100, Reg::fs_base, Rule::canonical},
    {0xC0000101, Reg::gs_base, Rule::canonical}, {0xC0000102, Reg::kernel_gs_base, Rule::canonical},
    {0xC0000103, Reg::tsc_aux, Rule::low32},
};

const MsrRow* find(u32 msr) {
    for (const MsrRow& row : kMsrs) {
        if (row.msr == msr) return &row;
    }
    return nullptr;
}

// Memory types 0, 1, 4, 5, 6, 7 in each byte (SDM 3A 12.12.2).
bool valid_pat(u64 value) {
    for (unsigned i = 0; i < 8; ++i) {
        const u64 type = value >> 8 * i & 0xFF;
        if (type > 7 || type == 2 || type == 3) return false;
    }
    return true;
}

}  // namespace

std::optional<u64> read_msr(const Exec& x, u32 msr) {
    const MsrRow* row = find(msr);
    if (row == nullptr) return std::nullopt;
    return x.s[row->reg];
}

MsrWrite write_msr(Exec& x, u32 msr, u64 value) {
    const MsrRow* row = find(msr);
    if (row == nullptr) return MsrWrite::unknown;
    switch (row->rule) {
        case Rule::any:
            break;
        case Rule::canonical:
            if (!Exec::canonical(value)) return MsrWrite::invalid;
            break;
        case Rule::low32:
            value &= 0xFFFFFFFF;
            break;
        case Rule::pat:
            if (!valid_pat(value)) return MsrWrite::invalid;
            break;
        case Rule::efer: {
            constexpr u64 kDefined = efer::sce | efer::lme | efer::lma | efer::nxe;
            if ((value & ~kDefined) != 0) return MsrWrite::invalid;
            // LME cannot change while paging is on, and LMA not at all by software.
            const bool paging = (x.s[Reg::cr0] & cr0::pg) != 0;
            if (paging && ((value ^ x.s[Reg::efer]) & efer::lme) != 0) return MsrWrite::invalid;
            value = (value & ~efer::lma) | (x.s[Reg::efer] & efer::lma);
            break;
        }
    }
    x.s[row->reg] = value;
    if (row->rule == Rule::efer) x.flush_tlb();
    return MsrWrite::done;
}

}  // namespace vtlsim::sim
