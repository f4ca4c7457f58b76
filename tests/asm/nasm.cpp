// The same text assembled by us and by nasm must mean the same instructions. Encodings may have
// different lengths, so both outputs are decoded and compared instruction by instruction, and
// addresses in the code are compared as the number of the instruction they point at.
// Run: build/<preset>/vtlsim_tests "[asm][nasm]"
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <Zydis/Zydis.h>

#include "sim/asm/assembler.hpp"
#include "tests/asm/nasm_corpus.hpp"
#include "tests/catch.hpp"

namespace vtlsim::sim {
namespace {

namespace fs = std::filesystem;

// Every line `pattern` stands for.
void expand(std::string_view pattern, std::vector<std::string>& lines) {
    const auto open = pattern.find('{');
    if (open == std::string_view::npos) {
        lines.emplace_back(pattern);
        return;
    }
    const auto close = pattern.find('}', open);
    REQUIRE(close != std::string_view::npos);
    std::string_view choices = pattern.substr(open + 1, close - open - 1);
    for (;;) {
        const auto bar = choices.find('|');
        std::string line(pattern.substr(0, open));
        line += choices.substr(0, bar);
        line += pattern.substr(close + 1);
        expand(line, lines);
        if (bar == std::string_view::npos) return;
        choices.remove_prefix(bar + 1);
    }
}

std::vector<std::string> expand_all(std::string_view corpus) {
    std::vector<std::string> lines;
    std::istringstream stream{std::string(corpus)};
    for (std::string line; std::getline(stream, line);)
        if (!line.empty()) expand(line, lines);
    return lines;
}

std::vector<std::string> with_memory(const std::vector<std::string>& lines,
                                     const std::vector<std::string>& addresses) {
    std::vector<std::string> result;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        std::string line = lines[i];
        const auto at = line.find('M');
        if (at != std::string::npos) line.replace(at, 1, addresses[i % addresses.size()]);
        result.push_back(line);
    }
    return result;
}

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

std::vector<u8> run_nasm(const std::string& text) {
    const TemporaryFolder folder;
    const fs::path& dir = folder.path();
    std::ofstream(dir / "in.asm") << text;
    const std::string command =
        "cd '" + dir.string() + "' && nasm -w-all -f bin -o out in.asm 2>err";
    const int status = std::system(command.c_str());
    std::ifstream errors(dir / "err");
    INFO("nasm: " << std::string(std::istreambuf_iterator<char>(errors), {}));
    REQUIRE(status == 0);
    std::ifstream out(dir / "out", std::ios::binary);
    return {std::istreambuf_iterator<char>(out), {}};
}

struct Decoded {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    u64 address;
    std::span<const u8> bytes;
};

struct Stream {
    std::vector<Decoded> list;
    std::map<u64, std::size_t> index;  // by address
    u64 end = 0;
};

Stream decode_all(const std::vector<u8>& bytes, AsmMode mode) {
    constexpr ZydisMachineMode kModes[] = {
        ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64};
    constexpr ZydisStackWidth kStacks[] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32,
                                           ZYDIS_STACK_WIDTH_64};
    const auto m = static_cast<std::size_t>(mode);
    ZydisDecoder decoder;
    REQUIRE(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, kModes[m], kStacks[m])));
    Stream stream;
    for (std::size_t at = 0; at < bytes.size();) {
        Decoded decoded{};
        decoded.address = at;
        REQUIRE(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.data() + at, bytes.size() - at,
                                                    &decoded.instruction, decoded.operands)));
        decoded.bytes = std::span(bytes).subspan(at, decoded.instruction.length);
        stream.index[at] = stream.list.size();
        stream.list.push_back(decoded);
        at += decoded.instruction.length;
    }
    stream.end = bytes.size();
    stream.index[stream.end] = stream.list.size();
    return stream;
}

// An address of the code as text that does not depend on the lengths of instructions.
std::string place(const Stream& stream, u64 address) {
    if (address > stream.end) return "end+" + std::to_string(address - stream.end);
    const auto found = stream.index.find(address);
    return found == stream.index.end() ? "inside" : "#" + std::to_string(found->second);
}

u64 low_bits(u64 value, unsigned bits) {
    return bits >= 64 ? value : value & ((u64{1} << bits) - 1);
}

