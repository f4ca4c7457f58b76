#include "runner/conform/forms.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include "runner/conform/undefined.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::runner::conform {
namespace {

// Why an instruction is not run, or empty. The reasons are those of user mode, of one instruction
// at a time, and of what two processors need not agree on.
std::string_view reason_to_leave_out(const sim::Decoded& d) {
    switch (d.insn.meta.category) {
        case ZYDIS_CATEGORY_COND_BR:
        case ZYDIS_CATEGORY_UNCOND_BR:
        case ZYDIS_CATEGORY_CALL:
        case ZYDIS_CATEGORY_RET:
        case ZYDIS_CATEGORY_INTERRUPT:
        case ZYDIS_CATEGORY_SYSCALL:
        case ZYDIS_CATEGORY_SYSRET:
            return "control transfer";
        case ZYDIS_CATEGORY_IO:
        case ZYDIS_CATEGORY_IOSTRINGOP:
            return "port access";
        case ZYDIS_CATEGORY_SYSTEM:
        case ZYDIS_CATEGORY_VTX:
        case ZYDIS_CATEGORY_SEGOP:
        case ZYDIS_CATEGORY_RDWRFSGS:
        case ZYDIS_CATEGORY_SMAP:
            return "system instruction";
        case ZYDIS_CATEGORY_XSAVE:
        case ZYDIS_CATEGORY_XSAVEOPT:
            return "state whose layout differs between processors";
        case ZYDIS_CATEGORY_RDRAND:
        case ZYDIS_CATEGORY_RDSEED:
            return "random results";
        default:
            break;
    }
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_CPUID:
        case ZYDIS_MNEMONIC_RDTSC:
        case ZYDIS_MNEMONIC_RDTSCP:
        case ZYDIS_MNEMONIC_XGETBV:
            return "results differ between processors";
        case ZYDIS_MNEMONIC_FXSAVE:
        case ZYDIS_MNEMONIC_FXSAVE64:
        case ZYDIS_MNEMONIC_FXRSTOR:
        case ZYDIS_MNEMONIC_FXRSTOR64:
            return "state whose layout differs between processors";
        case ZYDIS_MNEMONIC_STI:
        case ZYDIS_MNEMONIC_CLI:
        case ZYDIS_MNEMONIC_HLT:
        case ZYDIS_MNEMONIC_INVD:
        case ZYDIS_MNEMONIC_WBINVD:
        case ZYDIS_MNEMONIC_IRET:
        case ZYDIS_MNEMONIC_IRETD:
        case ZYDIS_MNEMONIC_IRETQ:
            return "system instruction";
        default:
            break;
    }
    for (unsigned i = 0; i < d.insn.operand_count; ++i) {
        if (!d.is_reg(i)) continue;
        switch (ZydisRegisterGetClass(d[i].reg.value)) {
            case ZYDIS_REGCLASS_CONTROL:
            case ZYDIS_REGCLASS_DEBUG:
                return "system instruction";
            case ZYDIS_REGCLASS_SEGMENT:
                if ((d[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
                    return "segment load (its other forms are run)";
                }
                break;
            default:
                break;
        }
    }
    if (d.insn.mnemonic == ZYDIS_MNEMONIC_NOP && d.insn.opcode == 0x0D && d.is_reg(0)) {
        return "0F 0D with a register is a NOP or undefined (its other forms are run)";
    }
    return vendor_specific(d.insn.mnemonic);
}

class Enumerator {
  public:
    explicit Enumerator(const std::vector<ZydisMnemonic>& only) : only_(only) {}

    void legacy() {
        const std::vector<std::vector<u8>> maps{{}, {0x0F}, {0x0F, 0x38}, {0x0F, 0x3A}};
        for (const u8 prefix : std::array<u8, 4>{0, 0x66, 0xF3, 0xF2}) {
            for (const bool rex_w : {false, true}) {
                for (const auto& map : maps) {
                    Form form;
                    form.rex_w = rex_w;
                    if (prefix != 0) form.head.push_back(prefix);
                    form.prefixes = static_cast<u8>(form.head.size());
                    if (rex_w) form.head.push_back(0x48);
                    for (const u8 byte : map) form.head.push_back(byte);
                    form.opcode_bytes = static_cast<u8>(map.size() + 1);
                    for (unsigned opcode = 0; opcode < 256; ++opcode) {
                        if (map.empty() && is_prefix(opcode)) continue;
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
    Forms result() && { return std::move(out_); }

  private:
    static bool is_prefix(unsigned opcode) {
        return (opcode & 0xF0) == 0x40 || opcode == 0x0F || opcode == 0x26 || opcode == 0x2E ||
               opcode == 0x36 || opcode == 0x3E || (opcode >= 0x62 && opcode <= 0x67) ||
               opcode == 0xC4 || opcode == 0xC5 || opcode == 0xF0 || opcode == 0xF2 ||
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
        return decode(bytes.data(), bytes.size(), d);
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
        const std::string_view reason = reason_to_leave_out(d);
        if (!reason.empty()) {
            out_.left_out.emplace(ZydisMnemonicGetString(form.mnemonic), reason);
            return;
        }
        const auto key = std::tuple(form.head, form.has_modrm ? form.modrm : 0, form.has_modrm);
        if (seen_.insert(key).second) out_.run.push_back(form);
    }

    const std::vector<ZydisMnemonic>& only_;
    Forms out_;
    std::set<std::tuple<Head, int, bool>> seen_;
};

}  // namespace

bool decode(const u8* bytes, std::size_t size, sim::Decoded& out) {
    static const ZydisDecoder decoder = [] {
        ZydisDecoder d;
        ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
        ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
        return d;
    }();
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, size, &out.insn, out.operands))) {
        return false;
    }
    out.mend_base();
    return true;
}

Forms enumerate_forms(const std::vector<ZydisMnemonic>& only) {
    Enumerator enumerator(only);
    enumerator.legacy();
    enumerator.vex();
    return std::move(enumerator).result();
}

}  // namespace vtlsim::runner::conform
