#include "sim/decode/data_flow.hpp"

#include <algorithm>
#include <optional>

#include <Zydis/Zydis.h>

#include "sim/state/bits.hpp"

namespace vtlsim::sim {
namespace {

using Operands = std::span<const ZydisDecodedOperand>;

std::optional<Reg> reg_of(ZydisRegister reg) {
    const auto id = static_cast<std::size_t>(ZydisRegisterGetId(reg));
    switch (ZydisRegisterGetClass(reg)) {
        case ZYDIS_REGCLASS_GPR8:
            return gpr(static_cast<std::size_t>(ZydisRegisterGetId(
                ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg))));
        case ZYDIS_REGCLASS_GPR16:
        case ZYDIS_REGCLASS_GPR32:
        case ZYDIS_REGCLASS_GPR64:
            return gpr(id);
        case ZYDIS_REGCLASS_XMM:
            return id < 16 ? std::optional(offset(Reg::xmm0, id)) : std::nullopt;
        case ZYDIS_REGCLASS_MMX:
            return offset(Reg::fpr0, id);
        case ZYDIS_REGCLASS_CONTROL:
            switch (id) {
                case 0:
                    return Reg::cr0;
                case 2:
                    return Reg::cr2;
                case 3:
                    return Reg::cr3;
                case 4:
                    return Reg::cr4;
                case 8:
                    return Reg::cr8;
                default:
                    return std::nullopt;
            }
        default:
            return std::nullopt;
    }
}

// ST(i) is physical register TOP + i. What an instruction pushes, it names by the new TOP.
Reg stack_reg(u64 top, ZydisRegister reg) {
    return offset(Reg::fpr0, (top + static_cast<u64>(ZydisRegisterGetId(reg))) & 7);
}
bool pushes(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_FLD:
        case ZYDIS_MNEMONIC_FILD:
        case ZYDIS_MNEMONIC_FBLD:
        case ZYDIS_MNEMONIC_FLD1:
        case ZYDIS_MNEMONIC_FLDL2T:
        case ZYDIS_MNEMONIC_FLDL2E:
        case ZYDIS_MNEMONIC_FLDPI:
        case ZYDIS_MNEMONIC_FLDLG2:
        case ZYDIS_MNEMONIC_FLDLN2:
        case ZYDIS_MNEMONIC_FLDZ:
        case ZYDIS_MNEMONIC_FSINCOS:
        case ZYDIS_MNEMONIC_FPTAN:
        case ZYDIS_MNEMONIC_FXTRACT:
            return true;
        default:
            return false;
    }
}

u64 address_part(const CpuState& s, ZydisRegister reg, u64 next_rip) {
    if (reg == ZYDIS_REGISTER_NONE) return 0;
    if (reg == ZYDIS_REGISTER_RIP) return next_rip;
    const auto known = reg_of(reg);
    if (!known) return 0;
    const bool half = ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_GPR32;
    return half ? s[*known] & 0xFFFFFFFF : s[*known];
}

