#include "runner/json/document.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runner/json/scanner.hpp"

namespace vtlsim::runner {

namespace {

using Json = nlohmann::json;

std::size_t byte_limit(const JsonLimits& limits) {
    return std::min<std::size_t>(limits.max_bytes, std::numeric_limits<u32>::max());
}

std::string size_message(const JsonLimits& limits) {
    return fmt::format("the file is larger than the limit of {} bytes", byte_limit(limits));
}

// Reads up to a byte more than the limit; what went wrong otherwise.
std::optional<std::string> read_file(const std::string& path, std::size_t limit,
                                     std::string& text) {
    std::error_code no_matter;
    if (std::filesystem::is_directory(path, no_matter)) {
        return "this is a directory, not a file";
    }
    const auto reason = [] { return std::generic_category().message(errno); };
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                               &std::fclose);
    if (!file) {
        return "cannot open the file: " + reason();
    }
    std::array<char, 65536> buffer;
    while (text.size() <= limit) {
        const std::size_t wanted = std::min(buffer.size(), limit + 1 - text.size());
        const std::size_t got = std::fread(buffer.data(), 1, wanted, file.get());
        text.append(buffer.data(), got);
        if (got < wanted) {
            break;
        }
    }
    if (std::ferror(file.get()) != 0) {
        return "cannot read the file: " + reason();
    }
    return std::nullopt;
}

struct Fault {
    Position position;
    std::string message;
};

// Checks all that the scanner and the limits check, and finds where each value and key begins.
std::optional<Fault> find_values(std::string_view text, const JsonLimits& limits,
                                 std::vector<Token>& found) {
    Scanner scanner(text);
    bool blank = true;
    std::size_t depth = 0;
    while (const std::optional<Token> token = scanner.next()) {
        blank = false;
        const char c = token->text.front();
        if ((c == '{' || c == '[') && ++depth > limits.max_depth) {
            return Fault{token->position, fmt::format("arrays and objects are nested deeper than "
                                                      "the limit of {}",
                                                      limits.max_depth)};
        }
        if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        }
        if (token->begins_value()) {
            if (found.size() == limits.max_values) {
                return Fault{token->position,
                             fmt::format("more values than the limit of {}", limits.max_values)};
            }
            found.push_back(*token);
        }
    }
    if (!scanner.problem().empty()) {
        return Fault{scanner.position(), scanner.problem()};
    }
    if (blank) {
        return Fault{{}, "there is no JSON value in the file"};
    }
    return std::nullopt;
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

// Where the scanner's position is after stepping over the token's text up to the byte `offset`.
Position position_inside(const Token& token, std::size_t offset) {
    Position position = token.position;
    for (std::size_t i = 0; i < token.text.size() && token.offset + i < offset;) {
        i += utf8_length(token.text.substr(i));
        ++position.column;
    }
    return position;
}

// The parser's sentence, without its own idea of the place and without a repetition of the text.
std::string sentence_of(const char* what) {
    std::string message = what;
    if (const auto dash = message.find(" - "); dash != std::string::npos) {
        message.erase(0, dash + 3);
    }
    if (const auto last_read = message.find("; last read: "); last_read != std::string::npos) {
        message.erase(last_read);
    }
    // An element or member has ended: the parser names only one of the two ways to go on.
    for (const std::string_view end : {"expected ']'", "expected '}'"}) {
        if (message.size() >= end.size() &&
            message.compare(message.size() - end.size(), end.size(), end) == 0) {
            message.insert(message.size() - 3, "',' or ");
        }
    }
    return message;
}

// Turns the parser's complaint into one at the exact place. `bytes_read` is how far the parser
// came: to the end of a token that cannot stand there, or to a byte that its token cannot hold.
Fault syntax_fault(std::string_view text, std::size_t bytes_read, const Json::exception& error) {
    const bool inside_token = contains(error.what(), "; last read: ");
    const std::string sentence = sentence_of(error.what());
    Scanner scanner(text);
    std::optional<Token> before;
    std::optional<Token> token;
    std::vector<Token> open;
    while (std::optional<Token> next = scanner.next()) {
        // A delimiter that cut a word short is itself without blame.
        const bool delimits = next->is_structural() || next->text.front() == '"';
        if (next->offset + (inside_token && delimits ? 1 : 0) >= bytes_read) {
            break;
        }
        const char c = next->text.front();
        if (c == '{' || c == '[') {
            open.push_back(*next);
        } else if ((c == '}' || c == ']') && !open.empty()) {
            open.pop_back();
        }
        before = std::exchange(token, next);
    }
    constexpr int kNumberOutOfRange = 406;
    if (error.id == kNumberOutOfRange) {
        return {token->position, fmt::format("number {} is out of range", printable(token->text))};
    }
    if (contains(sentence, "unexpected end of input")) {
        std::string message = "syntax error: " + sentence;
        if (!open.empty()) {
            message += fmt::format("; the '{}' at {}:{} is never closed", open.back().text,
                                   open.back().position.line, open.back().position.column);
        }
        return {scanner.position(), std::move(message)};
    }
    if (contains(sentence, "missing closing quote")) {
        return {token->position, "syntax error: this string is never closed"};
    }
    if (token->text.front() == '"' && inside_token) {
        return {position_inside(*token, bytes_read - 1), "syntax error: " + sentence};
    }
    const bool closes = token->text == "}" || token->text == "]";
    if (closes && before && before->text == ",") {
        return {before->position,
                fmt::format("syntax error: no comma may stand before '{}'", token->text)};
    }
    if (!token->is_structural() && token->text.front() != '"') {
        return {token->position,
                fmt::format("syntax error: {} at {}", sentence, in_quotes(token->text))};
    }
    return {token->position, "syntax error: " + sentence};
}

}  // namespace

