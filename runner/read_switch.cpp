#include "runner/read_switch.hpp"

#include <algorithm>

namespace vtlsim::runner {

std::size_t read_switch_value(const Node& node, std::string_view name,
                              std::span<const std::string_view> values) {
    return node.one_of(fmt::format("switch {}", name), values);
}

std::vector<std::size_t> read_switch_values(const Node& member, std::string_view name,
                                            std::span<const std::string_view> values) {
    if (member.is_string()) return {read_switch_value(member, name, values)};
    const std::vector<Node> listed = member.array();
    if (member.is_array() && listed.empty()) member.error("no value is listed");
    std::vector<std::size_t> out;
    for (const Node& value : listed) {
        const std::size_t errors = value.diagnostics().count();
        const std::size_t v = read_switch_value(value, name, values);
        if (value.diagnostics().count() != errors) continue;
        if (std::find(out.begin(), out.end(), v) != out.end()) {
            value.error("this value is listed twice");
        }
        out.push_back(v);
    }
    return out;
}

}  // namespace vtlsim::runner
