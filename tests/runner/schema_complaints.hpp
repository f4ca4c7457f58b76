// What the schema of scenario files has against a document.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "runner/schema.hpp"

namespace vtlsim::tests {

using Json = nlohmann::json;

inline Json parse_commented(const std::string& text) {
    return Json::parse(text, nullptr, true, true);
}

inline const Json& schema_json() {
    static const Json json = Json::parse(runner::scenario_schema());
    return json;
}

// Empty if nothing.
inline std::string complaints(const Json& document) {
    using Adapter = valijson::adapters::NlohmannJsonAdapter;
    static const auto schema = [] {
        auto parsed = std::make_unique<valijson::Schema>();
        valijson::SchemaParser(valijson::SchemaParser::kDraft7)
            .populateSchema(Adapter(schema_json()), *parsed);
        return parsed;
    }();
    valijson::ValidationResults results;
    valijson::Validator().validate(*schema, Adapter(document), &results);
    std::string out;
    valijson::ValidationResults::Error error;
    while (results.popError(error)) {
        std::string place;
        for (const std::string& part : error.context) place += part;
        out += fmt::format("{}: {}\n", place, error.description);
    }
    return out;
}

// The paths of all objects in a document.
inline void find_objects(const Json& value, const Json::json_pointer& path,
                         std::vector<Json::json_pointer>& out) {
    if (value.is_object()) out.push_back(path);
    if (value.is_object()) {
        for (const auto& [key, inner] : value.items()) find_objects(inner, path / key, out);
    } else if (value.is_array()) {
        for (std::size_t i = 0; i < value.size(); ++i) find_objects(value[i], path / i, out);
    }
}

}  // namespace vtlsim::tests