std::string meaning_of_operand(const Stream& stream, const Decoded& decoded,
                               const ZydisDecodedOperand& operand) {
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
                text << place(stream, target);
            } else {
                text << low_bits(operand.imm.value.u, immediate_bits);
            }
            break;
        default: {
            const auto& mem = operand.mem;
            text << operand.size << " " << ZydisRegisterGetString(mem.segment) << ":";
            if (mem.base == ZYDIS_REGISTER_RIP) {
                text << place(stream, decoded.address + decoded.instruction.length +
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

// One instruction as text that is equal for both assemblers exactly when they mean the same.
std::string meaning(const Stream& stream, const Decoded& decoded) {
    constexpr u64 kPrefixes = ZYDIS_ENCODABLE_PREFIXES & ~u64{ZYDIS_ATTRIB_HAS_BND};
    const ZydisDecodedInstruction& instruction = decoded.instruction;
    std::vector<std::string> operands;
    for (u8 i = 0; i < instruction.operand_count_visible; ++i)
        operands.push_back(meaning_of_operand(stream, decoded, decoded.operands[i]));
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

std::string hex_bytes(std::span<const u8> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const u8 byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

void compare_with_nasm(AsmMode mode, const std::vector<std::string>& lines) {
    constexpr std::string_view kBits[] = {"bits 16\n", "bits 32\n", "bits 64\n"};
    std::string text(kBits[static_cast<std::size_t>(mode)]);
    text += "default rel\nstart:\n";
    for (const std::string& line : lines) text += line + "\n";
    text += "finish:\n";

    const AsmResult ours = assemble(text, {});
    for (const AsmError& error : ours.errors) {
        UNSCOPED_INFO("line " << error.line << " '" << (error.line < 4 ? "" : lines[error.line - 4])
                              << "': " << error.message);
    }
    REQUIRE(ours.ok());
    const std::vector<u8> nasm_bytes = run_nasm(text);
    const Stream a = decode_all(ours.bytes, mode);
    const Stream b = decode_all(nasm_bytes, mode);
    REQUIRE(a.list.size() == ours.lines.size());
    for (std::size_t i = 0; i < std::min(a.list.size(), b.list.size()); ++i) {
        INFO("line '" << lines[ours.lines[i].line - 4] << "', ours " << hex_bytes(a.list[i].bytes)
                      << ", nasm " << hex_bytes(b.list[i].bytes));
        CHECK(meaning(a, a.list[i]) == meaning(b, b.list[i]));
    }
    CHECK(a.list.size() == b.list.size());
}

bool have_nasm() { return std::system("nasm -v >/dev/null 2>&1") == 0; }

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

}  // namespace

TEST_CASE("16-bit code means what nasm makes of it", "[asm][nasm]") {
    if (!have_nasm()) VTLSIM_SKIP("nasm is not installed");
    const std::vector<std::string> addresses = {"[bx]",       "[bp+si+4]", "[di-0x1234]",
                                                "[es:bx+di]", "[0x1234]",  "[fs:eax+ecx*4]",
                                                "[esp+0x10]", "[cs:bp]"};
    const auto memory = with_memory(expand_all(kCorpusMemory), addresses);
    compare_with_nasm(AsmMode::bits16, expand_all(kCorpusAll));
    compare_with_nasm(AsmMode::bits16, memory + expand_all(kCorpus16));
}

TEST_CASE("32-bit code means what nasm makes of it", "[asm][nasm]") {
    if (!have_nasm()) VTLSIM_SKIP("nasm is not installed");
    const std::vector<std::string> addresses = {"[ebx]",    "[ebp-4]",      "[esp+ecx*2+0x1234]",
                                                "[fs:eax]", "[0xfee00000]", "[esi*8-1]",
                                                "[bx+si]"};
    const auto memory = with_memory(expand_all(kCorpusMemory), addresses);
    compare_with_nasm(AsmMode::bits32, expand_all(kCorpusAll));
    compare_with_nasm(AsmMode::bits32, memory + expand_all(kCorpus32));
}

TEST_CASE("64-bit code means what nasm makes of it", "[asm][nasm]") {
    if (!have_nasm()) VTLSIM_SKIP("nasm is not installed");
    const std::vector<std::string> addresses = {"[rbx]",      "[rbp-4]",      "[rsp+rcx*2+0x1234]",
                                                "[gs:rax]",   "[abs 0x1234]", "[r12*8-1]",
                                                "[finish+4]", "[r13+r9]",     "[fs:0x28]"};
    std::vector<std::string> memory;
    // Not in 64-bit mode: les and lds, a 16-bit near jump.
    for (const std::string& line : with_memory(expand_all(kCorpusMemory), addresses)) {
        const std::string word = line.substr(0, line.find(' '));
        const bool word_jump =
            (word == "jmp" || word == "call") && line.find(" word ") != std::string::npos;
        if (word != "les" && word != "lds" && !word_jump) memory.push_back(line);
    }
    compare_with_nasm(AsmMode::bits64, expand_all(kCorpusAll));
    compare_with_nasm(AsmMode::bits64, memory + expand_all(kCorpus64));
}

}  // namespace vtlsim::sim
