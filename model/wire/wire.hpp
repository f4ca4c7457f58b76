// How the structures that the hypervisor, the VTL2 kernel and the VMM share in memory are written
// down: one list per structure gives the C++ type, the asserts on every offset, and the table by
// which scenarios, traces and the VTL2 assembly name its fields.
//
//   #define HV_FOO_FIELDS(F)      F(type, name, offset) ...
//   VTLSIM_WIRE_STRUCT(HvFoo, 0x10, HV_FOO_FIELDS)
//
// Padding is written out as fields named reserved...; those are left out of the table.
#pragma once

#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sim/types.hpp"

namespace vtlsim::model {

template <std::size_t N>
using Bytes = std::array<u8, N>;

struct WireField {
    std::string_view name;
    u32 offset;                         // bytes from the start of the outermost structure
    u32 size;                           // bytes
    std::span<const WireField> nested;  // fields of a member that is a structure itself
};

// The fields of a wire structure; empty for plain types.
template <class T>
struct WireTraits {
    static constexpr std::span<const WireField> fields() { return {}; }
};

#define VTLSIM_WIRE_MEMBER(type, name, offset_) type name;
#define VTLSIM_WIRE_ASSERT(type, name, offset_) static_assert(offsetof(This, name) == (offset_));
#define VTLSIM_WIRE_ROW(type, name, offset_) \
    WireField{#name, (offset_), sizeof(type), WireTraits<type>::fields()},

#define VTLSIM_WIRE_STRUCT(Name, size_, FIELDS)                                   \
    struct Name {                                                                 \
        FIELDS(VTLSIM_WIRE_MEMBER)                                                \
    };                                                                            \
    static_assert(sizeof(Name) == (size_) && std::is_trivially_copyable_v<Name>); \
    template <>                                                                   \
    struct WireTraits<Name> {                                                     \
        using This = Name;                                                        \
        FIELDS(VTLSIM_WIRE_ASSERT)                                                \
        static constexpr WireField kFields[] = {FIELDS(VTLSIM_WIRE_ROW)};         \
        static constexpr std::span<const WireField> fields() { return kFields; }  \
    };

}  // namespace vtlsim::model
