// Instructions that 64-bit mode no longer has: decimal arithmetic, BOUND, INTO.
#include "sim/exec/segment.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

constexpr u8 kAl = 0;
constexpr u8 kAh = 1;
constexpr u8 kAx = 0;

// SF, ZF and PF from AL, CF and AF by value, OF clear. Where the manual calls flags undefined after
// decimal adjustments (OF; for AAA and AAS also SF, ZF, PF) this is one of the allowed answers.
void set_decimal_flags(Exec& x, bool carry, bool auxiliary) {
    x.flags.set_result<u8>(x.reg<u8>(kAl), carry, false, auxiliary);
}

template <bool Subtract>
Flow decimal_adjust(Exec& x, const Op&) {
    const u8 old = x.reg<u8>(kAl);
    const bool old_carry = x.flags.cf();
    u8 al = old;
    bool carry = false;
    bool auxiliary = false;
    if ((al & 0xF) > 9 || x.flags.af()) {
        carry = old_carry || (Subtract ? al < 6 : al > 0xF9);
        al = static_cast<u8>(Subtract ? al - 6 : al + 6);
        auxiliary = true;
    }
    if (old > 0x99 || old_carry) {
        al = static_cast<u8>(Subtract ? al - 0x60 : al + 0x60);
        carry = true;
    } else if (!Subtract) {
        carry = false;
    }
    x.set_reg<u8>(kAl, al);
    set_decimal_flags(x, carry, auxiliary);
    return Flow::next;
}

template <bool Subtract>
Flow ascii_adjust(Exec& x, const Op&) {
    const bool adjust = (x.reg<u8>(kAl) & 0xF) > 9 || x.flags.af();
    if (adjust) {
        const u16 ax = x.reg<u16>(kAx);
        x.set_reg<u16>(kAx, static_cast<u16>(Subtract ? ax - 6 : ax + 0x106));
        if (Subtract) x.set_reg<u8>(kAh, static_cast<u8>(x.reg<u8>(kAh) - 1));
    }
    x.set_reg<u8>(kAl, x.reg<u8>(kAl) & 0xF);
    set_decimal_flags(x, adjust, adjust);
    return Flow::next;
}

Flow aam(Exec& x, const Op& op) {
    const u8 base = static_cast<u8>(op.imm);
    if (base == 0) return x.fault(Vector::de);
    const u8 al = x.reg<u8>(kAl);
    x.set_reg<u8>(kAh, al / base);
    x.set_reg<u8>(kAl, al % base);
    set_decimal_flags(x, false, false);
    return Flow::next;
}

Flow aad(Exec& x, const Op& op) {
    const u8 base = static_cast<u8>(op.imm);
    const u8 al = static_cast<u8>(x.reg<u8>(kAl) + x.reg<u8>(kAh) * base);
    x.set_reg<u16>(kAx, al);
    set_decimal_flags(x, false, false);
    return Flow::next;
}

template <Flow (*Body)(Exec&, const Op&)>
bool translate_base(const Decoded& d, Op& op) {
    op.imm = d.visible() != 0 ? d[0].imm.value.u : 10;
    op.handler = Body;
    return true;
}

// BOUND: signed bounds, both included. Two accesses: each has its own segment check and alignment.
template <class T>
Flow bound(Exec& x, const Op& op) {
    std::array<T, 2> bounds{};
    for (std::size_t i = 0; i < 2; ++i) {
        const u64 address = x.linear(op, i * sizeof(T));
        const u64 offset = address - x.s.scalar[op.segment_base];
        if (!check_access(x, op.segment, offset, sizeof(T), Access::read) ||
            !x.load(address, bounds[i], op.stack_segment)) {
            return Flow::stop;
        }
    }
    using Signed = std::make_signed_t<T>;
    const auto index = static_cast<Signed>(x.reg<T>(op.dst));
    if (index < static_cast<Signed>(bounds[0]) || index > static_cast<Signed>(bounds[1])) {
        return x.fault(Vector::br);
    }
    return Flow::next;
}

bool translate_bound(const Decoded& d, Op& op) {
    op.dst = gpr_slot(d[0].reg.value);
    set_memory(d[1], op);
    op.handler = d[0].size == 16 ? bound<u16> : bound<u32>;
    return true;
}

Flow into(Exec& x, const Op& op) {
    if (!x.flags.of()) return Flow::next;
    x.pending = Fault{.vector = Vector::of, .software = true, .length = op.length};
    return Flow::stop;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_AAA, translate_plain<ascii_adjust<false>>, "SDM 2A AAA"},
    {ZYDIS_MNEMONIC_AAD, translate_base<aad>, "SDM 2A AAD"},
    {ZYDIS_MNEMONIC_AAM, translate_base<aam>, "SDM 2A AAM"},
    {ZYDIS_MNEMONIC_AAS, translate_plain<ascii_adjust<true>>, "SDM 2A AAS"},
    {ZYDIS_MNEMONIC_BOUND, translate_bound, "SDM 2A BOUND"},
    {ZYDIS_MNEMONIC_DAA, translate_plain<decimal_adjust<false>>, "SDM 2A DAA"},
    {ZYDIS_MNEMONIC_DAS, translate_plain<decimal_adjust<true>>, "SDM 2A DAS"},
    {ZYDIS_MNEMONIC_INTO, translate_plain<into>, "SDM 2A INTO"},
};

}  // namespace

std::span<const InsnRow> legacy_rows() { return kRows; }

}  // namespace vtlsim::sim
