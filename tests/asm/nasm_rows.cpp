// Every mnemonic of the instruction rows, in every operand form and mode, written as text, means
// the same to us, to nasm, and in the bytes that the text was made from. What differs is a row of
// the table in docs/assembly.md. Run: build/<preset>/vtlsim_tests "[asm][nasm][rows]"
#include <algorithm>
#include <fstream>
#include <set>

#include <fmt/format.h>

#include "runner/select.hpp"
#include "sim/insn/rows.hpp"
#include "tests/asm/row_forms.hpp"
#include "tests/catch.hpp"

namespace vtlsim::sim {
namespace {

constexpr std::size_t kStride = 16;  // no instruction is longer
constexpr u64 kOrigin = 0x1000;

unsigned bits_of(AsmMode mode) { return 16U << static_cast<unsigned>(mode); }

// What an assembler makes of a line.
struct Answer {
    bool refused = false;
    std::string text;  // the meaning, or the message
    bool operator==(const Answer&) const = default;
};

Answer meaning_of(std::span<const u8> bytes, AsmMode mode) {
    const auto decoded = decode(bytes, mode, kOrigin);
    if (!decoded) return {false, "no instruction"};
    return {false, meaning(*decoded, [](u64 to) { return fmt::format("$+{:#x}", to - kOrigin); })};
}

// Every run of nasm names some of the lines that it refuses; they are left out of the next.
std::vector<Answer> ask_nasm(const std::vector<std::string>& lines, AsmMode mode) {
    std::vector<Answer> answers(lines.size());
    for (;;) {
        std::string text = fmt::format("bits {}\norg {:#x}\n", bits_of(mode), kOrigin);
        for (std::size_t i = 0; i < lines.size(); ++i)
            text += fmt::format("{}\nalign 16, db 0xcc\n", answers[i].refused ? "nop" : lines[i]);
        const NasmResult result = run_nasm(text);
        for (const auto& [line, message] : result.errors) {
            REQUIRE(line >= 3);
            answers[(line - 3) / 2] = {true, message};
        }
        if (!result.errors.empty()) continue;
        REQUIRE(result.bytes.size() == lines.size() * kStride);
        for (std::size_t i = 0; i < lines.size(); ++i) {
            const auto slot = std::span(result.bytes).subspan(i * kStride, kStride);
            if (!answers[i].refused) answers[i] = meaning_of(slot, mode);
        }
        return answers;
    }
}

Answer ask_us(const std::string& line, AsmMode mode) {
    AsmOptions options;
    options.mode = mode;
    options.origin = kOrigin;
    const AsmResult result = assemble(line, options);
    return result.ok() ? meaning_of(result.bytes, mode) : Answer{true, result.errors[0].message};
}

struct Difference {
    std::string line;
    std::string what;
};

// Lines that the two do not agree on, and the first spelling of forms that no spelling gets from
// both. The rarer spellings are tried where the one before did not do.
std::vector<Difference> differences(AsmMode mode, std::set<std::string>& mnemonics) {
    std::vector<Difference> found;
    std::vector<RowForm> forms = row_forms(mode);
    for (const RowForm& form : forms)
        mnemonics.insert(form.meaning.substr(0, form.meaning.find(' ')));
    for (std::size_t round = 0; !forms.empty(); ++round) {
        std::vector<std::string> lines;
        for (const RowForm& form : forms) lines.push_back(form.spellings[round]);
        const std::vector<Answer> nasm = ask_nasm(lines, mode);
        std::vector<RowForm> rest;
        for (std::size_t i = 0; i < forms.size(); ++i) {
            const Answer ours = ask_us(lines[i], mode);
            const Answer wanted{false, forms[i].meaning};
            const bool both = !ours.refused && !nasm[i].refused;
            if (both && ours == nasm[i] && ours == wanted) continue;
            const bool last = round + 1 == forms[i].spellings.size();
            if ((both && ours != nasm[i]) || (ours.refused && nasm[i] == wanted) || last) {
                found.push_back(
                    {last ? forms[i].spellings[0] : lines[i],
                     fmt::format("{} bits, '{}': ours {}, nasm {}, wanted {}", bits_of(mode),
                                 lines[i], ours.text, nasm[i].text, wanted.text)});
            }
            if (!last) rest.push_back(std::move(forms[i]));
        }
        forms = std::move(rest);
    }
    return found;
}

// The first column of the table, in which * stands for anything and ? for a character.
std::vector<std::string> documented() {
    std::ifstream page(VTLSIM_SOURCE_DIR "/docs/assembly.md");
    std::vector<std::string> patterns;
    bool inside = false;
    for (std::string line; std::getline(page, line);) {
        if (line.starts_with("#")) inside = line == "### Forms that differ";
        if (inside && line.starts_with("| `"))
            patterns.push_back(line.substr(3, line.find('`', 3) - 3));
    }
    return patterns;
}

}  // namespace

TEST_CASE("Every form of every row means what nasm makes of it", "[asm][nasm][rows]") {
    if (!have_nasm()) VTLSIM_SKIP("nasm is not installed");
    const std::vector<std::string> patterns = documented();
    std::set<std::string> used, mnemonics;
    for (const AsmMode mode : {AsmMode::bits16, AsmMode::bits32, AsmMode::bits64}) {
        for (const Difference& difference : differences(mode, mnemonics)) {
            const auto pattern =
                std::find_if(patterns.begin(), patterns.end(), [&](const std::string& p) {
                    const bool exact = p.find_first_of("*?") == std::string::npos;
                    return exact ? p == difference.line
                                 : runner::matches_filter(difference.line, p);
                });
            INFO(difference.what);
            CHECK(pattern != patterns.end());
            if (pattern != patterns.end()) used.insert(*pattern);
        }
    }
    for (const std::string& pattern : patterns) {
        INFO("nothing differs any more like: " << pattern);
        CHECK(used.count(pattern) == 1);
    }
    for (const InsnRow& row : all_rows()) {
        INFO("no form was found of " << ZydisMnemonicGetString(row.mnemonic));
        CHECK(mnemonics.count(ZydisMnemonicGetString(row.mnemonic)) == 1);
    }
}

}  // namespace vtlsim::sim
