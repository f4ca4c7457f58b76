// The layout of `vtlsim fmt`. Run: build/<preset>/vtlsim_tests "[fmt]"
#include "runner/format_json.hpp"

#include <array>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "runner/json/document.hpp"
#include "runner/templates.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

TEST_CASE("Lines are made, joined and kept", "[fmt]") {
    CHECK(format_json("{}") == "{}\n");
    CHECK(format_json(R"({"a":1,"b":[1,2],"c":{"d":[]},"e":[{}]})") ==
          "{\n  \"a\": 1,\n  \"b\": [1, 2],\n  \"c\": { \"d\": [] },\n  \"e\": [ {} ]\n}\n");
    // A new line behind the bracket stays; one before the closing one does not count.
    CHECK(format_json("{\"a\":[\n1,2],\"b\":[1,\n2\n]}") ==
          "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": [1, 2]\n}\n");
    CHECK(format_json("{\"a\":1,\n\n\n\n\"b\":2\n\n}") == "{\n  \"a\": 1,\n\n  \"b\": 2\n}\n");
    const std::string wide(60, 'x');
    CHECK(format_json("{\"a\":[\"" + wide + "\",\"" + wide + "\"]}") ==
          "{\n  \"a\": [\n    \"" + wide + "\",\n    \"" + wide + "\"\n  ]\n}\n");
    CHECK(format_json("[1.50, -0, 1e3, \"\\u0041\\\"\"]") ==
          "[\n  1.50,\n  -0,\n  1e3,\n  \"\\u0041\\\"\"\n]\n");
}

TEST_CASE("Comments stay where they belong", "[fmt]") {
    CHECK(format_json("// first\n{ // open\n\"a\": 1, // one\n/* two */ \"b\": [ // in\n 1 ] // "
                      "end\n}\n// last\n") ==
          "// first\n{\n  // open\n  \"a\": 1,  // one\n  /* two */\n  \"b\": [\n    // in\n    1\n"
          "  ]  // end\n}\n// last\n");
    CHECK(format_json("{\"a\" /*x*/ : /*y*/ 1 /*z*/, \"b\": [ /*none*/ ]}") ==
          "{\n  /*x*/\n  /*y*/\n  \"a\": 1,  /*z*/\n  \"b\": [\n    /*none*/\n  ]\n}\n");
    CHECK(format_json("{\"a\":1\n// before the comma\n,\n// at the end\n\"b\":2\n// behind\n}") ==
          "{\n  // before the comma\n  \"a\": 1,\n  // at the end\n  \"b\": 2\n  // behind\n}\n");
}

// Values and keys in order; comments apart.
std::string content(const std::string& text) {
    return nlohmann::ordered_json::parse(text, nullptr, true, true).dump();
}

// Texts with blanks, new lines and comments wherever they may stand.
class Maker {
  public:
    explicit Maker(u64 seed) : state_(seed) {}

    std::string value(int depth) {
        const u64 kind = below(depth < 4 ? 7 : 4);
        if (kind < 4) return std::string(std::array{"1", "\"//x\"", "true", "-0.50"}[kind]);
        const bool object = kind == 6;
        std::string out = object ? "{" : "[";
        const u64 count = below(4);
        for (u64 i = 0; i < count; ++i) {
            if (object) out += gap() + "\"k" + std::to_string(i) + "\"" + gap() + ":";
            out += gap() + value(depth + 1) + gap() + (i + 1 < count ? "," : "");
        }
        return out + gap() + (object ? "}" : "]");
    }
    std::string gap() {
        std::string out;
        for (u64 n = below(3); n > 0; --n) {
            out += std::array{
                "", " ", "\n", "\n\n", "//c\n", "/*d*/", " //c \r\n", "\n\n//c\n"}[below(8)];
        }
        return out;
    }

  private:
    u64 below(u64 n) {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return (state_ >> 33) % n;
    }
    u64 state_;
};

TEST_CASE("Every text keeps its content, and is done after one pass", "[fmt]") {
    for (u64 seed = 0; seed < 3000; ++seed) {
        Maker maker(seed);
        const std::string text = maker.gap() + maker.value(0) + maker.gap();
        Diagnostics diagnostics;
        INFO(text);
        REQUIRE(JsonDocument::parse(text, "f", diagnostics));
        REQUIRE(diagnostics.empty());
        const std::string once = format_json(text);
        INFO(once);
        REQUIRE(content(once) == content(text));
        for (const char* comment : {"//c", "/*d*/"}) {
            const auto count = [&](const std::string& in) {
                std::size_t n = 0;
                for (std::size_t at = in.find(comment); at != std::string::npos;
                     at = in.find(comment, at + 1))
                    ++n;
                return n;
            };
            REQUIRE(count(once) == count(text));
        }
        REQUIRE(format_json(once) == once);
    }
}

TEST_CASE("What is shipped has the layout", "[fmt]") {
    namespace fs = std::filesystem;
    const std::string root = std::string(VTLSIM_SOURCE_DIR) + "/";
    std::size_t files = 0;
    for (const char* folder : {"scenarios", "runner/templates"}) {
        for (const auto& entry : fs::recursive_directory_iterator(root + folder)) {
            if (entry.path().extension() != ".json") continue;
            const std::string file = entry.path().string().substr(root.size());
            INFO(file);
            const std::string text = tests::source_file(file);
            CHECK(format_json(text) == text);
            ++files;
        }
    }
    CHECK(files > 50);
}

TEST_CASE("Templates run as they are", "[fmt]") {
    REQUIRE(templates().size() >= 5);
    for (const Template& t : templates()) {
        INFO(t.name);
        CHECK(t.summary().size() > 10);
        const Scenario scenario = loaded(t.filled("my", "./scenario.schema.json"));
        CHECK(scenario.name == "my");
        for (const Variant& variant : scenario.variants) {
            const Result result = run_variant(scenario, variant);
            INFO(variant.label());
            for (const Failure& f : result.failures) UNSCOPED_INFO(f.expectation + ": " + f.got);
            CHECK(result.status == Status::pass);
        }
    }
}

}  // namespace
}  // namespace vtlsim::runner
