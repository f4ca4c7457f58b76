#include "runner/json/reader.hpp"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

#include "runner/json/scanner.hpp"
#include "sim/nearest.hpp"

namespace vtlsim::runner {

namespace {

using Kind = JsonValue::Kind;

std::string_view kind_name(Kind kind) {
    switch (kind) {
        case Kind::kNull:
            return "null";
        case Kind::kBoolean:
            return "a boolean";
        case Kind::kUnsigned:
        case Kind::kOther:
        case Kind::kMalformed:
            return "a number";
        case Kind::kString:
            return "a string";
        case Kind::kArray:
            return "an array";
        case Kind::kObject:
            return "an object";
    }
    return "";
}

std::string suggestion(std::string_view name) {
    return name.empty() ? "" : fmt::format("; did you mean {}?", in_quotes(name));
}

std::string list(std::span<const std::string_view> names) {
    return fmt::format(" ({})", fmt::join(names.begin(), names.end(), ", "));
}

// The character a message complains about, and where it is in its string.
std::string character_at(std::string_view text, std::size_t offset) {
    const std::string_view rest = text.substr(offset);
    return fmt::format("{} at offset {}", in_quotes(rest.substr(0, utf8_length(rest))), offset);
}

std::string_view digit_name(u32 base) {
    return base == 16 ? "hexadecimal" : base == 2 ? "binary" : "decimal";
}

std::optional<u32> digit_value(char c, u32 base) {
    const u32 value = c >= '0' && c <= '9'   ? static_cast<u32>(c - '0')
                      : c >= 'a' && c <= 'f' ? static_cast<u32>(c - 'a') + 10
                      : c >= 'A' && c <= 'F' ? static_cast<u32>(c - 'A') + 10
                                             : base;
    return value < base ? std::optional(value) : std::nullopt;
}

struct Complaint {
    std::size_t offset;  // in the string
    std::string message;
};

// Gives each digit of `text` from the offset `from` on to `take`.
template <class Take>
std::optional<Complaint> read_digits(std::string_view text, std::size_t from, u32 base,
                                     const Take& take) {
    if (from == text.size()) {
        return Complaint{from, fmt::format("expected a {} digit here", digit_name(base))};
    }
    const auto is_digit = [&](std::size_t i) {
        return i < text.size() && digit_value(text[i], base).has_value();
    };
    for (std::size_t i = from; i < text.size(); ++i) {
        if (const auto digit = digit_value(text[i], base)) {
            take(*digit);
        } else if (base != 16 || text[i] != '_') {
            return Complaint{
                i, fmt::format("{} is not a {} digit", character_at(text, i), digit_name(base))};
        } else if (i == from || !is_digit(i - 1) || !is_digit(i + 1)) {
            return Complaint{i, fmt::format("{} does not stand between two hexadecimal digits",
                                            character_at(text, i))};
        }
    }
    return std::nullopt;
}

// Small bounds are read most easily in decimal, addresses in hexadecimal.
std::string bound(u64 value) {
    const bool decimal = value <= 0xFFFF || value % 1000 == 0;
    return decimal ? fmt::format("{}", value) : fmt::format("0x{:x}", value);
}

std::string integer_description(u64 min, u64 max) {
    if (min == 0 && max == std::numeric_limits<u64>::max()) {
        return "an unsigned integer";
    }
    return fmt::format("an integer from {} to {}", bound(min), bound(max));
}

}  // namespace

std::string did_you_mean(std::string_view wanted, std::span<const std::string_view> candidates) {
    return suggestion(sim::nearest_name(wanted, candidates));
}

void Node::error_at(Position position, std::string message) const {
    if (missing_) {
        return;
    }
    if (diagnostics_->full()) {
        diagnostics_->add({});  // only counts
        return;
    }
    diagnostics_->add({document_->home_of(index_).file(), position.line, position.column, path(),
                       std::move(message)});
}

// Reports a value of another kind.
bool Node::expect(Kind kind) const {
    if (is(kind)) {
        return true;
    }
    if (value().kind != Kind::kMalformed) {
        error(fmt::format("expected {}, got {}", kind_name(kind), kind_name(value().kind)));
    }
    return false;
}

const std::string& Node::string() const {
    // A text of index 0 is the empty string.
    return document_->string(expect(Kind::kString) ? value().text : 0);
}

bool Node::boolean(bool fallback) const {
    return expect(Kind::kBoolean) ? value().number != 0 : fallback;
}

u64 Node::integer_in(u64 min, u64 max) const {
    if (missing_ || value().kind == Kind::kMalformed) {
        return min;
    }
    const auto fail = [&](std::string_view got) {
        error(fmt::format("expected {}, got {}", integer_description(min, max), got));
        return min;
    };
    u64 result = 0;
    std::string spelling;
    if (is(Kind::kUnsigned)) {
        result = value().number;
        spelling = fmt::format("{}", result);
    } else if (is(Kind::kString)) {
        const std::string& text = string();
        spelling = in_quotes(text);
        const std::string_view prefix = std::string_view(text).substr(0, 2);
        const u32 base = prefix == "0x" ? 16 : prefix == "0b" ? 2 : 10;
        bool fits = true;
        const auto take = [&](u32 digit) {
            fits = fits && result <= (std::numeric_limits<u64>::max() - digit) / base;
            result = result * base + digit;
        };
        if (const auto complaint = read_digits(text, base == 10 ? 0 : 2, base, take)) {
            if (base == 10) {
                return fail(spelling + " (write 4096, \"4096\", \"0x1000\" or \"0b1010\")");
            }
            error_at(position_in_string(complaint->offset), complaint->message);
            return min;
        }
        if (!fits) {
            return fail(spelling);
        }
    } else {
        return fail(is(Kind::kOther) ? printable(document_->string(value().text))
                                     : kind_name(value().kind));
    }
    return min <= result && result <= max ? result : fail(spelling);
}

Vec128 Node::hex(u32 digits) const {
    assert(digits <= 32);
    if (!expect(Kind::kString)) {
        return {};
    }
    const std::string& text = string();
    const auto expected = [&] {
        return fmt::format("expected \"0x\" and {} hexadecimal digits", digits);
    };
    if (text.compare(0, 2, "0x") != 0) {
        error(fmt::format("{}, got {}", expected(), in_quotes(text)));
        return {};
    }
    Vec128 result;
    std::size_t count = 0;
    const auto take = [&](u32 digit) {
        result.hi = result.hi << 4 | result.lo >> 60;
        result.lo = result.lo << 4 | digit;
        ++count;
    };
    if (const auto complaint = read_digits(text, 2, 16, take)) {
        error_at(position_in_string(complaint->offset), complaint->message);
        return {};
    }
    if (count != digits) {
        error(fmt::format("{}, got {}", expected(), count));
        return {};
    }
    return result;
}

std::vector<u8> Node::bytes() const {
    if (!expect(Kind::kString)) {
        return {};
    }
    const std::string& text = string();
    const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
    std::vector<u8> result;
    for (std::size_t i = 0; i < text.size();) {
        if (is_blank(text[i])) {
            ++i;
            continue;
        }
        u32 byte = 0;
        for (const std::size_t at : {i, i + 1}) {
            if (at == text.size() || (at > i && is_blank(text[at]))) {
                error_at(position_in_string(i),
                         fmt::format("{} is half a byte: a second hexadecimal digit is missing",
                                     character_at(text, i)));
                return {};
            }
            const auto digit = digit_value(text[at], 16);
            if (!digit) {
                error_at(position_in_string(at),
                         fmt::format("{} is not a hexadecimal digit", character_at(text, at)));
                return {};
            }
            byte = byte << 4 | *digit;
        }
        result.push_back(static_cast<u8>(byte));
        i += 2;
    }
    return result;
}

std::size_t Node::one_of(std::string_view what, std::span<const std::string_view> names) const {
    if (!expect(Kind::kString)) {
        return 0;
    }
    const std::string& text = string();
    const auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end()) {
        error(fmt::format("unknown value {} for {}{}{}", in_quotes(text), what,
                          did_you_mean(text, names), list(names)));
        return 0;
    }
    return static_cast<std::size_t>(found - names.begin());
}

