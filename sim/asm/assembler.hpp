// Assembles Intel-syntax text, as nasm users write it, into bytes.
//
// Used for the code of scenario files and for the kernel text built in to the simulator. The
// accepted language and its differences from nasm are described in docs/assembly.md; every
// instruction encoding comes from Zydis' encoder.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/types.hpp"

namespace vtlsim::sim {

// Line and column are 1-based and count bytes in the text given.
struct AsmError {
    u32 line = 0;
    u32 column = 0;
    std::string message;
};

// Where an emitted instruction or `db`/`dw`/`dd`/`dq` item came from. Padding of `align`, `org`
// and `resb` has no entry; a string longer than 255 bytes has several.
struct AsmLine {
    u64 address = 0;
    u32 line = 0;
    u8 length = 0;
};

// A symbol the text defines. A local label has its full name, `outer.local`.
struct AsmSymbol {
    std::string name;
    u64 value = 0;
    u32 line = 0;
    bool is_label = false;  // false: defined by `equ`
};

struct AsmResult {
    u64 origin = 0;                  // address of bytes[0]
    std::vector<u8> bytes;           // empty unless ok()
    std::vector<AsmSymbol> symbols;  // sorted by name
    std::vector<AsmLine> lines;      // sorted by address; empty unless ok()
    std::vector<AsmError> errors;    // sorted by line and column, at most kMaxAsmErrors

    bool ok() const { return errors.empty(); }
    const AsmSymbol* find(std::string_view name) const;  // null when not defined
};

enum class AsmMode : u8 { bits16, bits32, bits64 };

struct AsmOptions {
    u64 origin = 0;                                    // until the text says `org`
    AsmMode mode = AsmMode::bits64;                    // until the text says `bits`
    std::vector<std::pair<std::string, u64>> symbols;  // constants known to the text
    std::size_t max_bytes = std::size_t{1} << 20;      // larger output is an error
};

inline constexpr std::size_t kMaxAsmErrors = 100;

// Never throws on bad text: everything wrong with it is in the result's errors.
AsmResult assemble(std::string_view text, const AsmOptions& options);

}  // namespace vtlsim::sim