// Builds the tree from the parser's events. The n-th key or value the parser announces is the n-th
// the scanner found: for text without an error both see the same tokens.
class JsonTreeBuilder final : public nlohmann::json_sax<Json> {
  public:
    JsonTreeBuilder(JsonDocument& document, const std::vector<Token>& tokens,
                    Diagnostics& diagnostics)
        : document_(document), tokens_(tokens), diagnostics_(diagnostics) {}

    bool failed() const { return failed_; }

    bool null() override {
        add(JsonValue::Kind::kNull);
        return true;
    }
    bool boolean(bool value) override {
        add(JsonValue::Kind::kBoolean).number = value ? 1 : 0;
        return true;
    }
    bool number_unsigned(number_unsigned_t value) override {
        add(JsonValue::Kind::kUnsigned).number = value;
        return true;
    }
    bool number_integer(number_integer_t value) override {
        add(JsonValue::Kind::kOther).text = keep(fmt::format("{}", value));
        return true;
    }
    // Also called for integers that fit no integer type.
    bool number_float(number_float_t, const string_t& spelling) override {
        if (spelling.find_first_of(".eE") != string_t::npos) {
            add(JsonValue::Kind::kOther).text = keep(spelling);
            return true;
        }
        add(JsonValue::Kind::kMalformed);
        const u32 index = static_cast<u32>(document_.values_.size() - 1);
        report(document_.values_[index].position, index,
               fmt::format("integer {} does not fit into 64 bits", printable(spelling)));
        return true;
    }
    bool string(string_t& value) override {
        add(JsonValue::Kind::kString).text = keep(std::move(value));
        return true;
    }
    bool binary(binary_t&) override { return false; }  // not in JSON text
    bool key(string_t& value) override {
        key_position_ = next_token().position;
        key_ = keep(std::move(value));
        return true;
    }
    bool start_object(std::size_t) override { return open(JsonValue::Kind::kObject); }
    bool start_array(std::size_t) override { return open(JsonValue::Kind::kArray); }
    bool end_array() override { return close(); }
    bool end_object() override {
        close();
        report_duplicate_keys(last_closed_);
        return true;
    }

    bool parse_error(std::size_t bytes_read, const std::string&,
                     const Json::exception& error) override {
        const Fault fault = syntax_fault(document_.text_, bytes_read, error);
        diagnostics_.add(
            {document_.file_, fault.position.line, fault.position.column, "", fault.message});
        failed_ = true;
        return false;
    }

  private:
    const Token& next_token() { return tokens_.at(used_++); }

    u32 keep(std::string text) {
        document_.strings_.push_back(std::move(text));
        return static_cast<u32>(document_.strings_.size() - 1);
    }

