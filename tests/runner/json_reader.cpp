// What the typed getters give, and the exact place and words of each of their errors.
// Run: build/<preset>/vtlsim_tests "[json]"
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner/json/reader.hpp"
#include "tests/catch.hpp"

namespace vtlsim::runner {
namespace {

constexpr std::array<std::string_view, 3> kGprModels = {"shared", "shadow",
                                                        "shadow_on_second_reentry"};

// A document in the file "f" and what was said about it.
struct Read {
    explicit Read(std::string text) : document(JsonDocument::parse(text, "f", diagnostics)) {
        REQUIRE(document);
    }
    Node root() { return {*document, diagnostics}; }
    std::string errors() const { return diagnostics.to_string(); }

    Diagnostics diagnostics;
    std::unique_ptr<const JsonDocument> document;
};

struct BadValue {
    std::string text;
    std::function<void(const Node&)> read;
    std::string expected;  // without the newline at the end
};

void as_string(const Node& node) { CHECK(node.string().empty()); }
void as_boolean(const Node& node) { CHECK(node.boolean(true)); }
void as_u64(const Node& node) { CHECK(node.integer() == 0); }
void as_u8(const Node& node) { CHECK(node.integer<u8>() == 0); }
void as_3_to_10(const Node& node) { CHECK(node.integer<u32>(3, 10) == 3); }
void as_xmm(const Node& node) { CHECK(node.hex() == Vec128{}); }
void as_st(const Node& node) { CHECK(node.hex(20) == Vec128{}); }
void as_bytes(const Node& node) { CHECK(node.bytes().empty()); }
void as_gpr_model(const Node& node) { CHECK(node.one_of("switch gpr_model", kGprModels) == 0); }
void as_array(const Node& node) { CHECK(node.array().empty()); }
void as_members(const Node& node) { CHECK(node.members().empty()); }
void as_text(const Node& node) { (void)node.text(); }
void as_scenario(const Node& node) {
    const Fields fields = node.object({"name", "switches"});
    (void)fields.required("name").string();
    (void)fields.optional("switches");
}

const std::vector<BadValue> kBadValues = {
    // Kinds.
    {"12", as_string, "f:1:1: expected a string, got a number"},
    {" null", as_string, "f:1:2: expected a string, got null"},
    {"\"true\"", as_boolean, "f:1:1: expected a boolean, got a string"},
    {"{}", as_array, "f:1:1: expected an array, got an object"},
    {"[]", as_members, "f:1:1: expected an object, got an array"},
    {"-1.5", as_bytes, "f:1:1: expected a string, got a number"},
    {"true", as_text, "f:1:1: expected a string or an array of strings, got a boolean"},
    {"[\"a\",\n 1]", as_text, "f:2:2: /1: expected a string, got a number"},
    {"7", as_gpr_model, "f:1:1: expected a string, got a number"},
    {"7", as_xmm, "f:1:1: expected a string, got a number"},
    // Integers.
    {"-5", as_u64, "f:1:1: expected an unsigned integer, got -5"},
    {"1.0", as_u64, "f:1:1: expected an unsigned integer, got 1.0"},
    {"1e3", as_u8, "f:1:1: expected an integer from 0 to 255, got 1e3"},
    {"256", as_u8, "f:1:1: expected an integer from 0 to 255, got 256"},
    {"\"0x100\"", as_u8, "f:1:1: expected an integer from 0 to 255, got \"0x100\""},
    {"2", as_3_to_10, "f:1:1: expected an integer from 3 to 10, got 2"},
    {"11", as_3_to_10, "f:1:1: expected an integer from 3 to 10, got 11"},
    {"[]", as_3_to_10, "f:1:1: expected an integer from 3 to 10, got an array"},
    {"4294967296", [](const Node& node) { CHECK(node.integer<u32>() == 0); },
     "f:1:1: expected an integer from 0 to 0xffffffff, got 4294967296"},
    {"18446744073709551616", as_u64,
     "f:1:1: integer 18446744073709551616 does not fit into 64 bits"},
    {"\"18446744073709551616\"", as_u64,
     "f:1:1: expected an unsigned integer, got \"18446744073709551616\""},
    {"\"0x10000000000000000\"", as_u64,
     "f:1:1: expected an unsigned integer, got \"0x10000000000000000\""},
    {"\"1F_00h\"", as_u64,
     "f:1:1: expected an unsigned integer, got \"1F_00h\" (write 4096, \"4096\", \"0x1000\" or "
     "\"0b1010\")"},
    {"\"\"", as_u64,
     "f:1:1: expected an unsigned integer, got \"\" (write 4096, \"4096\", \"0x1000\" or "
     "\"0b1010\")"},
    {"\"1_000\"", as_u8,
     "f:1:1: expected an integer from 0 to 255, got \"1_000\" (write 4096, \"4096\", \"0x1000\" "
     "or \"0b1010\")"},
    {"\"0X10\"", as_u64,
     "f:1:1: expected an unsigned integer, got \"0X10\" (write 4096, \"4096\", \"0x1000\" or "
     "\"0b1010\")"},
    {"\"0x12G4\"", as_u64, "f:1:6: \"G\" at offset 4 is not a hexadecimal digit"},
    {"\"0x\"", as_u64, "f:1:4: expected a hexadecimal digit here"},
    {"\"0b102\"", as_u64, "f:1:6: \"2\" at offset 4 is not a binary digit"},
    {"\"0x_1\"", as_u64, "f:1:4: \"_\" at offset 2 does not stand between two hexadecimal digits"},
    {"\"0x1_\"", as_u64, "f:1:5: \"_\" at offset 3 does not stand between two hexadecimal digits"},
    {"\"0x1__2\"", as_u64,
     "f:1:5: \"_\" at offset 3 does not stand between two hexadecimal digits"},
    // Registers wider than 64 bits.
    {"\"3f\"", as_xmm, "f:1:1: expected \"0x\" and 32 hexadecimal digits, got \"3f\""},
    {"\"0x0123\"", as_xmm, "f:1:1: expected \"0x\" and 32 hexadecimal digits, got 4"},
    {"\"0x000000000000000000001\"", as_st,
     "f:1:1: expected \"0x\" and 20 hexadecimal digits, got 21"},
    {"\"0x00 0\"", as_st, "f:1:6: \" \" at offset 4 is not a hexadecimal digit"},
    // Bytes.
    {"\"90 fg\"", as_bytes, "f:1:6: \"g\" at offset 4 is not a hexadecimal digit"},
    {"\"90 f 4\"", as_bytes,
     "f:1:5: \"f\" at offset 3 is half a byte: a second hexadecimal digit is missing"},
    {"\"90f\"", as_bytes,
     "f:1:4: \"f\" at offset 2 is half a byte: a second hexadecimal digit is missing"},
    {"[\n\"\\u0039\\u0030 \xC3\xA9\"]", [](const Node& node) { as_bytes(node.array().at(0)); },
     "f:2:15: /0: \"\xC3\xA9\" at offset 3 is not a hexadecimal digit"},
    // Names.
    {"\"shadw\"", as_gpr_model,
     "f:1:1: unknown value \"shadw\" for switch gpr_model; did you mean \"shadow\"? (shared, "
     "shadow, shadow_on_second_reentry)"},
    {"\"turing machine\"", as_gpr_model,
     "f:1:1: unknown value \"turing machine\" for switch gpr_model (shared, shadow, "
     "shadow_on_second_reentry)"},
    // Objects.
    {"{\"name\":\"x\",\n  \"swiches\":{}}", as_scenario,
     "f:2:3: /swiches: unknown key \"swiches\"; did you mean \"switches\"?"},
    {"{\"name\":\"x\", \"zzzzzzzzz\":1}", as_scenario,
     "f:1:14: /zzzzzzzzz: unknown key \"zzzzzzzzz\" (name, switches)"},
    {" {\"switches\":1}", as_scenario, "f:1:2: missing key \"name\""},
    {"{\"nmae\":1}", as_scenario, "f:1:2: /nmae: unknown key \"nmae\"; did you mean \"name\"?"},
    {"{\"name\":[]}", as_scenario, "f:1:9: /name: expected a string, got an array"},
    {"[1]", as_scenario, "f:1:1: expected an object, got an array"},
    {"{\"a\\nb\":1}", [](const Node& node) { as_string(node.members().at(0)); },
     "f:1:9: /a\\u000ab: expected a string, got a number"},
    {"{\"rxa\":1}",
     [](const Node& node) {
         constexpr std::array<std::string_view, 2> kRegisters = {"rax", "rbx"};
         const Node member = node.members().at(0);
         member.error_at_key("no register is called " + in_quotes(member.key()) +
                             did_you_mean(member.key(), kRegisters));
     },
     "f:1:2: /rxa: no register is called \"rxa\"; did you mean \"rax\"?"},
};

TEST_CASE("Every value that is not as asked for has its place", "[json]") {
    for (const BadValue& bad : kBadValues) {
        INFO(bad.text);
        Diagnostics diagnostics;
        const auto document = JsonDocument::parse(bad.text, "f", diagnostics);
        REQUIRE(document);
        bad.read({*document, diagnostics});
        CHECK(diagnostics.to_string() == bad.expected + "\n");
    }
}

TEST_CASE("A loader finds all errors of a file in one go", "[json]") {
    Read read(R"({
  "name": 5,
  "swiches": {"gpr_model": "shadow"},
  "steps": "0x10Z",
  "events": [
    {"at": 1},
    {"at": -1, "kind": "nmi"},
    7
  ],
  "steps": 1
})");
    const Fields fields = read.root().object({"name", "why", "switches", "steps", "events"});
    (void)fields.required("name").string();
    (void)fields.required("why").string();
    (void)fields.required("steps").integer();
    (void)fields.optional("switches");
    const auto events = fields.optional("events");
    REQUIRE(events);
    for (const Node& node : events->array()) {
        const Fields event = node.object({"at", "kind"});
        (void)event.required("at").integer();
        (void)event.required("kind").string();
    }
    fields.node().error("and this concerns it all");
    CHECK(read.errors() ==
          "f:1:1: missing key \"why\"\n"
          "f:1:1: and this concerns it all\n"
          "f:2:11: /name: expected a string, got a number\n"
          "f:3:3: /swiches: unknown key \"swiches\"; did you mean \"switches\"?\n"
          "f:4:17: /steps: \"Z\" at offset 4 is not a hexadecimal digit\n"
          "f:6:5: /events/0: missing key \"kind\"\n"
          "f:7:12: /events/1/at: expected an unsigned integer, got -1\n"
          "f:8:5: /events/2: expected an object, got a number\n"
          "f:10:3: /steps: duplicate key \"steps\"; the first one is at 4:3\n");
}

TEST_CASE("What is missing is reported once and reads as empty", "[json]") {
    Read read("{}");
    const Node missing = read.root().object({"x"}).required("x");
    CHECK(missing.is_missing());
    CHECK_FALSE(missing.is_object());
    CHECK(missing.string().empty());
    CHECK(missing.boolean(true));
    CHECK(missing.integer<u16>(4, 9) == 4);
    CHECK(missing.hex() == Vec128{});
    CHECK(missing.bytes().empty());
    CHECK(missing.one_of("x", kGprModels) == 0);
    CHECK(missing.text().text().empty());
    CHECK(missing.array().empty());
    CHECK(missing.members().empty());
    CHECK(missing.object({"y"}).required("y").is_missing());
    CHECK_FALSE(missing.object({"y"}).optional("y"));
    missing.error("said by the loader");
    CHECK(read.errors() == "f:1:1: missing key \"x\"\n");
}

TEST_CASE("Good values are read", "[json]") {
    Read read(R"({
  "string": "a\"\u00e9\ud83d\ude00\n", "yes": true, "no": false, "null": null,
  "integers": [0, 18446744073709551615, "18446744073709551615", "0xffff_FFFF_ffff_ffff",
               "0b1010", "0x0", "007"],
  "xmm": "0x00112233445566778899aabbccddeeff", "st": "0x3fff_8000000000000000",
  "bytes": " 90f4\t0F a2 ", "nothing": "", "model": "shadow_on_second_reentry"
})");
    std::vector<std::string> keys;
    std::vector<Node> nodes;
    for (const Node& member : read.root().members()) {
        keys.push_back(member.key());
        nodes.push_back(member);
    }
    CHECK(keys == std::vector<std::string>{"string", "yes", "no", "null", "integers", "xmm", "st",
                                           "bytes", "nothing", "model"});
    CHECK(nodes[0].string() == "a\"\xC3\xA9\xF0\x9F\x98\x80\n");
    CHECK(nodes[1].boolean());
    CHECK_FALSE(nodes[2].boolean(true));
    CHECK(nodes[3].is_null());
    std::vector<u64> integers;
    for (const Node& node : nodes[4].array()) {
        integers.push_back(node.integer());
    }
    CHECK(integers == std::vector<u64>{0, ~u64{0}, ~u64{0}, ~u64{0}, 10, 0, 7});
    CHECK(nodes[5].hex() == Vec128{0x8899AABBCCDDEEFF, 0x0011223344556677});
    CHECK(nodes[6].hex(20) == Vec128{0x8000000000000000, 0x3FFF});
    CHECK(nodes[7].bytes() == std::vector<u8>{0x90, 0xF4, 0x0F, 0xA2});
    CHECK(nodes[8].bytes().empty());
    CHECK(nodes[9].one_of("switch gpr_model", kGprModels) == 2);
    CHECK(nodes[4].array()[2].path() == "/integers/2");
    CHECK(read.errors().empty());
}

