#include <algorithm>

#include <fmt/format.h>

#include "runner/trace/formats.hpp"

namespace vtlsim::runner::trace {
namespace {

// Lanes that share a column: who belongs together on the machine. Others have one each.
struct Column {
    std::string_view title;
    std::vector<std::string_view> lanes;
};
const std::vector<Column>& columns() {
    static const std::vector<Column> all = {{"guest", {"guest"}},
                                            {"hypervisor", {"hypervisor"}},
                                            {"AP and driver", {"vtl2", "driver"}},
                                            {"VMM", {"vmm", "device"}}};
    return all;
}

std::string title_of_lane(std::string_view lane) {
    for (const Column& c : columns()) {
        if (std::find(c.lanes.begin(), c.lanes.end(), lane) != c.lanes.end()) {
            return std::string(c.title);
        }
    }
    return std::string(lane);
}

std::string cell_text(std::string text) {
    std::string out;
    for (char c : text) {
        if (c == '|') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out;
}

}  // namespace

std::string lanes_trace(const Recording& r, const TextOptions& options) {
    std::vector<std::string> titles;
    const auto column_of = [&](u16 lane) {
        const std::string title = title_of_lane(r.lanes[lane].name);
        const auto found = std::find(titles.begin(), titles.end(), title);
        return static_cast<std::size_t>(found - titles.begin());
    };
    for (u16 i = 0; i < r.lanes.size(); ++i) {
        if (column_of(i) == titles.size()) titles.push_back(title_of_lane(r.lanes[i].name));
    }
    std::string out = "| step |";
    for (const std::string& title : titles) out += fmt::format(" {} |", title);
    out += "\n|---|";
    for (std::size_t i = 0; i < titles.size(); ++i) out += "---|";
    out += '\n';
    const auto line = [&](const Item& item, const std::string& text) {
        out += fmt::format("| {} |", item.step);
        for (std::size_t i = 0; i < titles.size(); ++i) {
            out += i == column_of(item.lane) ? fmt::format(" {} |", text) : "  |";
        }
        out += '\n';
    };
    auto note = r.notes.begin();
    for (u32 n = 0; n < r.items.size(); ++n) {
        const Item& item = r.items[n];
        for (; note != r.notes.end() && note->item == n; ++note) {
            if (note->kind == Note::Kind::order) {
                line(item, fmt::format("**{}**", cell_text(note->text)));
            }
        }
        const Kind& kind = r.kinds[item.kind];
        if (item.kind + 1u == r.kinds.size()) {  // a turn without an event
            line(item, fmt::format("*{}*", cell_text(item.text)));
            continue;
        }
        const bool hidden = std::any_of(options.hidden.begin(), options.hidden.end(),
                                        [&](auto k) { return static_cast<u16>(k) == item.kind; });
        if (hidden) continue;
        line(item, fmt::format("`{}{}{}`", kind.name, item.text.empty() ? "" : " ",
                               cell_text(item.text)));
    }
    return out;
}

}  // namespace vtlsim::runner::trace
