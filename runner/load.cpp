#include "runner/load.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "model/world.hpp"
#include "runner/load_expect.hpp"
#include "runner/load_world.hpp"

namespace vtlsim::runner {
namespace {

constexpr std::string_view kKeys[] = {
    "$schema", "name", "why",        "source", "switches", "guest",  "vtl2",     "devices",
    "cpuid",   "msrs", "hypercalls", "events", "limits",   "expect", "variants", "show"};

// A few dozen cells fill a screen; a cross product beyond this is a mistake.
constexpr std::size_t kMaxVariants = 1024;

struct Axis {
    const model::SwitchRow* row = nullptr;
    std::vector<u8> values;
};

// An extra expectation for the variants whose switches have one of the listed values.
struct Conditional {
    std::vector<Axis> when;
    Expectations expect;
    Node node;
};

std::vector<Axis> read_axes(const Node& node) {
    std::vector<Axis> axes;
    for (const Node& member : node.members()) {
        Axis axis;
        axis.row = read_switch_name(member);
        if (axis.row == nullptr) continue;
        if (member.is_string()) {
            axis.values.push_back(read_switch_value(member, *axis.row));
        } else {
            for (const Node& value : member.array()) {
                const u8 v = read_switch_value(value, *axis.row);
                if (std::find(axis.values.begin(), axis.values.end(), v) != axis.values.end()) {
                    value.error("this value is listed twice");
                }
                axis.values.push_back(v);
            }
        }
        if (axis.values.empty() && member.is_array()) member.error("no value is listed");
        axes.push_back(std::move(axis));
    }
    return axes;
}

std::string unquoted(const Node& node) { return node.string(); }

void require_text(const Node& node, std::string_view what) {
    if (node.is_string() && node.string().empty()) node.error(fmt::format("{} is empty", what));
}

bool applies(const Conditional& conditional, const model::Switches& switches) {
    return std::all_of(conditional.when.begin(), conditional.when.end(), [&](const Axis& axis) {
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
    scenario.name = unquoted(f.required("name"));
    scenario.why = unquoted(f.required("why"));
    scenario.source = unquoted(f.required("source"));
    for (std::string_view key : {"name", "why", "source"}) {
        require_text(f.required(key), key);
    }

    WorldReader world(f);
    std::vector<Axis> axes;
    std::vector<Conditional> conditionals;
    Expectations common;
    if (const auto expect = f.optional("expect")) {
        common = read_expectations(*expect, world.labels());
    }
    if (const auto node = f.optional("variants")) {
        const Fields v = node->object({"switches", "expect"});
        axes = read_axes(v.required("switches"));
        if (const auto list = v.optional("expect")) {
            for (const Node& entry : list->array()) {
                const Fields e = entry.object({"when", "expect"});
                conditionals.push_back({read_axes(e.required("when")),
                                        read_expectations(e.required("expect"), world.labels()),
                                        entry});
            }
        }
    } else if (!f.optional("expect")) {
        f.node().error("nothing is expected: \"expect\" is missing");
    }
    if (const auto show = f.optional("show")) {
        for (const Node& path : show->array()) {
            if (check_path(path, path.string())) scenario.show.push_back(path.string());
        }
    }
    std::size_t count = 1;
    for (const Axis& axis : axes) {
        count *= std::max<std::size_t>(axis.values.size(), 1);
        if (count > kMaxVariants) {
            f.required("variants").error(fmt::format("more than {} variants", kMaxVariants));
            break;
        }
    }
    if (!diagnostics.empty()) return std::nullopt;

    for (const Axis& axis : axes) scenario.axes.emplace_back(axis.row->name);
    std::vector<bool> used(conditionals.size());
    for (const model::Switches& switches : combine(world.config().switches, axes)) {
        Variant variant;
        for (const Axis& axis : axes) {
            variant.choice.emplace_back(axis.row->name,
                                        axis.row->values[axis.row->get(switches)].name);
        }
        variant.config = world.config();
        variant.config.switches = switches;
        variant.event_optional = world.event_optional();
        world.resolve_events(variant.config);
        variant.expect = common;
        for (std::size_t i = 0; i < conditionals.size(); ++i) {
            if (!applies(conditionals[i], switches)) continue;
            variant.expect.add(conditionals[i].expect);
            used[i] = true;
        }
        const Node& blame = axes.empty() ? f.node() : *f.optional("variants");
        for (const std::string& problem : model::check_config(variant.config)) {
            blame.error(axes.empty() ? problem
                                     : fmt::format("variant {}: {}", variant.label(), problem));
        }
        if (variant.expect.empty()) {
            blame.error(fmt::format("nothing is expected{}{}", axes.empty() ? "" : " of variant ",
                                    variant.label()));
        }
        scenario.variants.push_back(std::move(variant));
    }
    for (std::size_t i = 0; i < conditionals.size(); ++i) {
        if (!used[i]) conditionals[i].node.error("no variant has these switches");
    }
    scenario.labels = world.labels().guest_by_address();
    if (!diagnostics.empty()) return std::nullopt;
    return scenario;
}

}  // namespace

std::string Variant::label() const {
    std::string out;
    for (const auto& [name, value] : choice) {
        out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, value);
    }
    return out;
}

void Expectations::add(const Expectations& other) {
    if (other.end) end = other.end;
    state.insert(state.end(), other.state.begin(), other.state.end());
    memory.insert(memory.end(), other.memory.begin(), other.memory.end());
    log.insert(log.end(), other.log.begin(), other.log.end());
}

std::optional<Scenario> load_scenario(const std::string& path, Diagnostics& diagnostics) {
    Diagnostics own;
    const auto document = JsonDocument::load(path, own);
    auto scenario = document ? read_scenario(*document, path, own) : std::nullopt;
    for (const Diagnostic& d : own.sorted()) diagnostics.add(d);
    return own.empty() ? std::move(scenario) : std::nullopt;
}

std::optional<Scenario> parse_scenario(std::string text, const std::string& file,
                                       Diagnostics& diagnostics) {
    Diagnostics own;
    const auto document = JsonDocument::parse(std::move(text), file, own);
    auto scenario = document ? read_scenario(*document, file, own) : std::nullopt;
    for (const Diagnostic& d : own.sorted()) diagnostics.add(d);
    return own.empty() ? std::move(scenario) : std::nullopt;
}

std::vector<std::string> find_scenarios(const std::vector<std::string>& paths,
                                        Diagnostics& diagnostics) {
    namespace fs = std::filesystem;
    std::vector<std::string> files;
    for (const std::string& path : paths) {
        std::error_code error;
        if (!fs::is_directory(path, error)) {
            files.push_back(path);  // the loader says what is wrong with it, if anything
            continue;
        }
        std::vector<std::string> found;
        fs::recursive_directory_iterator it(path, error);
        for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
            if (it->path().extension() == ".json" && it->is_regular_file(error)) {
                found.push_back(it->path().string());
            }
        }
        if (error) {
            diagnostics.add({path, 1, 1, "", fmt::format("cannot be read: {}", error.message())});
        } else if (found.empty()) {
            diagnostics.add({path, 1, 1, "", "no scenario (*.json) in this folder"});
        }
        std::sort(found.begin(), found.end());
        files.insert(files.end(), found.begin(), found.end());
    }
    if (paths.empty()) diagnostics.add({"vtlsim", 1, 1, "", "no scenario given"});
    return files;
}

}  // namespace vtlsim::runner
