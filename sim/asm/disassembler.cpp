#include "sim/asm/disassembler.hpp"

#include <array>
#include <string_view>
#include <utility>

#include <Zydis/Zydis.h>

namespace vtlsim::sim {
namespace {

struct DecoderMode {
    ZydisMachineMode machine;
    ZydisStackWidth stack;
};
constexpr std::array<DecoderMode, 3> kModes{{
    // indexed by AsmMode
    {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
    {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
    {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
}};

bool set_style(ZydisFormatter& formatter) {
    constexpr std::array<std::pair<ZydisFormatterProperty, ZyanUPointer>, 7> kStyle{{
        {ZYDIS_FORMATTER_PROP_FORCE_SIZE, ZYAN_TRUE},
        {ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE},
        {ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED},
        {ZYDIS_FORMATTER_PROP_ADDR_PADDING_RELATIVE, ZYDIS_PADDING_DISABLED},
        {ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_PADDING_DISABLED},
        {ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED},
        {ZYDIS_FORMATTER_PROP_IMM_SIGNEDNESS, ZYDIS_SIGNEDNESS_UNSIGNED},
    }};
    if (!ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL))) return false;
    for (const auto& [property, value] : kStyle)
        if (!ZYAN_SUCCESS(ZydisFormatterSetProperty(&formatter, property, value))) return false;
    return true;
}

// `fs lodsb`, `a32 rep movsb`: string instructions have no visible memory operand, so Zydis prints
// neither their segment nor their address size.
std::string hidden_prefixes(const ZydisDecodedInstruction& instruction,
                            const ZydisDecodedOperand* operands, unsigned mode_bits) {
    bool hidden_memory = false;
    for (u8 i = instruction.operand_count_visible; i < instruction.operand_count; ++i)
        hidden_memory = hidden_memory || (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                                          operands[i].mem.base != ZYDIS_REGISTER_RSP &&
                                          operands[i].mem.base != ZYDIS_REGISTER_ESP &&
                                          operands[i].mem.base != ZYDIS_REGISTER_SP);
    if (!hidden_memory) return {};
    std::string text;
    constexpr std::array<std::pair<u64, std::string_view>, 6> kSegments{{
        {ZYDIS_ATTRIB_HAS_SEGMENT_CS, "cs "},
        {ZYDIS_ATTRIB_HAS_SEGMENT_SS, "ss "},
        {ZYDIS_ATTRIB_HAS_SEGMENT_DS, "ds "},
        {ZYDIS_ATTRIB_HAS_SEGMENT_ES, "es "},
        {ZYDIS_ATTRIB_HAS_SEGMENT_FS, "fs "},
        {ZYDIS_ATTRIB_HAS_SEGMENT_GS, "gs "},
    }};
    for (const auto& [attribute, name] : kSegments)
        if ((instruction.attributes & attribute) != 0) text += name;
    if (instruction.address_width != mode_bits)
        text += "a" + std::to_string(instruction.address_width) + " ";
    return text;
}

}  // namespace

std::string disassemble(std::span<const u8> code, u64 rip, AsmMode mode) {
    constexpr const char* kBad = "(bad)";
    const DecoderMode& decoder_mode = kModes[static_cast<std::size_t>(mode)];
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    std::array<char, 256> text{};
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, decoder_mode.machine, decoder_mode.stack)) ||
        !set_style(formatter) ||
        !ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder, code.data(), code.size(), &instruction, operands)) ||
        !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &instruction, operands,
                                                      instruction.operand_count_visible,
                                                      text.data(), text.size(), rip, nullptr)))
        return kBad;
    return hidden_prefixes(instruction, operands, 16U << static_cast<unsigned>(mode)) + text.data();
}

std::size_t instruction_length(std::span<const u8> code, AsmMode mode) {
    const DecoderMode& decoder_mode = kModes[static_cast<std::size_t>(mode)];
    ZydisDecoder decoder;
    ZydisDecodedInstruction instruction;
    const bool good =
        ZYAN_SUCCESS(ZydisDecoderInit(&decoder, decoder_mode.machine, decoder_mode.stack)) &&
        ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, nullptr, code.data(), code.size(),
                                                   &instruction));
    return good ? instruction.length : 0;
}

}  // namespace vtlsim::sim
