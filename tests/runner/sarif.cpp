// Diagnostics as SARIF. Run: build/<preset>/vtlsim_tests "[sarif]"
#include "runner/sarif.hpp"

#include <nlohmann/json.hpp>

#include "tests/catch.hpp"

namespace vtlsim::runner {
namespace {

TEST_CASE("SARIF names file, place and what is wrong", "[sarif]") {
    Diagnostics diagnostics;
    diagnostics.add({"a folder/b.json", 3, 7, "/name", "it is \xFF wrong"});
    const auto report = nlohmann::json::parse(sarif_report(diagnostics));
    CHECK(report["version"] == "2.1.0");
    const auto& run = report["runs"][0];
    CHECK(run["tool"]["driver"]["name"] == "vtlsim");
    CHECK(run["tool"]["driver"]["rules"][0]["id"] == run["results"][0]["ruleId"]);
    const auto& result = run["results"][0];
    CHECK(result["message"]["text"] == "/name: it is \xEF\xBF\xBD wrong");
    const auto& place = result["locations"][0]["physicalLocation"];
    CHECK(place["artifactLocation"]["uri"] == "a%20folder/b.json");
    CHECK(place["region"]["startLine"] == 3);
    CHECK(place["region"]["startColumn"] == 7);
    CHECK(run["columnKind"] == "unicodeCodePoints");
    CHECK(nlohmann::json::parse(sarif_report({}))["runs"][0]["results"].empty());
}

}  // namespace
}  // namespace vtlsim::runner
