// docs/instructions.md is made from the instruction rows: VTLSIM_BLESS=1 writes it anew.
#include <fstream>
#include <map>

#include <fmt/format.h>

#include "sim/insn/rows.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/sim/not_modelled.hpp"
#include "tests/sim/vectors.hpp"

using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

constexpr auto kHead = R"(# The instructions that the executor knows

Made from the rows at the end of each file in `sim/insn`; do not edit. An instruction that is not
here, or a form of one that its file does not take, ends the run with the outcome `not-modelled` and
its text. Where a manual leaves flags undefined, the file says what is done instead.

A row may have more forms than the tests execute; the last column has the modes in which at least one
is executed to its end by `tests/sim/vectors`.

| mnemonic | file | manual | executed by tests in |
|---|---|---|---|
)";
constexpr auto kGaps = R"(
## Not modelled

Every mnemonic that the decoder (Zydis 4.0) knows is above or here, from `sim/insn/not_modelled.txt`.

| what | why not | mnemonics |
|---|---|---|
)";
constexpr std::string_view kModeNames[] = {"real",     "real, 32-bit", "16-bit", "32-bit",
                                           "compat16", "compat32",     "64-bit"};

std::string modes_of(ZydisMnemonic mnemonic) {
    const auto& executed = vector_results().executed;
    const auto it = executed.find(mnemonic);
    if (it == executed.end()) return "";
    std::string text;
    for (const CodeMode mode : it->second) {
        if (!text.empty()) text += ", ";
        text += kModeNames[static_cast<std::size_t>(mode)];
    }
    return text;
}

std::string page() {
    std::map<std::string, std::string> lines;
    for (const InsnFamily& family : families()) {
        for (const InsnRow& row : family.rows()) {
            const std::string name = ZydisMnemonicGetString(row.mnemonic);
            lines[name] = fmt::format("| {0} | [{1}](../sim/insn/{1}.cpp) | {2} | {3} |\n", name,
                                      family.name, row.manual, modes_of(row.mnemonic));
        }
    }
    std::string text = kHead;
    for (const auto& [name, line] : lines) text += line;
    text += kGaps;
    for (const Gap& gap : not_modelled()) {
        text +=
            fmt::format("| {} | {} | {} |\n", gap.what, gap.reason, fmt::join(gap.mnemonics, " "));
    }
    return text;
}

}  // namespace

TEST_CASE("docs: the instruction page lists the rows", "[docs]") {
    const std::string diff = golden_diff("docs/instructions.md", page());
    INFO(diff);
    CHECK(diff.empty());
}

TEST_CASE("docs: every family is a file of its name, in alphabetical order", "[docs]") {
    std::string_view last;
    for (const InsnFamily& family : families()) {
        INFO(family.name);
        CHECK(last < family.name);
        last = family.name;
        CHECK(std::ifstream(fmt::format("{}/sim/insn/{}.cpp", VTLSIM_SOURCE_DIR, family.name))
                  .good());
        CHECK_FALSE(family.rows().empty());
    }
}
