// The JSON Schema: it is what docs/ holds, it takes what the loader takes, and it refuses what the
// loader refuses because of its structure.
// Run: build/<preset>/vtlsim_tests "[schema]"; VTLSIM_BLESS=1 writes docs/scenario.schema.json.
#include "runner/schema.hpp"

#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/runner/scenario_text.hpp"
#include "tests/runner/schema_complaints.hpp"

namespace vtlsim::runner {
namespace {

using namespace tests;

TEST_CASE("docs/scenario.schema.json is what `vtlsim schema` prints", "[schema][golden]") {
    const std::string diff = tests::golden_diff("docs/scenario.schema.json", scenario_schema());
    INFO(diff);
    CHECK(diff.empty());
}

TEST_CASE("Every scenario of the repository is as the schema says", "[schema]") {
    std::set<std::string> files;
    for (const char* folder : {"scenarios", "tests/golden"}) {
        const std::string root = std::string(VTLSIM_SOURCE_DIR) + "/";
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root + folder)) {
            if (entry.path().extension() != ".json") continue;
            files.insert(entry.path().string().substr(root.size()));
        }
    }
    REQUIRE(files.size() > 1);
    for (const std::string& file : files) {
        INFO(file);
        const Json document = parse_commented(tests::source_file(file));
        CHECK(document.contains("$schema"));
        CHECK(complaints(document) == "");
    }
}

// A scenario in which every object of the format occurs.
std::string full() {
    return R"({
  "$schema": "x", "name": "n", "why": "w", "source": "s",
  "switches": { "gpr_model": "shared" },
  "guest": { "ram": 65536, "code": { "at": 4096, "asm": ["a: nop", "hlt"] }, "entry": "a",
             "registers": { "rax": 1 }, "memory": [ { "at": 8192, "bytes": "00" } ] },
  "vtl2": { "registers": { "rbx": 1 }, "memory": [ { "at": "0x8034100", "asm": "nop" } ] },
  "devices": [ { "kind": "script", "port": 1, "size": 1, "reads": [1] },
               { "kind": "counter", "port": 2, "size": 1, "start": 1, "step": 2 },
               { "kind": "16550", "port": 1016, "connected": true },
               { "kind": "8259", "vector": 48 } ],
  "cpuid": [ { "leaf": 1, "eax": 1, "ebx": 1, "ecx": 1, "edx": 1 } ],
  "msrs": [ { "msr": 1, "value": 1, "invalid": false }, { "msr": 2, "invalid": true } ],
  "hypercalls": [ { "code": 1, "status": 1, "input": 1, "output": [ 1 ], "repetitions": 2 } ],
  "events": [ { "do": "interrupt", "vp": 0, "vtl": 2, "vector": 32, "transient": true, "with_exit": false,
                "before": "a", "nth": 1, "may_not_happen": true },
              { "do": "stop", "vp": 1, "before": "a", "nth": 9, "may_not_happen": true },
              { "do": "intercept", "type": "apic_eoi", "value": 1, "interruption_pending": false,
                "vp": 1, "before": "a", "nth": 9, "may_not_happen": true } ],
  "vps": [ { "entry": "a", "registers": { "rax": 1 } } ],
  "hotplug": true, "attention_delay": 1, "fine_steps": true, "guest_steps": true,
  "invariants": [ "no-vmm-panic" ],
  "schedule": [ { "instead_of": "vmm0", "step": "handle", "nth": 2, "run": "vp0",
                  "may_not_happen": true },
                { "turn": 1, "run": "vp0", "does": "runs" } ],
  "matrix": { "observed": "no-vmm-panic", "preemptions": 1,
              "theories": [ { "name": "t", "why": "w", "switches": { "gpr_model": "shared" } } ],
              "fixes": [ { "name": "f", "why": "w", "switches": { "vmm_fix": "V0" } } ],
              "evidence": [ { "name": "e", "why": "w", "run": "violation",
                              "expect": { "end": "vmm-panic" },
                              "relations": [ { "value": "context.rax", "is": "message.rax",
                                               "plus": 1, "bits": 32 } ] },
                            { "name": "n", "not_with": { "driver": "racy" } } ],
              "guests": [ { "name": "g", "why": "w", "theories": [ "t" ], "fixes": [ "f" ],
                            "facts": [ { "name": "x", "expect": { "end": "stuck" } } ],
                            "expect": { "t": { "f": "observed: e" } },
                            "guest": { "code": { "asm": [ "a: hlt" ] } }, "devices": [],
                            "cpuid": [], "msrs": [], "hypercalls": [], "events": [] } ] },
  "limits": { "steps": 1000, "memory": 1048576 },
  "expect": { "end": "guest-halted", "state": { "vtl0.rax": 1 },
              "memory": [ { "at": 0, "bytes": "00" } ],
              "log": [ { "event": "halt", "vtl": 0, "at": "a" }, { "next": { "event": "end" } },
                       { "never": { "event": "end" } },
                       { "any_order": [ { "event": "end" } ] },
                       { "count": { "min": 0, "max": 9 }, "of": { "event": "end" } } ],
              "relations": [ "vtl0.rax == 1" ], "unlisted": "unchanged" },
  "include": [],
  "tags": ["t"], "xfail": [ { "reason": "r", "when": { "vmm_fix": "V0" } } ],
  "golden": { "hide": [ "insn" ] },
  "variants": { "switches": { "vmm_fix": ["V0", "V2"] }, "exclude": [ { "vmm_fix": "V2" } ],
                "expect": [ { "when": { "vmm_fix": "V0" }, "expect": { "end": "guest-halted" } } ] },
  "show": [ "vtl0.rax" ]
})";
}

