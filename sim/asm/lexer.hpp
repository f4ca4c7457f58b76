// Splits one line of assembly text into tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/asm/diagnostics.hpp"
#include "sim/types.hpp"

namespace vtlsim::sim::assembly {

enum class TokenKind : u8 { end, identifier, number, real, string, punctuation };

struct Token {
    TokenKind kind = TokenKind::end;
    u32 column = 1;         // 1-based
    std::string_view text;  // as written; for punctuation one of the operators, "$" or "$$"
    u64 value = 0;          // number: its value; real: the bits of the double
    std::string bytes;      // string: its contents

    bool is(std::string_view punctuation) const {
        return kind == TokenKind::punctuation && text == punctuation;
    }
};

// The longest identifier accepted; it bounds the memory of names made of two parts.
inline constexpr std::size_t kMaxIdentifier = 255;

// The tokens of `line` up to its comment, closed by an `end` token. Reports what cannot be read
// to `errors` and returns false.
bool tokenize(std::string_view line, u32 line_number, std::vector<Token>& tokens,
              Diagnostics& errors);

// ASCII lower case; mnemonics, registers and directives are looked up in it.
std::string to_lower(std::string_view text);

}  // namespace vtlsim::sim::assembly
