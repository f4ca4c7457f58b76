#include "sim/decode/segment_check.hpp"

#include "sim/exec/chain.hpp"
#include "sim/exec/segment.hpp"
#include "sim/insn/fpu_state.hpp"
#include "sim/insn/sse.hpp"
#include "sim/insn/sse_operands.hpp"
#include "sim/insn/x87.hpp"

namespace vtlsim::sim {
namespace {

// Segment limits and types come before the access itself (SDM 3A 5.3): outside of 64-bit mode they
// are checked for the explicit memory operand before the instruction's own handler runs, but after
// what comes before all operands (SDM 3A 6.9): an instruction that is undefined, privileged or not
// available.
using Before = bool (*)(Exec&);
bool nothing(Exec&) { return true; }

template <Before Allowed>
Flow check_segment_first(Exec& x, const Op& op) {
    if (!Allowed(x)) return Flow::stop;
    const u64 offset = x.linear(op) - x.s.scalar[op.segment_base];
    const Access access = op.checked_write ? Access::write : Access::read;
    if (!check_access(x, op.segment, offset, op.checked_size, access)) return Flow::stop;
    return op.inner(x, op);
}

bool privileged(Exec& x) {
    if (x.cpl() == 0) return true;
    x.fault(Vector::gp, 0);
    return false;
}
bool of_protected_mode(Exec& x) {
    if (protected_mode(x)) return true;
    x.fault(Vector::ud);
    return false;
}
bool of_protected_kernel(Exec& x) { return of_protected_mode(x) && privileged(x); }
bool of_both_files(Exec& x) { return sse_usable(x) && MmxFile::usable(x); }

bool names_register(const Decoded& d, ZydisRegisterClass wanted) {
    for (unsigned i = 0; i < d.visible(); ++i) {
        if (d[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ZydisRegisterGetClass(d[i].reg.value) == wanted) {
            return true;
        }
    }
    return false;
}

// With what comes before the operand.
Handler segment_check(const Decoded& d) {
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_LAR:
        case ZYDIS_MNEMONIC_LSL:
        case ZYDIS_MNEMONIC_SLDT:
        case ZYDIS_MNEMONIC_STR:
        case ZYDIS_MNEMONIC_VERR:
        case ZYDIS_MNEMONIC_VERW:
            return check_segment_first<of_protected_mode>;
        case ZYDIS_MNEMONIC_LLDT:
        case ZYDIS_MNEMONIC_LTR:
            return check_segment_first<of_protected_kernel>;
        case ZYDIS_MNEMONIC_LGDT:
        case ZYDIS_MNEMONIC_LIDT:
        case ZYDIS_MNEMONIC_LMSW:
            return check_segment_first<privileged>;
        // Those that do not wait report no exception of before.
        case ZYDIS_MNEMONIC_FNSAVE:
        case ZYDIS_MNEMONIC_FNSTCW:
        case ZYDIS_MNEMONIC_FNSTENV:
        case ZYDIS_MNEMONIC_FNSTSW:
        case ZYDIS_MNEMONIC_FXRSTOR:
        case ZYDIS_MNEMONIC_FXSAVE:
            return check_segment_first<x87::usable>;
        case ZYDIS_MNEMONIC_LDMXCSR:
        case ZYDIS_MNEMONIC_STMXCSR:
            return check_segment_first<sse_usable>;
        case ZYDIS_MNEMONIC_XRSTOR:
        case ZYDIS_MNEMONIC_XSAVE:
            return check_segment_first<xsave_usable>;
        default:
            break;
    }
    if (d.insn.meta.category == ZYDIS_CATEGORY_X87_ALU) return check_segment_first<x87::ready>;
    const bool xmm = names_register(d, ZYDIS_REGCLASS_XMM);
    const bool mm = names_register(d, ZYDIS_REGCLASS_MMX);
    if (xmm && mm) return check_segment_first<of_both_files>;
    if (xmm) return check_segment_first<sse_usable>;
    if (mm) return check_segment_first<MmxFile::usable>;
    return check_segment_first<nothing>;
}

// Hints never fault (SDM 2B NOP, PREFETCHh), and INVLPG's list of faults has none of segments.
bool touches_no_memory(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_NOP:
        case ZYDIS_MNEMONIC_PREFETCH:
        case ZYDIS_MNEMONIC_PREFETCHNTA:
        case ZYDIS_MNEMONIC_PREFETCHT0:
        case ZYDIS_MNEMONIC_PREFETCHT1:
        case ZYDIS_MNEMONIC_PREFETCHT2:
        case ZYDIS_MNEMONIC_PREFETCHW:
        case ZYDIS_MNEMONIC_PREFETCHWT1:
        case ZYDIS_MNEMONIC_INVLPG:
            return true;
        default:
            return false;
    }
}

// Only their handlers know what they access, and check it: a selector that need not change, a bit
// string's element, two bounds or a far pointer's halves one after the other, a destination whose
// base may be the popped stack pointer, a table's entry.
bool checks_itself(const Decoded& d) {
    if (d.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return true;
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_ARPL:
        case ZYDIS_MNEMONIC_BOUND:
        case ZYDIS_MNEMONIC_BT:
        case ZYDIS_MNEMONIC_BTC:
        case ZYDIS_MNEMONIC_BTR:
        case ZYDIS_MNEMONIC_BTS:
        case ZYDIS_MNEMONIC_LDS:
        case ZYDIS_MNEMONIC_LES:
        case ZYDIS_MNEMONIC_LFS:
        case ZYDIS_MNEMONIC_LGS:
        case ZYDIS_MNEMONIC_LSS:
        case ZYDIS_MNEMONIC_POP:
        case ZYDIS_MNEMONIC_XLAT:
            return true;
        default:
            return false;
    }
}

// Their memory operand is implied. That the mask of a masked store is not looked at first is
// allowed (SDM 2B MASKMOVQ).
bool has_implied_memory(const Decoded& d) {
    return d.insn.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ ||
           d.insn.mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU || d.insn.mnemonic == ZYDIS_MNEMONIC_XLAT;
}

bool flushes_line(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_CLFLUSH || mnemonic == ZYDIS_MNEMONIC_CLFLUSHOPT;
}

}  // namespace

void add_segment_check(const Decoded& d, Op& op) {
    const unsigned count = has_implied_memory(d) ? d.insn.operand_count : d.visible();
    for (unsigned i = 0; i < count; ++i) {
        if (!d.is_mem(i) || d[i].mem.type == ZYDIS_MEMOP_TYPE_AGEN) continue;
        op.segment_base = static_cast<u8>(index_of(base_of(op.segment)));
        if (d[i].size == 0 || touches_no_memory(d.insn.mnemonic) || checks_itself(d)) return;
        // CLFLUSH: the byte it names.
        op.checked_size = static_cast<u16>(flushes_line(d.insn.mnemonic) ? 1 : d[i].size / 8);
        op.checked_write = (d[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
        op.inner = op.handler;
        op.handler = segment_check(d);
        op.chain = chain_any;
        op.with_jcc = nullptr;
        return;
    }
}

}  // namespace vtlsim::sim
