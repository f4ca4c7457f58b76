#include "runner/conform/undefined.hpp"

#include <algorithm>
#include <cmath>

#include "runner/conform/host.hpp"
#include "sim/state/bits.hpp"

namespace vtlsim::runner::conform {
namespace {

namespace flag = sim::flag;

constexpr u64 kC1 = 0x200, kConditions = 0x4500, kTop = 0x3800;

// The error summary bit of FSW: an exception that is not masked.
bool unmasked(const State& s) { return (s.fx[kFsw] & 0x80) != 0; }

// The count of a shift or rotate, cut to 5 bits, or 6 for 64-bit operands (SDM 2B SAL).
u64 shift_count(const sim::Decoded& d, const State& before, unsigned operand) {
    const u64 raw = d.is_imm(operand) ? d[operand].imm.value.u : before.gpr[1];
    return raw & (d[0].size == 64 ? 63 : 31);
}

Undefined flags(std::string_view reason, u64 which) { return {.reason = reason, .flags = which}; }

bool is_far_return(const sim::Decoded& d) {
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_IRET:
        case ZYDIS_MNEMONIC_IRETD:
        case ZYDIS_MNEMONIC_IRETQ:
            return true;
        default:
            return d.insn.meta.category == ZYDIS_CATEGORY_RET &&
                   d.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    }
}

// Images of the FPU's state: their parts are accessed in the processor's own order.
bool is_state_image(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_FLDENV:
        case ZYDIS_MNEMONIC_FNSTENV:
        case ZYDIS_MNEMONIC_FNSAVE:
        case ZYDIS_MNEMONIC_FRSTOR:
        case ZYDIS_MNEMONIC_FXSAVE:
        case ZYDIS_MNEMONIC_FXSAVE64:
        case ZYDIS_MNEMONIC_FXRSTOR:
        case ZYDIS_MNEMONIC_FXRSTOR64:
            return true;
        default:
            return false;
    }
}
bool is_fxsave(ZydisMnemonic mnemonic) {
    return is_state_image(mnemonic) && mnemonic != ZYDIS_MNEMONIC_FLDENV &&
           mnemonic != ZYDIS_MNEMONIC_FNSTENV && mnemonic != ZYDIS_MNEMONIC_FNSAVE &&
           mnemonic != ZYDIS_MNEMONIC_FRSTOR;
}

bool in_range_of_fyl2xp1(const State& s) {
    const u16 top = get<u16>(s.fx, kSt + 8);
    const u64 significand = get<u64>(s.fx, kSt);
    const double value = std::ldexp(static_cast<double>(significand), (top & 0x7FFF) - 16383 - 63);
    return value < ((top & 0x8000) != 0 ? 0.2928932 : 0.4142135);
}

Undefined everything(std::string_view reason) { return {.reason = reason, .all = true}; }

constexpr u32 kUd = 6, kSs = 12, kGp = 13, kPf = 14, kAc = 17;

// A memory operand of so many bits.
bool has_memory(const sim::Decoded& d, unsigned least, unsigned most) {
    for (unsigned i = 0; i < d.insn.operand_count; ++i) {
        if (d.is_mem(i) && d[i].size >= least && d[i].size <= most) return true;
    }
    return false;
}

bool pushes_more_than_once(const sim::Decoded& d) {
    const bool far = d.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    return d.insn.mnemonic == ZYDIS_MNEMONIC_ENTER || d.insn.mnemonic == ZYDIS_MNEMONIC_PUSHA ||
           d.insn.mnemonic == ZYDIS_MNEMONIC_PUSHAD ||
           (d.insn.mnemonic == ZYDIS_MNEMONIC_CALL && far);
}

bool loads_mxcsr(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_LDMXCSR || mnemonic == ZYDIS_MNEMONIC_FXRSTOR ||
           mnemonic == ZYDIS_MNEMONIC_FXRSTOR64;
}

// Vectors of an access to memory.
bool is_of_memory(u32 v) { return v == kPf || v == kGp || v == kSs || v == kAc; }

bool is_cmps(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_CMPSB || mnemonic == ZYDIS_MNEMONIC_CMPSW ||
           mnemonic == ZYDIS_MNEMONIC_CMPSD || mnemonic == ZYDIS_MNEMONIC_CMPSQ;
}
constexpr std::string_view kCmpsOrder =
    "CMPS whose operands both fault: which comes first is the processor's";

