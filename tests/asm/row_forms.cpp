#include "tests/asm/row_forms.hpp"

#include <algorithm>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "sim/insn/rows.hpp"
#include "tests/catch.hpp"

namespace vtlsim::sim {
namespace {

using Bytes = std::vector<u8>;

unsigned bits_of(AsmMode mode) { return 16U << static_cast<unsigned>(mode); }

bool has(const Instruction& d, u64 attribute) {
    return (d.instruction.attributes & attribute) != 0;
}

bool stack_memory(const ZydisDecodedOperand& operand) {
    return operand.mem.base == ZYDIS_REGISTER_RSP || operand.mem.base == ZYDIS_REGISTER_ESP ||
           operand.mem.base == ZYDIS_REGISTER_SP;
}

// What makes two encodings the same form: registers that ModRM chooses are of one kind.
std::string form_of(const Instruction& d) {
    const ZydisDecodedInstruction& insn = d.instruction;
    std::ostringstream text;
    text << insn.mnemonic << ' ' << (insn.attributes & ZYDIS_ENCODABLE_PREFIXES) << ' '
         << insn.raw.imm[0].size << ' ' << insn.meta.branch_type;
    for (u8 i = 0; i < insn.operand_count; ++i) {
        const ZydisDecodedOperand& operand = d.operands[i];
        text << '/' << operand.type << ' ' << operand.size;
        if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
            const auto kind = ZydisRegisterGetClass(operand.reg.value);
            const bool chosen = operand.encoding != ZYDIS_OPERAND_ENCODING_NONE &&
                                kind != ZYDIS_REGCLASS_SEGMENT && kind != ZYDIS_REGCLASS_CONTROL &&
                                kind != ZYDIS_REGCLASS_DEBUG;
            text << ' ' << kind << ' ' << (chosen ? 0 : operand.reg.value);
        }
        if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
            text << ' ' << operand.mem.base << ' ' << operand.mem.index << ' '
                 << operand.mem.segment;
        }
    }
    return text.str();
}

std::string name_of(const Instruction& d) {
    const bool far = d.instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    if (far && d.instruction.mnemonic == ZYDIS_MNEMONIC_RET) return "retf";
    const std::string name = ZydisMnemonicGetString(d.instruction.mnemonic);
    // Zydis' names without a width are those of 16 bits, nasm's those of the mode.
    for (const std::string_view word : {"iret", "popa", "popf", "pusha", "pushf"})
        if (name == word) return name + 'w';
    if (name == "feni8087_nop") return "fneni";
    if (name == "fdisi8087_nop") return "fndisi";
    if (name == "fsetpm287_nop") return "fsetpm";
    return name;
}

std::string memory_text(const Instruction& d, const ZydisDecodedOperand& operand, bool with_size) {
    const auto& mem = operand.mem;
    std::string text;
    if (d.instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
        text = operand.size == 32 ? "far word " : operand.size == 48 ? "far dword " : "far qword ";
    } else if (with_size && mem.type == ZYDIS_MEMOP_TYPE_MEM) {
        switch (operand.size) {
            case 8:
                text = "byte ";
                break;
            case 16:
                text = "word ";
                break;
            case 32:
                text = "dword ";
                break;
            case 64:
                text = "qword ";
                break;
            case 80:
                text = "tword ";
                break;
            case 128:
                text = "oword ";
                break;
            default:
                break;
        }
    }
    text += '[';
    constexpr u64 kSegments = ZYDIS_ATTRIB_HAS_SEGMENT;
    if ((d.instruction.attributes & kSegments) != 0)
        text += fmt::format("{}:", ZydisRegisterGetString(mem.segment));
    if (mem.disp.value > 0xFFFFFFFF) text += "qword ";
    std::string sum;
    if (mem.base != ZYDIS_REGISTER_NONE) sum += ZydisRegisterGetString(mem.base);
    if (mem.index != ZYDIS_REGISTER_NONE) {
        sum += fmt::format("{}{}*{}", sum.empty() ? "" : "+", ZydisRegisterGetString(mem.index),
                           std::max<u32>(mem.scale, 1));
    }
    if (sum.empty() || mem.disp.value != 0) {
        sum += fmt::format("{}{:#x}", sum.empty() ? "" : "+", static_cast<u64>(mem.disp.value));
    }
    return text + sum + ']';
}

