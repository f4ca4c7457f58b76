// x87 control: FNINIT FNCLEX FLDCW FNSTCW FNSTSW FNSTENV FLDENV FNSAVE FRSTOR FWAIT.
#include <cstring>

#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/x87.hpp"

namespace vtlsim::sim {
namespace {

using namespace x87;

// Bit 6 reads as 1, undefined bits as 0.
constexpr u64 loaded_fcw(u16 value) { return (value & 0x1F3Fu) | 0x40; }

void initialise(Exec& x) {
    x.s[Reg::fcw] = 0x37F;
    x.s[Reg::fsw] = 0;
    x.s[Reg::ftw] = 0;
    x.s[Reg::fop] = 0;
    x.s[Reg::fip] = 0;
    x.s[Reg::fdp] = 0;
}

// Registers keep their values, all tags become empty (SDM 2A FINIT).
Flow fninit(Exec& x, const Op&) {
    if (!usable(x)) return Flow::stop;
    initialise(x);
    return Flow::next;
}

Flow fnclex(Exec& x, const Op&) {
    if (!usable(x)) return Flow::stop;
    x.s[Reg::fsw] &= ~u64{kExceptions | kStackFault | kSummary | kBusy};
    return Flow::next;
}

Flow fldcw(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    u16 value = 0;
    if (!x.load_operand(op, value)) return Flow::stop;
    x.s[Reg::fcw] = loaded_fcw(value);
    update_summary(x);
    return Flow::next;
}

Flow fnstcw(Exec& x, const Op& op) {
    if (!usable(x)) return Flow::stop;
    return x.store_operand(op, fcw(x)) ? Flow::next : Flow::stop;
}

Flow fnstsw(Exec& x, const Op& op) {
    if (!usable(x)) return Flow::stop;
    return x.store_operand(op, fsw(x)) ? Flow::next : Flow::stop;
}

Flow fnstsw_ax(Exec& x, const Op& op) {
    if (!usable(x)) return Flow::stop;
    x.set_reg<u16>(op.dst, fsw(x));
    return Flow::next;
}

// FWAIT: TS counts only together with MP, EM not at all (SDM 3A table 13-1).
Flow fwait(Exec& x, const Op&) {
    constexpr u64 kBoth = cr0::mp | cr0::ts;
    if ((x.s[Reg::cr0] & kBoth) == kBoth) return x.fault(Vector::nm);
    if ((fsw(x) & kSummary) == 0) return Flow::next;
    if ((x.s[Reg::cr0] & cr0::ne) == 0) {
        return x.not_modelled("x87 exception with CR0.NE = 0 (FERR#)");
    }
    return x.fault(Vector::mf);
}

// No x87 exception is left pending by these relics of the 8087 and 287.
Flow old_nop(Exec& x, const Op&) { return usable(x) ? Flow::next : Flow::stop; }

// --- environment ---------------------------------------------------------------------------------

// The tag word of the 8087 (SDM 1 8.1.7): 0 valid, 1 zero, 2 special, 3 empty.
u16 full_tags(const Exec& x) {
    u16 tags = 0;
    for (unsigned r = 0; r < 8; ++r) {
        unsigned tag = 3;
        if ((x.s[Reg::ftw] >> r & 1) != 0) {
            const Vec128& bits = x.s.vec(offset(Reg::fpr0, r));
            const fp::Number n = fp::unpack80({bits.lo, static_cast<u16>(bits.hi)});
            tag = n.kind == fp::Kind::zero ? 1 : n.kind == fp::Kind::finite && !n.denormal ? 0 : 2;
        }
        tags = static_cast<u16>(tags | tag << 2 * r);
    }
    return tags;
}

u64 abridged_tags(u16 tags) {
    u64 out = 0;
    for (unsigned r = 0; r < 8; ++r) {
        if ((tags >> 2 * r & 3) != 3) out |= u64{1} << r;
    }
    return out;
}

bool protected_layout(const Exec& x) {
    return (x.s[Reg::cr0] & cr0::pe) != 0 && (x.s[Reg::rflags] & flag::vm) == 0;
}

// The environment as seven words of T, u16 or u32 (SDM 1 figures 8-9 to 8-12): control, status,
// tags, then the pointers. The upper halves of the 32-bit form's words that hold less are FFFFh.
template <class T>
using Environment = std::array<T, 7>;

template <class T>
Environment<T> environment(const Exec& x) {
    constexpr u64 kFill = 0xFFFF0000;
    const u64 fip = x.s[Reg::fip];
    const u64 fdp = x.s[Reg::fdp];
    const u64 fop = x.s[Reg::fop];
    constexpr bool kWide = sizeof(T) == 4;
    std::array<u64, 7> words{kFill | fcw(x), kFill | fsw(x), kFill | full_tags(x), fip, 0, fdp, 0};
    if (protected_layout(x)) {
        words[4] = kWide ? fop << 16 : 0;  // the low half is the selector
        words[6] = kWide ? kFill : 0;
    } else if (kWide) {
        words[3] = kFill | (fip & 0xFFFF);
        words[4] = (fip >> 16 & 0xFFFF) << 12 | fop;
        words[5] = kFill | (fdp & 0xFFFF);
        words[6] = (fdp >> 16 & 0xFFFF) << 12;
    } else {
        words[4] = (fip >> 16 & 0xF) << 12 | fop;
        words[6] = (fdp >> 16 & 0xF) << 12;
    }
    Environment<T> out;
    for (std::size_t i = 0; i < 7; ++i) out[i] = static_cast<T>(words[i]);
    return out;
}

template <class T>
void load_environment(Exec& x, const Environment<T>& words) {
    constexpr bool kWide = sizeof(T) == 4;
    x.s[Reg::fcw] = loaded_fcw(static_cast<u16>(words[0]));
    x.s[Reg::fsw] = static_cast<u16>(words[1]);
    x.s[Reg::ftw] = abridged_tags(static_cast<u16>(words[2]));
    u64 fip = words[3];
    u64 fdp = words[5];
    u64 fop = 0;
    if (protected_layout(x)) {
        if (kWide) fop = u64{words[4]} >> 16;
    } else {
        constexpr u64 kPointer = kWide ? 0xFFFF : 0xF;
        fip = (fip & 0xFFFF) | (u64{words[4]} >> 12 & kPointer) << 16;
        fdp = (fdp & 0xFFFF) | (u64{words[6]} >> 12 & kPointer) << 16;
        fop = words[4];
    }
    x.s[Reg::fip] = fip;
    x.s[Reg::fdp] = fdp;
    x.s[Reg::fop] = fop & 0x7FF;
    update_summary(x);
}

// All exceptions are masked afterwards (SDM 2A FSTENV).
template <class T>
Flow fnstenv(Exec& x, const Op& op) {
    if (!usable(x)) return Flow::stop;
    if (!x.store_operand(op, environment<T>(x))) return Flow::stop;
    x.s[Reg::fcw] |= kExceptions;
    update_summary(x);
    return Flow::next;
}

template <class T>
Flow fldenv(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    Environment<T> words{};
    if (!x.load_operand(op, words)) return Flow::stop;
    load_environment(x, words);
    return Flow::next;
}

// FNSAVE: the environment, then ST(0) to ST(7) of ten bytes each.
template <class T>
struct SaveArea {
    std::array<u8, sizeof(Environment<T>)> environment;
    std::array<std::array<u8, 10>, 8> registers;
};
static_assert(sizeof(SaveArea<u16>) == 94 && sizeof(SaveArea<u32>) == 108);

template <class T>
Flow fnsave(Exec& x, const Op& op) {
    if (!usable(x)) return Flow::stop;
    SaveArea<T> area{};
    const Environment<T> words = environment<T>(x);
    std::memcpy(area.environment.data(), words.data(), sizeof words);
    for (unsigned i = 0; i < 8; ++i) {
        std::memcpy(area.registers[i].data(), &x.s.vec(offset(Reg::fpr0, physical(x, i))), 10);
    }
    if (!x.store_operand(op, area)) return Flow::stop;
    initialise(x);
    return Flow::next;
}

template <class T>
Flow frstor(Exec& x, const Op& op) {
    if (!ready(x)) return Flow::stop;
    SaveArea<T> area{};
    if (!x.load_operand(op, area)) return Flow::stop;
    Environment<T> words;
    std::memcpy(words.data(), area.environment.data(), sizeof words);
    load_environment(x, words);
    for (unsigned i = 0; i < 8; ++i) {
        Vec128& r = x.s.vec(offset(Reg::fpr0, physical(x, i)));
        r.hi = 0;
        std::memcpy(static_cast<void*>(&r), area.registers[i].data(), 10);
    }
    return Flow::next;
}

// --- translation ---------------------------------------------------------------------------------

template <Flow (*Body)(Exec&, const Op&)>
bool translate_memory(const Decoded& d, Op& op) {
    set_memory(d[0], op);
    op.handler = Body;
    return true;
}

template <Flow (*Narrow)(Exec&, const Op&), Flow (*Wide)(Exec&, const Op&)>
bool translate_by_size(const Decoded& d, Op& op) {
    set_memory(d[0], op);
    op.handler = d.insn.operand_width == 16 ? Narrow : Wide;
    return true;
}

bool translate_fnstsw(const Decoded& d, Op& op) {
    if (d.is_mem(0)) return translate_memory<fnstsw>(d, op);
    op.dst = gpr_slot(d[0].reg.value);
    op.handler = fnstsw_ax;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_FDISI8087_NOP, translate_plain<old_nop>, "SDM 3B 22.18.6"},
    {ZYDIS_MNEMONIC_FENI8087_NOP, translate_plain<old_nop>, "SDM 3B 22.18.6"},
    {ZYDIS_MNEMONIC_FLDCW, translate_memory<fldcw>, "SDM 2A FLDCW"},
    {ZYDIS_MNEMONIC_FLDENV, translate_by_size<fldenv<u16>, fldenv<u32>>, "SDM 2A FLDENV"},
    {ZYDIS_MNEMONIC_FNCLEX, translate_plain<fnclex>, "SDM 2A FNCLEX"},
    {ZYDIS_MNEMONIC_FNINIT, translate_plain<fninit>, "SDM 2A FNINIT"},
    {ZYDIS_MNEMONIC_FNSAVE, translate_by_size<fnsave<u16>, fnsave<u32>>, "SDM 2A FNSAVE"},
    {ZYDIS_MNEMONIC_FNSTCW, translate_memory<fnstcw>, "SDM 2A FNSTCW"},
    {ZYDIS_MNEMONIC_FNSTENV, translate_by_size<fnstenv<u16>, fnstenv<u32>>, "SDM 2A FNSTENV"},
    {ZYDIS_MNEMONIC_FNSTSW, translate_fnstsw, "SDM 2A FNSTSW"},
    {ZYDIS_MNEMONIC_FRSTOR, translate_by_size<frstor<u16>, frstor<u32>>, "SDM 2A FRSTOR"},
    {ZYDIS_MNEMONIC_FSETPM287_NOP, translate_plain<old_nop>, "SDM 3B 22.18.6"},
    {ZYDIS_MNEMONIC_FWAIT, translate_plain<fwait>, "SDM 2B WAIT"},
};

}  // namespace

std::span<const InsnRow> x87_control_rows() { return kRows; }

}  // namespace vtlsim::sim