TEST_CASE("An invented key is refused in every object, by the schema as by the loader",
          "[schema]") {
    const Json document = Json::parse(full());
    CHECK(errors_of(document.dump()).empty());
    CHECK(complaints(document).empty());
    std::vector<Json::json_pointer> objects;
    find_objects(document, Json::json_pointer(), objects);
    CHECK(objects.size() == 64);
    for (const auto& path : objects) {
        INFO(path.to_string());
        Json spoilt = document;
        spoilt[path]["invented"] = 1;
        CHECK(errors_of(spoilt.dump()).find("invented") != std::string::npos);
        CHECK(!complaints(spoilt).empty());
    }
}

// Keys that the schema lists for the object at a place of a document.
std::set<std::string> keys(const Json& schema) {
    std::set<std::string> out;
    for (const auto& [key, value] : schema.at("properties").items()) out.insert(key);
    return out;
}
std::set<std::string> keys_of(const Json& object) {
    std::set<std::string> out;
    for (const auto& [key, value] : object.items()) out.insert(key);
    return out;
}

TEST_CASE("Each key that the schema lists is one that the loader takes", "[schema]") {
    // full() loads; so a key that occurs in it is taken. All of the fixed ones do.
    const Json document = Json::parse(full());
    const Json& root = schema_json();
    const Json& vtl = root["definitions"]["vtl_scenario"];
    const Json& all = vtl.at("properties");
    std::set<std::string> top = keys_of(document);
    top.insert("kvm");  // which makes it a scenario of the other kind
    CHECK(keys(vtl) == top);
    CHECK(keys(all["guest"]) == keys_of(document["guest"]));
    CHECK(keys(all["vtl2"]) == keys_of(document["vtl2"]));
    CHECK(keys(all["limits"]) == keys_of(document["limits"]));
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(keys(all["devices"]["items"]["oneOf"][i]) == keys_of(document["devices"][i]));
    }
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(keys(all["events"]["items"]["oneOf"][i]) == keys_of(document["events"][i]));
    }
    for (const char* list : {"cpuid", "msrs", "hypercalls"}) {
        CHECK(keys(all[list]["items"]) == keys_of(document[list][0]));
    }
    CHECK(keys(all["vps"]["items"]) == keys_of(document["vps"][0]));
    std::set<std::string> entry = keys_of(document["schedule"][0]);
    entry.merge(keys_of(document["schedule"][1]));
    CHECK(keys(all["schedule"]["items"]) == entry);
    CHECK(keys(all["variants"]) == keys_of(document["variants"]));
    CHECK(keys(all["variants"]["properties"]["expect"]["items"]) ==
          keys_of(document["variants"]["expect"][0]));
    const Json& matrix = all["matrix"]["properties"];
    CHECK(keys(all["matrix"]) == keys_of(document["matrix"]));
    for (const char* list : {"theories", "fixes", "guests"}) {
        CHECK(keys(matrix[list]["items"]) == keys_of(document["matrix"][list][0]));
    }
    std::set<std::string> predicate = keys_of(document["matrix"]["evidence"][0]);
    predicate.merge(keys_of(document["matrix"]["evidence"][1]));
    CHECK(keys(root["definitions"]["predicate"]) == predicate);
    CHECK(keys(root["definitions"]["expect"]) == keys_of(document["expect"]));
    for (const Json& image :
         {all["guest"]["properties"]["code"], all["guest"]["properties"]["memory"]["items"],
          all["vtl2"]["properties"]["memory"]["items"]}) {
        CHECK(keys(image) == std::set<std::string>{"at", "asm", "bytes"});
    }
    // The tables, key by key, each with its example.
    for (const auto& [name, property] : root["definitions"]["registers"]["properties"].items()) {
        Json one = document;
        one["guest"].erase("entry");
        one["guest"]["registers"] = {{name, property["examples"][0]}};
        if (name == "rip") one["guest"]["code"]["at"] = property["examples"][0];  // it starts there
        INFO(name);
        CHECK(errors_of(one.dump()).empty());
        CHECK(complaints(one).empty());
    }
    for (const auto& [name, property] : all["switches"]["properties"].items()) {
        for (const Json& value : property["enum"]) {
            Json one = document;
            for (const char* key : {"variants", "xfail"}) one.erase(key);
            one["switches"] = {{name, value}};
            if (value == "kernel_driver") {  // these are about the sidecar
                for (const char* key : {"vps", "hotplug", "invariants"}) one.erase(key);
                for (std::size_t i : {1u, 2u}) one["events"][i]["vp"] = 0;
            }
            INFO(one["switches"].dump());
            CHECK(errors_of(one.dump()).empty());
            CHECK(complaints(one).empty());
        }
    }
    for (const Json& end : root["definitions"]["expect"]["properties"]["end"]["enum"]) {
        Json one = document;
        one["expect"]["end"] = end;
        CHECK(errors_of(one.dump()).empty());
    }
    for (const Json& kind : root["definitions"]["pattern"]["oneOf"]) {
        Json pattern = Json::object();
        for (const auto& [name, property] : kind["properties"].items()) {
            pattern[name] = property["examples"][0];
        }
        pattern["at"] = "a";
        Json one = document;
        one["expect"]["log"] = Json::array({pattern});
        INFO(pattern.dump());
        CHECK(errors_of(one.dump()).empty());
        CHECK(complaints(one).empty());
    }
}

