#include "model/switches.hpp"

namespace vtlsim::model {
namespace {

#define SWITCH(id, Type, meaning, source) constexpr SwitchValue kValues_##id[] = {
#define VALUE(Type, name, meaning) {#name, meaning},
#define END_SWITCH \
    }              \
    ;
#include "model/switches.def"
#undef SWITCH
#undef VALUE
#undef END_SWITCH

constexpr SwitchRow kRows[] = {
#define SWITCH(id, Type, meaning, source)                     \
    {#id,                                                     \
     meaning,                                                 \
     source,                                                  \
     kValues_##id,                                            \
     [](const Switches& s) { return static_cast<u8>(s.id); }, \
     [](Switches& s, u8 index) { s.id = static_cast<Type>(index); }},
#define VALUE(Type, name, meaning)
#define END_SWITCH
#include "model/switches.def"
#undef SWITCH
#undef VALUE
#undef END_SWITCH
};

}  // namespace

std::span<const SwitchRow> switch_rows() { return kRows; }

const SwitchRow* find_switch(std::string_view name) {
    for (const SwitchRow& row : kRows) {
        if (row.name == name) return &row;
    }
    return nullptr;
}

std::optional<u8> find_value(const SwitchRow& row, std::string_view value) {
    for (std::size_t i = 0; i < row.values.size(); ++i) {
        if (row.values[i].name == value) return static_cast<u8>(i);
    }
    return std::nullopt;
}

}  // namespace vtlsim::model
