#include "runner/labels.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "model/vtl2/layout.hpp"
#include "model/vtl2/vtl2_kernel.hpp"

namespace vtlsim::runner {
namespace {

constexpr std::string_view kVtl2Prefix = "vtl2:";

// The labels of every VTL2 kernel that a switch can choose, sorted.
const std::vector<std::string>& vtl2_labels() {
    static const auto all = [] {
        std::set<std::string> texts, names;  // few texts differ, and assembling takes a while
        for (const model::SwitchRow& row : model::switch_rows()) {
            for (std::size_t value = 0; value < row.values.size(); ++value) {
                for (const auto runner :
                     {model::VpRunner::sidecar, model::VpRunner::kernel_driver}) {
                    model::Switches switches;
                    switches.vp_runner = runner;
                    row.set(switches, static_cast<u8>(value));
                    if (!texts.insert(model::vtl2_kernel_text(switches)).second) continue;
                    for (const sim::AsmSymbol& s : model::assemble_vtl2_kernel(switches).symbols) {
                        if (s.is_label) names.insert(s.name);
                    }
                }
            }
        }
        return std::vector<std::string>(names.begin(), names.end());
    }();
    return all;
}

bool is_number(const Node& node) {
    if (!node.is_string()) return true;
    const std::string& text = node.string();
    return !text.empty() && text[0] >= '0' && text[0] <= '9';
}

}  // namespace

Labels::Place Labels::read(const Node& node) const {
    if (is_number(node)) {
        const u64 address = node.integer();
        const bool vtl2 = address >= model::layout::kVtl2Base && address < model::layout::kVtl2End;
        return {.vtl = vtl2 ? u8{2} : u8{0}, .address = address, .vtl2_label = {}};
    }
    const std::string& text = node.string();
    std::vector<std::string_view> names;
    if (text.starts_with(kVtl2Prefix)) {
        const std::string label = text.substr(kVtl2Prefix.size());
        names.assign(vtl2_labels().begin(), vtl2_labels().end());
        if (std::find(names.begin(), names.end(), label) != names.end()) {
            vtl2_uses_.push_back({node, label});
            return {.vtl = 2, .address = 0, .vtl2_label = label};
        }
        node.error(fmt::format("the VTL2 kernel has no label {}{}", in_quotes(label),
                               did_you_mean(label, names)));
        return {};
    }
    const auto it = guest_.find(text);
    if (it != guest_.end()) return {.vtl = 0, .address = it->second, .vtl2_label = {}};
    if (node.diagnostics().full()) return {};
    for (const auto& [name, address] : guest_) names.push_back(name);
    node.error(fmt::format("unknown label {}{}", in_quotes(text), did_you_mean(text, names)));
    return {};
}

u64 Labels::read_address(const Node& node) const {
    const Place place = read(node);
    if (!place.vtl2_label.empty()) {
        node.error("a label of the VTL2 kernel cannot stand here: only the guest's, or a number");
    }
    return place.address;
}

std::vector<std::pair<u64, std::string>> Labels::by_address() const {
    std::vector<std::pair<u64, std::string>> out;
    for (const auto& [name, address] : guest_) out.emplace_back(address, name);
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace vtlsim::runner