void check_described(const Json& schema, const std::string& path) {
    // What has no type is a condition on an object that is described elsewhere.
    if (schema.contains("properties") && schema.contains("type")) {
        CHECK(schema.at("additionalProperties") == false);
        for (const auto& [name, property] : schema["properties"].items()) {
            INFO(path << '/' << name);
            CHECK(property.contains("description"));
            CHECK(property.contains("examples"));
        }
    }
    if (!schema.is_structured()) return;
    for (const auto& [key, inner] : schema.items()) {
        if (inner.is_structured() && key != "examples") check_described(inner, path + '/' + key);
    }
}

TEST_CASE("Every property has a description and an example; no object is open", "[schema]") {
    check_described(schema_json(), "");
}

TEST_CASE("What the loader refuses for its structure, the schema refuses", "[schema]") {
    const std::vector<std::string> broken = {
        "{}",
        "[]",
        scenario(R"("switches":{"gpr_modl":"shadow"})"),
        scenario(R"("switches":{"gpr_model":"shadw"})"),
        scenario(R"("switches":{"gpr_model":["shadow"]})"),
        scenario(R"("limits":{"steps":0})"),
        scenario(R"("limits":{"memory":1})"),
        scenario(R"("limits":{"steps":"ten"})"),
        scenario(R"("vtl2":{"memory":[{"bytes":"00"}]})"),
        scenario(R"("devices":[{}])"),
        scenario(R"("devices":[{"port":65536}])"),
        scenario(R"("devices":[{"port":1,"size":3}])"),
        scenario(R"("cpuid":[{"eax":1}])"),
        scenario(R"("msrs":[{"msr":1}])"),
        scenario(R"("hypercalls":[{"code":1}])"),
        scenario(R"("events":[{"do":"halt","before":1}])"),
        scenario(R"("events":[{"before":4096}])"),
        scenario(R"("schedule":[{"turn":1}])"),
        scenario(R"("vps":[{}])"),
        scenario(R"("invariants":["no-such"])"),
        scenario(R"("events":[{"do":"interrupt","before":1,"vtl":1}])"),
        scenario(R"("events":[{"do":"interrupt","before":1,"vector":15}])"),
        scenario(R"("events":[{"do":"interrupt","before":1,"nth":0}])"),
        scenario(R"("events":[{"do":"stop","before":1,"vtl":2}])"),
        scenario(R"("events":[{"do":"stop","before":"no label"}])"),
        scenario(R"("variants":{})"),
        scenario(R"("variants":{"switches":{}})"),
        scenario(R"("variants":{"switches":{"gpr_model":[]}})"),
        scenario(R"("variants":{"switches":{"gpr_model":["shared","shared"]}})"),
        scenario(
            R"("variants":{"switches":{"gpr_model":["shared"]},"expect":[{"when":{"gpr_model":"shared"}}]})"),
        scenario(R"("show":[7])"),
        scenario(R"("show":"vtl0.rax")"),
        with_guest("{}"),
        with_guest(R"({"code":{}})"),
        with_guest(R"({"code":{"asm":"hlt","bytes":"f4"}})"),
        with_guest(R"({"code":{"asm":7}})"),
        with_guest(R"({"code":{"bytes":"f"}})"),
        with_guest(R"({"code":{"bytes":"zz"}})"),
        with_guest(R"({"code":{"asm":"hlt"},"registers":{"rxa":1}})"),
        with_guest(R"({"code":{"asm":"hlt"},"registers":{"cs":65536}})"),
        with_guest(R"({"code":{"asm":"hlt"},"registers":{"rax":"0x"}})"),
        with_guest(R"({"code":{"asm":"hlt"},"registers":{"xmm0":"0x1"}})"),
        with_guest(R"({"code":{"asm":"hlt"},"ram":1})"),
        with_expect("{}"),
        with_expect(R"({"end":"none"})"),
        with_expect(R"({"state":{"vtl1.rax":1}})"),
        with_expect(R"({"state":{"vtl0.rxa":1}})"),
        with_expect(R"({"state":{"vtl0.rax":true}})"),
        with_expect(R"({"state":{"vtl0.rax":"0x1g"}})"),
        with_expect(R"({"state":{"port.1.read":1}})"),
        with_expect(R"({"memory":[{"at":1}]})"),
        with_expect(R"({"memory":[{"at":1,"bytes":""}]})"),
        with_expect(R"({"log":["halt"]})"),
        with_expect(R"({"log":[{"event":"hlat"}]})"),
        with_expect(R"({"log":[{"event":"exit-io","prot":1}]})"),
        with_expect(R"({"log":[{"event":"exit-io","string":1}]})"),
        with_expect(R"({"log":[{"event":"exit-io","access":"inn"}]})"),
        with_expect(R"({"log":[{"event":"shadow","reg":"rxa"}]})"),
        with_expect(R"({"log":[{"event":"halt","vtl":3}]})"),
        with_expect(R"({"log":[{"next":{"event":"halt"},"never":{"event":"halt"}}]})"),
        with_expect(R"({"log":[{"next":[]}]})"),
        R"({"name":"two words","why":"w","source":"s","guest":{"code":{"asm":"hlt"}},"expect":{"end":"stuck"}})",
        R"({"name":"n","why":"","source":"s","guest":{"code":{"asm":"hlt"}},"expect":{"end":"stuck"}})",
        R"({"name":"n","why":"w","guest":{"code":{"asm":"hlt"}},"expect":{"end":"stuck"}})",
        R"({"name":"n","why":"w","source":"s","guest":{"code":{"asm":"hlt"}}})",
    };
    for (const std::string& text : broken) {
        INFO(text);
        CHECK(errors_of(text) != "");
        CHECK(complaints(Json::parse(text)) != "");
    }
}

}  // namespace
}  // namespace vtlsim::runner
