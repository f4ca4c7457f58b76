// LOCK is #UD but for a read-modify-write instruction of the manual's list with a memory
// destination (SDM 2A LOCK): every row of the instruction table, with registers and with memory.
#include <map>
#include <set>

#include "sim/insn/rows.hpp"
#include "tests/catch.hpp"
#include "tests/sim/modes_rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

const std::set<ZydisMnemonic> kLockable{
    ZYDIS_MNEMONIC_ADC,     ZYDIS_MNEMONIC_ADD,       ZYDIS_MNEMONIC_AND,
    ZYDIS_MNEMONIC_BTC,     ZYDIS_MNEMONIC_BTR,       ZYDIS_MNEMONIC_BTS,
    ZYDIS_MNEMONIC_CMPXCHG, ZYDIS_MNEMONIC_CMPXCHG8B, ZYDIS_MNEMONIC_CMPXCHG16B,
    ZYDIS_MNEMONIC_DEC,     ZYDIS_MNEMONIC_INC,       ZYDIS_MNEMONIC_NEG,
    ZYDIS_MNEMONIC_NOT,     ZYDIS_MNEMONIC_OR,        ZYDIS_MNEMONIC_SBB,
    ZYDIS_MNEMONIC_SUB,     ZYDIS_MNEMONIC_XADD,      ZYDIS_MNEMONIC_XCHG,
    ZYDIS_MNEMONIC_XOR};

struct Encoding {
    std::vector<u8> bytes;
    bool lockable = false;
};

// For each row an encoding with and one without a memory destination, as far as there are any.
std::map<std::pair<ZydisMnemonic, bool>, Encoding> encodings(ZydisMachineMode mode,
                                                             ZydisStackWidth stack) {
    std::set<ZydisMnemonic> rows;
    for (const InsnRow& row : all_rows()) rows.insert(row.mnemonic);
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, mode, stack);
    std::map<std::pair<ZydisMnemonic, bool>, Encoding> out;
    const std::vector<std::vector<u8>> maps{{}, {0x0F}, {0x0F, 0x38}, {0x0F, 0x3A}};
    for (const u8 prefix : std::array<u8, 4>{0, 0x66, 0xF3, 0xF2}) {
        for (const bool wide : {false, true}) {
            if (wide && mode != ZYDIS_MACHINE_MODE_LONG_64) continue;
            for (const std::vector<u8>& map : maps) {
                for (unsigned i = 0; i < 256 * 256; ++i) {
                    if ((i & 0xFF) == 0x40) i += 0x80;  // ModRM.mod 1 and 2 are as 0
                    std::vector<u8> bytes;
                    if (prefix != 0) bytes.push_back(prefix);
                    if (wide) bytes.push_back(0x48);
                    bytes.insert(bytes.end(), map.begin(), map.end());
                    bytes.push_back(static_cast<u8>(i >> 8));
                    bytes.push_back(static_cast<u8>(i));
                    bytes.resize(14);
                    ZydisDecodedInstruction insn;
                    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
                    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(),
                                                             &insn, operands)) ||
                        rows.count(insn.mnemonic) == 0) {
                        continue;
                    }
                    const bool memory =
                        insn.operand_count_visible != 0 &&
                        operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                        (operands[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
                    bytes.insert(bytes.begin(), 0xF0);
                    out.try_emplace({insn.mnemonic, memory},
                                    Encoding{bytes, memory && kLockable.count(insn.mnemonic) != 0});
                }
            }
        }
    }
    return out;
}

template <class AnyRig>
void check_all(ZydisMachineMode mode, ZydisStackWidth stack) {
    std::set<ZydisMnemonic> locked;
    std::size_t undefined = 0;
    for (const auto& [key, encoding] : encodings(mode, stack)) {
        AnyRig rig;
        for (std::size_t i = 0; i < 8; ++i) rig.set(gpr(i), 0x8000);
        rig.bytes(Rig::kCode, encoding.bytes);
        const Outcome outcome = rig.run();
        const auto* fault = std::get_if<Fault>(&outcome);
        const bool ud = fault != nullptr && fault->vector == Vector::ud;
        INFO(ZydisMnemonicGetString(key.first) << (key.second ? " memory" : " register"));
        CHECK(ud == !encoding.lockable);
        undefined += ud;
        if (encoding.lockable && !ud) locked.insert(key.first);
    }
    CHECK(undefined > 500);
    CHECK(locked.size() == kLockable.size() - (mode == ZYDIS_MACHINE_MODE_LONG_64 ? 0 : 1));
}

}  // namespace

TEST_CASE("LOCK: undefined for every row but those of the manual's list, 64-bit code", "[sim]") {
    check_all<Rig>(ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

TEST_CASE("LOCK: undefined for every row but those of the manual's list, 32-bit code", "[modes]") {
    check_all<ModeRig>(ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
}
