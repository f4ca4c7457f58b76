// Runs tests/sim/vectors/*.vec; every row of the instruction table needs a case there.
#include "tests/sim/vectors.hpp"

#include <iostream>
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
    for (const std::string& problem : vector_results().problems) FAIL_CHECK(problem);
}

TEST_CASE("vectors: every row of the instruction table is executed", "[vectors]") {
    const auto& executed = vector_results().executed;
    std::set<ZydisMnemonic> rows;
    std::size_t reached = 0;
    for (const sim::InsnRow& row : sim::all_rows()) {
        INFO(ZydisMnemonicGetString(row.mnemonic));
        CHECK(rows.insert(row.mnemonic).second);  // one row a mnemonic
        CHECK(executed.count(row.mnemonic) == 1);
        reached += executed.count(row.mnemonic);
    }
    std::cout << "instruction rows: " << rows.size() << ", executed by tests: " << reached << " ("
              << reached * 100 / rows.size() << " %)\n";
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
