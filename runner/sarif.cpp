#include "runner/sarif.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "vtlsim_version.hpp"

namespace vtlsim::runner {
namespace {

// A file's name as the path of a URI (RFC 3986, 3.3).
std::string uri(std::string_view file) {
    std::string out;
    for (char c : file) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') ||
                           std::string_view("-._~/").find(c) != std::string_view::npos;
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<u8>(c));
    }
    return out;
}

}  // namespace

std::string sarif_report(const Diagnostics& diagnostics) {
    using Json = nlohmann::ordered_json;
    Json results = Json::array();
    for (const Diagnostic& d : diagnostics.sorted()) {
        const std::string text =
            d.path.empty() ? d.message : fmt::format("{}: {}", d.path, d.message);
        Json result = {{"ruleId", "scenario"}, {"level", "error"}, {"message", {{"text", text}}}};
        result["locations"] =
            Json::array({{{"physicalLocation",
                           {{"artifactLocation", {{"uri", uri(d.file)}}},
                            {"region", {{"startLine", d.line}, {"startColumn", d.column}}}}}}});
        results.push_back(std::move(result));
    }
    const Json rule = {{"id", "scenario"},
                       {"shortDescription", {{"text", "The scenario file is not well-formed"}}}};
    const Json driver = {{"name", "vtlsim"}, {"version", kVersion}, {"rules", Json::array({rule})}};
    const Json run = {{"tool", {{"driver", driver}}},
                      {"columnKind", "unicodeCodePoints"},
                      {"results", std::move(results)}};
    const Json report = {{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                         {"version", "2.1.0"},
                         {"runs", Json::array({run})}};
    return report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace vtlsim::runner
