#include <algorithm>

#include "sim/asm/encode.hpp"

namespace vtlsim::sim::assembly {
namespace {

constexpr std::array<ZydisMachineMode, 3> kMachineModes{
    ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64};

// AVX-512 needs mask registers and broadcasts, which the language has no notation for.
constexpr auto kEncodings = static_cast<ZydisEncodableEncoding>(
    ZYDIS_ENCODABLE_ENCODING_LEGACY | ZYDIS_ENCODABLE_ENCODING_3DNOW |
    ZYDIS_ENCODABLE_ENCODING_XOP | ZYDIS_ENCODABLE_ENCODING_VEX);

ZydisOperandSizeHint operand_hint(unsigned bits) {
    switch (bits) {
        case 16:
            return ZYDIS_OPERAND_SIZE_HINT_16;
        case 32:
            return ZYDIS_OPERAND_SIZE_HINT_32;
        case 64:
            return ZYDIS_OPERAND_SIZE_HINT_64;
        default:
            return ZYDIS_OPERAND_SIZE_HINT_NONE;
    }
}

ZydisAddressSizeHint address_hint(unsigned bits) {
    switch (bits) {
        case 16:
            return ZYDIS_ADDRESS_SIZE_HINT_16;
        case 32:
            return ZYDIS_ADDRESS_SIZE_HINT_32;
        case 64:
            return ZYDIS_ADDRESS_SIZE_HINT_64;
        default:
            return ZYDIS_ADDRESS_SIZE_HINT_NONE;
    }
}

ZydisBranchWidth branch_width(unsigned bits) {
    switch (bits) {
        case 16:
            return ZYDIS_BRANCH_WIDTH_16;
        case 32:
            return ZYDIS_BRANCH_WIDTH_32;
        default:
            return ZYDIS_BRANCH_WIDTH_64;
    }
}

bool is_jump_or_call(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_JMP || mnemonic == ZYDIS_MNEMONIC_CALL;
}

bool is_far(const ResolvedOperand& operand) {
    return operand.kind == OperandKind::far_pointer || operand.distance == BranchDistance::far_;
}

// nasm's default for a far return: the mode's size, but 32 bits in 64-bit mode.
void set_return(const EncodeContext& context, ZydisEncoderRequest& request) {
    const bool far = context.instruction.name.far_branch;
    unsigned bits = bits_of(context.mode);
    if (far) bits = std::min(bits, 32U);
    if (context.instruction.operand_bits != 0) bits = context.instruction.operand_bits;
    request.branch_type = far ? ZYDIS_BRANCH_TYPE_FAR : ZYDIS_BRANCH_TYPE_NEAR;
    request.branch_width = branch_width(bits);
    request.operand_size_hint = ZYDIS_OPERAND_SIZE_HINT_NONE;
}

void set_branch(const EncodeContext& context, ZydisEncoderRequest& request) {
    const ResolvedOperand& target = context.operands[0];
    request.branch_type = is_far(target) ? ZYDIS_BRANCH_TYPE_FAR : ZYDIS_BRANCH_TYPE_NEAR;
    if (target.kind != OperandKind::far_pointer) return;
    request.branch_width =
        branch_width(target.size != 0 ? target.size * 8U : bits_of(context.mode));
}

// push word 5 pushes two bytes. push byte 5 and push dword 5 only say how 5 is written down,
// except that in 16-bit mode dword pushes four bytes.
unsigned pushed_bits(const EncodeContext& context) {
    const u16 size = context.operands[0].size;
    if (context.instruction.operand_bits != 0) return context.instruction.operand_bits;
    if (size == 2) return 16;
    if (size == 4 && context.mode == AsmMode::bits16) return 32;
    return bits_of(context.mode);
}

// The sizes nasm takes from the mode, where Zydis would take the shortest encoding.
void set_defaults(const EncodeContext& context, ZydisEncoderRequest& request) {
    const auto& operands = context.operands;
    switch (request.mnemonic) {
        case ZYDIS_MNEMONIC_RET:
            return set_return(context, request);
        case ZYDIS_MNEMONIC_JMP:
        case ZYDIS_MNEMONIC_CALL:
            if (operands.size() == 1) set_branch(context, request);
            return;
        case ZYDIS_MNEMONIC_PUSH:
            if (operands.size() == 1 && operands[0].kind == OperandKind::immediate)
                request.operand_size_hint = operand_hint(pushed_bits(context));
            return;
        case ZYDIS_MNEMONIC_SYSRET:
        case ZYDIS_MNEMONIC_SYSEXIT:
            if (context.instruction.operand_bits == 0)
                request.operand_size_hint = ZYDIS_OPERAND_SIZE_HINT_32;
            return;
        default:
            return;
    }
}

// The bytes of a far pointer in memory: the offset and two for the selector.
u16 far_memory_size(const EncodeContext& context, u16 written) {
    const auto offset = written != 0 ? written : static_cast<u16>(bits_of(context.mode) / 8);
    return static_cast<u16>(offset + 2);
}

// 0 when nothing in the text says.
u16 memory_size(const EncodeContext& context, const ResolvedOperand& memory) {
    const ZydisMnemonic mnemonic = context.instruction.name.mnemonic;
    if (mnemonic == ZYDIS_MNEMONIC_LEA)  // Zydis takes the size of the address
        return static_cast<u16>(memory.relative ? 8 : memory.address_bits / 8);
    if (is_jump_or_call(mnemonic)) {
        if (is_far(memory)) return far_memory_size(context, memory.size);
        if (memory.size == 0) return static_cast<u16>(bits_of(context.mode) / 8);
    }
    if (memory.size != 0) return memory.size;
    for (const ResolvedOperand& operand : context.operands)  // mov [rdi], dword 5
        if (operand.kind == OperandKind::immediate && operand.size != 0) return operand.size;
    return 0;
}

ZydisEncoderOperand make_operand(const EncodeContext& context, const ResolvedOperand& operand) {
    ZydisEncoderOperand to{};
    switch (operand.kind) {
        case OperandKind::reg:
            to.type = ZYDIS_OPERAND_TYPE_REGISTER;
            to.reg.value = operand.reg;
            break;
        case OperandKind::immediate:
            to.type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
            to.imm.u = operand.value;
            break;
        case OperandKind::far_pointer:
            to.type = ZYDIS_OPERAND_TYPE_POINTER;
            to.ptr.segment = static_cast<u16>(operand.selector);
            to.ptr.offset = static_cast<u32>(operand.value);
            break;
        case OperandKind::memory:
            to.type = ZYDIS_OPERAND_TYPE_MEMORY;
            to.mem.base = operand.relative ? ZYDIS_REGISTER_RIP : operand.base;
            to.mem.index = operand.index;
            to.mem.scale = operand.scale;
            to.mem.size = memory_size(context, operand);
            to.mem.displacement = static_cast<i64>(operand.value);
            break;
    }
    return to;
}

}  // namespace

unsigned bits_of(AsmMode mode) { return 16U << static_cast<unsigned>(mode); }

ZydisEncoderRequest make_request(const EncodeContext& context) {
    ZydisEncoderRequest request{};
    request.machine_mode = kMachineModes[static_cast<std::size_t>(context.mode)];
    request.allowed_encodings = kEncodings;
    request.mnemonic = context.instruction.name.mnemonic;
    request.prefixes = context.instruction.prefixes;
    request.operand_size_hint = operand_hint(context.instruction.operand_bits);
    request.address_size_hint = address_hint(context.instruction.address_bits);
    for (const ResolvedOperand& operand : context.operands) {
        if (operand.segment != ZYDIS_REGISTER_NONE)
            request.prefixes |= segment_attribute(operand.segment);
        const bool chosen_size = operand.address_bits != 0 && operand.base == ZYDIS_REGISTER_NONE &&
                                 operand.index == ZYDIS_REGISTER_NONE &&
                                 operand.address_bits != bits_of(context.mode);
        if (chosen_size) request.address_size_hint = address_hint(operand.address_bits);
    }
    set_defaults(context, request);
    return request;
}

EncoderOperands make_operands(const EncodeContext& context) {
    EncoderOperands list;
    for (const ResolvedOperand& operand : context.operands)
        list.push_back(make_operand(context, operand));
    if (context.instruction.name.predicate >= 0) {
        ZydisEncoderOperand predicate{};
        predicate.type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
        predicate.imm.s = context.instruction.name.predicate;
        list.push_back(predicate);
    }
    return list;
}

}  // namespace vtlsim::sim::assembly
