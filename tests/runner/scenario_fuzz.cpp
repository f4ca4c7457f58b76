// Scenarios with something broken in them: each loads or says why not, and what loads runs to an
// end, twice with the same result. The mutations come from a fixed seed.
// Run: build/<preset>/vtlsim_tests "[fuzz]"
#include <random>
#include <string>

#include <fmt/format.h>

#include "model/switches.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

// Words that mean something somewhere in a scenario, in the places of others.
constexpr std::string_view kWords[] = {"0",
                                       "1",
                                       "-1",
                                       "2",
                                       "4096",
                                       "0xFFFFFFFFFFFFFFFF",
                                       "0x8000000",
                                       "0x08031000",
                                       "true",
                                       "null",
                                       "[]",
                                       "{}",
                                       "\"\"",
                                       "\"again\"",
                                       "\"vtl2:park\"",
                                       "\"0x1000\"",
                                       "\"hlt\"",
                                       "\"f4\"",
                                       "shadow",
                                       "shared",
                                       "V1",
                                       "V1V2",
                                       "kernel_driver",
                                       "unmapped",
                                       "register_page",
                                       "interrupt",
                                       "stop",
                                       "rax",
                                       "rsp",
                                       "cr3",
                                       "cr0",
                                       "efer",
                                       "rflags",
                                       "rip",
                                       "vtl0.xmm0",
                                       "context.rax",
                                       "message.rax"};

// Instructions that leave the guest, break it, or do much.
constexpr std::string_view kInstructions[] = {"nop",
                                              "hlt",
                                              "in al, dx",
                                              "in eax, dx",
                                              "out dx, al",
                                              "out dx, eax",
                                              "in al, 0x80",
                                              "insb",
                                              "rep insb",
                                              "rep outsb",
                                              "rep movsb",
                                              "rep stosq",
                                              "rep lodsb",
                                              "jmp again",
                                              "loop again",
                                              "cpuid",
                                              "rdmsr",
                                              "wrmsr",
                                              "vmcall",
                                              "ud2",
                                              "int3",
                                              "int 0x30",
                                              "iretq",
                                              "mov cr3, rax",
                                              "mov cr0, rax",
                                              "mov rax, cr8",
                                              "mov rcx, -1",
                                              "mov ecx, 0x40000100",
                                              "xor eax, eax",
                                              "push rax",
                                              "pop rsp",
                                              "ret",
                                              "call again",
                                              "fxsave [rax]",
                                              "fxrstor [rsp]",
                                              "mov [rax], rax",
                                              "mov rax, [0x0FFFFFF8]",
                                              "mov rdi, 0xFFFFF8",
                                              "mov edx, 0x3FE",
                                              "std",
                                              "cld",
                                              "sti",
                                              "cli",
                                              "xchg rax, rdx",
                                              "lock inc qword [rsp]",
                                              "movaps xmm0, [rax]",
                                              "db 0xF0, 0x0F, 0xFF",
                                              "mov [again], rax",
                                              "ltr ax",
                                              "lidt [rax]",
                                              "mov ds, eax",
                                              "wbinvd",
                                              "getsec"};

class Mutator {
  public:
    explicit Mutator(u32 seed) : random_(seed) {}

    // Well-formed: some instructions, some switches, an event.
    std::string generate() {
        const u64 lines = 1 + below(10);
        const u64 label = below(lines);
        std::string code;
        for (u64 i = 0; i < lines; ++i) {
            code += fmt::format("{}\"{}{}\"", i == 0 ? "" : ",", i == label ? "again: " : "",
                                kInstructions[below(std::size(kInstructions))]);
        }
        std::string switches;
        for (const model::SwitchRow& row : model::switch_rows()) {
            switches += fmt::format("{}\"{}\":\"{}\"", switches.empty() ? "" : ",", row.name,
                                    row.values[below(row.values.size())].name);
        }
        return fmt::format(
            R"({{"name":"n","why":"w","source":"s","switches":{{{}}},"guest":{{"code":{{"asm":[{}]}}}},)"
            R"("devices":[{{"port":"0x3fe","reads":[1,2]}}],"limits":{{"steps":2000,"memory":1048576}},)"
            R"("events":[{{"do":"{}","before":"{}","nth":{},"may_not_happen":true}}],)"
            R"("expect":{{"end":"guest-halted"}}}})",
            switches, code, below(3) == 0 ? "stop" : "interrupt",
            below(2) == 0 ? "again" : "vtl2:park", 1 + below(3));
    }

