// The schema of KVM scenarios: it takes what the loader takes, and refuses what the loader refuses
// because of its structure. That it takes every shipped file is in schema.cpp.
// Run: build/<preset>/vtlsim_tests "[schema]"
#include <set>

#include "model/kvm/switches.hpp"
#include "runner/kvm_actions.hpp"
#include "runner/load.hpp"
#include "tests/catch.hpp"
#include "tests/runner/schema_complaints.hpp"

namespace vtlsim::runner {
namespace {

using tests::complaints;
using tests::find_objects;
using tests::Json;
using tests::schema_json;

std::string errors_of(const Json& document) {
    Diagnostics diagnostics;
    parse_scenario(document.dump(), "f", diagnostics);
    return diagnostics.to_string();
}

void check_good(const Json& document) {
    INFO(document.dump());
    CHECK(errors_of(document) == "");
    CHECK(complaints(document) == "");
}

void check_bad(const Json& document) {
    INFO(document.dump());
    CHECK(errors_of(document) != "");
    CHECK(complaints(document) != "");
}

// Every object of the format but the actions.
Json full() {
    return Json::parse(R"({
  "$schema": "x", "name": "n", "why": "w", "source": "s", "evidence": "read", "teaches": "t",
  "tags": ["t"],
  "kvm": {
    "switches": { "vendor": "svm" },
    "guests": { "a": { "mode": "real16", "ram": "0x100000", "entry": "access",
                       "code": { "at": 4096, "asm": ["access: out 0x80, al", "other: hlt"] },
                       "more_ram": [ { "at": "0xFFFFF000", "size": 4096 } ],
                       "registers": { "rax": "0x41", "rbx": "other" },
                       "memory": [ { "at": 8192, "bytes": "f4" } ],
                       "gates": [ { "vector": 1, "to": "other" } ] } },
    "userspaces": { "b": {
      "start": [ { "do": "guest-debug", "breakpoints": [ { "at": "other", "kind": "execute", "size": 1 } ] } ],
      "rules": [ { "when": { "exit": 1, "reason": "io", "access": true, "port": 128, "direction": "out",
                             "mmio": "read", "size": 1, "count": 1, "phys": 0, "result": "ok",
                             "nth": 1, "every": false },
                   "then": [ { "do": "stop" } ] } ],
      "devices": [ { "port": 128, "reads": "5a", "in_kernel": false }, { "mmio": 4096, "reads": "00" } ],
      "userspace_msr": true, "max_exits": 8, "max_steps": 100 } } },
  "show": ["exits"],
  "expect": { "end": "guest-halted", "state": { "exit.1.rip": "other", "exit.1": "io", "runs": 2, "writes": "41" },
              "memory": [ { "at": 8192, "bytes": "f4" } ], "log": [ { "event": "kvm-exit" } ] },
  "variants": { "switches": { "kvm": ["v1c", "v2"], "guest": "a", "userspace": ["b"] },
                "expect": [ { "when": { "kvm": "v2" }, "expect": { "end": "guest-halted" } } ] }
})");
}

// With one action at the start.
Json with_action(const Json& action) {
    Json document = full();
    document["kvm"]["userspaces"]["b"]["start"] = Json::array({action});
    return document;
}

const Json& definition(const char* name) { return schema_json()["definitions"][name]; }

TEST_CASE("KVM: an invented key is refused in every object, by schema and loader",
          "[schema][kvm]") {
    const Json document = full();
    check_good(document);
    std::vector<Json::json_pointer> objects;
    find_objects(document, Json::json_pointer(), objects);
    CHECK(objects.size() == 28);
    for (const auto& path : objects) {
        // Guests and userspaces have the names that the file gives them.
        if (path.to_string() == "/kvm/guests" || path.to_string() == "/kvm/userspaces") continue;
        Json spoilt = document;
        spoilt[path]["invented"] = 1;
        check_bad(spoilt);
    }
}

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

TEST_CASE("KVM: the schema lists no key that the loader does not take", "[schema][kvm]") {
    const Json document = full();
    CHECK(keys(definition("kvm_scenario")) == keys_of(document));
    const Json& guest = document["kvm"]["guests"]["a"];
    CHECK(keys(definition("kvm_guest")) == keys_of(guest));
    const Json& userspace = document["kvm"]["userspaces"]["b"];
    CHECK(keys(definition("kvm_userspace")) == keys_of(userspace));
    CHECK(keys(definition("kvm_when")) == keys_of(userspace["rules"][0]["when"]));
    CHECK(keys(definition("kvm_expect")) == keys_of(document["expect"]));
    CHECK(keys(definition("kvm_variants")) == keys_of(document["variants"]));
    std::set<std::string> part = keys_of(document["kvm"]);
    part.merge(std::set<std::string>{"guest", "userspace"});
    CHECK(keys(definition("kvm_part")) == part);
}

TEST_CASE("KVM: each action takes the keys of its row, and no other", "[schema][kvm]") {
    const Json& actions = definition("kvm_action")["oneOf"];
    REQUIRE(actions.size() == kvm_action_rows().size());
    std::set<std::string> all;
    for (const Json& one : actions) all.merge(keys(one));
    for (std::size_t i = 0; i < actions.size(); ++i) {
        const KvmActionRow& row = kvm_action_rows()[i];
        Json action;
        action["do"] = row.name();
        for (std::string_view key : row.required) {
            action[std::string(key)] = actions[i]["properties"][std::string(key)]["examples"][0];
        }
        const bool place = row.kind == model::kvm::ActionKind::write_memory;
        if (place) action["at"] = "access";
        check_good(with_action(action));
        for (std::string_view key : row.required) {
            Json less = action;
            less.erase(std::string(key));
            check_bad(with_action(less));
        }
        for (const std::string& key : all) {
            if (action.contains(key)) continue;
            Json more = action;
            const Json& properties = actions[i]["properties"];
            more[key] = properties.contains(key) ? properties[key]["examples"][0] : Json(1);
            // Two places for one write are one too many.
            if (properties.contains(key) && !place) {
                check_good(with_action(more));
            } else {
                check_bad(with_action(more));
            }
        }
        if (row.max_value == ~u64{0} || !action.contains("value")) continue;
        action["value"] = row.max_value + 1;
        check_bad(with_action(action));
    }
}

TEST_CASE("KVM: every value of every switch, and every register", "[schema][kvm]") {
    for (const model::kvm::SwitchRow& row : model::kvm::switch_rows()) {
        for (const model::SwitchValue& value : row.values) {
            Json document = full();
            document.erase("variants");
            Json& part = document["kvm"];
            part["guest"] = part["guests"]["a"];
            part["guest"]["code"]["asm"].push_back("patch: hlt");
            part["userspace"] = part["userspaces"]["b"];
            part.erase("guests");
            part.erase("userspaces");
            part["switches"] = {{std::string(row.name), value.name}};
            check_good(document);
        }
    }
    for (const auto& [name, property] : definition("kvm_registers")["properties"].items()) {
        if (name == "rip") continue;  // "entry" sets it
        Json document = full();
        document["kvm"]["guests"]["a"]["registers"] = {{name, property["examples"][0]}};
        check_good(document);
    }
}

TEST_CASE("KVM: what the loader refuses for its structure, the schema refuses", "[schema][kvm]") {
    const auto changed = [](const char* path, const char* value) {
        Json document = full();
        document[Json::json_pointer(path)] = Json::parse(value);
        return document;
    };
    for (const char* key : {"name", "why", "source", "evidence", "teaches", "expect"}) {
        Json document = full();
        document.erase(key);
        if (std::string(key) == "expect") document.erase("variants");
        check_bad(document);
    }
    const std::pair<const char*, const char*> wrong[] = {
        {"/evidence", R"("seen")"},
        {"/teaches", R"("")"},
        {"/vps", "[]"},
        {"/show", "[7]"},
        {"/kvm/guest", R"({"mode":"real16","code":{"at":1,"asm":"hlt"}})"},
        {"/kvm/userspace", "{}"},
        {"/kvm/switches/kvm", R"("v9")"},
        {"/kvm/switches", R"({"gpr_model":"shared"})"},
        {"/kvm/guests/a/mode", R"("real61")"},
        {"/kvm/guests/a/ram", "1"},
        {"/kvm/guests/a/code", R"({"asm":"hlt"})"},
        {"/kvm/guests/a/code", R"({"at":1,"asm":"hlt","bytes":"f4"})"},
        {"/kvm/guests/a/registers", R"({"xmm0":"0x0"})"},
        {"/kvm/guests/a/registers/rax", "true"},
        {"/kvm/guests/a/gates/0/vector", "256"},
        {"/kvm/guests/a/more_ram/0/size", "1"},
        {"/kvm/userspaces/b/rules/0", R"({"then":[]})"},
        {"/kvm/userspaces/b/rules/0/when/reason", R"("oi")"},
        {"/kvm/userspaces/b/rules/0/when/direction", R"("read")"},
        {"/kvm/userspaces/b/rules/0/when/size", "3"},
        {"/kvm/userspaces/b/rules/0/when/port", "65536"},
        {"/kvm/userspaces/b/rules/0/then/0", R"({"do":"stpo"})"},
        {"/kvm/userspaces/b/rules/0/then/0", "{}"},
        {"/kvm/userspaces/b/start/0/breakpoints/0/kind", R"("read")"},
        {"/kvm/userspaces/b/start/0/breakpoints/0/size", "3"},
        {"/kvm/userspaces/b/devices/0", R"({"port":1,"mmio":1})"},
        {"/kvm/userspaces/b/devices/0", "{}"},
        {"/kvm/userspaces/b/devices/1/in_kernel", "true"},
        {"/kvm/userspaces/b/max_exits", "0"},
        {"/expect", "{}"},
        {"/expect/end", R"("halted")"},
        {"/expect/state", R"({"exit.0.rip":1})"},
        {"/expect/state", R"({"vtl0.rax":1})"},
        {"/expect/state", R"({"exit.1.text":1})"},
        {"/expect/memory", R"([{"at":1,"bytes":""}])"},
        {"/expect/log", R"([{"event":"kvm-exti"}])"},
        {"/expect/relations", "[]"},
        {"/variants/switches", "{}"},
        {"/variants/switches/kvm", "[]"},
        {"/variants/switches/kvm", R"(["v2","v2"])"},
        {"/variants/switches/kvm", R"(["v9"])"},
        {"/variants/expect/0", R"({"when":{"kvm":"v2"}})"},
    };
    for (const auto& [path, value] : wrong) check_bad(changed(path, value));
}

}  // namespace
}  // namespace vtlsim::runner
