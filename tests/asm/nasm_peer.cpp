#include "tests/asm/nasm_peer.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <unistd.h>

#include "tests/catch.hpp"

namespace vtlsim::sim {
namespace {

namespace fs = std::filesystem;

class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string pattern = (fs::temp_directory_path() / "vtlsim-nasm-XXXXXX").string();
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

u64 low_bits(u64 value, unsigned bits) {
    return bits >= 64 ? value : value & ((u64{1} << bits) - 1);
}

std::string meaning_of_operand(const Instruction& decoded, const ZydisDecodedOperand& operand,
                               const std::function<std::string(u64)>& place) {
    const unsigned immediate_bits =
        std::max<unsigned>(decoded.operands[0].size, decoded.instruction.operand_width);
    std::ostringstream text;
    text << std::hex;
    switch (operand.type) {
        case ZYDIS_OPERAND_TYPE_REGISTER:
            text << ZydisRegisterGetString(operand.reg.value);
            break;
        case ZYDIS_OPERAND_TYPE_POINTER:
            text << operand.ptr.segment << ":" << operand.ptr.offset;
            break;
        case ZYDIS_OPERAND_TYPE_IMMEDIATE:
            if (operand.imm.is_relative) {
                u64 target = 0;
                REQUIRE(ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&decoded.instruction, &operand,
                                                              decoded.address, &target)));
                text << place(target);
            } else {
                text << low_bits(operand.imm.value.u, immediate_bits);
            }
            break;
        default: {
            const auto& mem = operand.mem;
            text << operand.size << " " << ZydisRegisterGetString(mem.segment) << ":";
            if (mem.base == ZYDIS_REGISTER_RIP) {
                text << place(decoded.address + decoded.instruction.length +
                              static_cast<u64>(mem.disp.value));
                break;
            }
            text << ZydisRegisterGetString(mem.base) << "+" << ZydisRegisterGetString(mem.index);
            if (mem.index != ZYDIS_REGISTER_NONE) text << "*" << std::max<u32>(mem.scale, 1);
            text << "+"
                 << low_bits(static_cast<u64>(mem.disp.value), decoded.instruction.address_width);
        }
    }
    return text.str();
}

}  // namespace

bool have_nasm() { return std::system("nasm -v >/dev/null 2>&1") == 0; }

NasmResult run_nasm(const std::string& text) {
    const TemporaryFolder folder;
    const fs::path& dir = folder.path();
    std::ofstream(dir / "in.asm") << text;
    // nasm takes a word that it does not know for a label.
    const std::string command = "cd '" + dir.string() +
                                "' && nasm -w-all -w+label-orphan -w+error=label-orphan -f bin "
                                "-o out in.asm 2>err";
    const bool good = std::system(command.c_str()) == 0;
    NasmResult result;
    std::ifstream errors(dir / "err");
    for (std::string line; std::getline(errors, line);) {  // in.asm:LINE: error: TEXT
        const auto number = line.find(':');
        const auto message = line.find(": ", number);
        INFO("nasm: " << line);
        REQUIRE(message != std::string::npos);
        result.errors[static_cast<unsigned>(std::stoul(line.substr(number + 1)))] =
            line.substr(message + 2);
    }
    REQUIRE(good == result.errors.empty());
    if (good) {
        std::ifstream out(dir / "out", std::ios::binary);
        result.bytes.assign(std::istreambuf_iterator<char>(out), {});
    }
    return result;
}

std::optional<Instruction> decode(std::span<const u8> bytes, AsmMode mode, u64 address) {
    constexpr ZydisMachineMode kModes[] = {
        ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64};
    constexpr ZydisStackWidth kStacks[] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32,
                                           ZYDIS_STACK_WIDTH_64};
    const auto m = static_cast<std::size_t>(mode);
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, kModes[m], kStacks[m]);
    Instruction decoded{};
    decoded.address = address;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(),
                                             &decoded.instruction, decoded.operands)))
        return std::nullopt;
    decoded.bytes = bytes.first(decoded.instruction.length);
    return decoded;
}

std::string meaning(const Instruction& decoded, const std::function<std::string(u64)>& place) {
    constexpr u64 kPrefixes = ZYDIS_ENCODABLE_PREFIXES & ~u64{ZYDIS_ATTRIB_HAS_BND};
    const ZydisDecodedInstruction& instruction = decoded.instruction;
    std::vector<std::string> operands;
    for (u8 i = 0; i < instruction.operand_count_visible; ++i)
        operands.push_back(meaning_of_operand(decoded, decoded.operands[i], place));
    // xchg is symmetric, and the register operand of a long nop means nothing.
    if (instruction.mnemonic == ZYDIS_MNEMONIC_XCHG && operands[0] > operands[1])
        std::swap(operands[0], operands[1]);
    if (instruction.mnemonic == ZYDIS_MNEMONIC_NOP && operands.size() == 2) operands.pop_back();
    std::ostringstream text;
    text << ZydisMnemonicGetString(instruction.mnemonic) << " " << std::hex
         << (instruction.attributes & kPrefixes);
    for (const std::string& operand : operands) text << ", " << operand;
    // Hidden operands show the operand and address size of stosd, iretq and the like.
    for (u8 i = instruction.operand_count_visible; i < instruction.operand_count; ++i) {
        const ZydisDecodedOperand& operand = decoded.operands[i];
        if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && operand.reg.value != ZYDIS_REGISTER_RIP)
            text << " " << ZydisRegisterGetString(operand.reg.value);
        if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY)
            text << " [" << ZydisRegisterGetString(operand.mem.base) << "]" << operand.size;
    }
    return text.str();
}

}  // namespace vtlsim::sim