JsonText Node::text() const {
    JsonText result(position());
    if (is_string()) {
        result.append(string(), walk());
        return result;
    }
    if (!is_array()) {
        if (value().kind != Kind::kMalformed) {
            error(fmt::format("expected a string or an array of strings, got {}",
                              kind_name(value().kind)));
        }
        return result;
    }
    for (const Node& line : children()) {
        if (line.expect(Kind::kString)) {
            result.append(line.string(), line.walk());
        }
    }
    return result;
}

std::vector<Node> Node::children() const {
    const std::vector<JsonValue>& values = document_->values();
    std::vector<Node> result;
    if (diagnostics_->full()) return result;  // the file is rejected anyway: no more work on it
    for (u32 i = index_ + 1; i < value().end; i = values[i].end) {
        result.push_back(Node(*this, i, false));
    }
    return result;
}

std::vector<Node> Node::array() const {
    return expect(Kind::kArray) ? children() : std::vector<Node>();
}

std::vector<Node> Node::members() const {
    return expect(Kind::kObject) ? children() : std::vector<Node>();
}

Fields Node::object(std::initializer_list<std::string_view> known) const {
    return object(std::span(known.begin(), known.size()));
}

Fields Node::object(std::span<const std::string_view> known) const { return {*this, known}; }

StringWalk Node::walk() const {
    Position first = value().position;
    ++first.column;
    return {std::string_view(document_->home_of(index_).text()).substr(value().offset + 1), first};
}

Position Node::position_in_string(std::size_t offset) const {
    if (!is_string()) {
        return position();
    }
    StringWalk walk = this->walk();
    walk.advance_to(offset);
    return walk.position();
}

Fields::Fields(const Node& node, std::span<const std::string_view> known)
    : node_(node, node.index_, node.missing_ || !node.is_object()), members_(node.members()) {
    for (const Node& member : members_) {
        if (std::find(known.begin(), known.end(), member.key()) != known.end()) {
            continue;
        }
        const std::string_view meant = sim::nearest_name(member.key(), known);
        member.error_at_key(fmt::format("unknown key {}{}", in_quotes(member.key()),
                                        meant.empty() ? list(known) : suggestion(meant)));
        misspelled_.emplace_back(meant);
    }
}

Fields Fields::over(const Fields& base) const {
    Fields out = *this;
    for (const Node& member : base.members_) {
        if (!optional(member.key())) out.members_.push_back(member);
    }
    return out;
}

std::optional<Node> Fields::optional(std::string_view key) const {
    const auto found = std::find_if(members_.begin(), members_.end(),
                                    [&](const Node& member) { return member.key() == key; });
    return found == members_.end() ? std::nullopt : std::optional(*found);
}

Node Fields::required(std::string_view key) const {
    if (const auto found = optional(key)) {
        return *found;
    }
    if (std::find(misspelled_.begin(), misspelled_.end(), key) == misspelled_.end()) {
        node_.error(fmt::format("missing key {}", in_quotes(key)));
    }
    return Node(node_, node_.index_, true);
}

}  // namespace vtlsim::runner
