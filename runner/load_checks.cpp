#include "runner/load_checks.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "model/vtl2/vtl2_kernel.hpp"
#include "model/world.hpp"

namespace vtlsim::runner {
namespace {

// The labels of the kernels that variants run; most variants run the same one.
class Kernels {
  public:
    bool has(const Variant& variant, const std::string& label) {
        const std::string text = model::vtl2_kernel_text(variant.switches);
        auto it = labels_.find(text);
        if (it == labels_.end()) {
            it = labels_.emplace(text, std::set<std::string>()).first;
            for (const sim::AsmSymbol& s : model::assemble_vtl2_kernel(variant.switches).symbols)
                if (s.is_label) it->second.insert(s.name);
        }
        return it->second.count(label) != 0;
    }

  private:
    std::map<std::string, std::set<std::string>> labels_;
};

void check_labels(const Fields& root, const Scenario& scenario, const Labels& labels) {
    Kernels kernels;
    for (const Labels::Vtl2Use& use : labels.vtl2_uses()) {
        const bool any = std::any_of(scenario.variants.begin(), scenario.variants.end(),
                                     [&](const Variant& v) { return kernels.has(v, use.label); });
        if (!any) {
            use.node.error(
                fmt::format("the VTL2 kernel has label {} only with other switches than these",
                            in_quotes(use.label)));
        }
    }
    if (root.node().diagnostics().count() != 0) return;
    for (std::size_t i = 0; i < scenario.event_notes.size(); ++i) {
        const EventNote& note = scenario.event_notes[i];
        if (note.vtl2_label.empty() || note.may_not_happen) continue;
        for (const Variant& variant : scenario.variants) {
            if (kernels.has(variant, note.vtl2_label)) continue;
            for (const Node& member : root.required("events").array()[i].members()) {
                if (member.key() != "before") continue;
                member.error(
                    fmt::format("the VTL2 kernel of variant {} has no label {}: the event needs "
                                "\"may_not_happen\"",
                                variant.label(), in_quotes(note.vtl2_label)));
            }
            break;
        }
    }
}

void check_actors(const Fields& root, const Scenario& scenario) {
    const auto schedule = root.optional("schedule");
    if (!schedule) return;
    std::vector<Node> unknown;
    for (const Node& entry : schedule->array()) {
        for (const Node& member : entry.members())
            if (member.key() == "run" || member.key() == "instead_of") unknown.push_back(member);
    }
    std::set<std::string> names;
    for (const Variant& variant : scenario.variants) {
        const model::WorldConfig config = scenario.config(variant);
        const model::World world(config);
        for (const model::Actor& actor : world.actors()) names.insert(actor.name);
        std::erase_if(unknown, [&](const Node& n) { return names.count(n.string()) != 0; });
        if (unknown.empty()) return;
    }
    const std::vector<std::string_view> known(names.begin(), names.end());
    for (const Node& node : unknown) {
        node.error(fmt::format("there is no actor {}{} ({})", in_quotes(node.string()),
                               did_you_mean(node.string(), known), fmt::join(known, ", ")));
    }
}

void check_memory(const Node& expect, u64 guest_ram) {
    for (const Node& member : expect.members()) {
        if (member.key() != "memory") continue;
        for (const Node& entry : member.array()) {
            const Fields f = entry.object({"at", "bytes"});
            const Node at = f.required("at");
            const bool number = at.is_string() && at.string().starts_with("0x");
            if (at.is_string() && !number) continue;  // a label
            const u64 address = at.integer();
            const bool vtl2 =
                address >= model::layout::kVtl2Base && address < model::layout::kVtl2End;
            if (address < guest_ram || vtl2) continue;
            at.error(fmt::format("there is no memory at {:#x}: guest RAM ends at {:#x}", address,
                                 guest_ram));
        }
    }
}

}  // namespace

void check_variants(const Fields& root, const Scenario& scenario, const Labels& labels) {
    check_labels(root, scenario, labels);
    check_actors(root, scenario);
    const u64 ram = scenario.world.guest_ram;
    if (const auto expect = root.optional("expect")) check_memory(*expect, ram);
    const auto variants = root.optional("variants");
    for (const Node& list : variants ? variants->members() : std::vector<Node>()) {
        if (list.key() != "expect") continue;
        for (const Node& entry : list.array()) {
            for (const Node& part : entry.members())
                if (part.key() == "expect") check_memory(part, ram);
        }
    }
}

}  // namespace vtlsim::runner
