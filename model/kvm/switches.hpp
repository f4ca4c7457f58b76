// The choices of a KVM world as types, as values and as a table (from switches.def).
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "model/switches.hpp"

namespace vtlsim::model::kvm {

#define SWITCH(id, Type, meaning, source) enum class Type : u8 {
#define VALUE(Type, name, meaning) name,
#define END_SWITCH \
    }              \
    ;
#include "model/kvm/switches.def"
#undef SWITCH
#undef VALUE
#undef END_SWITCH

struct Switches {
#define SWITCH(id, Type, meaning, source) Type id{};
#define VALUE(Type, name, meaning)
#define END_SWITCH
#include "model/kvm/switches.def"
#undef SWITCH
#undef VALUE
#undef END_SWITCH
    friend bool operator==(const Switches&, const Switches&) = default;
};

struct SwitchRow {
    std::string_view name;
    std::string_view meaning;
    std::string_view source;
    std::span<const SwitchValue> values;  // the first one is the default
    u8 (*get)(const Switches&);           // index into values
    void (*set)(Switches&, u8 index);
};

std::span<const SwitchRow> switch_rows();

}  // namespace vtlsim::model::kvm
