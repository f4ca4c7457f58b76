#include "runner/load_expect.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/fields.hpp"
#include "model/wire/message.hpp"

namespace vtlsim::runner {
namespace {

// The keys of a pattern that are not arguments of its kind.
constexpr std::string_view kEvent = "event", kVtl = "vtl", kAt = "at";

// Message types have names of their own; other words are in the format's table.
std::optional<u64> message_type_value(const std::string& name) {
    for (u32 base : {0x80000000u, 0x80010000u, 0u}) {
        for (u32 i = 0; i < 0x100; ++i) {
            if (model::message_type_name(base + i) == name && name != "unknown") return base + i;
        }
    }
    return std::nullopt;
}

u64 read_argument(const Node& node, const model::ArgRow& arg) {
    using model::Format;
    const auto words = model::format_words(arg.format);
    if (!words.empty() && node.is_string()) return node.one_of(arg.name, words);
    switch (arg.format) {
        case Format::flag:
            return node.boolean() ? 1 : 0;
        case Format::message_type:
            if (node.is_string()) {
                if (const auto value = message_type_value(node.string())) return *value;
            }
            return node.integer<u64>();
        case Format::reg: {
            const sim::RegInfo* row = sim::find_register(node.string());
            if (row == nullptr) {
                std::vector<std::string_view> names;
                for (const sim::RegInfo& r : sim::registers()) names.push_back(r.name);
                node.error(fmt::format("unknown register {}{}", in_quotes(node.string()),
                                       did_you_mean(node.string(), names)));
                return 0;
            }
            return static_cast<u64>(row->reg);
        }
        default:
            return node.integer<u64>();
    }
}

EventPattern read_pattern(const Node& node, const Labels& labels) {
    EventPattern pattern;
    const auto members = node.members();
    const auto find = [&](std::string_view key) {
        return std::find_if(members.begin(), members.end(),
                            [&](const Node& m) { return m.key() == key; });
    };
    const auto event = find(kEvent);
    if (event == members.end()) {
        if (node.is_object()) node.error("missing key \"event\"");
        return pattern;
    }
    std::vector<std::string_view> names;
    for (const model::EventRow& row : model::event_rows()) names.push_back(row.name);
    const model::EventRow& row = model::event_rows()[event->one_of("an event", names)];
    pattern.kind = row.kind;
    pattern.text = row.name;
    std::vector<std::string_view> known{kEvent, kVtl, kAt};
    for (const model::ArgRow& arg : row.args) {
        if (arg.format != model::Format::text && arg.format != model::Format::hidden) {
            known.push_back(arg.name);
        }
    }
    for (const Node& member : members) {
        const std::string& key = member.key();
        if (key == kEvent) continue;
        pattern.text +=
            fmt::format(" {}={}", key, member.is_string() ? member.string() : std::string("..."));
        if (key == kVtl) {
            pattern.vtl = member.integer<u8>(0, 2);
        } else if (key == kAt) {
            const Labels::Place place = labels.read(member);
            if (!place.vtl2_label.empty()) {
                member.error("labels of the VTL2 kernel move with the switches: not possible here");
            }
            pattern.rip = place.address;
        } else if (std::find(known.begin(), known.end(), key) == known.end()) {
            member.error_at_key(fmt::format("event {} has no argument {}{}", row.name,
                                            in_quotes(key), did_you_mean(key, known)));
        } else {
            const auto arg = std::find_if(row.args.begin(), row.args.end(),
                                          [&](const model::ArgRow& a) { return a.name == key; });
            pattern.args.emplace_back(static_cast<std::size_t>(arg - row.args.begin()),
                                      read_argument(member, *arg));
        }
    }
    return pattern;
}

LogClaim read_log_claim(const Node& node, const Labels& labels) {
    LogClaim claim;
    for (const auto& [key, mode] : {std::pair{"next", LogMode::next}, {"never", LogMode::never}}) {
        const auto members = node.is_object() ? node.members() : std::vector<Node>{};
        const auto it = std::find_if(members.begin(), members.end(),
                                     [&, k = key](const Node& m) { return m.key() == k; });
        if (it == members.end()) continue;
        node.object({key});
        claim.mode = mode;
        claim.pattern = read_pattern(*it, labels);
        return claim;
    }
    claim.pattern = read_pattern(node, labels);
    return claim;
}

Vec128 read_value(const Node& node) {
    if (node.is_string() && node.string().size() > 18) return node.hex(32);
    return {node.integer<u64>(), 0};
}

}  // namespace

bool check_path(const Node& node, const std::string& path) {
    std::string why;
    if (model::known_path(path, why)) return true;
    if (node.key() == path) {
        node.error_at_key(why);
    } else {
        node.error(why);
    }
    return false;
}

Expectations read_expectations(const Node& node, const Labels& labels) {
    Expectations out;
    if (node.is_missing()) return out;
    const Fields f = node.object({"end", "state", "memory", "log"});
    if (const auto end = f.optional("end")) {
        // "none" is not an end.
        const auto names = model::end_reason_names().subspan(1);
        out.end = static_cast<model::EndReason>(end->one_of("an end", names) + 1);
    }
    if (const auto state = f.optional("state")) {
        for (const Node& member : state->members()) {
            if (check_path(member, member.key())) {
                out.state.push_back({member.key(), read_value(member)});
            }
        }
    }
    if (const auto memory = f.optional("memory")) {
        for (const Node& entry : memory->array()) {
            const Fields m = entry.object({"at", "bytes"});
            MemoryClaim claim;
            claim.address = labels.read(m.required("at")).address;
            claim.bytes = m.required("bytes").bytes();
            out.memory.push_back(std::move(claim));
        }
    }
    if (const auto log = f.optional("log")) {
        for (const Node& entry : log->array()) out.log.push_back(read_log_claim(entry, labels));
    }
    if (out.empty() && node.is_object()) node.error("nothing is expected here");
    return out;
}

}  // namespace vtlsim::runner