// Different vectors.
Undefined of_priority(const sim::Decoded& d, const State& before, const State& native,
                      const State& simulated) {
    const auto either = [](u32 v) { return v == kGp || v == kAc; };
    if (is_fxsave(d.insn.mnemonic) && (before.rflags & flag::ac) != 0 && either(native.vector) &&
        either(simulated.vector)) {
        return everything(
            "FXSAVE, FXRSTOR of what is not aligned, with EFLAGS.AC: #AC or #GP, by the "
            "implementation (SDM 2A FXSAVE)");
    }
    constexpr u32 kMf = 16;
    const bool segment = simulated.vector == kGp || simulated.vector == kSs;
    const bool narrow = before.selectors[kCsIndex] == kCs32;
    if (narrow && native.vector == kMf && segment) {
        return everything(
            "a pending #MF and a bad segment: one class of priority (SDM 3A table 6-2)");
    }
    const bool large = is_state_image(d.insn.mnemonic) || has_memory(d, 128, 128);
    if (narrow && large && segment && is_of_memory(native.vector)) {
        return everything(
            "operands of 16 bytes or more across 4 GiB in 32-bit code: limit, alignment and page "
            "in "
            "the processor's order (SDM 3A table 6-2)");
    }
    if (is_cmps(d.insn.mnemonic) && is_of_memory(native.vector) && is_of_memory(simulated.vector)) {
        return everything(kCmpsOrder);
    }
    if (d.insn.mnemonic == ZYDIS_MNEMONIC_ENTER && d[1].imm.value.u % 32 > 1 &&
        is_of_memory(native.vector) && is_of_memory(simulated.vector)) {
        return everything(
            "ENTER whose pushes and outer frames both fault: which comes first is the processor's");
    }
    if (!host_is_amd()) return {};
    constexpr u32 kMisaligned = 1u << 17;
    if (simulated.vector == kGp && native.vector == kNoVector && loads_mxcsr(d.insn.mnemonic) &&
        (get<u32>(native.fx, kMxcsr) & kMisaligned) != 0) {
        return everything("MXCSR bit 17: reserved (SDM 1 10.2.3), #GP; AMD's misaligned SSE mode");
    }
    if (d.insn.mnemonic == ZYDIS_MNEMONIC_SYSRET && simulated.vector == kUd &&
        native.vector == kGp && before.selectors[kCsIndex] == kCs32) {
        return everything(
            "SYSRET in 32-bit code: #UD (SDM 2B SYSRET), but AMD has it there, with #GP at "
            "CPL 3");
    }
    if (d.insn.mnemonic == ZYDIS_MNEMONIC_VERW && simulated.vector == kUd) {
        return everything("LOCK VERW: #UD (SDM 2A LOCK); AMD looks at the operand first");
    }
    if (is_far_return(d) && simulated.vector == kGp && is_of_memory(native.vector)) {
        return everything(
            "far RET, IRET to another level: the SDM (2B RET) checks CS before it reads the "
            "outer SS:RSP, AMD after");
    }
    if (d.insn.mnemonic == ZYDIS_MNEMONIC_CALL && simulated.vector == kGp &&
        is_of_memory(native.vector)) {
        return everything(
            "CALL to what is not canonical with a stack that faults: the SDM (2A CALL) looks at "
            "the target first, AMD at the stack");
    }
    const bool masked_store =
        d.insn.mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU || d.insn.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ;
    if (masked_store && simulated.vector == kAc) {
        return everything(
            "MASKMOVDQU, MASKMOVQ of what is not aligned, with EFLAGS.AC: AMD's #AC depends on "
            "the mask");
    }
    return {};
}

// A far CALL from 64-bit to 32-bit code pushes before or after it changes over.
Undefined of_far_call(const sim::Decoded& d, const State& before) {
    const bool far = d.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    if (d.insn.mnemonic != ZYDIS_MNEMONIC_CALL || !far || before.selectors[kCsIndex] != kCs64 ||
        before.gpr[4] >> 32 == 0 || !host_is_amd()) {
        return {};
    }
    return everything(
        "far CALL out of 64-bit code with RSP above 4 GiB: the SDM (2A CALL) pushes by "
        "RSP before it loads CS, AMD by ESP after");
}

