// What the schema of scenario files is put together from (used by schema.cpp and schema_kvm.cpp).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/switches.hpp"
#include "sim/types.hpp"

namespace vtlsim::runner::schema {

using Json = nlohmann::ordered_json;

// Node::integer(), Node::bytes() and what starts a label, as regular expressions.
inline constexpr std::string_view kNumber = "0x[0-9a-fA-F]+(_[0-9a-fA-F]+)*|0b[01]+|[0-9]+";
inline constexpr std::string_view kBytes = "^([ \\t\\r\\n]*[0-9a-fA-F]{2})*[ \\t\\r\\n]*$";
inline constexpr std::string_view kLabel = "(vtl2:)?[A-Za-z_.?@$~#][A-Za-z0-9_.?@$~#]*";

inline std::string whole(std::string_view pattern) { return fmt::format("^({})$", pattern); }

inline Json with(Json schema, std::string_view description, Json example) {
    schema["description"] = description;
    schema["examples"] = Json::array({std::move(example)});
    return schema;
}

inline Json ref(std::string_view name) {
    return {{"allOf", Json::array({{{"$ref", fmt::format("#/definitions/{}", name)}}})}};
}

// A number or its text. The bounds hold for both; a schema can only state them for the number, and
// of 64 bits validators cannot tell the last one.
inline Json integer(u64 min, u64 max) {
    Json number = {{"type", "integer"}, {"minimum", min}};
    if (max != ~u64{0}) number["maximum"] = max;
    return {{"anyOf", Json::array({number, {{"type", "string"}, {"pattern", whole(kNumber)}}})}};
}
inline Json integer_to(u64 max) { return integer(0, max); }

// Node::hex().
inline Json hex(u32 digits) {
    return {{"type", "string"},
            {"pattern", fmt::format("^0x([0-9a-fA-F]_?){{{}}}[0-9a-fA-F]$", digits - 1)}};
}

inline Json text(std::string_view pattern = {}) {
    Json schema = {{"type", "string"}, {"minLength", 1}};
    if (!pattern.empty()) schema["pattern"] = pattern;
    return schema;
}

inline Json boolean() { return {{"type", "boolean"}}; }

inline Json array(Json items) { return {{"type", "array"}, {"items", std::move(items)}}; }

inline Json object(Json properties, std::initializer_list<std::string_view> required = {}) {
    Json schema = {{"type", "object"}, {"additionalProperties", false}};
    if (required.size() != 0) schema["required"] = required;
    schema["properties"] = std::move(properties);
    return schema;
}

template <class Rows, class Get>
Json names(const Rows& rows, Get get) {
    Json out = Json::array();
    for (const auto& row : rows) out.push_back(get(row));
    return out;
}

template <class Names>
Json one_of(const Names& words) {
    return {{"enum", names(words, [](auto word) { return word; })}};
}

// One value, or a list of different ones.
inline Json one_or_several(const Json& value) {
    Json list = array(value);
    list["minItems"] = 1;
    list["uniqueItems"] = true;
    return {{"anyOf", Json::array({value, list})}};
}

// The switches of a world (rows of a switches.def) as properties, with one value or, for variants,
// also with several.
template <class Rows>
Json switch_properties(const Rows& rows, bool several) {
    Json properties = Json::object();
    for (const auto& row : rows) {
        std::string description = fmt::format("{} ({}).", row.meaning, row.source);
        for (const model::SwitchValue& v : row.values) {
            description += fmt::format("\n{}{}: {}.", v.name,
                                       &v == row.values.data() ? " (default)" : "", v.meaning);
        }
        Json all = names(row.values, [](const auto& v) { return v.name; });
        Json value = {{"enum", all}};
        properties[std::string(row.name)] =
            with(several ? one_or_several(value) : value, description, several ? all : all.back());
    }
    return properties;
}

inline Json switches_of(Json properties, bool several) {
    Json schema = object(std::move(properties));
    if (several) schema["minProperties"] = 1;
    return schema;
}

// Keys that every scenario has (schema.cpp).
Json head_properties();
// An image's "asm" and "bytes", of which one is needed (schema.cpp).
Json image(std::string_view at, std::initializer_list<std::string_view> required);
// "end" and "memory" of what is expected (schema.cpp).
Json expect_end();
Json expect_memory();

// Scenarios of KVM: definitions for the schema, "kvm_scenario" among them (schema_kvm.cpp).
Json kvm_definitions();
// What completes to the key "kvm".
Json kvm_key();

}  // namespace vtlsim::runner::schema
