#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runner/trace/rows.hpp"

namespace vtlsim::runner::trace {
namespace {

std::string text(std::string_view s) {
    return nlohmann::json(std::string(s))
        .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// A step is a microsecond; its events share it.
constexpr u64 kStep = 1000;

struct Line {
    u64 ts;
    int order;  // at the same time: ends first, inner ones before outer ones
    std::string text;
};

}  // namespace

std::string perfetto_trace(const Recording& r, const TextOptions& options) {
    std::vector<Line> lines;
    const auto hidden = [&](u16 kind) {
        return std::any_of(options.hidden.begin(), options.hidden.end(),
                           [&](model::EventKind k) { return static_cast<u16>(k) == kind; });
    };
    const auto begin = [&](u64 ts, int order, u16 lane, u8 vp, std::string_view name,
                           std::string_view category, const std::string& args) {
        lines.push_back({ts, order,
                         fmt::format("{{\"ph\":\"B\",\"pid\":{},\"tid\":{},\"ts\":{},\"cat\":{},"
                                     "\"name\":{}{}}}",
                                     r.lanes[lane].vp < 0 ? 0 : vp + 1, lane, ts, text(category),
                                     text(name), args)});
    };
    const auto end = [&](u64 ts, int order, u16 lane, u8 vp) {
        lines.push_back({ts, order,
                         fmt::format("{{\"ph\":\"E\",\"pid\":{},\"tid\":{},\"ts\":{}}}",
                                     r.lanes[lane].vp < 0 ? 0 : vp + 1, lane, ts)});
    };
    // Within a step the events of all lanes come one after the other.
    for (std::size_t first = 0; first < r.items.size();) {
        // A lane's part of a turn is the outer slice.
        const Item& head = r.items[first];
        std::size_t last = first;
        while (last + 1 < r.items.size() && r.items[last + 1].turn == head.turn &&
               r.items[last + 1].lane == head.lane) {
            ++last;
        }
        u64 at = 0, outer_begin = 0;
        for (std::size_t i = first; i <= last; ++i) {
            const Item& item = r.items[i];
            std::size_t from = i;
            while (from > 0 && r.items[from - 1].step == item.step) --from;
            std::size_t to = i;
            while (to + 1 < r.items.size() && r.items[to + 1].step == item.step) ++to;
            const u64 share = kStep * (i - from) / (to - from + 1);
            const u64 next = kStep * (i + 1 - from) / (to - from + 1);
            at = item.step * kStep + share;
            if (i == first) {
                outer_begin = at;
                const Turn& turn = r.turns[item.turn];
                begin(outer_begin, 2, item.lane, item.vp,
                      turn.step.empty() ? turn.actor : turn.actor + ": " + turn.step, "turn", "");
            }
            if (!hidden(item.kind)) {
                begin(at, 3, item.lane, item.vp,
                      item.kind == static_cast<u16>(model::EventKind::insn) || item.text.empty()
                          ? (item.text.empty() ? r.kinds[item.kind].name
                                               : std::string_view(item.text))
                          : std::string_view(r.kinds[item.kind].name),
                      r.kinds[item.kind].name,
                      fmt::format(
                          ",\"args\":{{\"step\":{},\"vtl\":{},\"rip\":\"{:#x}\",\"detail\":{}}}",
                          item.step, item.vtl, item.rip, text(item.text)));
                end(item.step * kStep + next, 0, item.lane, item.vp);
            }
            at = item.step * kStep + next;
        }
        end(at, 1, head.lane, head.vp);
        first = last + 1;
    }
    std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
        return a.ts != b.ts ? a.ts < b.ts : a.order < b.order;
    });
    std::string out = fmt::format(
        "{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"title\":{},"
        "\"hash\":{}}},\"traceEvents\":[\n",
        text(title_of(r)), text(r.result.hash));
    std::vector<int> named;
    for (std::size_t i = 0; i < r.lanes.size(); ++i) {
        const int pid = r.lanes[i].vp < 0 ? 0 : r.lanes[i].vp + 1;
        if (std::find(named.begin(), named.end(), pid) == named.end()) {
            named.push_back(pid);
            const std::string name = pid == 0 ? "shared" : fmt::format("VP {}", pid - 1);
            out += fmt::format(
                "{{\"ph\":\"M\",\"pid\":{},\"name\":\"process_name\",\"args\":"
                "{{\"name\":{}}}}},\n",
                pid, text(name));
        }
        out += fmt::format(
            "{{\"ph\":\"M\",\"pid\":{0},\"tid\":{1},\"name\":\"thread_name\",\"args\":"
            "{{\"name\":{2}}}}},\n{{\"ph\":\"M\",\"pid\":{0},\"tid\":{1},\"name\":"
            "\"thread_sort_index\",\"args\":{{\"sort_index\":{1}}}}},\n",
            pid, i, text(r.lanes[i].title));
    }
    for (std::size_t i = 0; i < lines.size(); ++i) {
        out += lines[i].text;
        out += i + 1 < lines.size() ? ",\n" : "\n";
    }
    if (lines.empty()) out.resize(out.size() - 2);
    return out + "]}\n";
}

}  // namespace vtlsim::runner::trace