DataPlace memory_place(const CpuState& s, const ZydisDecodedInstruction& insn,
                       const ZydisDecodedOperand& o) {
    u64 address = address_part(s, o.mem.base, s[Reg::rip] + insn.length) +
                  address_part(s, o.mem.index, 0) * o.mem.scale +
                  static_cast<u64>(o.mem.disp.value);
    if (insn.address_width == 32) address &= 0xFFFFFFFF;
    if (o.mem.segment == ZYDIS_REGISTER_FS) address += s[Reg::fs_base];
    if (o.mem.segment == ZYDIS_REGISTER_GS) address += s[Reg::gs_base];
    u64 size = o.size / 8;
    constexpr auto kAnyRep = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
    if ((insn.attributes & kAnyRep) != 0) {
        const u64 unit = size;
        size *= std::min<u64>(s[Reg::rcx], 0x1000);
        // With DF the first element is the last in memory.
        if ((s[Reg::rflags] & flag::df) != 0 && size != 0) address -= size - unit;
    }
    // PUSH and CALL store below the RSP that they start with.
    const bool below = o.mem.base == ZYDIS_REGISTER_RSP &&
                       o.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
                       (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    return {true, Reg::rax, below ? address - size : address, size};
}

// XOR and SUB of a register with itself: a constant, whatever was there.
bool clears(const ZydisDecodedInstruction& insn, Operands operands) {
    switch (insn.mnemonic) {
        case ZYDIS_MNEMONIC_XOR:
        case ZYDIS_MNEMONIC_SUB:
        case ZYDIS_MNEMONIC_PXOR:
        case ZYDIS_MNEMONIC_XORPS:
            return operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                   operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                   operands[0].reg.value == operands[1].reg.value;
        default:
            return false;
    }
}

bool is_string(const ZydisDecodedInstruction& insn) {
    return insn.meta.category == ZYDIS_CATEGORY_STRINGOP ||
           insn.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

bool same(const DataPlace& a, const DataPlace& b) {
    return a.memory == b.memory && (a.memory ? a.address == b.address : a.reg == b.reg);
}

}  // namespace

DataFlow data_flow(const CpuState& state, std::span<const u8> code) {
    static const ZydisDecoder decoder = [] {
        ZydisDecoder d;
        ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        return d;
    }();
    DataFlow out;
    ZydisDecodedInstruction insn;
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> storage;
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder, code.data(), code.size(), &insn, storage.data()))) {
        return out;
    }
    const Operands operands = std::span(storage).first(insn.operand_count);
    out.save_area =
        insn.mnemonic == ZYDIS_MNEMONIC_FXSAVE || insn.mnemonic == ZYDIS_MNEMONIC_FXSAVE64 ||
        insn.mnemonic == ZYDIS_MNEMONIC_FXRSTOR || insn.mnemonic == ZYDIS_MNEMONIC_FXRSTOR64;

    struct Used {
        DataPlace place;
        bool hidden;  // not in the text: RSP of PUSH, RCX and RDI of STOS
        bool read, write;
    };
    std::vector<Used> used;
    for (const ZydisDecodedOperand& o : operands) {
        const bool read = (o.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
        const bool write = (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
        const bool hidden = o.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
        if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && o.mem.type == ZYDIS_MEMOP_TYPE_MEM) {
            const DataPlace place = memory_place(state, insn, o);
            if (place.size != 0) used.push_back({place, false, read, write});
        } else if (o.type == ZYDIS_OPERAND_TYPE_REGISTER &&
                   ZydisRegisterGetClass(o.reg.value) == ZYDIS_REGCLASS_X87) {
            const u64 top = state[Reg::fsw] >> 11 & 7;
            const u64 top_after = pushes(insn.mnemonic) ? top - 1 : top;
            if (read)
                used.push_back({{false, stack_reg(top, o.reg.value), 0, 0}, false, true, false});
            if (write) {
                used.push_back(
                    {{false, stack_reg(top_after, o.reg.value), 0, 0}, false, false, true});
            }
        } else if (o.type == ZYDIS_OPERAND_TYPE_REGISTER) {
            if (const auto reg = reg_of(o.reg.value)) {
                const bool counter = hidden && (*reg == Reg::rsp || is_string(insn));
                used.push_back({{false, *reg, 0, 0}, counter && *reg != Reg::rax, read, write});
            }
        }
    }
    const bool constant = clears(insn, operands);
    const bool exchange =
        insn.mnemonic == ZYDIS_MNEMONIC_XCHG || insn.mnemonic == ZYDIS_MNEMONIC_FXCH;
    for (const Used& to : used) {
        if (!to.write) continue;
        DataMove move{to.place, {}};
        if (to.hidden) {
            move.from.push_back(to.place);
        } else {
            for (const Used& from : used) {
                if (!from.read || from.hidden || constant) continue;
                if (exchange && same(from.place, to.place)) continue;
                move.from.push_back(from.place);
            }
        }
        out.moves.push_back(std::move(move));
    }
    return out;
}

}  // namespace vtlsim::sim
