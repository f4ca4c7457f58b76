#include "model/kvm/emulator_table.hpp"

#include <utility>

namespace vtlsim::model::kvm {
namespace {

bool has_one_byte(const Opcode& op, bool long_code, bool protect) {
    const u8 reg = op.modrm >> 3 & 7;
    switch (op.value) {
        case 0x27:  // DAA, AAA, AAS: DAS is there
        case 0x37:
        case 0x3F:
        case 0x62:  // BOUND, EVEX
        case 0x9B:  // FWAIT
        case 0xF1:
            return false;
        case 0x63:  // ARPL, MOVSXD
            return long_code;
        case 0x8D:
            return !op.register_operand();
        case 0x8F:
            return reg == 0;
        case 0xC4:  // LES, LDS, VEX
        case 0xC5:
            return !long_code && !op.register_operand();
        case 0xCC:  // INT3, INT n
        case 0xCD:
            return !protect;
        case 0xCF:  // IRET
            return !protect || long_code;
        case 0xD8:
        case 0xDA:
        case 0xDC:
        case 0xDE:
        case 0xDF:
            return false;
        case 0xD9:  // FNSTCW, FNSTSW
        case 0xDD:
            return reg == 7 && !op.register_operand();
        case 0xDB:
            return op.modrm == 0xE3;  // FNINIT
        case 0xFE:
            return reg < 2;
        default:
            return true;
    }
}

bool has_two_byte(const Opcode& op, bool long_code) {
    const u8 reg = op.modrm >> 3 & 7;
    const bool memory = !op.register_operand();
    const auto second = static_cast<u8>(op.value);
    switch (second) {
        case 0x00:
            return reg < 4;
        case 0x01:
            return memory ? reg != 5 : reg > 2;
        case 0x10:  // MOVUPS, MOVUPD
        case 0x11:
        case 0x28:  // MOVAPS, MOVAPD
        case 0x29:
            return op.rep == 0;
        case 0x2B:
            return op.rep == 0 && memory;
        case 0x6F:  // MOVQ, MOVDQA, MOVDQU
        case 0x7F:
            return op.rep != 0xF2 && !(op.rep != 0 && op.operand_size);
        case 0xE7:
            return op.operand_size && op.rep == 0;
        case 0x19:
        case 0x1C:
        case 0x1D:
        case 0xC3:
            return memory;
        case 0x38:  // the byte behind is the opcode: MOVBE
            return op.modrm >= 0xF0 && op.modrm <= 0xF1 && op.rep == 0;
        case 0xAE:
            if (memory) return reg < 2 || (reg == 7 && op.rep == 0);
            return op.rep != 0xF3 ? reg > 4 : long_code && reg < 4;
        case 0xBA:
            return reg > 3;
        case 0xC7:
            return memory ? reg == 1 : reg == 7 && op.rep == 0xF3;
        default:
            break;
    }
    constexpr std::pair<u8, u8> kRanges[] = {
        {0x05, 0x09}, {0x0B, 0x0B}, {0x0D, 0x0D}, {0x18, 0x18}, {0x1F, 0x23}, {0x30, 0x35},
        {0x40, 0x4F}, {0x80, 0xA5}, {0xA8, 0xAD}, {0xAF, 0xB7}, {0xBB, 0xC1}, {0xC8, 0xCF}};
    for (const auto& [first, last] : kRanges) {
        if (second >= first && second <= last) return true;
    }
    return false;
}

// What is decoded, and missed only when it is to be executed.
bool is_decoded(const Opcode& op) {
    switch (op.value) {
        case 0xC8:
        case 0xCC:
        case 0xCD:
        case 0xCF:
        case 0xF1:
        case 0x0F19:
        case 0x0F1C:
        case 0x0F1D:
        case 0x0F1E:
            return true;
        default:
            return false;
    }
}

}  // namespace

bool emulator_has(const Opcode& op, bool long_code, bool protect) {
    if (op.lock && is_decoded(op)) return true;  // #UD comes first
    return op.value >= 0x0F00 ? has_two_byte(op, long_code) : has_one_byte(op, long_code, protect);
}

}  // namespace vtlsim::model::kvm