Undefined after_fault(const sim::Decoded& d, const State& native, const State& simulated) {
    const bool gp = native.vector == kGp && native.error_code == 0 && simulated.error_code != 0;
    if (gp && is_far_return(d) && host_is_amd()) {
        return {.reason =
                    "IRET with bad RIP and bad SS: the SDM (2A IRET) looks at SS first, AMD at RIP",
                .error_code = true};
    }
    if (d.insn.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ && is_of_memory(native.vector) &&
        host_is_amd()) {
        return {.reason = "a MASKMOVQ that faults: AMD has made the transition to MMX state",
                .fsw = kTop,
                .ftw = 0xFF};
    }
    if (pushes_more_than_once(d) && is_of_memory(native.vector) && host_is_amd()) {
        return {.reason =
                    "ENTER, PUSHA, far CALL that fault in the middle: the SDM (3A 6.5) restarts "
                    "from unchanged state, AMD has stored the pushes before",
                .pushes = true};
    }
    if (native.vector != kPf) return {};
    if (is_far_return(d)) {
        return {.reason =
                    "CR2 of a far RET or IRET whose frame is not there: the order of its parts is "
                    "the processor's",
                .cr2 = ~u64{0}};
    }
    constexpr u64 kWithinPage = kPage - 1;
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_CMPSB:
        case ZYDIS_MNEMONIC_CMPSW:
        case ZYDIS_MNEMONIC_CMPSD:
        case ZYDIS_MNEMONIC_CMPSQ:
            if (native.cr2 != simulated.cr2) {
                return {.reason = kCmpsOrder,
                        .flags = host_is_amd() ? u64{flag::kStatus} : 0,
                        .cr2 = ~u64{0}};
            }
            [[fallthrough]];
        case ZYDIS_MNEMONIC_SCASB:
        case ZYDIS_MNEMONIC_SCASW:
        case ZYDIS_MNEMONIC_SCASD:
        case ZYDIS_MNEMONIC_SCASQ: {
            const bool repeated =
                (d.insn.attributes & (ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
            if (!repeated || !host_is_amd()) return {};
            return flags(
                "a REP CMPS or SCAS that faults: the SDM (2B REP) restores the flags from "
                "before it, AMD leaves those of the last iteration",
                flag::kStatus);
        }
        case ZYDIS_MNEMONIC_POPA:
        case ZYDIS_MNEMONIC_POPAD:
            if (!host_is_amd()) return {};
            return {.reason =
                        "POPA that faults in the middle: the SDM (3A 6.5) restarts from unchanged "
                        "registers, AMD has changed those before",
                    .cr2 = kWithinPage,
                    .popped = true};
        default:
            break;
    }
    if (is_state_image(d.insn.mnemonic)) {
        constexpr u64 kLargestImage = 512;
        // The image may wrap at 2^64.
        const u64 apart = std::min(native.cr2 - simulated.cr2, simulated.cr2 - native.cr2);
        const bool both_in_one_image = apart <= kLargestImage;
        return {.reason =
                    "CR2 of FPU state images that cross a page: the order of their parts is the "
                    "processor's",
                .cr2 = both_in_one_image ? ~u64{0} : kWithinPage};
    }
    return {};
}

}  // namespace

