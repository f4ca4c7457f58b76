// The encodings that conformance testing goes through, found by decoding every opcode.
#pragma once

#include <array>
#include <compare>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runner/conform/case.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::runner::conform {

// Up to eight bytes.
struct Head {
    std::array<u8, 8> bytes{};
    u8 count = 0;

    void push_back(u8 byte) { bytes[count++] = byte; }
    const u8* begin() const { return bytes.data(); }
    const u8* end() const { return bytes.data() + count; }
    std::size_t size() const { return count; }
    u8 operator[](std::size_t i) const { return bytes[i]; }
    u8 back() const { return bytes[count - 1u]; }
    friend auto operator<=>(const Head&, const Head&) = default;
};

// One row of an opcode map in one mode with one kind of ModRM.rm. The case's generator chooses the
// rest.
struct Form {
    Mode mode = Mode::long64;
    ZydisMnemonic mnemonic = ZYDIS_MNEMONIC_INVALID;
    Head head;        // prefixes, REX or VEX as in the sample, opcode
    u8 prefixes = 0;  // how many bytes of head are 66, F2, F3
    bool rex_w = false;
    bool vex = false;
    u8 opcode_bytes = 1;  // of head, at its end: 0F, 0F 38, ... and the opcode
    bool has_modrm = false;
    bool memory = false;     // ModRM.mod is not 3
    bool fixed_reg = false;  // ModRM.reg selects the instruction, as `modrm` has it
    bool fixed_rm = false;
    u8 modrm = 0;
};

struct Forms {
    std::vector<Form> run;
    // Mnemonics of which forms are not run, by the reason.
    std::map<std::string, std::set<std::string>> left_out;
};

// Forms of all rows, in the order of the opcode maps; of `only` if that is not empty.
Forms enumerate_forms(const std::vector<ZydisMnemonic>& only, bool with_compat32);

// As the simulator decodes.
ZyanStatus decode(Mode mode, std::span<const u8> bytes, sim::Decoded& out);

// A branch, call or return, or an interrupt that is an instruction.
bool is_transfer(const sim::Decoded& d);

}  // namespace vtlsim::runner::conform