    JsonValue& add(JsonValue::Kind kind) {
        const Token& token = next_token();
        const u32 index = static_cast<u32>(document_.values_.size());
        JsonValue value;
        value.kind = kind;
        value.offset = token.offset;
        value.position = token.position;
        value.key_position = token.position;
        value.end = index + 1;
        if (!open_.empty()) {
            value.parent = open_.back().value;
            value.ordinal = open_.back().children++;
            if (document_.values_[value.parent].kind == JsonValue::Kind::kObject) {
                value.key = key_;
                value.key_position = key_position_;
            }
        }
        return document_.values_.emplace_back(value);
    }

    bool open(JsonValue::Kind kind) {
        add(kind);
        open_.push_back({static_cast<u32>(document_.values_.size() - 1), 0});
        return true;
    }

    bool close() {
        last_closed_ = open_.back().value;
        document_.values_[last_closed_].end = static_cast<u32>(document_.values_.size());
        open_.pop_back();
        return true;
    }

    void report_duplicate_keys(u32 object) {
        const std::vector<JsonValue>& values = document_.values_;
        std::vector<u32> members;
        for (u32 i = object + 1; i < values[object].end; i = values[i].end) {
            members.push_back(i);
        }
        const auto key_of = [&](u32 i) -> const std::string& {
            return document_.strings_[values[i].key];
        };
        std::stable_sort(members.begin(), members.end(),
                         [&](u32 a, u32 b) { return key_of(a) < key_of(b); });
        std::size_t first = 0;
        for (std::size_t i = 1; i < members.size(); ++i) {
            if (key_of(members[i]) != key_of(members[first])) {
                first = i;
                continue;
            }
            const Position before = values[members[first]].key_position;
            report(values[members[i]].key_position, members[i],
                   fmt::format("duplicate key {}; the first one is at {}:{}",
                               in_quotes(key_of(members[i])), before.line, before.column));
        }
    }

    void report(Position position, u32 value, std::string message) {
        diagnostics_.add({document_.file_, position.line, position.column, document_.pointer(value),
                          std::move(message)});
    }

    struct Open {
        u32 value;
        u32 children;
    };

    JsonDocument& document_;
    const std::vector<Token>& tokens_;
    Diagnostics& diagnostics_;
    std::size_t used_ = 0;
    std::vector<Open> open_;
    u32 last_closed_ = 0;
    u32 key_ = 0;
    Position key_position_;
    bool failed_ = false;
};

std::unique_ptr<const JsonDocument> JsonDocument::load(const std::string& path,
                                                       Diagnostics& diagnostics,
                                                       const JsonLimits& limits) {
    std::string text;
    if (const auto failure = read_file(path, byte_limit(limits), text)) {
        diagnostics.add({path, 1, 1, "", *failure});
        return nullptr;
    }
    return parse(std::move(text), path, diagnostics, limits);
}

std::unique_ptr<const JsonDocument> JsonDocument::parse(std::string text, const std::string& file,
                                                        Diagnostics& diagnostics,
                                                        const JsonLimits& limits) {
    const auto fail = [&](Position position, std::string message) {
        diagnostics.add({file, position.line, position.column, "", std::move(message)});
        return nullptr;
    };
    if (text.empty()) {
        return fail({}, "the file is empty");
    }
    if (text.size() > byte_limit(limits)) {
        return fail({}, size_message(limits));
    }
    std::unique_ptr<JsonDocument> document(new JsonDocument(std::move(text), file));
    const std::string& kept = document->text_;
    std::vector<Token> tokens;
    if (const auto fault = find_values(kept, limits, tokens)) {
        return fail(fault->position, fault->message);
    }
    JsonTreeBuilder builder(*document, tokens, diagnostics);
    constexpr bool kToTheEnd = true;
    constexpr bool kComments = true;
    Json::sax_parse(kept.begin(), kept.end(), &builder, Json::input_format_t::json, kToTheEnd,
                    kComments);
    if (builder.failed()) {
        return nullptr;
    }
    return document;
}

std::string JsonDocument::pointer(u32 value) const {
    if (!parts_.empty()) return home_of(value).pointer(values_[value].origin);
    std::string result;
    for (u32 i = value; i != 0; i = values_[i].parent) {
        std::string segment;
        if (values_[values_[i].parent].kind == JsonValue::Kind::kArray) {
            segment = fmt::format("{}", values_[i].ordinal);
        } else {
            for (const char c : printable(strings_[values_[i].key])) {
                segment += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
            }
        }
        result.insert(0, '/' + segment);
    }
    return result;
}

}  // namespace vtlsim::runner
