// Random bytes in random modes and states: tests/fuzz/executor.hpp.
#include "tests/fuzz/executor.hpp"

#include <cstdio>
#include <cstdlib>

#include "sim/insn/rows.hpp"
#include "tests/fuzz/ways.hpp"

namespace {

// At the end: how many rows of the instruction table a run came to, and to which none did.
struct Report {
    ~Report() {
        std::size_t reached = 0;
        std::size_t rows = 0;
        std::string missing;
        for (const vtlsim::sim::InsnRow& row : vtlsim::sim::all_rows()) {
            ++rows;
            if (vtlsim::tests::reached_mnemonics().count(static_cast<vtlsim::u16>(row.mnemonic)) !=
                0) {
                ++reached;
            } else {
                missing += std::string(" ") + ZydisMnemonicGetString(row.mnemonic);
            }
        }
        std::fprintf(stderr, "rows reached: %zu of %zu, without:%s\n", reached, rows,
                     missing.c_str());
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    static const Report report;
    const std::string problems = vtlsim::tests::check_executor({data, size});
    if (!problems.empty()) {
        std::fputs(problems.c_str(), stderr);
        std::abort();
    }
    return 0;
}
