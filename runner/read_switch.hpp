// Switches by name, and their values: what scenarios say of either table (model/switch_table.hpp).
#pragma once

#include <fmt/format.h>

#include "model/switch_table.hpp"
#include "runner/json/reader.hpp"

namespace vtlsim::runner {

// The switch that an object's member is named after; null, and reported, if there is none. `others`
// are names that the member could have had, too.
template <class Row>
const Row* read_switch_name(const Node& member, std::span<const Row> rows,
                            std::initializer_list<std::string_view> others = {}) {
    const Row* row = model::find_switch(rows, member.key());
    if (row == nullptr) {
        std::vector<std::string_view> names(others);
        for (const Row& r : rows) names.push_back(r.name);
        member.error_at_key(fmt::format("unknown switch {}{}", in_quotes(member.key()),
                                        did_you_mean(member.key(), names)));
    }
    return row;
}

template <class Row>
std::vector<std::string_view> value_names(const Row& row) {
    std::vector<std::string_view> names;
    for (const model::SwitchValue& v : row.values) names.push_back(v.name);
    return names;
}

// One value out of `values`; reported if it is none of them.
std::size_t read_switch_value(const Node& node, std::string_view name,
                              std::span<const std::string_view> values);
// The same of a list of them, or of one alone; also reports what is listed twice, and an empty
// list.
std::vector<std::size_t> read_switch_values(const Node& member, std::string_view name,
                                            std::span<const std::string_view> values);

template <class Row>
u8 read_switch_value(const Node& node, const Row& row) {
    return static_cast<u8>(read_switch_value(node, row.name, value_names(row)));
}

}  // namespace vtlsim::runner
