#include "runner/load.hpp"

#include <algorithm>
#include <filesystem>
#include <span>

#include <fmt/format.h>

#include "model/world.hpp"
#include "runner/limits.hpp"
#include "runner/load_checks.hpp"
#include "runner/load_expect.hpp"
#include "runner/load_kvm.hpp"
#include "runner/load_matrix.hpp"
#include "runner/load_variants.hpp"
#include "runner/load_world.hpp"

namespace vtlsim::runner {
namespace {

constexpr std::string_view kKeys[] = {
    "$schema",    "name",     "why",  "source",     "switches",        "guest",      "vtl2",
    "devices",    "cpuid",    "msrs", "hypercalls", "events",          "limits",     "expect",
    "variants",   "show",     "vps",  "hotplug",    "attention_delay", "fine_steps", "guest_steps",
    "invariants", "schedule", "tags", "xfail",      "golden",          "matrix",     "include"};

// An expectation of some variants.
struct Conditional {
    std::vector<Axis> when;
    Node node;
    bool used = false;
};

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

// Problems of a configuration begin with the name of the switch that they are about.
Node place_of_problem(const Fields& root, std::string_view problem) {
    const auto switches = root.optional("switches");
    for (const Node& member : switches ? switches->members() : std::vector<Node>()) {
        if (problem.starts_with(member.key() + " ")) return member;
    }
    return switches.value_or(root.node());
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
    std::vector<Condition> excluded;
    if (variants) {
        const Fields v = variants->object({"switches", "exclude", "expect"});
        axes = read_varying(v.required("switches"), f.optional("switches"));
        if (const auto list = v.optional("exclude")) excluded = read_excluded(*list);
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
    RunnerKeys keys = read_runner_keys(f);
    scenario.tags = std::move(keys.tags);
    scenario.golden = std::move(keys.golden);
    if (!diagnostics.empty()) return std::nullopt;
    if (const auto matrix = f.optional("matrix")) {
        scenario.matrix = std::make_shared<const Matrix>(read_matrix(*matrix, f, world));
        if (!diagnostics.empty()) return std::nullopt;
    }

    scenario.world = world.config();
    scenario.event_notes = world.event_notes();
    scenario.listing = world.listing();
    scenario.labels = world.labels().by_address();
    for (const Axis& axis : axes) scenario.axes.emplace_back(axis.row->name);
    for (const model::Switches& switches : combine(scenario.world.switches, axes)) {
        if (any_applies(excluded, switches)) continue;
        Variant variant;
        variant.switches = switches;
        variant.xfail = keys.xfail_of(switches);
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
                place_of_problem(f, problem).error(problem);
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
    report_unused(excluded);
    report_unused(keys.xfails);
    if (scenario.variants.empty()) variants->error("every variant is excluded");
    if (!diagnostics.empty()) return std::nullopt;
    check_variants(f, scenario, world.labels());
    if (!diagnostics.empty()) return std::nullopt;
    return scenario;
}

}  // namespace

namespace {

std::optional<Scenario> finish(std::shared_ptr<const JsonDocument> document,
                               const std::string& file, const LoadOptions& options,
                               Diagnostics& own, Diagnostics& diagnostics) {
    if (document) document = with_includes(std::move(document), options, own);
    auto scenario = !document                    ? std::nullopt
                    : is_kvm_scenario(*document) ? read_kvm_scenario(*document, file, own)
                                                 : read_scenario(*document, file, own);
    const bool good = own.empty();
    diagnostics.append(own);
    return good ? std::move(scenario) : std::nullopt;
}

}  // namespace

std::optional<Scenario> load_scenario(const std::string& path, Diagnostics& diagnostics,
                                      const LoadOptions& options) {
    Diagnostics own;
    return finish(JsonDocument::load(path, own), path, options, own, diagnostics);
}

std::optional<Scenario> parse_scenario(std::string text, const std::string& file,
                                       Diagnostics& diagnostics, const LoadOptions& options) {
    Diagnostics own;
    return finish(JsonDocument::parse(std::move(text), file, own), file, options, own, diagnostics);
}

std::vector<std::string> find_scenarios(const std::string& path, Diagnostics& diagnostics,
                                        bool fragments) {
    namespace fs = std::filesystem;
    std::error_code error;
    if (!fs::is_directory(path, error)) return {path};
    std::vector<std::string> found;
    fs::recursive_directory_iterator it(path, error);
    for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
        // A link that leads nowhere is kept: the loader complains about it.
        std::error_code no_matter;
        const std::string name = it->path().filename().string();
        if (it->path().extension() == ".json" && (fragments || !is_fragment(name)) &&
            !name.ends_with(".schema.json") &&
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