Undefined undefined_after(const sim::Decoded& d, const State& before, const State& native,
                          const State& simulated) {
    if (const Undefined call = of_far_call(d, before); call.all) return call;
    if (native.vector != simulated.vector) return of_priority(d, before, native, simulated);
    if (simulated.vector != kNoVector && simulated.vector != 3)
        return after_fault(d, native, simulated);
    const u64 bits = d[0].size;
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_AND:
        case ZYDIS_MNEMONIC_OR:
        case ZYDIS_MNEMONIC_XOR:
        case ZYDIS_MNEMONIC_TEST:
            return flags("AF after logic (SDM 2A AND)", flag::af);
        case ZYDIS_MNEMONIC_MUL:
        case ZYDIS_MNEMONIC_IMUL:
            return flags("SF ZF AF PF after MUL (SDM 2B MUL)",
                         flag::sf | flag::zf | flag::af | flag::pf);
        case ZYDIS_MNEMONIC_DIV:
        case ZYDIS_MNEMONIC_IDIV:
            return flags("all status flags after DIV (SDM 2A DIV)", flag::kStatus);
        case ZYDIS_MNEMONIC_AAA:
        case ZYDIS_MNEMONIC_AAS:
            return flags("OF SF ZF PF after AAA, AAS (SDM 2A AAA)",
                         flag::of | flag::sf | flag::zf | flag::pf);
        case ZYDIS_MNEMONIC_AAD:
        case ZYDIS_MNEMONIC_AAM:
            return flags("OF AF CF after AAD, AAM (SDM 2A AAD)", flag::of | flag::af | flag::cf);
        case ZYDIS_MNEMONIC_DAA:
        case ZYDIS_MNEMONIC_DAS:
            return flags("OF after DAA, DAS (SDM 2A DAA)", flag::of);
        case ZYDIS_MNEMONIC_SHL:
        case ZYDIS_MNEMONIC_SHR:
        case ZYDIS_MNEMONIC_SAR: {
            const u64 count = shift_count(d, before, 1);
            if (count == 0) return {};
            const bool cf = d.insn.mnemonic != ZYDIS_MNEMONIC_SAR && count >= bits;
            return flags(
                "shifts: AF; OF unless by 1; CF of SHL and SHR by the width or more (SDM 2B "
                "SAL)",
                flag::af | (count == 1 ? 0 : flag::of) | (cf ? flag::cf : 0));
        }
        case ZYDIS_MNEMONIC_ROL:
        case ZYDIS_MNEMONIC_ROR:
        case ZYDIS_MNEMONIC_RCL:
        case ZYDIS_MNEMONIC_RCR: {
            const u64 count = shift_count(d, before, 1);
            if (count <= 1) return {};
            return flags("OF after rotates by more than 1 (SDM 2B RCL)", flag::of);
        }
        case ZYDIS_MNEMONIC_SHLD:
        case ZYDIS_MNEMONIC_SHRD: {
            const u64 count = shift_count(d, before, 2);
            if (count == 0) return {};
            if (count > bits) {
                return {.reason = "SHLD, SHRD by more than the width: all (SDM 2B SHLD)",
                        .flags = flag::kStatus,
                        .destination = true};
            }
            return flags("SHLD, SHRD: AF; OF unless by 1 (SDM 2B SHLD)",
                         flag::af | (count == 1 ? 0 : flag::of));
        }
        case ZYDIS_MNEMONIC_BT:
        case ZYDIS_MNEMONIC_BTS:
        case ZYDIS_MNEMONIC_BTR:
        case ZYDIS_MNEMONIC_BTC:
            return flags("OF SF AF PF after BT (SDM 2A BT)",
                         flag::of | flag::sf | flag::af | flag::pf);
        case ZYDIS_MNEMONIC_BSF:
        case ZYDIS_MNEMONIC_BSR:
            // With a source of zero the destination is undefined: SDM; AMD keeps it.
            return flags("CF OF SF AF PF after BSF, BSR (SDM 2A BSF)", flag::kStatus & ~flag::zf);
        case ZYDIS_MNEMONIC_BSWAP:
            if (bits != 16) return {};
            return {.reason = "BSWAP of a 16-bit register (SDM 2A BSWAP)", .destination = true};
        case ZYDIS_MNEMONIC_LZCNT:
        case ZYDIS_MNEMONIC_TZCNT:
            return flags("OF SF AF PF after LZCNT, TZCNT (SDM 2A LZCNT)",
                         flag::of | flag::sf | flag::af | flag::pf);
        case ZYDIS_MNEMONIC_ANDN:
        case ZYDIS_MNEMONIC_BLSI:
        case ZYDIS_MNEMONIC_BLSMSK:
        case ZYDIS_MNEMONIC_BLSR:
        case ZYDIS_MNEMONIC_BZHI:
            return flags("AF PF after ANDN, BLSI, BLSMSK, BLSR, BZHI (SDM 2A ANDN)",
                         flag::af | flag::pf);
        case ZYDIS_MNEMONIC_BEXTR:
            return flags("AF SF PF after BEXTR (SDM 2A BEXTR)", flag::af | flag::sf | flag::pf);
        case ZYDIS_MNEMONIC_FYL2XP1:
            if (in_range_of_fyl2xp1(before)) return {};
            return {.reason =
                        "FYL2XP1 out of its range, -(1 - sqrt(1/2)) to sqrt(2) - 1 (SDM 2A "
                        "FYL2XP1)",
                    .x87 = true};
        default:
            break;
    }
    if (!host_is_amd()) return {};
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_FCOMI:
        case ZYDIS_MNEMONIC_FCOMIP:
        case ZYDIS_MNEMONIC_FUCOMI:
        case ZYDIS_MNEMONIC_FUCOMIP:
            return {.reason =
                        "FCOMI: the SDM (2A FCOMI) clears C1, AMD keeps it; with an unmasked "
                        "exception AMD sets ZF PF CF",
                    .flags = unmasked(simulated) ? flag::zf | flag::pf | flag::cf : 0,
                    .fsw = kC1};
        case ZYDIS_MNEMONIC_FLD: {
            constexpr u16 kDenormal = 2;
            const bool raised = (get<u16>(simulated.fx, kFsw) & kDenormal) != 0 &&
                                (get<u16>(before.fx, kFcw) & kDenormal) == 0;
            if (!raised || !has_memory(d, 32, 64)) return {};
            return {.reason =
                        "FLD m32, m64 of a denormal with the exception unmasked: the SDM (1 8.5.2) "
                        "leaves TOP, AMD pushes",
                    .pushed = true};
        }
        case ZYDIS_MNEMONIC_FCOM:
        case ZYDIS_MNEMONIC_FCOMP:
        case ZYDIS_MNEMONIC_FCOMPP:
        case ZYDIS_MNEMONIC_FUCOM:
        case ZYDIS_MNEMONIC_FUCOMP:
        case ZYDIS_MNEMONIC_FUCOMPP:
        case ZYDIS_MNEMONIC_FICOM:
        case ZYDIS_MNEMONIC_FICOMP:
        case ZYDIS_MNEMONIC_FTST:
            if (!unmasked(simulated)) return {};
            return {.reason =
                        "FCOM with an unmasked exception: the SDM (2A FCOM) leaves C0 C2 C3, "
                        "AMD sets them",
                    .fsw = kConditions};
        default:
            return {};
    }
}

}  // namespace vtlsim::runner::conform
