// What JsonDocument accepts, and the exact place and words of each refusal.
// Run: build/<preset>/vtlsim_tests "[json]"
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "runner/json/document.hpp"
#include "tests/catch.hpp"

namespace vtlsim::runner {
namespace {

using namespace std::string_literals;

// All diagnostics for a text in the file "f", one a line.
std::string errors_of(std::string text, const JsonLimits& limits = {}) {
    Diagnostics diagnostics;
    const auto document = JsonDocument::parse(std::move(text), "f", diagnostics, limits);
    CHECK((document || !diagnostics.empty()));
    return diagnostics.to_string();
}

struct BadText {
    std::string text;
    std::string expected;  // without the newline at the end
};

const std::vector<BadText> kBadTexts = {
    // Nothing there.
    {"", "f:1:1: the file is empty"},
    {" \n\t\r\n", "f:1:1: there is no JSON value in the file"},
    {"// only a comment", "f:1:1: there is no JSON value in the file"},
    {"\xEF\xBB\xBF", "f:1:1: there is no JSON value in the file"},
    // Bytes that no text may hold.
    {"[1,\xFF]", "f:1:4: invalid UTF-8 at byte 0xFF"},
    {"[\"\xC3\xA9\xC3\"]", "f:1:4: invalid UTF-8 at byte 0xC3"},
    {"[\"\xC0\x80\"]", "f:1:3: invalid UTF-8 at byte 0xC0"},
    {"[\"\xED\xA0\x80\"]", "f:1:3: invalid UTF-8 at byte 0xED"},
    {"[\"\xF4\x90\x80\x80\"]", "f:1:3: invalid UTF-8 at byte 0xF4"},
    {"[\"\xE2\x82", "f:1:3: invalid UTF-8 at byte 0xE2"},
    {"// \xFF\n1", "f:1:4: invalid UTF-8 at byte 0xFF"},
    {"{}\0 junk"s, "f:1:3: control character U+0000 is not allowed"},
    {"[\n1,\v2]", "f:2:3: control character U+000B is not allowed"},
    {"[\"a\x1F\"]", "f:1:4: control character U+001F is not allowed"},
    // Structure.
    {"{\"a\" 1}", "f:1:6: syntax error: unexpected number literal; expected ':' at \"1\""},
    {"{\"a\":1 \"b\":2}", "f:1:8: syntax error: unexpected string literal; expected ',' or '}'"},
    {"[1\n  2]", "f:2:3: syntax error: unexpected number literal; expected ',' or ']' at \"2\""},
    {"[1,\n]", "f:1:3: syntax error: no comma may stand before ']'"},
    {"{\"a\":1,\n\n}", "f:1:7: syntax error: no comma may stand before '}'"},
    {"[1}", "f:1:3: syntax error: unexpected '}'; expected ',' or ']'"},
    {"{\"a\":}", "f:1:6: syntax error: unexpected '}'; expected '[', '{', or a literal"},
    {"{1:2}", "f:1:2: syntax error: unexpected number literal; expected string literal at \"1\""},
    {"{name:2}", "f:1:2: syntax error: invalid literal at \"name\""},
    {"]", "f:1:1: syntax error: unexpected ']'; expected '[', '{', or a literal"},
    {"{}\n {}", "f:2:2: syntax error: unexpected '{'; expected end of input"},
    {"{\"a\": [\n1,\n",
     "f:3:1: syntax error: unexpected end of input; expected '[', '{', or a literal; the '[' at "
     "1:7 is never closed"},
    {"{\"a\": []",
     "f:1:9: syntax error: unexpected end of input; expected ',' or '}'; the '{' at 1:1 is never "
     "closed"},
    // Words and numbers.
    {"[tr\xC3\xBC"
     "e]",
     "f:1:2: syntax error: invalid literal at \"tr\xC3\xBC"
     "e\""},
    {"[tr]", "f:1:2: syntax error: invalid literal at \"tr\""},
    {"[tr\"\"]", "f:1:2: syntax error: invalid literal at \"tr\""},
    {"[truex]", "f:1:2: syntax error: invalid literal at \"truex\""},
    {"[-]", "f:1:2: syntax error: invalid number; expected digit after '-' at \"-\""},
    {"[0x10]", "f:1:2: syntax error: invalid literal at \"0x10\""},
    {"[01]", "f:1:2: syntax error: unexpected number literal; expected ',' or ']' at \"01\""},
    {"[1 /x]", "f:1:4: syntax error: invalid comment; expecting '/' or '*' after '/' at \"/x\""},
    {"[1e400]", "f:1:2: number 1e400 is out of range"},
    // Strings.
    {"[\"\xC3\xA9\\q\"]",
     "f:1:5: syntax error: invalid string: forbidden character after backslash"},
    {"[\"a\nb\"]",
     "f:1:4: syntax error: invalid string: control character U+000A (LF) must be escaped to "
     "\\u000A or \\n"},
    {"[\"a\tb\"]",
     "f:1:4: syntax error: invalid string: control character U+0009 (HT) must be escaped to "
     "\\u0009 or \\t"},
    {"[\n\"ab", "f:2:1: syntax error: this string is never closed"},
    {"[\"unexpected end of input - x", "f:1:2: syntax error: this string is never closed"},
    {"[\"ab\\", "f:1:6: syntax error: invalid string: forbidden character after backslash"},
    {"[\"\\u12G4\"]",
     "f:1:7: syntax error: invalid string: '\\u' must be followed by 4 hex digits"},
    {"[\"\\ud800x\"]",
     "f:1:9: syntax error: invalid string: surrogate U+D800..U+DBFF must be followed by "
     "U+DC00..U+DFFF"},
    // Comments.
    {"[1,\n /* 2]", "f:2:2: this comment is never closed"},
    {"[1] /*/", "f:1:5: this comment is never closed"},
    // Errors that leave a tree: all of them are told.
    {"[18446744073709551616,\n -9223372036854775809]",
     "f:1:2: /0: integer 18446744073709551616 does not fit into 64 bits\n"
     "f:2:2: /1: integer -9223372036854775809 does not fit into 64 bits"},
    {"{\"a\":1,\n \"b\":{\"x\":1,\"x\":2},\n \"a\":2, \"a\":3}",
     "f:2:13: /b/x: duplicate key \"x\"; the first one is at 2:7\n"
     "f:3:2: /a: duplicate key \"a\"; the first one is at 1:2\n"
     "f:3:9: /a: duplicate key \"a\"; the first one is at 1:2"},
    {"{\"a~b/c\\n\":[{\"\":1,\"\":2}]}",
     "f:1:19: /a~0b~1c\\u000a/0/: duplicate key \"\"; the first one is at 1:14"},
    {"{\"a\":1,\"\\u0061\":2}", "f:1:8: /a: duplicate key \"a\"; the first one is at 1:2"},
};

TEST_CASE("Every error of a JSON text has its place", "[json]") {
    for (const BadText& bad : kBadTexts) {
        INFO(bad.text);
        CHECK(errors_of(bad.text) == bad.expected + "\n");
    }
}

TEST_CASE("JSON limits are checked where they are passed", "[json]") {
    const std::string hundred(100, '[');
    CHECK(errors_of(hundred) ==
          "f:1:65: arrays and objects are nested deeper than the limit of 64\n");
    CHECK(errors_of("[\n[{}]]", {.max_depth = 2}) ==
          "f:2:2: arrays and objects are nested deeper than the limit of 2\n");
    CHECK(errors_of("[[{}],[{}]]", {.max_depth = 3}).empty());
    CHECK(errors_of("[\"]]\",[1]]", {.max_depth = 1}) ==
          "f:1:7: arrays and objects are nested deeper than the limit of 1\n");
    CHECK(errors_of("[10]", {.max_bytes = 3}) ==
          "f:1:1: the file is larger than the limit of 3 bytes\n");
    CHECK(errors_of("[10]", {.max_bytes = 4}).empty());
    CHECK(errors_of("{\"a\":1,\n\"b\":2}", {.max_values = 4}) ==
          "f:2:5: more values than the limit of 4\n");
    CHECK(errors_of("{\"a\":1,\n\"b\":2}", {.max_values = 5}).empty());

    const std::string huge(100'000'000, '[');
    CHECK(errors_of(huge) == "f:1:1: the file is larger than the limit of 16777216 bytes\n");
    CHECK(errors_of(huge, {.max_bytes = huge.size()}) ==
          "f:1:65: arrays and objects are nested deeper than the limit of 64\n");
}

TEST_CASE("A long text in a message is cut", "[json]") {
    const std::string word(1'000'000, 'x');
    CHECK(errors_of("[" + word + "]") ==
          "f:1:2: syntax error: invalid literal at \"" + word.substr(0, 60) + "...\"\n");
    CHECK(errors_of("{\"" + word + "\":1,\"" + word + "\":1}") ==
          "f:1:1000007: /" + word.substr(0, 60) + "...: duplicate key \"" + word.substr(0, 60) +
              "...\"; the first one is at 1:2\n");
}

TEST_CASE("Values and keys know their places", "[json]") {
    Diagnostics diagnostics;
    const auto document = JsonDocument::parse(
        "\xEF\xBB\xBF{ // [ \" {\r\n  \"\xC3\xA9\": [true, null], /* } \n */ \"s\": \"[\\\"\"}",
        "f", diagnostics);
    REQUIRE(document);
    CHECK(diagnostics.empty());
    struct Place {
        Position value;
        Position key;
        std::string pointer;
        bool operator==(const Place&) const = default;
    };
    std::vector<Place> places;
    for (u32 i = 0; i < document->values().size(); ++i) {
        const JsonValue& value = document->values()[i];
        places.push_back({value.position, value.key_position, document->pointer(i)});
    }
    const std::vector<Place> expected = {
        {{1, 1}, {1, 1}, ""},
        {{2, 8}, {2, 3}, "/\xC3\xA9"},
        {{2, 9}, {2, 9}, "/\xC3\xA9/0"},
        {{2, 15}, {2, 15}, "/\xC3\xA9/1"},
        {{3, 10}, {3, 5}, "/s"},
    };
    CHECK(places == expected);
}

TEST_CASE("Files that cannot be read say why", "[json]") {
    const auto errors_of_file = [](const std::string& path) {
        Diagnostics diagnostics;
        CHECK_FALSE(JsonDocument::load(path, diagnostics, {.max_bytes = 1000}));
        return diagnostics.to_string();
    };
    CHECK(errors_of_file("/no/such/file.json") ==
          "/no/such/file.json:1:1: cannot open the file: No such file or directory\n");
    CHECK(errors_of_file("/") == "/:1:1: this is a directory, not a file\n");
    CHECK(errors_of_file("/dev/null") == "/dev/null:1:1: the file is empty\n");
    CHECK(errors_of_file("/dev/zero") ==
          "/dev/zero:1:1: the file is larger than the limit of 1000 bytes\n");
    // Opens, but its first page is never mapped.
    CHECK(errors_of_file("/proc/self/mem") ==
          "/proc/self/mem:1:1: cannot read the file: Input/output error\n");
}

TEST_CASE("A file is read whole", "[json]") {
    const auto path = std::filesystem::temp_directory_path() /
                      ("vtlsim_json_" + std::to_string(static_cast<long>(::getpid())));
    const std::string text = "[\"" + std::string(200'000, 'x') + "\"]";
    std::ofstream(path, std::ios::binary) << text;
    Diagnostics diagnostics;
    const auto document = JsonDocument::load(path.string(), diagnostics);
    std::filesystem::remove(path);
    REQUIRE(document);
    CHECK(document->text() == text);
    CHECK(document->string(document->values().at(1).text).size() == 200'000);
}

TEST_CASE("Diagnostics are sorted, counted and bounded", "[json]") {
    Diagnostics diagnostics;
    CHECK(diagnostics.empty());
    diagnostics.add({"b", 1, 1, "", "third"});
    diagnostics.add({"a", 2, 1, "/x", "second"});
    diagnostics.add({"a", 1, 9, "", "first"});
    diagnostics.add({"a", 2, 1, "/x", "and after it"});
    diagnostics.add({"a", 1, 9, "", "first"});
    CHECK(diagnostics.to_string() ==
          "a:1:9: first\na:2:1: /x: second\na:2:1: /x: and after it\nb:1:1: third\n");
    CHECK(diagnostics.count() == 4);
    for (u32 i = 1; i <= 119; ++i) {
        diagnostics.add({"c", i, 1, "", "more"});
    }
    CHECK(diagnostics.full());
    CHECK(diagnostics.count() == 123);
    CHECK(diagnostics.sorted().size() == Diagnostics::kMaxKept);
    const std::string text = diagnostics.to_string();
    const std::string end = "c:96:1: more\nand 23 more errors\n";
    CHECK(text.substr(text.size() - end.size()) == end);
}

}  // namespace
}  // namespace vtlsim::runner