TEST_CASE("A place in a string leads back to the file", "[json]") {
    // Decoded: a, newline, b, U+00E9 (two bytes), tab, U+1F600 (four bytes), U+20AC (three), c.
    Read read("[\n  \"a\\nb\xC3\xA9\\u0009\\ud83d\\ude00\\u20ACc\"]");
    const Node node = read.root().array().at(0);
    REQUIRE(node.string().size() == 14);
    const std::vector<u32> columns = {4, 5, 7, 8, 8, 9, 15, 15, 15, 15, 27, 27, 27, 33, 34, 34};
    for (std::size_t i = 0; i < columns.size(); ++i) {
        INFO(i);
        CHECK(node.position_in_string(i) == Position{2, columns[i]});
        CHECK(node.text().position(i) == Position{2, columns[i]});
    }
    // An offset in anything else is at the value.
    CHECK(read.root().position_in_string(3) == Position{1, 1});
}

TEST_CASE("Lines of text lead back to the file", "[json]") {
    SECTION("from an array of strings") {
        Read read("[\"mov eax, 1\",\n \"\",\n   \"\\tnop\\nhlt\"]");
        const JsonText text = read.root().text();
        CHECK(text.text() == "mov eax, 1\n\n\tnop\nhlt");
        CHECK(text.position(1, 1) == Position{1, 3});
        CHECK(text.position(1, 5) == Position{1, 7});
        CHECK(text.position(1, 99) == Position{1, 13});
        CHECK(text.position(2, 1) == Position{2, 3});
        CHECK(text.position(2, 2) == Position{2, 3});
        CHECK(text.position(3, 1) == Position{3, 5});
        CHECK(text.position(3, 2) == Position{3, 7});
        CHECK(text.position(3, 5) == Position{3, 10});
        CHECK(text.position(4, 1) == Position{3, 12});
        CHECK(text.position(4, 3) == Position{3, 14});
        CHECK(text.position(5, 1) == Position{3, 15});
        CHECK(text.position(0, 0) == Position{3, 15});
        CHECK(text.position(12) == Position{3, 5});
    }
    SECTION("from one string") {
        Read read("\"a\\n\\nb\"");
        const JsonText text = read.root().text();
        CHECK(text.position(1, 1) == Position{1, 2});
        CHECK(text.position(2, 1) == Position{1, 5});
        CHECK(text.position(3, 1) == Position{1, 7});
    }
    SECTION("from no string at all") {
        Read read(" []");
        CHECK(read.root().text().position(1, 1) == Position{1, 2});
        CHECK(read.errors().empty());
    }
}

TEST_CASE("Errors behind the first hundred are only counted", "[json]") {
    std::string text = "[";
    for (int i = 0; i < 250; ++i) {
        text += "1,\n";
    }
    Read read(text + "1]");
    for (const Node& node : read.root().array()) {
        CHECK(node.string().empty());
    }
    CHECK(read.diagnostics.count() == 251);
    CHECK(read.diagnostics.sorted().back().line == 100);
}

}  // namespace
}  // namespace vtlsim::runner
