// Runs tests/sim/vectors/*.vec; every row of the instruction table needs a case there.
#include "tests/sim/vectors.hpp"

#include <set>

#include "sim/insn/rows.hpp"
#include "tests/catch.hpp"

using namespace vtlsim;
using namespace vtlsim::tests;

TEST_CASE("vectors: every line is understood", "[vectors]") {
    for (const std::string& error : all_vectors().errors) FAIL_CHECK(error);
    CHECK(all_vectors().cases.size() > 100);
}

TEST_CASE("vectors: instructions do what their vectors say", "[vectors]") {
    CHECK_FALSE(all_vectors().cases.empty());
    for (const VectorCase& c : all_vectors().cases) {
        const std::string problems = run_vector(c);
        if (!problems.empty()) FAIL_CHECK(c.where() << '\n' << problems);
    }
}

TEST_CASE("vectors: every row of the instruction table has one", "[vectors]") {
    std::set<ZydisMnemonic> seen;
    for (const VectorCase& c : all_vectors().cases) {
        const bool wide = sim::is_32bit(c.mode);
        ZydisDecoder decoder;
        if (c.mode == sim::CodeMode::long64) {
            ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        } else if (wide) {
            ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
        } else {
            ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
        }
        sim::Decoded d;
        REQUIRE(ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder, c.code.data(), c.code.size(), &d.insn, d.operands)));
        seen.insert(d.insn.mnemonic);
    }
    std::set<ZydisMnemonic> rows;
    for (const sim::InsnRow& row : sim::all_rows()) {
        INFO(ZydisMnemonicGetString(row.mnemonic));
        CHECK(rows.insert(row.mnemonic).second);  // one row a mnemonic
        CHECK(seen.count(row.mnemonic) == 1);
    }
}

TEST_CASE("vectors: the harness notices what is wrong", "[vectors]") {
    const auto problems = [](std::string_view line) {
        VectorSet set;
        parse_vectors("test", line, set);
        return set.errors.empty() ? run_vector(set.cases.at(0)) : set.errors[0];
    };
    CHECK(problems("add eax, ebx | rax=1 rbx=2 => rax=3 flags=p") == "");
    CHECK(problems("add eax, ebx | rax=1 rbx=2 => rax=4 flags=p") != "");
    CHECK(problems("add eax, ebx | rax=1 rbx=2 => rax=3 flags=") != "");
    CHECK(problems("add eax, ebx | rax=1 rbx=2 => flags=p") != "");
    CHECK(problems("mov [rbx], al | rax=1 rbx=2000 => ") != "");
    CHECK(problems("mov [rbx], al | rax=1 rbx=2000 => [2000]=01") == "");
    CHECK(problems("mov [rbx], al | rax=1 rbx=2000 => [2001]=01") != "");
    CHECK(problems("mov al, [rbx] | rbx=2000 [2000]=01 => ") != "");
    CHECK(problems("mov al, [rbx] | => ") != "");
    CHECK(problems("mov al, [rbx] | => #gp(0)") == "");
    CHECK(problems("nop | => rip=1010") != "");
    CHECK(problems("nop | => halt") != "");
    CHECK(problems("nop => ") != "");
    CHECK(problems("nop | rax=g => ") != "");
    CHECK(problems("nop | rux=1 => ") != "");
}
