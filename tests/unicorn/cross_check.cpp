// Compares what user mode of the host cannot run with Unicorn, and writes docs/unicorn.md.
// Run: build/<preset>/vtlsim_tests "[unicorn]"
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include <fmt/format.h>

#include "tests/catch.hpp"
#include "tests/unicorn/cross.hpp"

using namespace vtlsim;
using namespace vtlsim::tests;

namespace {

constexpr auto kPath = VTLSIM_SOURCE_DIR "/docs/unicorn.md";
constexpr auto kHead = R"(# The cross-check with Unicorn

Made from the table in `tests/unicorn/accepted.cpp`; do not edit.

What the host cannot run in user mode ([conform.md](conform.md) compares the rest with silicon) is
compared with Debian's Unicorn 2.0.1, which is QEMU's TCG: real mode, 16- and 32-bit protected mode,
compatibility and 64-bit mode at CPL 0 and 3 (reached by IRET), each with and without paging where it
can be; privileged instructions, far transfers through gates and tables, faults. A case is a random
world (`tests/fuzz/world.cpp`) and up to two random instructions, IRET being the first of those at
another level. Compared after each: general registers, RIP, the flags that the manual defines, visible
segment registers, GDTR, IDTR, LDTR, TR, CR0, CR3, CR4, the first MiB of memory with its page tables;
of faults the vector, CR2 and that nothing has changed.

`make test` runs 2000 cases with a fixed seed, and counts this as skipped where Unicorn is
missing.

What cannot be compared: Unicorn delivers nothing through an IVT or IDT (it calls the host instead),
gives neither error codes nor hidden parts of segments, loses exceptions from the third start of an
engine on, and takes no EFER.NXE from outside. Delivery is tested by hand (`tests/sim/delivery.cpp`,
`modes_*.cpp`). These instructions are left out:

| why |
|---|
| port access, SYSCALL, SYSENTER and their returns: Unicorn calls hooks instead |
| CPUID, RDTSC, RDTSCP, RDPMC, RDMSR, WRMSR, XGETBV, XSETBV: results differ between processors |
| moves to debug registers: Unicorn crashes |
| VMCALL, VMMCALL: they leave the machine |
| x87, MMX, SSE: compared with silicon |

## Accepted disagreements

Where the two differ, the manual decides. Every disagreement that fits none of these fails the test.

| what | why | manual |
|---|---|---|
)";

std::string page() {
    std::string text = kHead;
    for (const Accepted& row : accepted_disagreements()) {
        text += fmt::format("| {} | {} | {} |\n", row.name, row.reason, row.section);
    }
    return text;
}

}  // namespace

TEST_CASE("unicorn: the page lists what is accepted", "[docs][unicorn]") {
    const std::string want = page();
    const char* bless = std::getenv("VTLSIM_BLESS");
    if (bless != nullptr && std::string_view(bless) == "1" && std::getenv("CI") == nullptr) {
        std::ofstream(kPath) << want;
    }
    std::ostringstream have;
    have << std::ifstream(kPath).rdbuf();
    INFO("VTLSIM_BLESS=1 vtlsim_tests [docs] writes docs/unicorn.md anew");
    CHECK((have.str() == want));
}

TEST_CASE("unicorn: random instructions at all levels do the same on both", "[unicorn]") {
    if (!peer_exists()) VTLSIM_SKIP("built without Unicorn");
#ifdef __SANITIZE_ADDRESS__
    VTLSIM_SKIP("the sanitizers do not know the code that Unicorn generates");
#else
    const CrossReport report = cross_check(1, 0, 2000);
    for (const std::string& what : report.disagreements) FAIL_CHECK(what);
    u64 faults = 0;
    for (const auto& [vector, count] : report.faults) faults += count;
    u64 accepted = 0;
    for (const auto& [name, count] : report.accepted) accepted += count;
    std::cout << "unicorn: " << report.cases << " cases, " << report.retired
              << " instructions the same, " << faults << " faults the same, " << accepted
              << " accepted disagreements, " << report.instructions.size() << " mnemonics\n";
    for (const auto& [name, count] : report.accepted) {
        std::cout << "    " << count << " " << name << '\n';
    }
    // It does compare something: of all modes and kinds.
    CHECK(report.retired > report.cases);
    CHECK(report.instructions.size() > 120);
    for (const unsigned vector : {0u, 6u, 13u, 14u}) CHECK(report.faults.count(vector) == 1);
    CHECK(accepted * 4 < report.retired);
#endif
}
