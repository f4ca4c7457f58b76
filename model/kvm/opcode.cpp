#include "model/kvm/opcode.hpp"

namespace vtlsim::model::kvm {

bool Opcode::reads_destination() const {
    switch (value) {
        case 0x80:  // ADD to XOR with an immediate
        case 0x81:
        case 0x82:
        case 0x83:
        case 0x86:  // XCHG
        case 0x87:
        case 0xC0:  // shifts
        case 0xC1:
        case 0xD0:
        case 0xD1:
        case 0xD2:
        case 0xD3:
        case 0xF6:  // NOT, NEG
        case 0xF7:
        case 0xFE:  // INC, DEC
        case 0xFF:
        case 0x0FA4:  // SHLD, SHRD
        case 0x0FA5:
        case 0x0FAC:
        case 0x0FAD:
        case 0x0FAB:  // BTS, BTR, BTC
        case 0x0FB3:
        case 0x0FBB:
        case 0x0FBA:
        case 0x0FB0:  // CMPXCHG
        case 0x0FB1:
        case 0x0FC0:  // XADD
        case 0x0FC1:
        case 0x0FC7:  // CMPXCHG8B
            return true;
        default:
            return value < 0x40 && (value & 7) < 2;  // ADD to XOR with a register
    }
}

sim::Seg Opcode::segment_or(sim::Seg usual) const {
    switch (segment) {
        case 0x26:
            return sim::Seg::es;
        case 0x2E:
            return sim::Seg::cs;
        case 0x36:
            return sim::Seg::ss;
        case 0x3E:
            return sim::Seg::ds;
        case 0x64:
            return sim::Seg::fs;
        case 0x65:
            return sim::Seg::gs;
        default:
            return usual;
    }
}

bool Opcode::pushes_segment() const {
    return value == 0x06 || value == 0x0E || value == 0x16 || value == 0x1E || value == 0x0FA0 ||
           value == 0x0FA8;
}

// POP, RET, LEAVE and PUSH or CALL with a memory operand.
bool Opcode::uses_stack() const {
    const u8 field = modrm >> 3 & 7;
    return (value >= 0x58 && value <= 0x5F) || value == 0x61 || value == 0x8F || value == 0x9D ||
           value == 0xC2 || value == 0xC3 || value == 0xC9 || returns_far() || value == 0xCF ||
           pops_segment() || (value == 0xFF && (field == 2 || field == 3 || field == 6));
}

bool Opcode::pops_segment() const {
    return value == 0x07 || value == 0x17 || value == 0x1F || value == 0x0FA1 || value == 0x0FA9;
}

bool Opcode::far_pointer(bool long_code) const {
    switch (value) {
        case 0xC4:
        case 0xC5:
            return !long_code;
        case 0x0FB2:
        case 0x0FB4:
        case 0x0FB5:
            return true;
        case 0xFF:
            return (modrm >> 3 & 7) == 3 || (modrm >> 3 & 7) == 5;
        default:
            return false;
    }
}

Opcode opcode_of(std::span<const u8> instruction, bool long_code) {
    Opcode out;
    for (std::size_t i = 0; i < instruction.size(); ++i) {
        const u8 b = instruction[i];
        switch (b) {
            case 0xF2:
            case 0xF3:
                out.rep = b;
                continue;
            case 0x67:
                out.address_size = true;
                continue;
            case 0x66:
                out.operand_size = true;
                continue;
            case 0xF0:
                out.lock = true;
                continue;
            case 0x26:
            case 0x2E:
            case 0x36:
            case 0x3E:
            case 0x64:
            case 0x65:
                out.segment = b;
                continue;
            case 0x0F:
                if (i + 1 < instruction.size())
                    out.value = static_cast<u16>(0x0F00 | instruction[i + 1]);
                if (i + 2 < instruction.size()) out.modrm = instruction[i + 2];
                return out;
            default:
                if (long_code && b >= 0x40 && b <= 0x4F) {
                    out.wide = (b & 8) != 0;
                    continue;
                }
                out.value = b;
                if (i + 1 < instruction.size()) out.modrm = instruction[i + 1];
                return out;
        }
    }
    return out;
}

}  // namespace vtlsim::model::kvm
