#include "runner/load_variants.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/log/event.hpp"
#include "runner/read_switch.hpp"

namespace vtlsim::runner {

std::vector<Axis> read_axes(const Node& node) {
    std::vector<Axis> axes;
    const std::vector<Node> members = node.members();
    if (node.is_object() && members.empty()) node.error("no switch is listed");
    for (const Node& member : members) {
        Axis axis;
        axis.row = read_switch_name(member, model::switch_rows());
        if (axis.row == nullptr) continue;
        for (std::size_t v : read_switch_values(member, axis.row->name, value_names(*axis.row))) {
            axis.values.push_back(static_cast<u8>(v));
        }
        axes.push_back(std::move(axis));
    }
    return axes;
}

// The switches that tell variants apart; what `fixed` sets cannot vary.
std::vector<Axis> read_varying(const Node& node, const std::optional<Node>& fixed) {
    std::vector<Axis> axes = read_axes(node);
    for (const Node& member : fixed ? node.members() : std::vector<Node>()) {
        for (const Node& other : fixed->members()) {
            if (other.key() != member.key()) continue;
            member.error_at_key("this switch has a fixed value in \"switches\"");
        }
    }
    return axes;
}

bool applies(const std::vector<Axis>& when, const model::Switches& switches) {
    return std::all_of(when.begin(), when.end(), [&](const Axis& axis) {
        return std::find(axis.values.begin(), axis.values.end(), axis.row->get(switches)) !=
               axis.values.end();
    });
}

// The cross product, the last axis varying fastest.
std::vector<model::Switches> combine(const model::Switches& base, const std::vector<Axis>& axes) {
    std::vector<model::Switches> all{base};
    for (const Axis& axis : axes) {
        std::vector<model::Switches> longer;
        for (const model::Switches& s : all) {
            for (u8 v : axis.values) {
                longer.push_back(s);
                axis.row->set(longer.back(), v);
            }
        }
        all = std::move(longer);
    }
    return all;
}

std::vector<Condition> read_excluded(const Node& node) {
    std::vector<Condition> out;
    for (const Node& entry : node.array()) out.push_back({read_axes(entry), entry, false, {}});
    return out;
}

bool any_applies(std::vector<Condition>& conditions, const model::Switches& switches) {
    bool any = false;
    for (Condition& c : conditions) {
        if (!applies(c.when, switches)) continue;
        c.used = true;
        any = true;
    }
    return any;
}

void report_unused(const std::vector<Condition>& conditions) {
    for (const Condition& c : conditions) {
        if (!c.used) c.node.error("no variant has these switches");
    }
}

namespace {

std::string read_reason(const Node& node) {
    const std::string reason = node.string();
    if (node.is_string() && reason.empty()) node.error("why does it fail? The reason is empty");
    return reason;
}

std::vector<Condition> read_xfails(const Node& node) {
    if (!node.is_array()) return {{{}, node, false, read_reason(node)}};
    std::vector<Condition> out;
    for (const Node& entry : node.array()) {
        const Fields f = entry.object({"reason", "when"});
        std::string reason = read_reason(f.required("reason"));
        out.push_back({read_axes(f.required("when")), entry, false, std::move(reason)});
    }
    return out;
}

GoldenTrace read_golden(const Node& node) {
    GoldenTrace golden;
    std::vector<std::string_view> names;
    for (const model::EventRow& row : model::event_rows()) names.push_back(row.name);
    const Fields f = node.object({"hide"});
    if (const auto hide = f.optional("hide")) {
        for (const Node& entry : hide->array()) {
            golden.hidden.push_back(model::event_rows()[entry.one_of("an event", names)].kind);
        }
    }
    return golden;
}

}  // namespace

std::string RunnerKeys::xfail_of(const model::Switches& switches) {
    for (Condition& c : xfails) {
        if (!applies(c.when, switches)) continue;
        c.used = true;
        return c.reason;
    }
    return {};
}

RunnerKeys read_runner_keys(const Fields& root) {
    RunnerKeys keys;
    if (const auto tags = root.optional("tags")) {
        for (const Node& tag : tags->array()) {
            const bool plain =
                !tag.string().empty() && tag.string().find_first_of(" \t\n,") == std::string::npos;
            if (tag.is_string() && !plain) tag.error("a tag is one word without commas");
            keys.tags.push_back(tag.string());
        }
    }
    if (const auto xfail = root.optional("xfail")) keys.xfails = read_xfails(*xfail);
    if (const auto golden = root.optional("golden")) keys.golden = read_golden(*golden);
    return keys;
}

}  // namespace vtlsim::runner
