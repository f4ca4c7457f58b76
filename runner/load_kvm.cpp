#include "runner/load_kvm.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include <fmt/format.h>

#include "model/kvm/presets.hpp"
#include "runner/format.hpp"
#include "runner/kvm_actions.hpp"
#include "runner/limits.hpp"
#include "runner/load_expect.hpp"
#include "runner/load_kvm_parts.hpp"
#include "runner/read_switch.hpp"
#include "runner/run_kvm.hpp"

namespace vtlsim::runner {
namespace {

using model::kvm::SwitchRow;

constexpr std::string_view kGuestAxis = "guest", kUserspaceAxis = "userspace";

// A switch of model/kvm, or the file's own choice of guest or userspace (row is null then).
struct Axis {
    std::string name;
    const SwitchRow* row = nullptr;
    std::vector<std::string> names;   // of all its values
    std::vector<std::size_t> values;  // those listed

    std::size_t get(const KvmVariant& v) const {
        if (row != nullptr) return row->get(v.switches);
        return name == kGuestAxis ? v.guest : v.userspace;
    }
    void set(KvmVariant& v, std::size_t value) const {
        if (row != nullptr) {
            row->set(v.switches, static_cast<u8>(value));
        } else {
            (name == kGuestAxis ? v.guest : v.userspace) = value;
        }
    }
};

struct Conditional {
    std::vector<Axis> when;
    Node node;
    bool used = false;
};

class KvmReader {
  public:
    KvmReader(const JsonDocument& document, const std::string& file, Diagnostics& diagnostics)
        : root_(document, diagnostics), diagnostics_(diagnostics) {
        scenario_.file = file;
    }

    std::optional<KvmScenario> read() {
        const Fields f = root_.object({"$schema", "name", "why", "source", "evidence", "teaches",
                                       "kvm", "show", "expect", "variants", "tags"});
        if (const auto schema = f.optional("$schema")) schema->string();
        scenario_.name = text(f.required("name"));
        scenario_.why = text(f.required("why"));
        scenario_.source = text(f.required("source"));
        scenario_.teaches = text(f.required("teaches"));
        scenario_.evidence =
            kKvmGrades[f.required("evidence").one_of("a grade of evidence", kKvmGrades)];
        if (const auto tags = f.optional("tags")) {
            for (const Node& tag : tags->array()) scenario_.tags.push_back(tag.string());
        }
        KvmVariant base;
        read_kvm(f.required("kvm"), base);
        read_show(f);
        read_expect(f, base);
        if (!diagnostics_.empty()) return std::nullopt;
        return std::move(scenario_);
    }

  private:
    static std::string text(const Node& node) {
        if (node.is_string() && node.string().empty()) {
            node.error(fmt::format("\"{}\" is empty", node.key()));
        }
        return node.string();
    }

    void read_kvm(const Node& node, KvmVariant& base) {
        if (node.is_missing()) return;
        const Fields f = node.object({"switches", "guest", "guests", "userspace", "userspaces"});
        if (const auto switches = f.optional("switches")) {
            for (const Axis& axis : read_axes(*switches)) {
                if (axis.row == nullptr || axis.values.size() != 1) {
                    switches->error(fmt::format("{} needs one value here", in_quotes(axis.name)));
                } else {
                    axis.set(base, axis.values[0]);
                    fixed_.insert(axis.name);
                }
            }
        }
        const std::vector<Node> guests = one_or_named(f, "guest", "guests", scenario_.guests, true);
        const std::vector<Node> userspaces =
            one_or_named(f, "userspace", "userspaces", scenario_.userspaces, false);
        std::map<std::string, std::set<u64>> places;
        for (const Node& guest : guests) {
            Labels labels;
            KvmCase base_case;
            base_case.guest = read_kvm_guest(guest, labels, base_case.listing);
            base_case.labels = labels.by_address();
            for (const auto& [address, name] : base_case.labels) places[name].insert(address);
            std::vector<KvmCase> cases;
            for (const Node& userspace : userspaces) {
                cases.push_back(base_case);
                cases.back().script = read_kvm_userspace(userspace, labels);
            }
            if (userspaces.empty()) cases.push_back(base_case);
            scenario_.cases.push_back(std::move(cases));
        }
        // Expectations may name what is at the same place in every guest that has it.
        for (const auto& [name, addresses] : places) {
            if (addresses.size() == 1) labels_.add_guest(name, *addresses.begin());
        }
    }

