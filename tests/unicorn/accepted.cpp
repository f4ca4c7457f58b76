// Where the two may differ, and why. docs/unicorn.md is made from this table.
#include "tests/unicorn/cross.hpp"

namespace vtlsim::tests {
namespace {

using namespace vtlsim::sim;

bool is(const Step& s, std::initializer_list<ZydisMnemonic> mnemonics) {
    for (const ZydisMnemonic mnemonic : mnemonics) {
        if (s.insn.insn.mnemonic == mnemonic) return true;
    }
    return false;
}

bool code64(const Step& s) {
    return (s.before[Reg::efer] & efer::lma) != 0 && attr::long_code(s.before[Reg::cs_attr]);
}

bool limit_below_4g(const CpuState& s, Seg seg) { return s[limit_of(seg)] != 0xFFFFFFFF; }

// Of any segment that a data access of the instruction may use.
bool checks_segments(const Step& s) {
    if (code64(s)) return false;
    for (const Seg seg : {Seg::es, Seg::cs, Seg::ss, Seg::ds, Seg::fs, Seg::gs}) {
        const u64 a = s.before[attr_of(seg)];
        const bool data_writable = (a & 0xA) == 2;
        if ((a & attr::kUnusable) != 0 || limit_below_4g(s.before, seg) || !data_writable)
            return true;
    }
    return false;
}

bool far_transfer(const Step& s) {
    return s.insn.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
           is(s, {ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ});
}

bool only_memory_differs(const Step& s) { return s.difference.front() == '['; }

// A byte 40-4F that another prefix follows.
bool has_lost_rex(const Step& s) {
    const auto& raw = s.insn.insn.raw;
    for (unsigned i = 0; i + 1u < raw.prefix_count; ++i) {
        if (code64(s) && (raw.prefixes[i].value & 0xF0) == 0x40) return true;
    }
    return false;
}

bool repeats(const Step& s) {
    return (s.insn.insn.attributes &
            (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0 ||
           s.text.find("rep") != std::string::npos;
}

bool near_branch(const Step& s) {
    return s.insn.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_SHORT ||
           s.insn.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR;
}

bool moves_register(const Step& s, unsigned operand, ZydisRegister first, ZydisRegister last) {
    return is(s, {ZYDIS_MNEMONIC_MOV}) && s.insn.is_reg(operand) &&
           s.insn[operand].reg.value >= first && s.insn[operand].reg.value <= last;
}

constexpr Accepted kAccepted[] = {
    {"no memory",
     "an access to an address where there is none: the peer stops before its own checks, or after",
     "none", [](const Step& s) { return s.our_end == End::beyond || s.theirs.end == End::beyond; }},
    {"segment checks",
     "the peer checks neither limits nor types nor null selectors of segments when it accesses "
     "data "
     "or jumps",
     "SDM 3A 5.3, 5.5",
     [](const Step& s) {
         return s.our_end == End::fault && (s.our_vector == 13 || s.our_vector == 12) &&
                s.theirs.end != End::beyond && s.theirs.vector != s.our_vector &&
                checks_segments(s);
     }},
    {"fetch at the target",
     "a branch to a page that is not mapped retires; the peer reports the fetch's fault with it",
     "SDM 3A 6.5",
     [](const Step& s) {
         return s.our_end == End::retired && s.theirs.end == End::fault &&
                (s.theirs.vector == 14 || s.theirs.vector == 8) &&
                static_cast<u32>(s.theirs.state[Reg::cr2]) == static_cast<u32>(s.ours[Reg::rip]);
     }},
    {"double fault for the first",
     "the peer delivers nothing, so it takes a contributory exception for one during the delivery "
     "of "
     "another",
     "SDM 3A table 6-5",
     [](const Step& s) {
         return s.our_end == End::fault && s.theirs.end == End::fault && s.theirs.vector == 8 &&
                (s.our_vector == 0 || (s.our_vector >= 10 && s.our_vector <= 14));
     }},
    {"nothing done", "the peer sometimes comes back without having done or said anything", "none",
     [](const Step& s) {
         if (s.theirs.end != End::retired) return false;
         for (std::size_t i = 0; i < 16; ++i) {
             if (s.theirs.state[gpr(i)] != s.before[gpr(i)]) return false;
         }
         return s.theirs.state[Reg::rip] == s.before[Reg::rip];
     }},
    {"one iteration",
     "a repeated string instruction is one step here; the peer stops between its iterations",
     "SDM 2B REP",
     [](const Step& s) {
         return repeats(s) && s.theirs.end == End::retired &&
                s.theirs.state[Reg::rip] == s.before[Reg::rip];
     }},
    {"REX before another prefix", "it is ignored; the peer heeds it", "SDM 2A 2.2.1", has_lost_rex},
    {"16-bit near branches in 64-bit code",
     "Intel ignores the prefix 66, the peer truncates RIP as AMD does", "SDM 2A Jcc",
     [](const Step& s) {
         return code64(s) && near_branch(s) &&
                (s.insn.insn.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0;
     }},
    {"RET of more than 7FFFh bytes", "the peer sign-extends the number of bytes", "SDM 2B RET",
     [](const Step& s) {
         return is(s, {ZYDIS_MNEMONIC_RET}) && s.insn.is_imm(0) &&
                (s.insn[0].imm.value.u & 0x8000) != 0;
     }},
    {"IP after a far transfer in real mode", "the peer gives the linear address's low half", "none",
     [](const Step& s) {
         return s.mode == ExecMode::real16 && far_transfer(s) &&
                ((s.ours[Reg::rip] + s.ours[Reg::cs_base]) & 0xFFFF) == s.theirs.state[Reg::rip];
     }},
    {"accessed bit of a code segment", "the peer does not set it in far transfers",
     "SDM 3A 3.4.5.1", [](const Step& s) { return far_transfer(s) && only_memory_differs(s); }},
    {"dirty bit under ENTER",
     "the write check of the new top of stack sets it here; the peer does not check",
     "SDM 2A ENTER",
     [](const Step& s) { return is(s, {ZYDIS_MNEMONIC_ENTER}) && only_memory_differs(s); }},
    {"ARPL that changes nothing",
     "the destination is read, and written only if its RPL is raised, as on silicon; the peer "
     "always writes it",
     "SDM 2A ARPL",
     [](const Step& s) {
         const bool raised = s.our_end == End::retired && (s.ours[Reg::rflags] & flag::zf) != 0;
         return is(s, {ZYDIS_MNEMONIC_ARPL}) && s.insn.is_mem(0) && !raised;
     }},
    {"LTR of a null selector", "#GP(0); the peer loads it", "SDM 2A LTR",
     [](const Step& s) {
         return is(s, {ZYDIS_MNEMONIC_LTR}) && s.our_vector == 13 &&
                (s.theirs.state[Reg::tr] & ~u64{3}) == 0;
     }},
    {"reserved bits of CR0 and CR4", "#GP(0); the peer takes the value", "SDM 2A MOV CR",
     [](const Step& s) {
         return moves_register(s, 0, ZYDIS_REGISTER_CR0, ZYDIS_REGISTER_CR4) &&
                s.our_vector == 13 && cpl(s.before) == 0;
     }},
    {"CR2 at the start", "what the peer's CR2 holds is its own", "none",
     [](const Step& s) { return moves_register(s, 1, ZYDIS_REGISTER_CR2, ZYDIS_REGISTER_CR2); }},
    {"SHLD and SHRD by more than the operand's width", "undefined", "SDM 2B SHLD",
     [](const Step& s) {
         if (!is(s, {ZYDIS_MNEMONIC_SHLD, ZYDIS_MNEMONIC_SHRD})) return false;
         const u64 count = s.insn.is_imm(2) ? s.insn[2].imm.value.u : s.before[Reg::rcx];
         return s.insn.insn.operand_width == 16 && (count & 31) > 16;
     }},
    {"LSS, LFS, LGS with REX.W", "m16:64; the peer reads m16:32 as AMD does", "SDM 2A LDS",
     [](const Step& s) {
         return is(s, {ZYDIS_MNEMONIC_LSS, ZYDIS_MNEMONIC_LFS, ZYDIS_MNEMONIC_LGS}) &&
                s.insn.insn.operand_width == 64;
     }},
    {"LAHF and SAHF with REX", "AH; the peer takes SPL", "SDM 2A SAHF",
     [](const Step& s) {
         return is(s, {ZYDIS_MNEMONIC_LAHF, ZYDIS_MNEMONIC_SAHF}) &&
                (s.insn.insn.attributes & ZYDIS_ATTRIB_HAS_REX) != 0;
     }},
    {"F6 /1 and F7 /1", "TEST, as all processors have it; undefined to the peer", "none",
     [](const Step& s) {
         return is(s, {ZYDIS_MNEMONIC_TEST}) && s.insn.insn.raw.modrm.reg == 1 &&
                s.theirs.vector == 6;
     }},
    {"bits 19 to 16 of LAR", "undefined", "SDM 2A LAR",
     [](const Step& s) {
         if (!is(s, {ZYDIS_MNEMONIC_LAR})) return false;
         for (std::size_t i = 0; i < 16; ++i) {
             if (((s.ours[gpr(i)] ^ s.theirs.state[gpr(i)]) & ~u64{0xF0000}) != 0) return false;
         }
         return s.our_end == s.theirs.end;
     }},
    {"BSF and BSR of zero", "undefined; here the whole destination stays, as on silicon",
     "SDM 2A BSF",
     [](const Step& s) {
         return is(s, {ZYDIS_MNEMONIC_BSF, ZYDIS_MNEMONIC_BSR}) &&
                (s.ours[Reg::rflags] & flag::zf) != 0;
     }},
    {"CMPXCHG of 32 bits that does not exchange",
     "the destination's upper half stays, as on silicon; the peer clears it", "SDM 2A CMPXCHG",
     [](const Step& s) {
         return is(s, {ZYDIS_MNEMONIC_CMPXCHG}) && s.insn.insn.operand_width == 32 &&
                s.insn.is_reg(0) && (s.ours[Reg::rflags] & flag::zf) == 0;
     }},
    {"write check of ENTER", "the new top of stack must be writable; the peer does not check",
     "SDM 2A ENTER",
     [](const Step& s) {
         return is(s, {ZYDIS_MNEMONIC_ENTER}) && s.our_end == End::fault &&
                s.theirs.end == End::retired;
     }},
    {"EBP after a 32-bit ENTER on a 16-bit stack",
     "the manual can be read as the whole of EBP or as BP; here EBP", "SDM 2A ENTER",
     [](const Step& s) {
         return is(s, {ZYDIS_MNEMONIC_ENTER}) && s.insn.insn.operand_width == 32 &&
                (s.before[Reg::ss_attr] >> 14 & 1) == 0 &&
                ((s.ours[Reg::rbp] ^ s.theirs.state[Reg::rbp]) & 0xFFFF) == 0;
     }},
    {"SMSW to a 32-bit register", "its upper 16 bits are undefined", "SDM 2B SMSW",
     [](const Step& s) {
         return is(s, {ZYDIS_MNEMONIC_SMSW}) && s.insn.insn.operand_width == 32 &&
                s.insn.is_reg(0) && s.our_end == s.theirs.end;
     }},
    {"BSWAP of 16 bits", "its result is undefined", "SDM 2A BSWAP",
     [](const Step& s) {
         return is(s, {ZYDIS_MNEMONIC_BSWAP}) && s.insn.insn.operand_width == 16;
     }},
    {"INT1", "the peer does not know it", "SDM 2A INT1",
     [](const Step& s) { return is(s, {ZYDIS_MNEMONIC_INT1}); }},
};

}  // namespace

std::span<const Accepted> accepted_disagreements() { return kAccepted; }

std::string_view not_compared(const Decoded& d) {
    switch (d.insn.meta.category) {
        case ZYDIS_CATEGORY_IO:
        case ZYDIS_CATEGORY_IOSTRINGOP:
            return "port access: the peer calls hooks";
        case ZYDIS_CATEGORY_SYSCALL:
        case ZYDIS_CATEGORY_SYSRET:
            return "SYSCALL, SYSENTER and their returns: the peer calls hooks";
        case ZYDIS_CATEGORY_X87_ALU:
        case ZYDIS_CATEGORY_SSE:
        case ZYDIS_CATEGORY_MMX:
            return "compared with silicon (docs/conform.md)";
        default:
            break;
    }
    if (d.insn.mnemonic == ZYDIS_MNEMONIC_MOV && d.is_reg(0) &&
        ZydisRegisterGetClass(d[0].reg.value) == ZYDIS_REGCLASS_DEBUG) {
        return "moves to debug registers: the peer crashes";
    }
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_CPUID:
        case ZYDIS_MNEMONIC_RDTSC:
        case ZYDIS_MNEMONIC_RDTSCP:
        case ZYDIS_MNEMONIC_RDMSR:
        case ZYDIS_MNEMONIC_WRMSR:
        case ZYDIS_MNEMONIC_RDPMC:
        case ZYDIS_MNEMONIC_XGETBV:
        case ZYDIS_MNEMONIC_XSETBV:
            return "results differ between processors";
        case ZYDIS_MNEMONIC_VMCALL:
        case ZYDIS_MNEMONIC_VMMCALL:
            return "leaves the machine";
        default:
            return {};
    }
}

}  // namespace vtlsim::tests
