#include "sim/decode/memory_operands.hpp"

#include <algorithm>

#include <Zydis/Zydis.h>

namespace vtlsim::sim {

struct InsnMemoryDecoder::Decoded {
    std::array<u8, 15> bytes{};
    std::size_t size = 0;
    bool ok = false;
    bool drains = false;
    ZydisDecodedInstruction insn{};
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands{};
};

namespace {

bool drains_stores(const ZydisDecodedInstruction& insn,
                   std::span<const ZydisDecodedOperand> operands) {
    if ((insn.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0) return true;
    switch (insn.mnemonic) {
        case ZYDIS_MNEMONIC_XCHG:  // locked without the prefix (SDM 3A 8.1.2.1)
            return operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ||
                   operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
        case ZYDIS_MNEMONIC_MFENCE:
        case ZYDIS_MNEMONIC_IRET:
        case ZYDIS_MNEMONIC_IRETD:
        case ZYDIS_MNEMONIC_IRETQ:
        case ZYDIS_MNEMONIC_INVLPG:
        case ZYDIS_MNEMONIC_WBINVD:
        case ZYDIS_MNEMONIC_LGDT:
        case ZYDIS_MNEMONIC_LIDT:
        case ZYDIS_MNEMONIC_LLDT:
        case ZYDIS_MNEMONIC_LTR:
            return true;
        case ZYDIS_MNEMONIC_MOV: {
            const ZydisRegisterClass c = operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER
                                             ? ZydisRegisterGetClass(operands[0].reg.value)
                                             : ZYDIS_REGCLASS_INVALID;
            // CR8 is the exception.
            return c == ZYDIS_REGCLASS_DEBUG ||
                   (c == ZYDIS_REGCLASS_CONTROL && operands[0].reg.value != ZYDIS_REGISTER_CR8);
        }
        default:
            return false;
    }
}

u64 value_of(const CpuState& s, ZydisRegister reg, u64 next_rip) {
    if (reg == ZYDIS_REGISTER_NONE) return 0;
    if (reg == ZYDIS_REGISTER_RIP) return next_rip;
    const bool half = ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_GPR32;
    const u64 value = s[gpr(static_cast<std::size_t>(ZydisRegisterGetId(reg)))];
    return half ? value & 0xFFFFFFFF : value;
}

}  // namespace

InsnMemoryDecoder::InsnMemoryDecoder() = default;
InsnMemoryDecoder::~InsnMemoryDecoder() = default;

InsnMemory InsnMemoryDecoder::look(const CpuState& state, std::span<const u8> bytes) {
    std::unique_ptr<Decoded>& slot = known_[state[Reg::rip]];
    const bool same = slot != nullptr && slot->size == bytes.size() &&
                      std::equal(bytes.begin(), bytes.end(), slot->bytes.begin());
    if (!same) {
        static const ZydisDecoder decoder = [] {
            ZydisDecoder d;
            ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
            return d;
        }();
        slot = std::make_unique<Decoded>();
        slot->size = std::min(bytes.size(), slot->bytes.size());
        std::copy_n(bytes.begin(), slot->size, slot->bytes.begin());
        slot->ok = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(),
                                                       &slot->insn, slot->operands.data()));
        slot->drains = slot->ok && drains_stores(slot->insn, slot->operands);
    }
    InsnMemory out;
    if (!slot->ok) return out;
    out.drains_stores = slot->drains;
    for (std::size_t i = 0; i < slot->insn.operand_count && out.count < out.operands.size(); ++i) {
        const ZydisDecodedOperand& o = slot->operands[i];
        if (o.type != ZYDIS_OPERAND_TYPE_MEMORY || o.mem.type != ZYDIS_MEMOP_TYPE_MEM) continue;
        u64 address = value_of(state, o.mem.base, state[Reg::rip] + slot->insn.length) +
                      value_of(state, o.mem.index, 0) * o.mem.scale +
                      static_cast<u64>(o.mem.disp.value);
        if (slot->insn.address_width == 32) address &= 0xFFFFFFFF;
        if (o.mem.segment == ZYDIS_REGISTER_FS) address += state[Reg::fs_base];
        if (o.mem.segment == ZYDIS_REGISTER_GS) address += state[Reg::gs_base];
        u64 size = o.size / 8;
        constexpr auto kAnyRep =
            ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
        if ((slot->insn.attributes & kAnyRep) != 0) {
            size *= std::min<u64>(state[Reg::rcx], 0x1000);
        }
        // PUSH and CALL store below the RSP that they start with.
        const bool below = o.mem.base == ZYDIS_REGISTER_RSP &&
                           o.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
                           (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
        out.operands[out.count++] = {below ? address - size : address, static_cast<u32>(size),
                                     (o.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0,
                                     (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0};
    }
    return out;
}

}  // namespace vtlsim::sim
