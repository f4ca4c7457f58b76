// What a table of switches is made of. A set of switches is a .def file (its form is described in
// switches.def) and a header that names it in SWITCH_TABLE and includes switch_types.def; one
// source file includes switch_rows.def.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "sim/types.hpp"

namespace vtlsim::model {

struct SwitchValue {
    std::string_view name;
    std::string_view meaning;
};

// A switch of the struct `Set`.
template <class Set>
struct SwitchRowOf {
    using Switches = Set;
    std::string_view name;
    std::string_view meaning;
    std::string_view source;
    std::span<const SwitchValue> values;  // the first one is the default
    u8 (*get)(const Set&);                // index into values
    void (*set)(Set&, u8 index);
};

template <class Row>
const Row* find_switch(std::span<const Row> rows, std::string_view name) {
    for (const Row& row : rows) {
        if (row.name == name) return &row;
    }
    return nullptr;
}

// Index of a value by name.
template <class Row>
std::optional<u8> find_value(const Row& row, std::string_view value) {
    for (std::size_t i = 0; i < row.values.size(); ++i) {
        if (row.values[i].name == value) return static_cast<u8>(i);
    }
    return std::nullopt;
}

}  // namespace vtlsim::model
