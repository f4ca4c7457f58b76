#include "runner/trace/state.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

namespace vtlsim::runner::trace {
namespace {

constexpr u64 kWord = 8;
constexpr u32 kPayload = 16;  // of a message

using From = Source::Kind;

// The shorter names that scenarios use too (model/fields.hpp).
struct Alias {
    std::string_view from, to;
};
constexpr Alias kAliases[] = {{"command.cpu_context.", "context."},
                              {"command.intercept_message.", "message."},
                              {"hcl_run.context.", "context."},
                              {"hcl_run.exit_message.", "message."}};

std::string aliased(const Region& region, const std::string& field) {
    const std::string full = region.name + "." + field;
    const std::string vp = region.vp > 0 ? fmt::format("vp{}.", region.vp) : "";
    for (const Alias& a : kAliases) {
        if (full.starts_with(a.from)) {
            return fmt::format("{}{}{}", vp, a.to, full.substr(a.from.size()));
        }
    }
    return vp + full;
}

int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

bool before(u32 item, const Write* w) { return item < w->item; }

}  // namespace

State::State(const Recording& recording) : r_(recording), cells_(r_.cells.size()) {
    const auto add = [&](const Write& w) {
        if (!w.memory) {
            cells_[w.where].push_back(&w);
            return;
        }
        for (u64 a = w.where & ~(kWord - 1); a < w.where + w.size; a += kWord) {
            words_[a].push_back(&w);
        }
    };
    for (const Write& w : r_.writes) add(w);
    first_write_.assign(r_.items.size() + 1, r_.writes.size());
    for (std::size_t i = r_.writes.size(); i-- > 0;) first_write_[r_.writes[i].item] = i;
    for (std::size_t i = r_.items.size(); i-- > 0;) {
        first_write_[i] = std::min(first_write_[i], first_write_[i + 1]);
    }
}

std::span<const Write> State::writes_of(u32 item) const {
    return std::span(r_.writes).subspan(first_write_[item],
                                        first_write_[item + 1] - first_write_[item]);
}

Vec128 State::value(const Source& place, u32 item) const {
    if (place.kind == From::cell) {
        const auto& list = cells_[place.where];
        const auto it = std::upper_bound(list.begin(), list.end(), item, before);
        return it == list.begin() ? r_.cells[place.where].initial : (*(it - 1))->value;
    }
    std::array<u8, sizeof(Vec128)> bytes{};
    for (u64 i = 0; i < std::min<u64>(place.size, bytes.size()); ++i) {
        const u64 at = place.where + i;
        const auto put = [&](const Write& w) {
            if (w.bytes.empty() || at < w.where || at >= w.where + w.size) return false;
            const std::size_t d = 2 * (at - w.where);
            bytes[i] = static_cast<u8>(digit(w.bytes[d]) * 16 + digit(w.bytes[d + 1]));
            return true;
        };
        bool found = false;
        if (const auto word = words_.find(at & ~(kWord - 1)); word != words_.end()) {
            const auto& list = word->second;
            auto it = std::upper_bound(list.begin(), list.end(), item, before);
            while (!found && it != list.begin()) found = put(**--it);
        }
        for (const Write& w : r_.initial_memory) {
            if (!found) found = put(w);
        }
    }
    Vec128 out;
    std::memcpy(&out, bytes.data(), sizeof(out));
    return out;
}

const Write* State::last_write(const Source& place, u32 item) const {
    if (place.kind == From::cell) {
        const auto& list = cells_[place.where];
        const auto it = std::upper_bound(list.begin(), list.end(), item, before);
        return it == list.begin() ? nullptr : *(it - 1);
    }
    const Write* best = nullptr;
    for (u64 a = place.where & ~(kWord - 1); a < place.where + place.size; a += kWord) {
        const auto word = words_.find(a);
        if (word == words_.end()) continue;
        const auto& list = word->second;
        auto it = std::upper_bound(list.begin(), list.end(), item, before);
        while (it != list.begin()) {
            const Write* w = *--it;
            if (w->where >= place.where + place.size || w->where + w->size <= place.where) continue;
            if (best == nullptr || best < w) best = w;
            break;
        }
    }
    return best;
}

State::Link State::origin(const Source& place, u32 item) const {
    const Write* w = last_write(place, item);
    if (w == nullptr) return {nullptr, std::nullopt};
    if (w->item == 0) return {w, std::nullopt};
    const Vec128 now = value(place, item);
    std::optional<Source> first;
    for (Source s : w->sources) {
        if (s.kind == From::item) continue;
        // A block copy: the part that became this place.
        if (s.kind == From::memory && place.kind == From::memory && s.size == w->size &&
            s.size > place.size) {
            s.where += place.where - w->where;
            s.size = place.size;
        }
        if (value(s, w->item - 1) == now) return {w, s};
        if (!first) first = s;
    }
    return {w, first};
}

u32 State::type_at(u64 address, u32 item) const {
    return static_cast<u32>(value({From::memory, address, 4}, item).lo);
}

std::vector<State::Named> State::fields(const Region& region, u32 item) const {
    std::vector<Named> out;
    for (const Field& f : region.fields) {
        const bool message = std::any_of(region.messages.begin(), region.messages.end(),
                                         [&](u32 m) { return m + kPayload == f.offset; });
        const u64 at = region.address + f.offset;
        const u32 type = message ? type_at(at - kPayload, item) : 0;
        const auto payload = std::find_if(r_.payloads.begin(), r_.payloads.end(),
                                          [&](const Payload& p) { return p.type == type; });
        if (type == 0 || payload == r_.payloads.end()) {
            out.push_back({aliased(region, f.name), {From::memory, at, f.size}});
            continue;
        }
        const std::string prefix = f.name.substr(0, f.name.size() - std::strlen("payload"));
        for (const Field& inner : payload->fields) {
            out.push_back({aliased(region, prefix + inner.name),
                           {From::memory, at + inner.offset, inner.size}});
        }
    }
    return out;
}

std::string State::name(const Source& place, u32 item) const {
    if (place.kind == From::cell) {
        const Cell& cell = r_.cells[place.where];
        const Bank& bank = r_.banks[cell.bank];
        return fmt::format("{}{}.{}", bank.vp > 0 ? fmt::format("vp{}.", bank.vp) : "", bank.name,
                           cell.name);
    }
    for (const Region& region : r_.regions) {
        if (place.where < region.address || place.where >= region.address + region.size) continue;
        for (const Named& f : fields(region, item)) {
            if (place.where < f.place.where || place.where >= f.place.where + f.place.size)
                continue;
            const u64 inside = place.where - f.place.where;
            return inside == 0 ? f.name : fmt::format("{}+{:#x}", f.name, inside);
        }
    }
    return fmt::format("{:#x}", place.where);
}

std::optional<Source> State::place(std::string_view wanted, u32 item) const {
    if (wanted.starts_with("0x")) {
        u64 address = 0;
        const auto [end, error] =
            std::from_chars(wanted.data() + 2, wanted.data() + wanted.size(), address, 16);
        if (error != std::errc{} || end != wanted.data() + wanted.size()) return std::nullopt;
        return Source{From::memory, address, kWord};
    }
    for (u32 i = 0; i < r_.cells.size(); ++i) {
        const Source cell{From::cell, i, 0};
        if (name(cell, item) == wanted) return cell;
    }
    for (const Region& region : r_.regions) {
        for (const Named& f : fields(region, item)) {
            if (f.name == wanted) return f.place;
        }
    }
    return std::nullopt;
}

std::vector<Source> State::copies(std::string_view reg, int vp, u32 item) const {
    std::vector<Source> out;
    for (u32 i = 0; i < r_.cells.size(); ++i) {
        if (r_.cells[i].name == reg && r_.banks[r_.cells[i].bank].vp == vp) {
            out.push_back({From::cell, i, 0});
        }
    }
    for (const Region& region : r_.regions) {
        if (region.vp != vp) continue;
        for (const Named& f : fields(region, item)) {
            const std::size_t dot = f.name.rfind('.');
            if (f.place.size <= sizeof(Vec128) && f.name.substr(dot + 1) == reg) {
                out.push_back(f.place);
            }
        }
    }
    return out;
}

}  // namespace vtlsim::runner::trace