    std::vector<Node> one_or_named(const Fields& f, std::string_view one, std::string_view many,
                                   std::vector<std::string>& names, bool required) {
        const auto single = f.optional(one);
        const auto several = f.optional(many);
        if (single && several) {
            f.node().error(fmt::format("either \"{}\" or \"{}\"", one, many));
        }
        if (several) {
            std::vector<Node> nodes = several->members();
            if (nodes.empty()) several->error("none is given");
            for (const Node& n : nodes) names.push_back(n.key());
            return nodes;
        }
        names.emplace_back();
        if (single) return {*single};
        if (required) f.required(one);
        return {};
    }

    Axis axis_of(const Node& member) {
        Axis axis;
        axis.name = member.key();
        if (axis.name == kGuestAxis || axis.name == kUserspaceAxis) {
            axis.names = axis.name == kGuestAxis ? scenario_.guests : scenario_.userspaces;
            return axis;
        }
        axis.row =
            read_switch_name(member, model::kvm::switch_rows(), {kGuestAxis, kUserspaceAxis});
        if (axis.row != nullptr) {
            for (const auto& value : axis.row->values) axis.names.emplace_back(value.name);
        }
        return axis;
    }

    std::vector<Axis> read_axes(const Node& node) {
        std::vector<Axis> axes;
        if (node.is_object() && node.members().empty()) node.error("no switch is listed");
        for (const Node& member : node.members()) {
            Axis axis = axis_of(member);
            const std::vector<std::string_view> names(axis.names.begin(), axis.names.end());
            if (!names.empty()) axis.values = read_switch_values(member, axis.name, names);
            axes.push_back(std::move(axis));
        }
        return axes;
    }

    void read_show(const Fields& f) {
        const auto show = f.optional("show");
        if (!show) return;
        const std::vector<Node> paths = show->array();
        if (paths.size() > kMaxShown) show->error(fmt::format("more than {} names", kMaxShown));
        for (const Node& path : std::span(paths).first(std::min(paths.size(), kMaxShown))) {
            if (const std::string& name = path.string();
                path.is_string() && check_kvm_path(path, name)) {
                scenario_.show.push_back(name);
            }
        }
    }

    static bool check_kvm_path(const Node& node, const std::string& path) {
        if (known_kvm_value(path)) return true;
        const std::string why =
            fmt::format("no value is called {}; docs/kvm.md lists them", in_quotes(path));
        if (node.key() == path) {
            node.error_at_key(why);
        } else {
            node.error(why);
        }
        return false;
    }

    KvmExpectations read_expectations(const Node& node) {
        KvmExpectations out;
        if (node.is_missing()) return out;
        const Fields f = node.object({"end", "state", "memory", "log"});
        if (const auto end = f.optional("end")) out.end = read_end(*end);
        if (const auto state = f.optional("state")) {
            for (const Node& member : state->members()) {
                if (!check_kvm_path(member, member.key())) continue;
                out.state.emplace_back(member.key(),
                                       kvm_value_is_number(member.key())
                                           ? hex_text({read_kvm_value(member, labels_), 0})
                                           : member.string());
            }
        }
        if (const auto memory = f.optional("memory")) {
            out.memory = read_memory_claims(*memory, labels_);
        }
        if (const auto log = f.optional("log")) out.log = read_log_claims(*log, labels_);
        if (out.empty() && node.is_object()) node.error("nothing is expected here");
        return out;
    }

