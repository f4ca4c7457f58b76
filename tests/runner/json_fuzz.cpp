// Damages a valid text in thousands of ways: loading it must always end, without a crash, in a tree
// or a message, and say the same when asked again. The seed is fixed.
// Run: build/<preset>/vtlsim_tests "[json]"
#include <algorithm>
#include <array>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>

#include "runner/json/reader.hpp"
#include "tests/catch.hpp"

namespace vtlsim::runner {
namespace {

constexpr std::string_view kValid = R"({ // a comment
  "name": "f\u00fcr \ud83d\ude00 \"x\"", /* another
  one */ "why": ["mov eax, 1", "\tout 0x80, al\nhlt", ""],
  "numbers": [0, -1, 1.5e-3, 18446744073709551615, "0xdead_beef", "0b101"],
  "xmm": "0x00112233445566778899aabbccddeeff", "bytes": "90 f4",
  "deep": [[[{"a": {"b": [true, false, null]}}]]], "empty": {}, "é": []
})";

constexpr std::array<std::string_view, 24> kPieces = {"{",
                                                      "}",
                                                      "[",
                                                      "]",
                                                      ":",
                                                      ",",
                                                      "\"",
                                                      "\\",
                                                      "//",
                                                      "/*",
                                                      "*/",
                                                      "\n",
                                                      "\r\n",
                                                      "\\u",
                                                      "\\ud83d",
                                                      "-",
                                                      "1e999",
                                                      "0x",
                                                      "\xEF\xBB\xBF",
                                                      "\xC3",
                                                      "\xFF",
                                                      "99999999999999999999",
                                                      "nul",
                                                      "\\\\"};

// Reads every value in every way a loader could.
void read_all(const Node& node) {
    constexpr std::array<std::string_view, 2> kNames = {"name", "why"};
    if (node.is_array() || node.is_object()) {
        (void)node.object(kNames).required("name").string();
        for (const Node& child : node.is_array() ? node.array() : node.members()) {
            read_all(child);
        }
    }
    (void)node.boolean();
    (void)node.integer<u8>(1, 3);
    (void)node.hex();
    (void)node.bytes();
    (void)node.one_of("test", kNames);
    const JsonText text = node.text();
    for (std::size_t i = 0; i <= text.text().size(); ++i) {
        (void)text.position(i);
    }
    (void)node.position_in_string(node.is_string() ? node.string().size() : 0);
}

struct Verdict {
    bool tree = false;
    std::string messages;
    bool operator==(const Verdict&) const = default;
};

Verdict verdict_on(const std::string& text) {
    Diagnostics diagnostics;
    const auto document = JsonDocument::parse(text, "f", diagnostics);
    if (document) {
        read_all({*document, diagnostics});
    }
    return {document != nullptr, diagnostics.to_string()};
}

std::string mutated(std::mt19937& random) {
    std::string text(kValid);
    const auto below = [&](std::size_t bound) { return random() % bound; };
    for (std::size_t count = 1 + below(3); count != 0 && !text.empty(); --count) {
        const std::size_t at = below(text.size());
        switch (below(5)) {
            case 0:
                text[at] = static_cast<char>(below(256));
                break;
            case 1:
                text.erase(at, 1 + below(8));
                break;
            case 2:
                text.insert(at, kPieces[below(kPieces.size())]);
                break;
            case 3:
                text.resize(at + 1);
                break;
            default:
                text.insert(at, text.substr(below(text.size()), below(40)));
                break;
        }
    }
    return text;
}

TEST_CASE("Damaged JSON text is always answered", "[json]") {
    std::mt19937 random(20240229);  // its sequence is fixed by the standard
    std::size_t trees = 0;
    std::size_t refusals = 0;
    for (int i = 0; i < 6000; ++i) {
        const std::string text = mutated(random);
        const Verdict verdict = verdict_on(text);
        ++(verdict.tree ? trees : refusals);
        const bool one_line_each =
            std::all_of(verdict.messages.begin(), verdict.messages.end(),
                        [](char c) { return c == '\n' || static_cast<u8>(c) >= 0x20; });
        if (verdict.messages.empty() || !one_line_each || verdict != verdict_on(text)) {
            FAIL("no clear verdict on: " << text << "\n" << verdict.messages);
        }
    }
    // Both ways must really have been taken.
    CHECK(trees > 300);
    CHECK(refusals > 3000);
}

TEST_CASE("Every beginning of a JSON text is answered", "[json]") {
    for (std::size_t size = 0; size < kValid.size(); ++size) {
        INFO(size);
        const Verdict verdict = verdict_on(std::string(kValid.substr(0, size)));
        CHECK_FALSE(verdict.tree);
        CHECK_FALSE(verdict.messages.empty());
    }
    CHECK(verdict_on(std::string(kValid)).tree);
}

}  // namespace
}  // namespace vtlsim::runner