constexpr std::string_view word_of(unsigned bits) {
    return bits == 16 ? "word " : bits == 32 ? "dword " : "qword ";
}

std::string operand_text(const Instruction& d, const ZydisDecodedOperand& operand, bool with_size) {
    // call word target, push dword 5
    const bool sized =
        with_size && (operand.imm.is_relative || d.instruction.mnemonic == ZYDIS_MNEMONIC_PUSH);
    switch (operand.type) {
        case ZYDIS_OPERAND_TYPE_REGISTER:
            return ZydisRegisterGetString(operand.reg.value);
        case ZYDIS_OPERAND_TYPE_POINTER:
            return fmt::format("{}{:#x}:{:#x}", word_of(d.instruction.operand_width),
                               operand.ptr.segment, operand.ptr.offset);
        case ZYDIS_OPERAND_TYPE_IMMEDIATE:
            return fmt::format(
                "{}{}", sized ? word_of(d.instruction.operand_width) : "",
                operand.imm.is_relative ? "$+0x10" : fmt::format("{:#x}", operand.imm.value.u));
        default:
            return memory_text(d, operand, with_size);
    }
}

// Prefixes that no operand shows.
std::string prefix_text(const Instruction& d) {
    std::string text;
    if (has(d, ZYDIS_ATTRIB_HAS_XACQUIRE)) text += "xacquire ";
    if (has(d, ZYDIS_ATTRIB_HAS_XRELEASE)) text += "xrelease ";
    if (has(d, ZYDIS_ATTRIB_HAS_LOCK)) text += "lock ";
    if (has(d, ZYDIS_ATTRIB_HAS_REP)) text += "rep ";
    if (has(d, ZYDIS_ATTRIB_HAS_REPE)) text += "repe ";
    if (has(d, ZYDIS_ATTRIB_HAS_REPNE)) text += "repne ";
    return text;
}

std::string hidden_segment(const Instruction& d) {
    const ZydisDecodedInstruction& insn = d.instruction;
    if ((insn.attributes & ZYDIS_ATTRIB_HAS_SEGMENT) == 0) return {};
    for (u8 i = 0; i < insn.operand_count_visible; ++i)
        if (d.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) return {};
    for (u8 i = insn.operand_count_visible; i < insn.operand_count; ++i) {
        const ZydisDecodedOperand& operand = d.operands[i];
        const bool overridden = operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
                                !stack_memory(operand) && operand.mem.segment != ZYDIS_REGISTER_ES;
        if (overridden) return fmt::format("{} ", ZydisRegisterGetString(operand.mem.segment));
    }
    return {};
}

// A segment for what has no memory, and hints of branches.
bool has_idle_prefix(const Instruction& d) {
    if (has(d, ZYDIS_ATTRIB_HAS_BRANCH_NOT_TAKEN | ZYDIS_ATTRIB_HAS_BRANCH_TAKEN)) return true;
    if (!has(d, ZYDIS_ATTRIB_HAS_SEGMENT)) return false;
    for (u8 i = 0; i < d.instruction.operand_count; ++i)
        if (d.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY && !stack_memory(d.operands[i]))
            return false;
    return true;
}

std::vector<std::string> spellings(const Instruction& d, AsmMode mode) {
    std::vector<std::string> lines;
    std::vector<std::string> widths = {""};
    if (d.instruction.operand_width != 8)
        widths.push_back(fmt::format("o{} ", d.instruction.operand_width));
    const std::string addresses[] = {"", fmt::format("a{} ", d.instruction.address_width)};
    const bool other_address = d.instruction.address_width != bits_of(mode);
    // A size at a number or a target is for what is not the mode's.
    bool is_data = false;
    for (u8 i = 0; i < d.instruction.operand_count_visible; ++i)
        is_data = is_data || d.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY;
    for (const bool with_size : {is_data, !is_data}) {
        std::string operands;
        for (u8 i = 0; i < d.instruction.operand_count_visible; ++i) {
            operands += i == 0 ? " " : ", ";
            operands += operand_text(d, d.operands[i], with_size);
        }
        for (const std::string& width : widths) {
            for (const std::string& address : addresses) {
                if (!address.empty() && !other_address) continue;
                lines.push_back(prefix_text(d) + hidden_segment(d) + width + address + name_of(d) +
                                operands);
            }
        }
    }
    std::vector<std::string> once;
    for (const std::string& line : lines)
        if (std::find(once.begin(), once.end(), line) == once.end()) once.push_back(line);
    return once;
}

