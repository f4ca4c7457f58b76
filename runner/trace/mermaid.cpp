#include <fmt/format.h>

#include "runner/trace/rows.hpp"

namespace vtlsim::runner::trace {
namespace {

// Mermaid ends a statement at ';' and a text at '#'; both can be written as entities.
std::string escaped(std::string_view text) {
    std::string out;
    for (char c : text) {
        switch (c) {
            case '#':
            case ';':
            case '<':
            case '>':
            case '"':
            case '&':
            case '%':
                out += fmt::format("#{};", static_cast<int>(c));
                break;
            case '\n':
                out += "<br/>";
                break;
            default:
                out += static_cast<u8>(c) < 0x20 ? ' ' : c;
        }
    }
    while (out.ends_with("<br/>")) out.resize(out.size() - 5);
    return out;
}

}  // namespace

std::string mermaid_trace(const Recording& r, const TextOptions& options) {
    std::string out = "sequenceDiagram\n";
    out += fmt::format("    accTitle: {}\n", escaped(title_of(r)));
    for (std::size_t i = 0; i < r.lanes.size(); ++i) {
        out += fmt::format("    participant L{} as {}\n", i, escaped(r.lanes[i].title));
    }
    for (const Row& row : rows_of(r, options)) {
        const std::string text = fmt::format("{} {}", r.items[row.first].step, escaped(row.text));
        if (row.to >= 0 && row.to != row.lane) {
            out += fmt::format("    L{}->>L{}: {}\n", row.lane, row.to, text);
        } else {
            out += fmt::format("    Note over L{}: {}{}\n", row.lane, row.alarm ? "✗ " : "", text);
        }
        if (!row.notes.empty()) {
            out +=
                fmt::format("    Note right of L{}: {}\n", r.lanes.size() - 1, escaped(row.notes));
        }
    }
    return out;
}

}  // namespace vtlsim::runner::trace
