#include "runner/load_expect.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/fields.hpp"
#include "model/vtl2/layout.hpp"
#include "model/wire/message.hpp"
#include "runner/format.hpp"
#include "runner/limits.hpp"
#include "sim/memory/memory.hpp"

namespace vtlsim::runner {
namespace {

// The keys of a pattern that are not arguments of its kind.
constexpr std::string_view kEvent = "event", kVtl = "vtl", kAt = "at";

std::vector<std::string_view> views(const std::vector<std::string>& names) {
    return {names.begin(), names.end()};
}

u64 read_message_type(const Node& node) {
    if (!node.is_string() || node.string().starts_with("0x")) return node.integer<u32>();
    std::vector<std::string_view> names;
    for (const auto& [name, type] : message_types()) {
        if (name == node.string()) return type;
        names.push_back(name);
    }
    return message_types()[node.one_of("a message's type", names)].second;
}

u64 read_register(const Node& node) {
    const sim::RegInfo* row = sim::find_register(node.string());
    if (row != nullptr) return static_cast<u64>(row->reg);
    std::vector<std::string_view> names;
    for (const sim::RegInfo& r : sim::registers()) names.push_back(r.name);
    if (node.is_string()) {
        node.error(fmt::format("unknown register {}{}", in_quotes(node.string()),
                               did_you_mean(node.string(), names)));
    }
    return 0;
}

u64 read_number(const Node& node, const model::ArgRow& arg) {
    using model::Format;
    const auto words = model::format_words(arg.format);
    if (!words.empty() && node.is_string()) return node.one_of(arg.name, words);
    switch (arg.format) {
        case Format::flag:
            return node.boolean() ? 1 : 0;
        case Format::message_type:
            return read_message_type(node);
        case Format::reg:
            return read_register(node);
        default:
            return node.integer();
    }
}

void read_argument(const Node& node, const model::EventRow& row, std::size_t index,
                   EventPattern& pattern) {
    const model::ArgRow& arg = row.args[index];
    const bool named =
        arg.format == model::Format::gpa && node.is_string() && !node.string().starts_with("0x");
    if (named) {
        const std::string& name = node.string();
        if (!std::binary_search(field_names().begin(), field_names().end(), name)) {
            node.error(fmt::format("no field of the shared pages is called {}{}", in_quotes(name),
                                   did_you_mean(name, views(field_names()))));
        }
        pattern.fields.emplace_back(index, name);
        pattern.text += fmt::format(" {}={}", arg.name, name);
    } else {
        const u64 value = read_number(node, arg);
        pattern.args.emplace_back(index, value);
        pattern.text += fmt::format(" {}={}", arg.name, value_text(arg.format, value));
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
        if (can_be_expected(arg.format)) known.push_back(arg.name);
    }
    for (const Node& member : members) {
        const std::string& key = member.key();
        if (key == kEvent) continue;
        if (key == kVtl) {
            pattern.vtl = member.integer<u8>(0, 2);
            pattern.text += fmt::format(" vtl={}", *pattern.vtl);
        } else if (key == kAt) {
            const Labels::Place place = labels.read(member);
            pattern.vtl2_label = place.vtl2_label;
            if (place.vtl2_label.empty()) pattern.rip = place.address;
            pattern.text +=
                fmt::format(" at={}", member.is_string() ? member.string()
                                                         : fmt::format("{:#x}", place.address));
        } else if (std::find(known.begin(), known.end(), key) == known.end()) {
            member.error_at_key(fmt::format("event {} has no argument {}{}", row.name,
                                            in_quotes(key), did_you_mean(key, known)));
        } else {
            const auto arg = std::find_if(row.args.begin(), row.args.end(),
                                          [&](const model::ArgRow& a) { return a.name == key; });
            read_argument(member, row, static_cast<std::size_t>(arg - row.args.begin()), pattern);
        }
    }
    return pattern;
}

// The member `key`, beside which only `others` may stand; nothing if there is none.
std::optional<Node> only_member(const Node& node, std::string_view key,
                                std::span<const std::string_view> others) {
    std::optional<Node> found;
    const auto members = node.is_object() ? node.members() : std::vector<Node>();
    for (const Node& member : members) {
        if (member.key() == key) found = member;
    }
    for (const Node& member : found ? members : std::vector<Node>()) {
        if (member.key() == key ||
            std::find(others.begin(), others.end(), member.key()) != others.end()) {
            continue;
        }
        member.error_at_key(
            others.empty() ? fmt::format("nothing can stand beside \"{}\"", key)
                           : fmt::format("only \"{}\" can stand beside \"{}\"", others[0], key));
    }
    return found;
}

// A number, or "min" and "max".
void read_count(const Node& node, LogClaim& claim) {
    if (!node.is_object()) {
        claim.min = claim.max = node.integer();
        return;
    }
    const Fields f = node.object({"min", "max"});
    claim.max = ~u64{0};
    if (const auto min = f.optional("min")) claim.min = min->integer();
    if (const auto max = f.optional("max")) claim.max = max->integer();
    if (claim.min > claim.max) node.error("\"min\" is more than \"max\"");
}

// A number; or a register wider than 64 bits with all its digits: 20 for x87's, 32 for SSE's.
Vec128 read_value(const Node& node) {
    if (node.is_string()) {
        const std::string& text = node.string();
        const auto digits = static_cast<std::size_t>(
            std::count_if(text.begin(), text.end(), [](char c) { return c != '_'; }));
        if (text.starts_with("0x") && digits == 2 + 20) return node.hex(20);
        if (text.starts_with("0x") && digits > 2 + 16) return node.hex(32);
    }
    return {node.integer<u64>(), 0};
}

}  // namespace

LogClaim read_log_claim(const Node& node, const Labels& labels) {
    LogClaim claim;
    for (const auto& [key, mode] : {std::pair{"next", LogMode::next}, {"never", LogMode::never}}) {
        if (const auto member = only_member(node, key, {})) {
            claim.mode = mode;
            claim.pattern = read_pattern(*member, labels);
            return claim;
        }
    }
    if (const auto list = only_member(node, "any_order", {})) {
        claim.mode = LogMode::any_order;
        const std::vector<Node> entries = list->array();
        if (list->is_array() && entries.empty()) list->error("no event is listed");
        if (entries.size() > kMaxAnyOrder) {
            list->error(fmt::format("more than {} events in any order", kMaxAnyOrder));
            return claim;
        }
        for (const Node& entry : entries) claim.patterns.push_back(read_pattern(entry, labels));
        return claim;
    }
    constexpr std::string_view kOf[] = {"of"};
    if (const auto count = only_member(node, "count", kOf)) {
        claim.mode = LogMode::count;
        read_count(*count, claim);
        constexpr std::string_view kKnown[] = {"count", "of"};
        claim.pattern = read_pattern(node.object(kKnown).required("of"), labels);
        return claim;
    }
    claim.pattern = read_pattern(node, labels);
    return claim;
}

bool can_be_expected(model::Format format) {
    using model::Format;
    return format != Format::text && format != Format::hidden && format != Format::code_lo &&
           format != Format::code_hi;
}

const std::vector<std::pair<std::string_view, u32>>& message_types() {
    static const auto all = [] {
        std::vector<std::pair<std::string_view, u32>> types;
        for (u32 base : {0u, 0x80000000u, 0x80010000u}) {
            for (u32 type = base; type < base + 0x100; ++type) {
                const std::string_view name = model::message_type_name(type);
                if (name != model::message_type_name(~0u)) types.emplace_back(name, type);
            }
        }
        return types;
    }();
    return all;
}

const std::vector<std::string>& field_names() {
    static const auto all = [] {
        namespace layout = model::layout;
        std::vector<std::string> names;
        for (u64 page :
             {layout::kAssistPage, layout::kSimpPage, layout::kControlPage, layout::kCommandPage,
              layout::kRegisterPage, layout::kHclRun, layout::kDriverPage}) {
            for (u64 address = page; address < page + sim::kPageSize; ++address) {
                std::string name = model::name_of_address(address);
                const bool starts = name.find('+') == std::string::npos && !name.starts_with("0x");
                if (starts) names.push_back(std::move(name));
            }
        }
        std::sort(names.begin(), names.end());
        names.erase(std::unique(names.begin(), names.end()), names.end());
        return names;
    }();
    return all;
}

bool check_path(const Node& node, const std::string& path) {
    if (node.diagnostics().full()) return false;
    std::string why;
    if (model::known_path(path, why)) return true;
    if (node.key() == path) {
        node.error_at_key(why);
    } else {
        node.error(why);
    }
    return false;
}

namespace {

// A value that the register of that name can hold.
void check_width(const Node& node, std::string_view path, const Vec128& value) {
    const std::size_t dot = path.rfind('.');
    const std::string_view bank = path.substr(0, dot == std::string_view::npos ? 0 : dot);
    if (!bank.ends_with("vtl0") && !bank.ends_with("vtl2")) return;
    const sim::RegInfo* row = sim::find_register(path.substr(dot + 1));
    if (row == nullptr || row->bits >= 64 || (value.hi == 0 && value.lo >> row->bits == 0)) return;
    node.error(fmt::format("{} has {} bits, and never this value", row->name, row->bits));
}

}  // namespace

// "none" is not an end.
model::EndReason read_end(const Node& node) {
    const auto names = model::end_reason_names().subspan(1);
    return static_cast<model::EndReason>(node.one_of("an end", names) + 1);
}

std::vector<MemoryClaim> read_memory_claims(const Node& node, const Labels& labels) {
    std::vector<MemoryClaim> out;
    for (const Node& entry : node.array()) {
        const Fields m = entry.object({"at", "bytes"});
        const Node bytes = m.required("bytes");
        out.push_back({labels.read_address(m.required("at")), bytes.bytes()});
        if (bytes.is_string() && bytes.string().empty()) bytes.error("no bytes are expected");
    }
    return out;
}

std::vector<LogClaim> read_log_claims(const Node& node, const Labels& labels) {
    std::vector<LogClaim> out;
    for (const Node& entry : node.array()) out.push_back(read_log_claim(entry, labels));
    return out;
}

Expectations read_expectations(const Node& node, const Labels& labels) {
    Expectations out;
    if (node.is_missing()) return out;
    const std::size_t errors = node.diagnostics().count();
    const Fields f = node.object({"end", "state", "memory", "log", "relations", "unlisted"});
    if (const auto end = f.optional("end")) out.end = read_end(*end);
    if (const auto state = f.optional("state")) {
        for (const Node& member : state->members()) {
            if (check_path(member, member.key())) {
                out.state.push_back({member.key(), read_value(member)});
                check_width(member, member.key(), out.state.back().value);
            }
        }
    }
    if (const auto memory = f.optional("memory")) out.memory = read_memory_claims(*memory, labels);
    if (const auto log = f.optional("log")) out.log = read_log_claims(*log, labels);
    if (const auto relations = f.optional("relations")) {
        for (const Node& entry : relations->array())
            out.relations.push_back(read_value_relation(entry));
    }
    if (const auto unlisted = f.optional("unlisted")) {
        constexpr std::string_view kWays[] = {"unchanged"};
        unlisted->one_of("what is not listed", kWays);
        out.unlisted_unchanged = true;
    }
    if (out.empty() && node.diagnostics().count() == errors) node.error("nothing is expected here");
    return out;
}

}  // namespace vtlsim::runner
