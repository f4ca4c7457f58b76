#include "tests/golden/golden.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "tests/catch.hpp"

namespace vtlsim::tests {
namespace {

std::string full_path(const std::string& path) { return VTLSIM_SOURCE_DIR "/" + path; }

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

bool is_set(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0';
}

bool blessing() {
    const char* value = std::getenv("VTLSIM_BLESS");
    if (value == nullptr || std::string_view(value) != "1") return false;
    if (is_set("CI")) throw std::runtime_error("VTLSIM_BLESS is not for CI: bless and commit");
    return true;
}

void write(const std::string& path, const std::string& text) {
    std::ofstream file(full_path(path), std::ios::binary);
    file << text;
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace

std::string source_file(const std::string& path) {
    std::ifstream file(full_path(path), std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string text_diff(std::string_view expected, std::string_view actual) {
    if (expected == actual) return {};
    constexpr std::size_t kContext = 3, kMaxLines = 60;
    const auto a = lines_of(expected);
    const auto b = lines_of(actual);
    std::size_t head = 0;
    while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
    std::size_t tail = 0;
    while (tail < a.size() - head && tail < b.size() - head &&
           a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) {
        ++tail;
    }
    std::string out = fmt::format("@@ -{},{} +{},{} @@\n", head + 1, a.size() - head - tail,
                                  head + 1, b.size() - head - tail);
    const auto add = [&](char sign, const auto& lines, std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < std::min(to, from + kMaxLines); ++i) {
            out += fmt::format("{}{}\n", sign, lines[i]);
        }
        if (to > from + kMaxLines) {
            out += fmt::format("{}... {} more lines\n", sign, to - from - kMaxLines);
        }
    };
    add(' ', a, head - std::min(head, kContext), head);
    add('-', a, head, a.size() - tail);
    add('+', b, head, b.size() - tail);
    add(' ', a, a.size() - tail, std::min(a.size(), a.size() - tail + kContext));
    if (a == b) out += "(only the newline at the end differs)\n";
    return out;
}

std::string golden_diff(const std::string& path, const std::string& actual) {
    if (blessing()) {
        write(path, actual);
        return {};
    }
    const std::string diff = text_diff(source_file(path), actual);
    return diff.empty()
               ? diff
               : fmt::format("--- {}\n+++ as it is now (VTLSIM_BLESS=1 writes it)\n{}", path, diff);
}

std::string golden_part_diff(const std::string& path, std::string_view name,
                             const std::string& actual) {
    const std::string text = source_file(path);
    const std::string mark = fmt::format("<!-- {} -->\n", name);
    const std::size_t start = text.find(mark);
    const std::size_t end = text.find("<!-- end -->", start);
    if (start == std::string::npos || end == std::string::npos) {
        return fmt::format("{} has no part {}", path, name);
    }
    return golden_diff(path, text.substr(0, start + mark.size()) + actual + text.substr(end));
}

TEST_CASE("A difference reads like a unified diff", "[golden]") {
    CHECK(text_diff("a\nb\n", "a\nb\n").empty());
    CHECK(text_diff("1\n2\n3\n4\nold\n5\n6\n7\n8\n", "1\n2\n3\n4\nnew\nmore\n5\n6\n7\n8\n") ==
          "@@ -5,1 +5,2 @@\n 2\n 3\n 4\n-old\n+new\n+more\n 5\n 6\n 7\n");
    CHECK(text_diff("a\n", "a") == "@@ -2,0 +2,0 @@\n a\n(only the newline at the end differs)\n");
    CHECK(text_diff("", "a\n") == "@@ -1,0 +1,1 @@\n+a\n");
}

}  // namespace vtlsim::tests
