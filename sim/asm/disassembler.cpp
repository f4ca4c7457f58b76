#include "sim/asm/disassembler.hpp"

#include <array>
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
        {ZYDIS_FORMATTER_PROP_IMM_SIGNEDNESS, ZYDIS_SIGNEDNESS_AUTO},
    }};
    if (!ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL))) return false;
    for (const auto& [property, value] : kStyle)
        if (!ZYAN_SUCCESS(ZydisFormatterSetProperty(&formatter, property, value))) return false;
    return true;
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
    return text.data();
}

}  // namespace vtlsim::sim
