// The model switches as types, as values, and as a table (from switches.def).
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "sim/types.hpp"

namespace vtlsim::model {

#define SWITCH(id, Type, meaning, source) enum class Type : u8 {
#define VALUE(Type, name, meaning) name,
#define END_SWITCH \
    }              \
    ;
#include "model/switches.def"
#undef SWITCH
#undef VALUE
#undef END_SWITCH

struct Switches {
#define SWITCH(id, Type, meaning, source) Type id{};
#define VALUE(Type, name, meaning)
#define END_SWITCH
#include "model/switches.def"
#undef SWITCH
#undef VALUE
#undef END_SWITCH
    friend bool operator==(const Switches&, const Switches&) = default;
};

struct SwitchValue {
    std::string_view name;
    std::string_view meaning;
};

struct SwitchRow {
    std::string_view name;
    std::string_view meaning;
    std::string_view source;
    std::span<const SwitchValue> values;  // the first one is the default
    u8 (*get)(const Switches&);           // index into values
    void (*set)(Switches&, u8 index);
};

// All switches in the order of switches.def.
std::span<const SwitchRow> switch_rows();
const SwitchRow* find_switch(std::string_view name);
// Index of a value by name.
std::optional<u8> find_value(const SwitchRow& row, std::string_view value);

}  // namespace vtlsim::model
