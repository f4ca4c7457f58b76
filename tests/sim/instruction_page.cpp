// docs/instructions.md is made from the instruction rows: VTLSIM_BLESS=1 writes it anew.
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "sim/insn/rows.hpp"
#include "tests/catch.hpp"

using namespace vtlsim::sim;

namespace {

constexpr auto kPath = VTLSIM_SOURCE_DIR "/docs/instructions.md";
constexpr auto kHead = R"(# The instructions that the executor knows

Made from the rows at the end of each file in `sim/insn`; do not edit. An instruction that is not
here, or a form of one that its file does not take, ends the run with the outcome `not-modelled` and
its text. Where a manual leaves flags undefined, the file says what is done instead.

| mnemonic | file | manual |
|---|---|---|
)";

std::string page() {
    std::map<std::string, std::string> lines;
    for (const InsnFamily& family : families()) {
        for (const InsnRow& row : family.rows()) {
            const std::string name = ZydisMnemonicGetString(row.mnemonic);
            lines[name] = fmt::format("| {0} | [{1}](../sim/insn/{1}.cpp) | {2} |\n", name,
                                      family.name, row.manual);
        }
    }
    std::string text = kHead;
    for (const auto& [name, line] : lines) text += line;
    return text;
}

}  // namespace

TEST_CASE("docs: the instruction page lists the rows", "[docs]") {
    const std::string want = page();
    const char* bless = std::getenv("VTLSIM_BLESS");
    if (bless != nullptr && std::string_view(bless) == "1" && std::getenv("CI") == nullptr) {
        std::ofstream(kPath) << want;
    }
    std::ostringstream have;
    have << std::ifstream(kPath).rdbuf();
    INFO("VTLSIM_BLESS=1 vtlsim_tests [docs] writes docs/instructions.md anew");
    CHECK((have.str() == want));
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
