#include "runner/load.hpp"

#include <algorithm>
#include <filesystem>
#include <span>

#include <fmt/format.h>

#include "model/world.hpp"
#include "runner/limits.hpp"
#include "runner/load_expect.hpp"
#include "runner/load_world.hpp"

namespace vtlsim::runner {
namespace {

constexpr std::string_view kKeys[] = {
    "$schema",    "name",    "why",  "source",     "switches",        "guest",      "vtl2",
    "devices",    "cpuid",   "msrs", "hypercalls", "events",          "limits",     "expect",
    "variants",   "show",    "vps",  "hotplug",    "attention_delay", "fine_steps", "guest_steps",
    "invariants", "schedule"};

struct Axis {
    const model::SwitchRow* row = nullptr;
    std::vector<u8> values;
};

// For which variants an expectation is: their switches have one of the listed values.
struct Conditional {
    std::vector<Axis> when;
    Node node;
    bool used = false;
};

std::vector<Axis> read_axes(const Node& node) {
    std::vector<Axis> axes;
    const std::vector<Node> members = node.members();
    if (node.is_object() && members.empty()) node.error("no switch is listed");
    for (const Node& member : members) {
        Axis axis;
        axis.row = read_switch_name(member);
        if (axis.row == nullptr) continue;
        if (member.is_string()) {
            axis.values.push_back(read_switch_value(member, *axis.row));
        } else {
            for (const Node& value : member.array()) {
                const std::size_t errors = value.diagnostics().count();
                const u8 v = read_switch_value(value, *axis.row);
                if (value.diagnostics().count() != errors) continue;
                if (std::find(axis.values.begin(), axis.values.end(), v) != axis.values.end()) {
                    value.error("this value is listed twice");
                }
                axis.values.push_back(v);
            }
        }
        if (member.is_array() && member.array().empty()) member.error("no value is listed");
        axes.push_back(std::move(axis));
    }
    return axes;
}

std::string read_text(const Node& node) {
    if (node.is_string() && node.string().empty()) {
        node.error(fmt::format("\"{}\" is empty", node.key()));
    }
    return node.string();
}

// A name stands in lines of reports and in commands to copy.
std::string read_name(const Node& node) {
    const std::string name = read_text(node);
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
    if (!plain) node.error("a name is made of letters, digits, '-', '_' and '.'");
    if (name.size() > kMaxName) {
        node.error(fmt::format("a name has at most {} characters", kMaxName));
    }
    return name;
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

std::optional<Scenario> read_scenario(const JsonDocument& document, const std::string& file,
                                      Diagnostics& diagnostics) {
    const Fields f = Node(document, diagnostics).object(kKeys);
    Scenario scenario;
    scenario.file = file;
    if (const auto schema = f.optional("$schema")) schema->string();
    scenario.name = read_name(f.required("name"));
    scenario.why = read_text(f.required("why"));
    scenario.source = read_text(f.required("source"));

    const WorldReader world(f);
    std::vector<Expectations>& expectations = scenario.expectations;
    const auto expect = f.optional("expect");
    const auto variants = f.optional("variants");
    expectations.push_back(expect ? read_expectations(*expect, world.labels()) : Expectations{});
    std::vector<Axis> axes;
    std::vector<Conditional> conditionals;  // those of expectations[1] and on
    if (variants) {
        const Fields v = variants->object({"switches", "expect"});
        axes = read_varying(v.required("switches"), f.optional("switches"));
        if (const auto list = v.optional("expect")) {
            for (const Node& entry : list->array()) {
                const Fields e = entry.object({"when", "expect"});
                conditionals.push_back({read_axes(e.required("when")), entry});
                expectations.push_back(read_expectations(e.required("expect"), world.labels()));
            }
        }
        std::size_t count = 1;
        for (const Axis& axis : axes) count *= std::max<std::size_t>(axis.values.size(), 1);
        if (count > kMaxVariants) {
            variants->error(fmt::format("{} variants are more than {}", count, kMaxVariants));
        }
    } else if (!expect) {
        f.node().error("nothing is expected: \"expect\" is missing");
    }
    if (const auto show = f.optional("show")) {
        const std::vector<Node> paths = show->array();
        if (paths.size() > kMaxShown) show->error(fmt::format("more than {} names", kMaxShown));
        for (const Node& path : std::span(paths).first(std::min(paths.size(), kMaxShown))) {
            const std::string& name = path.string();
            if (path.is_string() && check_path(path, name)) scenario.show.push_back(name);
        }
    }
    if (!diagnostics.empty()) return std::nullopt;

    scenario.world = world.config();
    scenario.event_notes = world.event_notes();
    scenario.labels = world.labels().by_address();
    for (const Axis& axis : axes) scenario.axes.emplace_back(axis.row->name);
    for (const model::Switches& switches : combine(scenario.world.switches, axes)) {
        Variant variant;
        variant.switches = switches;
        for (const Axis& axis : axes) {
            variant.choice.emplace_back(axis.row->name,
                                        axis.row->values[axis.row->get(switches)].name);
        }
        if (!expectations[0].empty()) variant.expect.push_back(0);
        for (std::size_t i = 0; i < conditionals.size(); ++i) {
            if (!applies(conditionals[i].when, switches)) continue;
            variant.expect.push_back(i + 1);
            conditionals[i].used = true;
        }
        scenario.world.switches = switches;
        for (const std::string& problem : model::check_config(scenario.world)) {
            if (variants) {
                variants->error(fmt::format("variant {}: {}", variant.label(), problem));
            } else {
                f.optional("switches").value_or(f.node()).error(problem);
            }
        }
        if (variants && variant.expect.empty()) {
            variants->error(fmt::format("nothing is expected of variant {}", variant.label()));
        }
        scenario.variants.push_back(std::move(variant));
    }
    for (const Conditional& conditional : conditionals) {
        if (!conditional.used) conditional.node.error("no variant has these switches");
    }
    if (!diagnostics.empty()) return std::nullopt;
    return scenario;
}

}  // namespace

namespace {

std::optional<Scenario> finish(const std::unique_ptr<const JsonDocument>& document,
                               const std::string& file, Diagnostics& own,
                               Diagnostics& diagnostics) {
    auto scenario = document ? read_scenario(*document, file, own) : std::nullopt;
    const bool good = own.empty();
    diagnostics.append(own);
    return good ? std::move(scenario) : std::nullopt;
}

}  // namespace

std::optional<Scenario> load_scenario(const std::string& path, Diagnostics& diagnostics) {
    Diagnostics own;
    return finish(JsonDocument::load(path, own), path, own, diagnostics);
}

std::optional<Scenario> parse_scenario(std::string text, const std::string& file,
                                       Diagnostics& diagnostics) {
    Diagnostics own;
    return finish(JsonDocument::parse(std::move(text), file, own), file, own, diagnostics);
}

std::vector<std::string> find_scenarios(const std::string& path, Diagnostics& diagnostics) {
    namespace fs = std::filesystem;
    std::error_code error;
    if (!fs::is_directory(path, error)) return {path};
    std::vector<std::string> found;
    fs::recursive_directory_iterator it(path, error);
    for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
        // A link that leads nowhere is kept: the loader complains about it.
        std::error_code no_matter;
        if (it->path().extension() == ".json" &&
            (it->is_regular_file(no_matter) || it->is_symlink(no_matter))) {
            found.push_back(it->path().string());
        }
    }
    if (error) {
        diagnostics.add({path, 1, 1, "", "cannot read the folder: " + error.message()});
        found.clear();  // which of them came before the error is chance
    } else if (found.empty()) {
        diagnostics.add({path, 1, 1, "", "no scenario (*.json) in this folder"});
    }
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace vtlsim::runner