class Finder {
  public:
    explicit Finder(AsmMode mode) : mode_(mode) {}

    std::vector<RowForm> find() {
        std::vector<Bytes> prefixes = {{},           {0x66},       {0xF2},       {0xF3},
                                       {0x67},       {0xF0},       {0x66, 0xF2}, {0x66, 0x67},
                                       {0x66, 0xF3}, {0x66, 0xF0}, {0x64},       {0x2E}};
        if (mode_ == AsmMode::bits64) {
            prefixes.push_back({0x48});
            for (const u8 prefix : Bytes{0x66, 0xF2, 0xF3, 0xF0, 0x67, 0x64})
                prefixes.push_back({prefix, 0x48});
        }
        const std::vector<Bytes> maps = {{}, {0x0F}, {0x0F, 0x38}, {0x0F, 0x3A}};
        for (const Bytes& prefix : prefixes) {
            for (const Bytes& map : maps) {
                Bytes head = prefix;
                head.insert(head.end(), map.begin(), map.end());
                opcodes(head);
            }
        }
        // VEX, for BMI: maps 0F38 and 0F3A, all of pp, W; VVVV names ECX or nothing.
        for (unsigned map = 2; map <= 3; ++map) {
            for (unsigned pp = 0; pp < 4; ++pp) {
                for (const unsigned w_vvvv : {0x70U, 0x78U, 0xF0U, 0xF8U}) {
                    opcodes({0xC4, static_cast<u8>(0xE0 | map), static_cast<u8>(w_vvvv | pp)});
                }
            }
        }
        return std::move(forms_);
    }

  private:
    void opcodes(const Bytes& head) {
        for (unsigned opcode = 0; opcode < 256; ++opcode) {
            Bytes bytes = head;
            bytes.push_back(static_cast<u8>(opcode));
            if (!add(bytes, 0)) continue;
            const bool many = opcode >= 0xD8 && opcode <= 0xDF;
            for (unsigned reg = 0; reg < 8; ++reg) {
                add(bytes, 0x00 | reg << 3 | (mode_ == AsmMode::bits16 ? 7 : 3));  // [bx], [rbx]
                add(bytes, 0x03 | reg << 3);  // [ebx] after 67 in 16-bit code
                for (unsigned rm = 0; rm < 8; ++rm)
                    if (many || opcode <= 1 || rm == 3) add(bytes, 0xC0 | reg << 3 | rm);
            }
        }
    }

    // False: the opcode has no ModRM byte, so another one would be the same.
    bool add(Bytes bytes, unsigned modrm) {
        bytes.push_back(static_cast<u8>(modrm));
        for (const u8 more : Bytes{0x12, 0x34, 0x56, 0x05, 0, 0, 0, 0}) bytes.push_back(more);
        const auto decoded = decode(bytes, mode_, 0);
        if (!decoded) return true;
        const bool has_modrm = has(*decoded, ZYDIS_ATTRIB_HAS_MODRM);
        if (find_row(decoded->instruction.mnemonic) == nullptr) return has_modrm;
        if (has_idle_prefix(*decoded)) return has_modrm;
        if (!seen_.insert(form_of(*decoded)).second) return has_modrm;
        const auto place = [](u64) { return std::string("$+0x10"); };
        forms_.push_back({meaning(*decoded, place), spellings(*decoded, mode_)});
        return has_modrm;
    }

    AsmMode mode_;
    std::set<std::string> seen_;
    std::vector<RowForm> forms_;
};

}  // namespace

std::vector<RowForm> row_forms(AsmMode mode) { return Finder(mode).find(); }

}  // namespace vtlsim::sim
