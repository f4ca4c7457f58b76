#include "runner/json/scanner.hpp"

#include <fmt/format.h>

namespace vtlsim::runner {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool is_structural_char(char c) {
    return c == '{' || c == '}' || c == '[' || c == ']' || c == ':' || c == ',';
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<u8>(text[i]) : u8{0};
    };
    const auto in = [](u8 value, u8 low, u8 high) { return low <= value && value <= high; };
    const u8 lead = byte(0);
    if (lead < 0x80) {
        return 1;
    }
    // Only the second byte has other bounds than 80h..BFh: no overlong forms, no surrogates,
    // nothing above U+10FFFF.
    const u8 low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const u8 high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    const std::size_t length = in(lead, 0xC2, 0xDF)   ? 2
                               : in(lead, 0xE0, 0xEF) ? 3
                               : in(lead, 0xF0, 0xF4) ? 4
                                                      : 0;
    if (length == 0 || !in(byte(1), low, high)) {
        return 0;
    }
    for (std::size_t i = 2; i < length; ++i) {
        if (!in(byte(i), 0x80, 0xBF)) {
            return 0;
        }
    }
    return length;
}

bool Token::is_structural() const { return is_structural_char(text.front()); }

bool Token::begins_value() const {
    return !is_structural() || text.front() == '{' || text.front() == '[';
}

Scanner::Scanner(std::string_view text) : text_(text) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (at(kByteOrderMark)) {
        offset_ = kByteOrderMark.size();
    }
}

// Steps over one code point; false at the end and at a byte that is a problem.
bool Scanner::step() {
    if (at_end()) {
        return false;
    }
    const char c = text_[offset_];
    const std::size_t length = utf8_length(text_.substr(offset_));
    if (length == 0) {
        problem_ = fmt::format("invalid UTF-8 at byte 0x{:02X}", static_cast<u8>(c));
        return false;
    }
    // The parser takes NUL for the end of the text, so no control character may reach it.
    if (static_cast<u8>(c) < 0x20 && !is_blank(c)) {
        problem_ = fmt::format("control character U+{:04X} is not allowed", static_cast<u8>(c));
        return false;
    }
    offset_ += length;
    if (c == '\n') {
        position_ = {position_.line + 1, 1};
    } else {
        ++position_.column;
    }
    return true;
}

std::optional<Token> Scanner::next() {
    if (!skip_blanks() || at_end()) {
        return std::nullopt;
    }
    Token token{{}, static_cast<u32>(offset_), position_};
    const char c = text_[offset_];
    const bool good = is_structural_char(c) ? step() : c == '"' ? skip_string() : skip_word();
    if (!good) {
        return std::nullopt;
    }
    token.text = text_.substr(token.offset, offset_ - token.offset);
    return token;
}

bool Scanner::skip_blanks() {
    while (!at_end()) {
        if (at("//") || at("/*")) {
            if (!skip_comment()) {
                return false;
            }
        } else if (!is_blank(text_[offset_])) {
            return true;
        } else {
            step();
        }
    }
    return true;
}

bool Scanner::skip_comment() {
    const Position start = position_;
    const bool to_line_end = at("//");
    step();
    step();
    while (!at_end()) {
        // The parser ends a line comment at a carriage return too.
        if (to_line_end ? at("\n") || at("\r") : at("*/")) {
            step();
            return to_line_end || step();
        }
        if (!step()) {
            return false;
        }
    }
    if (!to_line_end) {
        position_ = start;
        problem_ = "this comment is never closed";
    }
    return to_line_end;
}

bool Scanner::skip_string() {
    step();
    while (!at_end() && !at("\n")) {
        const char c = text_[offset_];
        if (!step()) {
            return false;
        }
        if (c == '"') {
            break;
        }
        // A newline is never part of an escape, and the end of the text is no problem here.
        if (c == '\\' && !at_end() && !at("\n") && !step()) {
            return false;
        }
    }
    return true;
}

// A number, a literal, or anything else up to the next delimiter.
bool Scanner::skip_word() {
    do {
        if (!step()) {
            return false;
        }
    } while (!at_end() && !is_blank(text_[offset_]) && !is_structural_char(text_[offset_]) &&
             !at("\"") && !at("//") && !at("/*"));
    return true;
}

}  // namespace vtlsim::runner
