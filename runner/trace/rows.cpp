#include "runner/trace/rows.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace vtlsim::runner::trace {
namespace {

constexpr auto kInsn = static_cast<u16>(model::EventKind::insn);

bool hidden(const Recording& r, const Item& item, const TextOptions& options) {
    return item.kind + 1u == r.kinds.size() ||  // a turn without an event
           std::any_of(options.hidden.begin(), options.hidden.end(),
                       [&](model::EventKind kind) { return static_cast<u16>(kind) == item.kind; });
}

// The lane of that name which this VP uses.
int lane_named(const Recording& r, std::string_view name, u8 vp) {
    for (std::size_t i = 0; i < r.lanes.size(); ++i) {
        const SwimLane& lane = r.lanes[i];
        if (lane.name == name && (lane.vp == vp || lane.vp == -1)) return static_cast<int>(i);
    }
    return -1;
}

std::string place_of(const Recording& r, u64 rip) {
    const auto label = r.labels.find(rip);
    return label != r.labels.end() ? label->second : fmt::format("{:#x}", rip);
}

}  // namespace

std::vector<Row> rows_of(const Recording& r, const TextOptions& options) {
    std::vector<Row> rows;
    std::string notes;
    auto note = r.notes.begin();
    for (u32 n = 0; n < r.items.size(); ++n) {
        const Item& item = r.items[n];
        for (; note != r.notes.end() && note->item == n; ++note) notes += note->text + '\n';
        const bool out = hidden(r, item, options);
        if (out && notes.empty()) continue;
        const bool insn = item.kind == kInsn;
        Row* last = rows.empty() ? nullptr : &rows.back();
        if (insn && last != nullptr && last->lane == item.lane && last->notes.empty() &&
            notes.empty() && r.items[last->last].kind == kInsn &&
            r.items[last->last].vp == item.vp) {
            last->last = n;
            ++last->count;
            last->text = fmt::format("{} instructions from {}", last->count,
                                     place_of(r, r.items[last->first].rip));
            continue;
        }
        const Kind& kind = r.kinds[item.kind];
        Row row{
            .first = n, .last = n, .lane = item.lane, .alarm = kind.alarm, .text = {}, .notes = {}};
        if (!kind.to.empty()) row.to = lane_named(r, kind.to, item.vp);
        const bool bare = insn || out;
        row.text = bare ? item.text
                        : fmt::format("{}{}{}", kind.name, item.text.empty() ? "" : " ", item.text);
        row.notes = std::exchange(notes, {});
        rows.push_back(std::move(row));
    }
    return rows;
}

std::string title_of(const Recording& r) {
    return fmt::format("{}{}{}{}{}: {} after {} steps", r.scenario, r.variant.empty() ? "" : " ",
                       r.variant, r.schedule.empty() ? "" : ", schedule ", r.schedule, r.result.end,
                       r.result.steps);
}

}  // namespace vtlsim::runner::trace
