#include <algorithm>

#include "sim/asm/encode.hpp"

namespace vtlsim::sim::assembly {
namespace {

u64 low_bits(u64 value, unsigned bits) {
    return bits >= 64 ? value : value & ((u64{1} << bits) - 1);
}

unsigned mode_bits(ZydisMachineMode mode) {
    if (mode == ZYDIS_MACHINE_MODE_LONG_64) return 64;
    return mode == ZYDIS_MACHINE_MODE_LEGACY_32 ? 32 : 16;
}

ZydisStackWidth stack_width(ZydisMachineMode mode) {
    switch (mode) {
        case ZYDIS_MACHINE_MODE_LONG_64:
            return ZYDIS_STACK_WIDTH_64;
        case ZYDIS_MACHINE_MODE_LEGACY_32:
            return ZYDIS_STACK_WIDTH_32;
        default:
            return ZYDIS_STACK_WIDTH_16;
    }
}

// Without a register the address is compared in the size asked for: in 64-bit mode, an address cut
// to 32 bits is another address.
bool same_memory(const ZydisEncoderOperand& wanted, const ZydisDecodedOperand& got,
                 unsigned address_bits, unsigned wanted_bits) {
    const auto& mem = got.mem;
    if (mem.type == ZYDIS_MEMOP_TYPE_MEM && got.size != wanted.mem.size * 8U) return false;
    if (mem.base != wanted.mem.base || mem.index != wanted.mem.index) return false;
    const bool indexed = mem.index != ZYDIS_REGISTER_NONE;
    if (indexed && std::max<u8>(mem.scale, 1) != wanted.mem.scale) return false;
    const bool registers = indexed || mem.base != ZYDIS_REGISTER_NONE;
    return low_bits(static_cast<u64>(mem.disp.value), address_bits) ==
           low_bits(static_cast<u64>(wanted.mem.displacement),
                    registers ? address_bits : wanted_bits);
}

bool same_operand(const ZydisEncoderOperand& wanted, const ZydisDecodedOperand& got,
                  unsigned address_bits, unsigned wanted_address_bits, unsigned immediate_bits) {
    if (wanted.type != got.type) return false;
    switch (wanted.type) {
        case ZYDIS_OPERAND_TYPE_REGISTER:
            return wanted.reg.value == got.reg.value;
        case ZYDIS_OPERAND_TYPE_MEMORY:
            return same_memory(wanted, got, address_bits, wanted_address_bits);
        case ZYDIS_OPERAND_TYPE_POINTER:
            return wanted.ptr.segment == got.ptr.segment && wanted.ptr.offset == got.ptr.offset;
        default:
            return low_bits(wanted.imm.u, immediate_bits) ==
                   low_bits(got.imm.value.u, immediate_bits);
    }
}

}  // namespace

bool decodes_to(const ZydisEncoderRequest& request, std::span<const u8> bytes,
                unsigned immediate_bits) {
    ZydisDecoder decoder;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(
            ZydisDecoderInit(&decoder, request.machine_mode, stack_width(request.machine_mode))) ||
        !ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &instruction, operands)))
        return false;
    if (instruction.length != bytes.size() || instruction.mnemonic != request.mnemonic ||
        instruction.operand_count_visible != request.operand_count)
        return false;
    if ((request.prefixes & ~instruction.attributes) != 0) return false;
    const unsigned operand_bits = 4U << request.operand_size_hint;
    if (request.operand_size_hint != ZYDIS_OPERAND_SIZE_HINT_NONE &&
        instruction.operand_width != operand_bits)
        return false;
    unsigned address_bits = mode_bits(request.machine_mode);
    if (request.address_size_hint != ZYDIS_ADDRESS_SIZE_HINT_NONE) {
        address_bits = 8U << request.address_size_hint;
        if (instruction.address_width != address_bits) return false;
    }
    for (u8 i = 0; i < request.operand_count; ++i) {
        if (!same_operand(request.operands[i], operands[i], instruction.address_width, address_bits,
                          immediate_bits))
            return false;
    }
    return true;
}

}  // namespace vtlsim::sim::assembly
