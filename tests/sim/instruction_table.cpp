// The instruction table against the decoder: which encodings lead to which row, and which mnemonics
// have none.
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

#include "sim/insn/rows.hpp"
#include "tests/catch.hpp"
#include "tests/sim/not_modelled.hpp"

namespace vtlsim::tests {

const std::vector<Gap>& not_modelled() {
    static const std::vector<Gap> gaps = [] {
        std::vector<Gap> out;
        std::ifstream file(VTLSIM_SOURCE_DIR "/sim/insn/not_modelled.txt");
        for (std::string line; std::getline(file, line);) {
            if (line.empty() || line.front() == '#') continue;
            const std::size_t bar = line.find(" | ");
            if (line.front() != ' ' && bar != std::string::npos) {
                out.push_back({line.substr(0, bar), line.substr(bar + 3), {}});
                continue;
            }
            if (line.front() != ' ' || out.empty()) throw std::runtime_error("line: " + line);
            std::istringstream words(line);
            for (std::string word; words >> word;) out.back().mnemonics.push_back(word);
        }
        return out;
    }();
    return gaps;
}

namespace {

using namespace vtlsim::sim;

struct MachineKind {
    ZydisMachineMode mode;
    ZydisStackWidth stack;
};
constexpr MachineKind kKinds[] = {
    {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
    {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
    {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
};

// The opcode maps that the executor knows, as the bytes before the opcode: with every mandatory
// prefix, REX.W and VEX.W.
std::vector<std::vector<u8>> maps(const MachineKind& kind) {
    std::vector<std::vector<u8>> out;
    for (const u8 prefix : std::array<u8, 4>{0, 0x66, 0xF3, 0xF2}) {
        for (const bool wide : {false, true}) {
            if (wide && kind.mode != ZYDIS_MACHINE_MODE_LONG_64) continue;
            std::vector<u8> head;
            if (prefix != 0) head.push_back(prefix);
            if (wide) head.push_back(0x48);
            out.push_back(head);
            head.push_back(0x0F);
            out.push_back(head);
            for (const u8 map : std::array<u8, 2>{0x38, 0x3A}) {
                head.push_back(map);
                out.push_back(head);
                head.pop_back();
            }
        }
    }
    for (unsigned map = 1; map <= 3; ++map) {
        for (unsigned w_and_pp = 0; w_and_pp < 8; ++w_and_pp) {
            const unsigned last = 0x78 | (w_and_pp & 3) | (w_and_pp & 4) << 5;
            out.push_back({0xC4, static_cast<u8>(0xE0 | map), static_cast<u8>(last)});
        }
    }
    return out;
}

}  // namespace

TEST_CASE("instruction table: no encoding has two rows, every row has an encoding", "[table]") {
    std::map<ZydisMnemonic, unsigned> rows;  // how many claim it
    for (const InsnRow& row : all_rows()) ++rows[row.mnemonic];
    std::map<ZydisMnemonic, u64> encodings;
    for (const MachineKind& kind : kKinds) {
        ZydisDecoder decoder;
        ZydisDecoderInit(&decoder, kind.mode, kind.stack);
        for (const std::vector<u8>& head : maps(kind)) {
            for (unsigned i = 0; i < 256 * 256; ++i) {
                if ((i & 0xFF) == 0x40) i += 0x80;  // ModRM.mod 1 and 2 are as 0
                std::array<u8, 15> bytes{};
                std::copy(head.begin(), head.end(), bytes.begin());
                bytes[head.size()] = static_cast<u8>(i >> 8);
                bytes[head.size() + 1] = static_cast<u8>(i);
                ZydisDecodedInstruction insn;
                ZydisDecoderContext context;
                if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, bytes.data(),
                                                                bytes.size(), &insn))) {
                    continue;
                }
                const auto row = rows.find(insn.mnemonic);
                if (row == rows.end()) continue;
                ++encodings[insn.mnemonic];
                if (row->second != 1) {
                    FAIL_CHECK(row->second << " rows for "
                                           << ZydisMnemonicGetString(insn.mnemonic));
                }
            }
        }
    }
    for (const auto& [mnemonic, count] : rows) {
        INFO(ZydisMnemonicGetString(mnemonic));
        CHECK(encodings[mnemonic] > 0);
    }
}

TEST_CASE("instruction table: every mnemonic has a row or a reason to have none", "[table]") {
    std::map<std::string, unsigned> mentions;
    for (const Gap& gap : not_modelled()) {
        INFO(gap.what);
        CHECK_FALSE(gap.reason.empty());
        CHECK_FALSE(gap.mnemonics.empty());
        for (const std::string& name : gap.mnemonics) ++mentions[name];
    }
    for (const InsnRow& row : all_rows()) ++mentions[ZydisMnemonicGetString(row.mnemonic)];
    for (int i = ZYDIS_MNEMONIC_INVALID + 1; i <= ZYDIS_MNEMONIC_MAX_VALUE; ++i) {
        const std::string name = ZydisMnemonicGetString(static_cast<ZydisMnemonic>(i));
        INFO(name << ": has a row, or a line in sim/insn/not_modelled.txt, and not both");
        CHECK(mentions[name] == 1);
        mentions.erase(name);
    }
    for (const auto& [name, count] : mentions) FAIL_CHECK("no decoder knows " << name);
}

}  // namespace vtlsim::tests
