#include "runner/conform/forms.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "runner/conform/host.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::runner::conform {
namespace {

constexpr const char* kNoFar64 = "far pointers with 64-bit offsets, which AMD has not";

// Why an instruction is not run, or empty: what it does is not the processor's alone, or not the
// same on all processors. What is privileged is run, for its fault.
std::string reason_to_leave_out(Mode mode, const sim::Decoded& d) {
    const ZydisDecodedInstruction& insn = d.insn;
    const bool near = insn.meta.branch_type == ZYDIS_BRANCH_TYPE_SHORT ||
                      insn.meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR;
    const bool far = insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    if (mode == Mode::long64 && near && (insn.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0) {
        return "near branches with 66h in 64-bit mode: AMD takes 16 bits, Intel 64";
    }
    switch (insn.meta.category) {
        case ZYDIS_CATEGORY_SYSCALL:
            return "would call the host's kernel";
        case ZYDIS_CATEGORY_XSAVE:
        case ZYDIS_CATEGORY_XSAVEOPT:
            return "the host's kernel has set XCR0 and CR4.OSXSAVE";
        case ZYDIS_CATEGORY_RDRAND:
        case ZYDIS_CATEGORY_RDSEED:
            return "random results";
        case ZYDIS_CATEGORY_VTX:
            return "belongs to the host's hypervisor";
        default:
            break;
    }
    switch (insn.mnemonic) {
        case ZYDIS_MNEMONIC_CPUID:
        case ZYDIS_MNEMONIC_RDTSC:
        case ZYDIS_MNEMONIC_RDTSCP:
        case ZYDIS_MNEMONIC_RDPID:
        case ZYDIS_MNEMONIC_RDPMC:
        case ZYDIS_MNEMONIC_XGETBV:
        case ZYDIS_MNEMONIC_XSETBV:
            return "the answer is the host's: its CPUID, clock or XCR0";
        case ZYDIS_MNEMONIC_VMCALL:
        case ZYDIS_MNEMONIC_VMMCALL:
            return "belongs to the host's hypervisor";
        case ZYDIS_MNEMONIC_INT:
        case ZYDIS_MNEMONIC_SYSCALL:
        case ZYDIS_MNEMONIC_SYSENTER:
            return "would call the host's kernel";
        case ZYDIS_MNEMONIC_SGDT:
        case ZYDIS_MNEMONIC_SIDT:
        case ZYDIS_MNEMONIC_SLDT:
        case ZYDIS_MNEMONIC_STR:
        case ZYDIS_MNEMONIC_SMSW:
            return "the answer is the host kernel's: its tables, or its emulation for UMIP";
        case ZYDIS_MNEMONIC_MONITOR:
        case ZYDIS_MNEMONIC_MWAIT:
        case ZYDIS_MNEMONIC_MONITORX:
        case ZYDIS_MNEMONIC_MWAITX:
            return "the host's MISC_ENABLE or hypervisor decides";
        case ZYDIS_MNEMONIC_INT1:
            return "the host's hypervisor may report it as a fault";
        case ZYDIS_MNEMONIC_LSS:
        case ZYDIS_MNEMONIC_LFS:
        case ZYDIS_MNEMONIC_LGS:
            if (insn.operand_width == 64) return kNoFar64;
            break;
        default:
            break;
    }
    if (far && insn.operand_width == 64 && insn.mnemonic != ZYDIS_MNEMONIC_RET) return kNoFar64;
    if (insn.mnemonic == ZYDIS_MNEMONIC_NOP && insn.opcode == 0x0D && d.is_reg(0)) {
        return "0F 0D with a register: a NOP or undefined";
    }
    const std::string_view missing = missing_extension(d);
    return missing.empty() ? "" : fmt::format("the host lacks {}", missing);
}

class Enumerator {
  public:
    Enumerator(Mode mode, const std::vector<ZydisMnemonic>& only, Forms& out)
        : mode_(mode), only_(only), out_(out) {}

    void legacy() {
        const std::vector<std::vector<u8>> maps{{}, {0x0F}, {0x0F, 0x38}, {0x0F, 0x3A}};
        // 67h makes another instruction of JECXZ only; elsewhere the generator adds it.
        for (const u8 prefix : std::array<u8, 5>{0, 0x66, 0xF3, 0xF2, 0x67}) {
            for (const bool rex_w : {false, true}) {
                if (rex_w && mode_ == Mode::compat32) continue;
                for (const auto& map : maps) {
                    Form form;
                    form.mode = mode_;
                    form.rex_w = rex_w;
                    if (prefix != 0) form.head.push_back(prefix);
                    form.prefixes = static_cast<u8>(form.head.size());
                    if (rex_w) form.head.push_back(0x48);
                    for (const u8 byte : map) form.head.push_back(byte);
                    form.opcode_bytes = static_cast<u8>(map.size() + 1);
                    for (unsigned opcode = 0; opcode < 256; ++opcode) {
                        if (map.empty() && is_prefix(opcode)) continue;
                        if (prefix == 0x67 && (opcode != 0xE3 || !map.empty())) continue;
                        opcodes(form, static_cast<u8>(opcode));
                    }
                }
            }
        }
    }
    void vex() {
        for (u8 map = 1; map <= 3; ++map) {
            for (u8 pp = 0; pp < 4; ++pp) {
                for (const bool w : {false, true}) {
                    Form form;
                    form.mode = mode_;
                    form.vex = true;
                    form.rex_w = w;
                    form.head.push_back(0xC4);
                    form.head.push_back(static_cast<u8>(0xE0 | map));
                    form.head.push_back(static_cast<u8>((w ? 0x80 : 0) | 0x78 | pp));
                    for (unsigned opcode = 0; opcode < 256; ++opcode) {
                        opcodes(form, static_cast<u8>(opcode));
                    }
                }
            }
        }
    }

  private:
    bool is_prefix(unsigned opcode) const {
        const bool rex = (opcode & 0xF0) == 0x40;
        return (mode_ == Mode::long64 && rex) || opcode == 0x0F || opcode == 0x26 ||
               opcode == 0x2E || opcode == 0x36 || opcode == 0x3E ||
               (opcode >= 0x64 && opcode <= 0x67) || opcode == 0xF0 || opcode == 0xF2 ||
               opcode == 0xF3;
    }
    // Opcodes of which ModRM.rm, too, selects the instruction.
    static bool rm_selects(const Form& form) {
        const u8 opcode = form.head.back();
        if (form.opcode_bytes == 1) return opcode >= 0xD8 && opcode <= 0xDF;
        return form.opcode_bytes == 2 && (opcode == 0x01 || opcode == 0xAE);
    }

    void opcodes(Form form, u8 opcode) {
        form.head.push_back(opcode);
        const bool all_rm = rm_selects(form);
        std::array<sim::Decoded, 8> first;
        std::array<bool, 8> good{};
        for (const u8 mod : std::array<u8, 2>{0, 3}) {
            form.memory = mod == 0;
            for (u8 rm = 0; rm < (mod == 3 && all_rm ? 8 : 1); ++rm) {
                bool same = true;  // whatever ModRM.reg is
                for (u8 reg = 0; reg < 8; ++reg) {
                    good[reg] = sample(form, static_cast<u8>(mod << 6 | reg << 3 | rm), first[reg]);
                    same = same && good[reg] == good[0] &&
                           (!good[0] || first[reg].insn.mnemonic == first[0].insn.mnemonic);
                }
                form.fixed_rm = mod == 3 && all_rm;
                form.fixed_reg = !same || form.fixed_rm;
                for (u8 reg = 0; reg < (form.fixed_reg ? 8 : 1); ++reg) {
                    form.modrm = static_cast<u8>(mod << 6 | reg << 3 | rm);
                    if (good[reg]) add(form, first[reg]);
                }
            }
        }
    }
    bool sample(const Form& form, u8 modrm, sim::Decoded& d) {
        std::array<u8, 24> bytes{};
        std::copy(form.head.begin(), form.head.end(), bytes.begin());
        bytes[form.head.size()] = modrm;
        const bool good = ZYAN_SUCCESS(decode(form.mode, bytes, d));
        const bool vex = d.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY;
        // Some opcodes are the first byte of a VEX or EVEX prefix with other operands.
        return good && vex == form.vex;
    }
    void add(Form form, const sim::Decoded& d) {
        if (sim::find_row(d.insn.mnemonic) == nullptr) return;
        if (!only_.empty() &&
            std::find(only_.begin(), only_.end(), d.insn.mnemonic) == only_.end()) {
            return;
        }
        form.mnemonic = d.insn.mnemonic;
        form.has_modrm = (d.insn.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
        if (!form.has_modrm) form.modrm = 0;
        const std::string reason = reason_to_leave_out(mode_, d);
        if (!reason.empty()) {
            out_.left_out[reason].insert(ZydisMnemonicGetString(form.mnemonic));
            return;
        }
        const auto key = std::tuple(form.head, form.has_modrm ? form.modrm : 0, form.has_modrm);
        if (seen_.insert(key).second) out_.run.push_back(form);
    }

    Mode mode_;
    const std::vector<ZydisMnemonic>& only_;
    Forms& out_;
    std::set<std::tuple<Head, int, bool>> seen_;
};

const ZydisDecoder& decoder_of(Mode mode) {
    const auto make = [](ZydisMachineMode machine, ZydisStackWidth width) {
        ZydisDecoder d;
        ZydisDecoderInit(&d, machine, width);
        ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
        ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
        return d;
    };
    static const std::array<ZydisDecoder, 2> decoders{
        make(ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64),
        make(ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32)};
    return decoders[static_cast<std::size_t>(mode)];
}

}  // namespace

ZyanStatus decode(Mode mode, std::span<const u8> bytes, sim::Decoded& out) {
    const ZyanStatus status = ZydisDecoderDecodeFull(&decoder_of(mode), bytes.data(), bytes.size(),
                                                     &out.insn, out.operands);
    if (ZYAN_SUCCESS(status)) out.mend_base();
    return status;
}

bool is_transfer(const sim::Decoded& d) {
    switch (d.insn.meta.category) {
        case ZYDIS_CATEGORY_COND_BR:
        case ZYDIS_CATEGORY_UNCOND_BR:
        case ZYDIS_CATEGORY_CALL:
        case ZYDIS_CATEGORY_RET:
        case ZYDIS_CATEGORY_SYSRET:
            return true;
        case ZYDIS_CATEGORY_INTERRUPT:
            return d.insn.mnemonic != ZYDIS_MNEMONIC_BOUND;
        default:
            return false;
    }
}

Forms enumerate_forms(const std::vector<ZydisMnemonic>& only, bool with_compat32) {
    Forms out;
    for (const Mode mode : {Mode::long64, Mode::compat32}) {
        if (mode == Mode::compat32 && !with_compat32) continue;
        Enumerator enumerator(mode, only, out);
        enumerator.legacy();
        enumerator.vex();
    }
    return out;
}

}  // namespace vtlsim::runner::conform
