#include "sim/asm/lexer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

namespace vtlsim::sim::assembly {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool starts_identifier(char c) {
    return is_letter(c) || c == '_' || c == '.' || c == '?' || c == '@';
}
bool in_identifier(char c) {
    return starts_identifier(c) || is_digit(c) || c == '$' || c == '#' || c == '~';
}
bool in_number(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

// The value of `digits` in `base`, `_` allowed between them; nothing when not such a number.
std::optional<u64> digits_value(std::string_view digits, unsigned base) {
    u64 value = 0;
    bool any = false;
    for (const char c : digits) {
        if (c == '_') continue;
        unsigned digit = 0;
        if (is_digit(c)) {
            digit = static_cast<unsigned>(c - '0');
        } else if (is_letter(c)) {
            digit = static_cast<unsigned>((c | 0x20) - 'a') + 10;
        } else {
            return std::nullopt;
        }
        if (digit >= base || value > (~u64{0} - digit) / base) return std::nullopt;
        value = value * base + digit;
        any = true;
    }
    return any ? std::optional(value) : std::nullopt;
}

struct Radix {
    char letter;
    unsigned base;
};
// `x` and `h` first: in 0x1b and 1bh the b is a digit, not a suffix.
constexpr std::array<Radix, 8> kRadixes{
    {{'x', 16}, {'h', 16}, {'b', 2}, {'y', 2}, {'o', 8}, {'q', 8}, {'d', 10}, {'t', 10}}};

std::optional<u64> number_value(std::string_view text) {
    if (text.size() > 2 && text[0] == '0') {
        for (const Radix radix : kRadixes) {
            if ((text[1] | 0x20) != radix.letter) continue;
            if (const auto value = digits_value(text.substr(2), radix.base)) return value;
        }
    }
    for (const Radix radix : kRadixes) {
        if ((text.back() | 0x20) != radix.letter) continue;
        if (const auto value = digits_value(text.substr(0, text.size() - 1), radix.base))
            return value;
    }
    return digits_value(text, 10);
}

class Lexer {
  public:
    Lexer(std::string_view line, u32 line_number, std::vector<Token>& tokens, Diagnostics& errors)
        : line_(line), line_number_(line_number), tokens_(tokens), errors_(errors) {}

    bool run() {
        while (at_ < line_.size() && line_[at_] != ';') {
            const char c = line_[at_];
            if (c == ' ' || c == '\t' || c == '\r') {
                ++at_;
            } else if (!lex_token(c)) {
                return false;
            }
        }
        push(TokenKind::end, 0);
        return true;
    }

  private:
    bool lex_token(char c) {
        if (is_digit(c)) return lex_number(0);
        if (c == '$' && at_ + 1 < line_.size() && is_digit(line_[at_ + 1])) return lex_number(1);
        if (starts_identifier(c)) return lex_identifier();
        if (c == '\'' || c == '"' || c == '`') return lex_string(c);
        return lex_punctuation();
    }

    Token& push(TokenKind kind, std::size_t length) {
        tokens_.push_back(
            {kind, static_cast<u32>(at_ + 1), line_.substr(at_, length), 0, std::string()});
        at_ += length;
        return tokens_.back();
    }

    bool fail(std::size_t at, std::string message) {
        errors_.add(line_number_, static_cast<u32>(at + 1), std::move(message));
        return false;
    }

    // `skip` is 1 for nasm's $1F spelling of a hexadecimal number.
    bool lex_number(std::size_t skip) {
        std::size_t end = at_ + skip;
        while (end < line_.size() && in_number(line_[end])) ++end;
        const std::string_view text = line_.substr(at_ + skip, end - at_ - skip);
        if (skip == 0 && end < line_.size() && line_[end] == '.') return lex_real(end + 1);
        if (skip == 0 && has_exponent(text)) return lex_real(end);
        const auto value = skip == 1 ? digits_value(text, 16) : number_value(text);
        if (!value) return fail(at_, quoted(text) + " is not a number of at most 64 bits");
        push(TokenKind::number, end - at_).value = *value;
        return true;
    }

    // 1e5, or the 1e of 1e-5; 1e5h is hexadecimal.
    static bool has_exponent(std::string_view text) {
        const std::size_t letter = text.find_first_not_of("0123456789");
        return letter != std::string_view::npos && (text[letter] | 0x20) == 'e' &&
               text.find_first_not_of("0123456789", letter + 1) == std::string_view::npos;
    }

    // Goes on at `end`, where there is no point any more.
    bool lex_real(std::size_t end) {
        while (end < line_.size() &&
               (in_number(line_[end]) ||
                ((line_[end] == '+' || line_[end] == '-') && (line_[end - 1] | 0x20) == 'e')))
            ++end;
        const std::string_view text = line_.substr(at_, end - at_);
        double value = 0;
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
        if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size())
            return fail(at_, quoted(text) + " is not a floating-point number");
        std::memcpy(&push(TokenKind::real, text.size()).value, &value, sizeof value);
        return true;
    }

    bool lex_identifier() {
        std::size_t end = at_;
        while (end < line_.size() && in_identifier(line_[end])) ++end;
        if (end - at_ > kMaxIdentifier)
            return fail(at_, "a name is longer than " + std::to_string(kMaxIdentifier) + " bytes");
        push(TokenKind::identifier, end - at_);
        return true;
    }

    // Only a backquoted string has escapes, as in nasm.
    bool lex_string(char quote) {
        std::string bytes;
        std::size_t end = at_ + 1;
        while (end < line_.size() && line_[end] != quote) {
            if (quote == '`' && line_[end] == '\\') {
                if (!lex_escape(end, bytes)) return false;
            } else {
                bytes += line_[end++];
            }
        }
        if (end == line_.size()) return fail(at_, "the string is not closed");
        push(TokenKind::string, end + 1 - at_).bytes = std::move(bytes);
        return true;
    }

    bool lex_escape(std::size_t& at, std::string& bytes) {
        constexpr std::string_view kLetters = "nrt0e\\'\"`";
        constexpr std::string_view kValues{"\n\r\t\0\x1b\\'\"`", 9};
        if (at + 1 < line_.size()) {
            if (const auto found = kLetters.find(line_[at + 1]); found != std::string_view::npos) {
                bytes += kValues[found];
                at += 2;
                return true;
            }
            if (line_[at + 1] == 'x' && at + 3 < line_.size()) {
                if (const auto value = digits_value(line_.substr(at + 2, 2), 16)) {
                    bytes += static_cast<char>(*value);
                    at += 4;
                    return true;
                }
            }
        }
        return fail(at, R"(unknown escape; known are \n \r \t \0 \e \\ \' \" \` \xHH)");
    }

    bool lex_punctuation() {
        constexpr std::array<std::string_view, 5> kDouble{"<<", ">>", "//", "%%", "$$"};
        const std::string_view two = line_.substr(at_, 2);
        if (std::find(kDouble.begin(), kDouble.end(), two) != kDouble.end()) {
            push(TokenKind::punctuation, 2);
            return true;
        }
        constexpr std::string_view kSingle = "+-*/%&|^~()[],:$";
        if (kSingle.find(line_[at_]) == std::string_view::npos)
            return fail(at_, "unexpected character " + printable(line_[at_]));
        push(TokenKind::punctuation, 1);
        return true;
    }

    static std::string printable(char c) {
        if (c >= ' ' && c <= '~') return {'\'', c, '\''};
        constexpr std::string_view kHex = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(c);
        return std::string("0x") + kHex[byte >> 4] + kHex[byte & 15];
    }

    std::string_view line_;
    u32 line_number_;
    std::vector<Token>& tokens_;
    Diagnostics& errors_;
    std::size_t at_ = 0;
};

}  // namespace

bool tokenize(std::string_view line, u32 line_number, std::vector<Token>& tokens,
              Diagnostics& errors) {
    tokens.clear();
    return Lexer(line, line_number, tokens, errors).run();
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    return lower;
}

}  // namespace vtlsim::sim::assembly
