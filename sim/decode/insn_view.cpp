#include "sim/decode/insn_view.hpp"

#include <algorithm>
#include <array>

#include <Zydis/Zydis.h>

#include "sim/state/bits.hpp"

namespace vtlsim::sim {
namespace {

// Code segment attributes: L and D (SDM 3A 3.4.5).
constexpr u64 kLong = 1u << 13, kDefault32 = 1u << 14;

struct Mode {
    ZydisMachineMode machine;
    ZydisStackWidth stack;
};
Mode mode_of(const CpuState& s) {
    const u64 cs = s[attr_of(Seg::cs)];
    const bool lma = (s[Reg::efer] & efer::lma) != 0;
    if (lma && (cs & kLong) != 0) return {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64};
    if ((cs & kDefault32) != 0) {
        return {lma ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 : ZYDIS_MACHINE_MODE_LEGACY_32,
                ZYDIS_STACK_WIDTH_32};
    }
    return {lma ? ZYDIS_MACHINE_MODE_LONG_COMPAT_16 : ZYDIS_MACHINE_MODE_LEGACY_16,
            ZYDIS_STACK_WIDTH_16};
}

// A GPR's value; of a 16- or 32-bit name its low part.
u64 value_of(const CpuState& s, ZydisRegister reg, u64 next_rip) {
    const auto id = static_cast<std::size_t>(ZydisRegisterGetId(reg));
    switch (ZydisRegisterGetClass(reg)) {
        case ZYDIS_REGCLASS_GPR16:
            return s[gpr(id)] & 0xFFFF;
        case ZYDIS_REGCLASS_GPR32:
            return s[gpr(id)] & 0xFFFFFFFF;
        case ZYDIS_REGCLASS_GPR64:
            return s[gpr(id)];
        case ZYDIS_REGCLASS_IP:
            return next_rip;
        default:
            return 0;
    }
}

Seg segment_of(ZydisRegister reg) {
    switch (reg) {
        case ZYDIS_REGISTER_ES:
            return Seg::es;
        case ZYDIS_REGISTER_CS:
            return Seg::cs;
        case ZYDIS_REGISTER_SS:
            return Seg::ss;
        case ZYDIS_REGISTER_FS:
            return Seg::fs;
        case ZYDIS_REGISTER_GS:
            return Seg::gs;
        default:
            return Seg::ds;
    }
}

u64 address_mask(unsigned bytes) { return bytes == 8 ? ~u64{0} : (u64{1} << bytes * 8) - 1; }

// The word that a register's bit offset, which is signed, leads to (SDM 2, BT).
u64 bit_displacement(u64 bit, unsigned size) {
    const unsigned unused = 64 - size * 8;
    const auto offset = static_cast<i64>(bit << unused) >> unused;
    const i64 bits = static_cast<i64>(size) * 8;
    const i64 words = offset / bits - (offset % bits < 0 ? 1 : 0);
    return static_cast<u64>(words * static_cast<i64>(size));
}

bool is_bit_test(ZydisMnemonic m) {
    return m == ZYDIS_MNEMONIC_BT || m == ZYDIS_MNEMONIC_BTS || m == ZYDIS_MNEMONIC_BTR ||
           m == ZYDIS_MNEMONIC_BTC;
}

}  // namespace

std::optional<InsnView> view_insn(const CpuState& state, std::span<const u8> bytes) {
    const Mode mode = mode_of(state);
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, mode.machine, mode.stack);
    ZydisDecodedInstruction insn;
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> all;
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &insn, all.data()))) {
        return std::nullopt;
    }
    const std::span operands(all.data(), insn.operand_count);
    InsnView out;
    out.mnemonic = ZydisMnemonicGetString(insn.mnemonic);
    out.length = insn.length;
    out.address_size = static_cast<u8>(insn.address_width / 8);
    out.string = insn.meta.category == ZYDIS_CATEGORY_STRINGOP ||
                 insn.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
    if (out.string) {
        const bool compares = out.mnemonic.starts_with("cmps") || out.mnemonic.starts_with("scas");
        for (std::size_t i = 0; i < insn.raw.prefix_count; ++i) {  // the last one counts
            const u8 prefix = insn.raw.prefixes[i].value;
            if (prefix != 0xF2 && prefix != 0xF3) continue;
            out.repne = prefix == 0xF2 && compares;
            out.rep = !out.repne;
        }
    }
    out.legacy = insn.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
    for (const ZydisDecodedOperand& o : operands) {
        const bool hidden = o.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
        if (o.type == ZYDIS_OPERAND_TYPE_REGISTER && !hidden) {
            out.moves_segment =
                out.moves_segment || ZydisRegisterGetClass(o.reg.value) == ZYDIS_REGCLASS_SEGMENT;
            if (o.reg.value == ZYDIS_REGISTER_CL) out.count = static_cast<u8>(state[Reg::rcx]);
        }
        if (o.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) out.count = static_cast<u8>(o.imm.value.u);
        if (o.type != ZYDIS_OPERAND_TYPE_MEMORY || o.mem.type != ZYDIS_MEMOP_TYPE_MEM) continue;
        if (hidden != out.string) continue;
        const bool source = o.mem.base == ZYDIS_REGISTER_RSI || o.mem.base == ZYDIS_REGISTER_ESI ||
                            o.mem.base == ZYDIS_REGISTER_SI;
        if (out.string && out.memory && !source) continue;
        InsnView::Memory m;
        m.size = static_cast<u8>(o.size / 8);
        m.segment = segment_of(o.mem.segment);
        m.offset = value_of(state, o.mem.base, state[Reg::rip] + insn.length) +
                   value_of(state, o.mem.index, 0) * o.mem.scale +
                   static_cast<u64>(o.mem.disp.value);
        m.read = (o.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
        m.write = (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
        out.memory = m;
    }
    if (!out.memory) return out;
    if (is_bit_test(insn.mnemonic) && operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
        const u64 bit = value_of(state, operands[1].reg.value, 0);
        out.memory->offset += bit_displacement(bit, out.memory->size);
    }
    out.memory->offset &= address_mask(out.address_size);
    return out;
}

}  // namespace vtlsim::sim
