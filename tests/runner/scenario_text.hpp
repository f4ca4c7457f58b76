// Scenario texts for tests, and what the loader says about them.
#pragma once

#include <optional>
#include <string>

#include "runner/load.hpp"
#include "runner/run.hpp"

namespace vtlsim::runner {

// A scenario whose line 1 is fixed and whose line 2 is `more` and the closing brace. The first has
// a guest that halts and expects that; the other two leave one of these to `more`.
inline std::string scenario(const std::string& more) {
    return R"({"name":"n","why":"w","source":"s","guest":{"code":{"asm":"hlt"}},)"
           R"("expect":{"end":"guest-halted"},)"
           "\n" +
           more + "}";
}
inline std::string with_guest(const std::string& guest) {
    return R"({"name":"n","why":"w","source":"s","expect":{"end":"guest-halted"},"guest":)"
           "\n" +
           guest + "}";
}
inline std::string with_expect(const std::string& expect) {
    return R"({"name":"n","why":"w","source":"s","guest":{"code":{"asm":"here: hlt"}},"expect":)"
           "\n" +
           expect + "}";
}

// What the loader says about a text in the file "f", without the last newline; "" if it loads.
inline std::string errors_of(const std::string& text) {
    Diagnostics diagnostics;
    const bool loads = parse_scenario(text, "f", diagnostics).has_value();
    std::string errors = diagnostics.to_string();
    if (loads != errors.empty()) return "CONTRADICTION: " + errors;
    if (!errors.empty()) errors.pop_back();
    return errors;
}

// Loads a text that must be right; throws what is wrong with it.
inline Scenario loaded(const std::string& text) {
    Diagnostics diagnostics;
    auto scenario = parse_scenario(text, "f.json", diagnostics);
    if (!scenario) throw std::runtime_error(diagnostics.to_string());
    return std::move(*scenario);
}

// Runs the first variant.
inline Result result_of(const std::string& text) {
    const Scenario scenario = loaded(text);
    return run_variant(scenario, scenario.variants.at(0));
}

}  // namespace vtlsim::runner
