#include "runner/text_diff.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace vtlsim::runner {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

}  // namespace

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

}  // namespace vtlsim::runner
