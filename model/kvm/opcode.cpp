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
            case 0x26:
            case 0x2E:
            case 0x36:
            case 0x3E:
            case 0x64:
            case 0x65:
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