    std::string mutate(std::string text) {
        for (u64 n = 1 + below(3); n > 0; --n) {
            switch (below(6)) {
                case 0:  // a byte becomes another
                    text[below(text.size())] = static_cast<char>(below(256));
                    break;
                case 1:  // some text is gone
                    text.erase(below(text.size()), 1 + below(30));
                    break;
                case 2: {  // some text comes twice
                    const std::string part = text.substr(below(text.size()), 1 + below(60));
                    text.insert(below(text.size()), part);
                    break;
                }
                default:  // a word becomes another
                    replace_word(text);
                    break;
            }
            if (text.empty()) text = "{";
        }
        return text;
    }

  private:
    // std::uniform_int_distribution differs between libraries.
    u64 below(u64 bound) { return random_() % bound; }

    void replace_word(std::string& text) {
        constexpr std::string_view kEnds = " ,:[]{}\n";
        std::size_t start = below(text.size());
        while (start > 0 && kEnds.find(text[start - 1]) == std::string_view::npos) --start;
        const std::size_t end = std::min(text.find_first_of(kEnds, start), text.size());
        const bool quoted = text[start] == '"' && end > start + 1;
        std::string word(kWords[below(std::size(kWords))]);
        if (quoted && word[0] != '"' && below(4) != 0) word = '"' + word + '"';
        text.replace(start, end - start, word);
    }

    std::mt19937 random_;
};

std::string fingerprint(const Scenario& scenario, const Variant& variant) {
    const Result r = run_variant(scenario, variant);
    return fmt::format("{} {} {} {} {}", status_name(r.status), r.end, r.steps, r.hash,
                       r.failures.size());
}

// Loads or is refused with messages of one line; true if it loads. Then every variant has run
// twice.
bool survives(const std::string& text) {
    Diagnostics diagnostics;
    auto scenario = parse_scenario(text, "f", diagnostics);
    if (scenario.has_value() != diagnostics.empty()) FAIL(text);
    for (const Diagnostic& d : diagnostics.sorted()) {
        if (d.message.empty() || d.message.find('\n') != std::string::npos) FAIL(text);
    }
    if (!scenario) return false;
    scenario->world.limits.steps = std::min<u64>(scenario->world.limits.steps, 2000);
    for (const Variant& variant : scenario->variants) {
        const std::string first = fingerprint(*scenario, variant);
        const std::string second = fingerprint(*scenario, variant);
        if (first != second) FAIL(text << first << " then " << second);
    }
    return true;
}

TEST_CASE("Mutated scenarios load or say why not, and run to the same end twice", "[fuzz]") {
    std::string text = tests::source_file("tests/golden/crash.json");
    text.insert(text.find("\"devices\""),
                "\"limits\": { \"steps\": 2000, \"memory\": 1048576 },\n  ");
    std::size_t loads = 0;
    for (u32 seed = 0; seed < 2500; ++seed) {
        INFO("seed " << seed);
        loads += survives(Mutator(seed).mutate(text)) ? 1 : 0;
    }
    CHECK(loads > 100);
    CHECK(loads < 2000);
}

TEST_CASE("Scenarios of random instructions and switches run to the same end twice", "[fuzz]") {
    std::size_t loads = 0;
    for (u32 seed = 0; seed < 200; ++seed) {
        INFO("seed " << seed);
        loads += survives(Mutator(seed).generate()) ? 1 : 0;
    }
    CHECK(loads > 50);
}

TEST_CASE("A guest that does not end is cut off", "[fuzz]") {
    const auto end_of = [](const std::string& assembly) {
        const Result r = result_of(with_guest(R"({"code":{"asm":")" + assembly +
                                              R"("}},"limits":{"steps":5000,"memory":4194304})"));
        CHECK(r.steps <= 5000);
        return fmt::format("{} {}", status_name(r.status), r.end);
    };
    CHECK(end_of("a: jmp a") == "limit step-limit");
    CHECK(end_of("a: in al, dx\\njmp a") == "limit step-limit");
    CHECK(end_of("a: cpuid\\njmp a") == "limit step-limit");
    // Work without end in one instruction.
    CHECK(end_of("mov rcx, -1\\nmov esi, 0x2000\\nrep lodsb\\nhlt") != "pass guest-halted");
    CHECK(end_of("mov rcx, -1\\nmov edi, 0x800000\\nstd\\nrep stosb\\nhlt").starts_with("limit "));
    // Memory without end, in small and in large steps.
    CHECK(end_of("mov edi, 0x10000\\na: mov [rdi], eax\\nadd rdi, 4096\\njmp a") ==
          "limit memory-limit");
    CHECK(end_of("mov edi, 0x2000\\nmov ecx, 0xF00000\\nrep stosb\\nhlt") == "limit memory-limit");
}

}  // namespace
}  // namespace vtlsim::runner
