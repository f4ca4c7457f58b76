#include "model/kvm/switches.hpp"

namespace vtlsim::model::kvm {
namespace {

#define SWITCH(id, Type, meaning, source) constexpr SwitchValue kValues_##id[] = {
#define VALUE(Type, name, meaning) {#name, meaning},
#define END_SWITCH \
    }              \
    ;
#include "model/kvm/switches.def"
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
#include "model/kvm/switches.def"
#undef SWITCH
#undef VALUE
#undef END_SWITCH
};

}  // namespace

std::span<const SwitchRow> switch_rows() { return kRows; }

}  // namespace vtlsim::model::kvm
