#include "runner/conform/undefined.hpp"

#include "sim/state/bits.hpp"

namespace vtlsim::runner::conform {
namespace {

namespace flag = sim::flag;

constexpr u64 kC1 = 0x200, kConditions = 0x4500;

// The error summary bit of FSW: an exception that is not masked.
bool unmasked(const State& s) { return (s.fx[kFsw] & 0x80) != 0; }

// The count of a shift or rotate, cut to 5 bits, or 6 for 64-bit operands (SDM 2B SAL).
u64 shift_count(const sim::Decoded& d, const State& before, unsigned operand) {
    const u64 raw = d.is_imm(operand) ? d[operand].imm.value.u : before.gpr[1];
    return raw & (d[0].size == 64 ? 63 : 31);
}

}  // namespace

namespace {

Undefined after_fault(const sim::Decoded& d) {
    Undefined out;
    for (unsigned i = 0; i < d.insn.operand_count; ++i) {
        // The parts of a large operand are accessed in the processor's own order.
        if (d.is_mem(i) && d[i].size > 80 && d[i].size != 128) out.cr2_offset = true;
    }
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_CMPSB:
        case ZYDIS_MNEMONIC_CMPSW:
        case ZYDIS_MNEMONIC_CMPSD:
        case ZYDIS_MNEMONIC_CMPSQ:
        case ZYDIS_MNEMONIC_SCASB:
        case ZYDIS_MNEMONIC_SCASW:
        case ZYDIS_MNEMONIC_SCASD:
        case ZYDIS_MNEMONIC_SCASQ:
            out.cr2_offset = true;  // which of two operands faults first
            // SDM 2B REP: the flags from before the first iteration. AMD: of the last one.
            out.flags = flag::kStatus;
            break;
        case ZYDIS_MNEMONIC_MASKMOVDQU:
            out.cr2_offset = true;
            break;
        case ZYDIS_MNEMONIC_MASKMOVQ:
            out.fpu_top = true;  // AMD turns to MMX state although the store faults
            break;
        default:
            break;
    }
    return out;
}

}  // namespace

Undefined undefined_after(const sim::Decoded& d, const State& before, const State& after) {
    if (after.vector != kNoVector) return after_fault(d);
    const u64 bits = d[0].size;
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_AND:
        case ZYDIS_MNEMONIC_OR:
        case ZYDIS_MNEMONIC_XOR:
        case ZYDIS_MNEMONIC_TEST:
            return {.flags = flag::af};
        case ZYDIS_MNEMONIC_MUL:
        case ZYDIS_MNEMONIC_IMUL:
            return {.flags = flag::sf | flag::zf | flag::af | flag::pf};
        case ZYDIS_MNEMONIC_DIV:
        case ZYDIS_MNEMONIC_IDIV:
            return {.flags = flag::kStatus};
        case ZYDIS_MNEMONIC_SHL:
        case ZYDIS_MNEMONIC_SHR:
        case ZYDIS_MNEMONIC_SAR: {
            const u64 count = shift_count(d, before, 1);
            if (count == 0) return {};
            const bool cf = d.insn.mnemonic != ZYDIS_MNEMONIC_SAR && count >= bits;
            return {.flags = flag::af | (count == 1 ? 0 : flag::of) | (cf ? flag::cf : 0)};
        }
        case ZYDIS_MNEMONIC_ROL:
        case ZYDIS_MNEMONIC_ROR:
        case ZYDIS_MNEMONIC_RCL:
        case ZYDIS_MNEMONIC_RCR: {
            const u64 count = shift_count(d, before, 1);
            return {.flags = count == 0 || count == 1 ? 0 : flag::of};
        }
        case ZYDIS_MNEMONIC_SHLD:
        case ZYDIS_MNEMONIC_SHRD: {
            const u64 count = shift_count(d, before, 2);
            if (count == 0) return {};
            if (count > bits) return {.flags = flag::kStatus, .destination = true};
            return {.flags = flag::af | (count == 1 ? 0 : flag::of)};
        }
        case ZYDIS_MNEMONIC_BT:
        case ZYDIS_MNEMONIC_BTS:
        case ZYDIS_MNEMONIC_BTR:
        case ZYDIS_MNEMONIC_BTC:
            return {.flags = flag::of | flag::sf | flag::af | flag::pf};
        case ZYDIS_MNEMONIC_BSF:
        case ZYDIS_MNEMONIC_BSR:
            // With a source of zero the destination is undefined: SDM; AMD keeps it.
            return {.flags = flag::kStatus & ~flag::zf};
        case ZYDIS_MNEMONIC_LZCNT:
        case ZYDIS_MNEMONIC_TZCNT:
            return {.flags = flag::of | flag::sf | flag::af | flag::pf};
        case ZYDIS_MNEMONIC_ANDN:
        case ZYDIS_MNEMONIC_BLSI:
        case ZYDIS_MNEMONIC_BLSMSK:
        case ZYDIS_MNEMONIC_BLSR:
        case ZYDIS_MNEMONIC_BZHI:
            return {.flags = flag::af | flag::pf};
        case ZYDIS_MNEMONIC_BEXTR:
            return {.flags = flag::af | flag::sf | flag::pf};
        case ZYDIS_MNEMONIC_FCOMI:
        case ZYDIS_MNEMONIC_FCOMIP:
        case ZYDIS_MNEMONIC_FUCOMI:
        case ZYDIS_MNEMONIC_FUCOMIP:
            // SDM 2A FCOMI: C1 is cleared. AMD keeps it.
            return {.flags = unmasked(after) ? flag::kStatus : 0, .fsw = kC1};
        case ZYDIS_MNEMONIC_FCOM:
        case ZYDIS_MNEMONIC_FCOMP:
        case ZYDIS_MNEMONIC_FCOMPP:
        case ZYDIS_MNEMONIC_FUCOM:
        case ZYDIS_MNEMONIC_FUCOMP:
        case ZYDIS_MNEMONIC_FUCOMPP:
        case ZYDIS_MNEMONIC_FICOM:
        case ZYDIS_MNEMONIC_FICOMP:
        case ZYDIS_MNEMONIC_FTST:
            // SDM 2A FCOM: not set by an unmasked exception. AMD sets them.
            return {.fsw = unmasked(after) ? kConditions : 0};
        default:
            return {};
    }
}

std::string_view vendor_specific(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_RCPPS:
        case ZYDIS_MNEMONIC_RCPSS:
        case ZYDIS_MNEMONIC_RSQRTPS:
        case ZYDIS_MNEMONIC_RSQRTSS:
            return "an approximation whose bits differ between vendors";
        case ZYDIS_MNEMONIC_F2XM1:
        case ZYDIS_MNEMONIC_FCOS:
        case ZYDIS_MNEMONIC_FPATAN:
        case ZYDIS_MNEMONIC_FPTAN:
        case ZYDIS_MNEMONIC_FSIN:
        case ZYDIS_MNEMONIC_FSINCOS:
        case ZYDIS_MNEMONIC_FYL2X:
        case ZYDIS_MNEMONIC_FYL2XP1:
            return "a transcendental function whose last bits differ between vendors";
        default:
            return {};
    }
}

}  // namespace vtlsim::runner::conform
