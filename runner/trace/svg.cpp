#include <fmt/format.h>

#include "runner/trace/rows.hpp"

namespace vtlsim::runner::trace {
namespace {

constexpr int kStepWidth = 64, kLaneWidth = 132, kRow = 26, kHead = 74, kNoteWidth = 42;
constexpr int kTail = 190;      // behind the last lane, for its texts
constexpr int kCharacter = 67;  // tenths of a pixel, of the monospaced font

std::string escaped(std::string_view text) {
    std::string out;
    for (char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += static_cast<u8>(c) < 0x20 ? ' ' : c;
        }
    }
    return out;
}

constexpr std::string_view kStyle = R"(<style>
text{font:12px system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1b1f24}
.mono{font:11px ui-monospace,"DejaVu Sans Mono",Menlo,monospace}
.dim{fill:#59636e}.back{fill:#ffffff}.band{fill:#f4f6f8}.line{stroke:#d5dbe1}
.bar{fill:#dce8f7;stroke:#7fa3d1}.bar.l1{fill:#e8e1f5;stroke:#a58fce}.bar.l2{fill:#d9eede;stroke:#7db58b}
.bar.l3{fill:#f8e9d0;stroke:#cfa35a}.bar.l4{fill:#f6dfe6;stroke:#cc8aa1}.bar.l5{fill:#e3e6ea;stroke:#98a2ad}
.alarm .bar{fill:#ffe1dc;stroke:#c0392b;stroke-width:1.6}.alarm text{fill:#8e1d10;font-weight:600}
.arrow{stroke:#59636e;fill:none}.head{fill:#59636e}.note{fill:#7a4a00;font-style:italic}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#9aa6b2}.back{fill:#12161b}.band{fill:#181e25}
.line{stroke:#303a45}.bar{fill:#1d3352;stroke:#5583bd}.bar.l1{fill:#33284d;stroke:#8a72bd}
.bar.l2{fill:#1c3b27;stroke:#5c9a6c}.bar.l3{fill:#443213;stroke:#b58a43}.bar.l4{fill:#472433;stroke:#b06f88}
.bar.l5{fill:#2b323a;stroke:#76818d}.alarm .bar{fill:#55201a;stroke:#ff7b6b}.alarm text{fill:#ffb4a8}
.arrow{stroke:#9aa6b2}.head{fill:#9aa6b2}.note{fill:#e6b566}}
</style>
)";

// At most so many characters, with dots where something is missing.
std::string shortened(const std::string& text, std::size_t length) {
    return text.size() <= length ? text : text.substr(0, length - 1) + "…";
}

std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
    std::vector<std::string> lines;
    std::string line;
    for (std::size_t i = 0; i <= text.size();) {
        const std::size_t end = std::min(text.find_first_of(" \n", i), text.size());
        const std::string word = text.substr(i, end - i);
        if (!line.empty() && line.size() + 1 + word.size() > width) {
            lines.push_back(std::move(line));
            line.clear();
        }
        line += (line.empty() ? "" : " ") + word;
        if (end < text.size() && text[end] == '\n') {
            lines.push_back(std::move(line));
            line.clear();
        }
        i = end + 1;
    }
    if (!line.empty()) lines.push_back(std::move(line));
    return lines;
}

}  // namespace

std::string svg_trace(const Recording& r, const TextOptions& options) {
    const std::vector<Row> rows = rows_of(r, options);
    bool notes = false;
    for (const Row& row : rows) notes = notes || !row.notes.empty();
    const int lanes = static_cast<int>(r.lanes.size());
    const int lanes_end = kStepWidth + lanes * kLaneWidth;
    const int text_end = lanes_end + kTail;
    const int width = text_end + (notes ? kNoteWidth * 7 : 8);
    std::string body;
    int y = kHead;
    for (const Row& row : rows) {
        const std::vector<std::string> note = wrapped(row.notes, kNoteWidth);
        const int height = std::max(kRow, static_cast<int>(note.size()) * 15 + 8);
        const int x = kStepWidth + row.lane * kLaneWidth;
        const u64 first = r.items[row.first].step, last = r.items[row.last].step;
        body += fmt::format("<g{}><title>{}</title>", row.alarm ? " class=\"alarm\"" : "",
                            escaped(row.text));
        body += fmt::format(
            "<text class=\"mono dim\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            kStepWidth - 10, y + 16,
            first == last ? fmt::format("{}", first) : fmt::format("{}–{}", first, last));
        std::string arrow;
        if (row.to >= 0 && row.to != row.lane) {
            const int to = kStepWidth + row.to * kLaneWidth + 16;
            arrow = fmt::format("<path class=\"arrow\" marker-end=\"url(#head)\" d=\"M{} {}H{}\"/>",
                                x + 16, y + kRow - 2, to);
        }
        // As wide as the text, if there is room.
        const int room = text_end - x - 8;
        const auto most = static_cast<std::size_t>((room - 14) * 10 / kCharacter);
        const int wanted = static_cast<int>(row.text.size()) * kCharacter / 10 + 14;
        body += fmt::format(
            "<rect class=\"bar l{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\"/>"
            "<text class=\"mono\" x=\"{}\" y=\"{}\">{}</text>",
            row.lane % 6, x + 4, y + 3, std::min(room, std::max(kLaneWidth - 8, wanted)), kRow - 6,
            x + 10, y + 16, escaped(shortened(row.text, most)));
        body += arrow;
        for (std::size_t i = 0; i < note.size(); ++i) {
            body += fmt::format("<text class=\"note\" x=\"{}\" y=\"{}\">{}</text>", text_end + 8,
                                y + 17 + static_cast<int>(i) * 15, escaped(note[i]));
        }
        body += "</g>\n";
        y += height;
    }
    const int height = y + 14;
    std::string out = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
        "{1}\" "
        "role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">{2}</title>\n",
        width, height, escaped(title_of(r)));
    out += kStyle;
    out +=
        "<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" "
        "markerHeight=\"7\" orient=\"auto\"><path class=\"head\" d=\"M0 0L8 4L0 "
        "8z\"/></marker></defs>\n";
    out += fmt::format("<rect class=\"back\" width=\"{}\" height=\"{}\"/>\n", width, height);
    out +=
        fmt::format("<text x=\"12\" y=\"24\" style=\"font-weight:600;font-size:14px\">{}</text>\n",
                    escaped(title_of(r)));
    for (int i = 0; i < lanes; ++i) {
        const int x = kStepWidth + i * kLaneWidth;
        if (i % 2 == 0) {
            out +=
                fmt::format("<rect class=\"band\" x=\"{}\" y=\"40\" width=\"{}\" height=\"{}\"/>\n",
                            x, kLaneWidth, height - 48);
        }
        out += fmt::format(
            "<text x=\"{}\" y=\"60\" text-anchor=\"middle\" style=\"font-weight:600\">{}</text>\n",
            x + kLaneWidth / 2, escaped(r.lanes[static_cast<std::size_t>(i)].title));
    }
    out += fmt::format("<path class=\"line\" d=\"M8 {0}H{1}\"/>\n", kHead - 4, lanes_end);
    return out + body + "</svg>\n";
}

}  // namespace vtlsim::runner::trace
