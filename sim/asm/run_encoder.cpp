// The one call of Zydis' encoder, with what version 4.0 needs put right.
#include <cstring>

#include "sim/asm/encode.hpp"

namespace vtlsim::sim::assembly {
namespace {

std::optional<InstructionBytes> encode(const ZydisEncoderRequest& request) {
    InstructionBytes bytes;
    ZyanUSize length = bytes.data.size();
    if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request, bytes.data.data(), &length)))
        return std::nullopt;
    bytes.length = static_cast<u8>(length);
    return bytes;
}

// SDM vol. 2, MOV to and from control and debug registers: the mod field is ignored. Zydis leaves
// it 0; every other assembler writes 3.
void set_mod_field(const ZydisEncoderRequest& request, InstructionBytes& bytes) {
    if (request.mnemonic != ZYDIS_MNEMONIC_MOV) return;
    for (u8 i = 0; i < request.operand_count; ++i) {
        if (request.operands[i].type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
        const ZydisRegisterClass kind = ZydisRegisterGetClass(request.operands[i].reg.value);
        if (kind == ZYDIS_REGCLASS_CONTROL || kind == ZYDIS_REGCLASS_DEBUG)
            bytes.data[bytes.length - 1U] |= 0xC0;
    }
}

// A displacement without registers that makes Zydis choose 32-bit addressing in 32-bit mode, and
// 64-bit addressing in 64-bit mode. Left to itself it takes a 67h prefix and a smaller address
// whenever the number fits, and in 32-bit mode cuts numbers off doing so.
constexpr i64 kPlaceholder32 = 0x12345678;
constexpr i64 kPlaceholder64 = -0x12345678;

bool needs_placeholder(const ZydisEncoderRequest& request, const ZydisEncoderOperand& operand) {
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.base != ZYDIS_REGISTER_NONE ||
        operand.mem.index != ZYDIS_REGISTER_NONE ||
        request.address_size_hint != ZYDIS_ADDRESS_SIZE_HINT_NONE)
        return false;
    const auto displacement = static_cast<i32>(operand.mem.displacement);
    return request.machine_mode != ZYDIS_MACHINE_MODE_LEGACY_16 &&
           displacement == operand.mem.displacement;
}

bool set_displacement(const ZydisEncoderRequest& request, i64 value, InstructionBytes& bytes) {
    ZydisDecoder decoder;
    ZydisDecodedInstruction instruction;
    const ZydisStackWidth stack = request.machine_mode == ZYDIS_MACHINE_MODE_LONG_64
                                      ? ZYDIS_STACK_WIDTH_64
                                      : ZYDIS_STACK_WIDTH_32;
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, request.machine_mode, stack)) ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, nullptr, bytes.data.data(),
                                                    bytes.length, &instruction)) ||
        instruction.raw.disp.size != 32)
        return false;
    const auto displacement = static_cast<i32>(value);
    std::memcpy(bytes.data.data() + instruction.raw.disp.offset, &displacement,
                sizeof displacement);
    return true;
}

}  // namespace

std::optional<InstructionBytes> run_encoder(ZydisEncoderRequest request) {
    for (u8 i = 0; i < request.operand_count; ++i) {
        ZydisEncoderOperand& operand = request.operands[i];
        if (!needs_placeholder(request, operand)) continue;
        const i64 value = operand.mem.displacement;
        operand.mem.displacement =
            request.machine_mode == ZYDIS_MACHINE_MODE_LONG_64 ? kPlaceholder64 : kPlaceholder32;
        auto bytes = encode(request);
        if (!bytes || !set_displacement(request, value, *bytes)) return std::nullopt;
        return bytes;
    }
    auto bytes = encode(request);
    if (bytes) set_mod_field(request, *bytes);
    return bytes;
}

}  // namespace vtlsim::sim::assembly