    void read_expect(const Fields& f, const KvmVariant& base) {
        const auto expect = f.optional("expect");
        const auto variants = f.optional("variants");
        scenario_.expectations.push_back(expect ? read_expectations(*expect) : KvmExpectations{});
        std::vector<Axis> axes;
        std::vector<Conditional> conditionals;
        if (variants) {
            const Fields v = variants->object({"switches", "expect"});
            axes = read_axes(v.required("switches"));
            for (const Axis& axis : axes) {
                if (fixed_.count(axis.name) == 0) continue;
                variants->error(fmt::format("{} has a fixed value", in_quotes(axis.name)));
            }
            if (const auto list = v.optional("expect")) {
                for (const Node& entry : list->array()) {
                    const Fields e = entry.object({"when", "expect"});
                    conditionals.push_back({read_axes(e.required("when")), entry});
                    scenario_.expectations.push_back(read_expectations(e.required("expect")));
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
        if (!diagnostics_.empty()) return;
        make_variants(base, axes, conditionals, variants ? *variants : f.node());
    }

    void make_variants(const KvmVariant& base, const std::vector<Axis>& axes,
                       std::vector<Conditional>& conditionals, const Node& node) {
        std::vector<KvmVariant> all{base};
        for (const Axis& axis : axes) {
            scenario_.axes.push_back(axis.name);
            std::vector<KvmVariant> longer;
            for (const KvmVariant& v : all) {
                for (std::size_t value : axis.values) {
                    longer.push_back(v);
                    axis.set(longer.back(), value);
                    longer.back().choice.emplace_back(axis.name, axis.names[value]);
                }
            }
            all = std::move(longer);
        }
        for (KvmVariant& v : all) {
            if (!scenario_.expectations[0].empty()) v.expect.push_back(0);
            for (std::size_t i = 0; i < conditionals.size(); ++i) {
                const bool applies = std::all_of(
                    conditionals[i].when.begin(), conditionals[i].when.end(), [&](const Axis& a) {
                        return std::find(a.values.begin(), a.values.end(), a.get(v)) !=
                               a.values.end();
                    });
                if (!applies) continue;
                v.expect.push_back(i + 1);
                conditionals[i].used = true;
            }
            if (v.expect.empty()) {
                node.error(fmt::format("nothing is expected of variant {}", v.label()));
            }
            const KvmCase& c = scenario_.cases[v.guest][v.userspace];
            for (const std::string& problem :
                 model::kvm::preset_problems(v.switches.act, c.labels)) {
                node.error(fmt::format("variant {}: {}", v.label(), problem));
            }
        }
        for (const Conditional& c : conditionals) {
            if (!c.used) c.node.error("no variant has these switches");
        }
        scenario_.variants = std::move(all);
    }

    Node root_;
    Diagnostics& diagnostics_;
    KvmScenario scenario_;
    Labels labels_;
    std::set<std::string> fixed_;
};

}  // namespace

std::string KvmVariant::label() const {
    std::string out;
    for (const auto& [name, value] : choice) {
        out += fmt::format("{}{}={}", out.empty() ? "" : ",", name, value);
    }
    return out;
}

KvmCase KvmScenario::case_of(const KvmVariant& variant) const {
    KvmCase c = cases[variant.guest][variant.userspace];
    model::kvm::apply_preset(variant.switches.act, c.labels, c.guest, c.script);
    return c;
}

bool is_kvm_scenario(const JsonDocument& document) {
    const auto& values = document.values();
    for (u32 i = 1; i < values[0].end; i = values[i].end) {
        if (document.string(values[i].key) == "kvm") return true;
    }
    return false;
}

std::optional<Scenario> read_kvm_scenario(const JsonDocument& document, const std::string& file,
                                          Diagnostics& diagnostics) {
    auto kvm = KvmReader(document, file, diagnostics).read();
    if (!kvm || !diagnostics.empty()) return std::nullopt;
    Scenario scenario;
    static_cast<ScenarioHead&>(scenario) = *kvm;
    for (std::size_t i = 0; i < kvm->variants.size(); ++i) {
        scenario.variants.emplace_back();
        scenario.variants.back().choice = kvm->variants[i].choice;
        scenario.variants.back().kvm = i;
    }
    scenario.kvm = std::make_shared<const KvmScenario>(std::move(*kvm));
    return scenario;
}

}  // namespace vtlsim::runner
