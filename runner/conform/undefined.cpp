#include "runner/conform/undefined.hpp"

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

Undefined after_fault(const sim::Decoded& d, const State& native) {
    if (native.vector != 14) return {};
    constexpr u64 kWithinPage = kPage - 1;
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_CMPSB:
        case ZYDIS_MNEMONIC_CMPSW:
        case ZYDIS_MNEMONIC_CMPSD:
        case ZYDIS_MNEMONIC_CMPSQ:
        case ZYDIS_MNEMONIC_SCASB:
        case ZYDIS_MNEMONIC_SCASW:
        case ZYDIS_MNEMONIC_SCASD:
        case ZYDIS_MNEMONIC_SCASQ: {
            const bool repeated = (d.insn.attributes & (ZYDIS_ATTRIB_HAS_REPE |
                                                        ZYDIS_ATTRIB_HAS_REPNE)) != 0;
            if (!repeated || !host_is_amd()) return {};
            return flags("a REP CMPS or SCAS that faults: the SDM (2B REP) restores the flags from "
                         "before it, AMD leaves those of the last iteration",
                         flag::kStatus);
        }
        case ZYDIS_MNEMONIC_MASKMOVQ:
            // SDM 2B MASKMOVQ: transition to MMX state in any case? The fault comes before it.
            if (!host_is_amd()) return {};
            return {.reason = "a MASKMOVQ that faults: AMD has made the transition to MMX state",
                    .fsw = kTop,
                    .ftw = 0xFF};
        default:
            break;
    }
    for (unsigned i = 0; i < d.insn.operand_count; ++i) {
        if (d.is_mem(i) && d[i].size > 128) {
            return {.reason = "CR2 within the page for operands of more than 16 bytes: the order of "
                              "their parts is the processor's (SDM 3A 4.7 says only that an access "
                              "faulted there)",
                    .cr2 = kWithinPage};
        }
    }
    return {};
}

}  // namespace

Undefined undefined_after(const sim::Decoded& d, const State& before, const State& native,
                          const State& simulated) {
    if (simulated.vector != kNoVector && simulated.vector != 3) return after_fault(d, native);
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
            return flags("shifts: AF; OF unless by 1; CF of SHL and SHR by the width or more (SDM 2B "
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
        default:
            break;
    }
    if (!host_is_amd()) return {};
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_FCOMI:
        case ZYDIS_MNEMONIC_FCOMIP:
        case ZYDIS_MNEMONIC_FUCOMI:
        case ZYDIS_MNEMONIC_FUCOMIP:
            return {.reason = "FCOMI: the SDM (2A FCOMI) clears C1, AMD keeps it; with an unmasked "
                              "exception AMD sets the flags",
                    .flags = unmasked(simulated) ? flag::zf | flag::pf | flag::cf : 0,
                    .fsw = kC1};
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
            return {.reason = "FCOM with an unmasked exception: the SDM (2A FCOM) leaves C0 C2 C3, "
                              "AMD sets them",
                    .fsw = kConditions};
        default:
            return {};
    }
}

}  // namespace vtlsim::runner::conform
