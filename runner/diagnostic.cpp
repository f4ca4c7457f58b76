#include "runner/diagnostic.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace vtlsim::runner {

std::string Diagnostic::to_string() const {
    const std::string pointer = path.empty() ? "" : path + ": ";
    return fmt::format("{}:{}:{}: {}{}", file, line, column, pointer, message);
}

void Diagnostics::add(Diagnostic diagnostic) {
    if (full()) {
        ++count_;
        return;
    }
    if (std::find(kept_.begin(), kept_.end(), diagnostic) != kept_.end()) {
        return;
    }
    ++count_;
    kept_.push_back(std::move(diagnostic));
}

void Diagnostics::append(const Diagnostics& other) {
    for (Diagnostic& diagnostic : other.sorted()) add(std::move(diagnostic));
    count_ += other.count_ - other.kept_.size();
}

std::vector<Diagnostic> Diagnostics::sorted() const {
    std::vector<Diagnostic> result = kept_;
    std::stable_sort(result.begin(), result.end(), [](const Diagnostic& a, const Diagnostic& b) {
        return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
    });
    return result;
}

std::string Diagnostics::to_string() const {
    std::string result;
    for (const Diagnostic& diagnostic : sorted()) {
        result += diagnostic.to_string() + '\n';
    }
    if (count_ > kept_.size()) {
        result += fmt::format("and {} more errors\n", count_ - kept_.size());
    }
    return result;
}

namespace {

bool is_continuation(char c) { return (static_cast<u8>(c) & 0xC0) == 0x80; }

std::string escaped(std::string_view text, bool escape_quotes) {
    std::string result;
    std::size_t code_points = 0;
    for (const char c : text) {
        if (!is_continuation(c) && ++code_points > kMaxQuoted) {
            return result + "...";
        }
        if (static_cast<u8>(c) < 0x20 || c == 0x7F) {
            result += fmt::format("\\u{:04x}", static_cast<u8>(c));
        } else if (escape_quotes && (c == '"' || c == '\\')) {
            result += '\\';
            result += c;
        } else {
            result += c;
        }
    }
    return result;
}

}  // namespace

std::string in_quotes(std::string_view text) { return '"' + escaped(text, true) + '"'; }

std::string printable(std::string_view text) { return escaped(text, false); }

}  // namespace vtlsim::runner
