// Splits JSON text into tokens with their positions. It judges nothing but what the parser does not
// tell the place of: UTF-8, control characters, unclosed comments. Any bytes may be given.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "runner/diagnostic.hpp"
#include "sim/types.hpp"

namespace vtlsim::runner {

struct Token {
    std::string_view text;  // a string includes its quotes, unless it is not closed on its line
    u32 offset = 0;         // in bytes, from the start of the scanned text
    Position position;

    // One of { } [ ] : and the comma.
    bool is_structural() const;
    // A value or a key begins here.
    bool begins_value() const;
};

class Scanner {
  public:
    // The text must stay alive, and be shorter than 4 GiB.
    explicit Scanner(std::string_view text);

    // The next token; none at the end of the text and at a byte no JSON text may hold.
    std::optional<Token> next();

    // Empty, or what is wrong with the byte at position().
    const std::string& problem() const { return problem_; }
    Position position() const { return position_; }

  private:
    bool at_end() const { return offset_ == text_.size(); }
    bool at(std::string_view prefix) const {
        return text_.substr(offset_, prefix.size()) == prefix;
    }
    bool step();
    bool skip_blanks();
    bool skip_comment();
    bool skip_string();
    bool skip_word();

    std::string_view text_;
    std::size_t offset_ = 0;
    Position position_;
    std::string problem_;
};

// The length of the well-formed UTF-8 sequence at the start of a text that is not empty; 0 if there
// is none (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view text);

}  // namespace vtlsim::runner
