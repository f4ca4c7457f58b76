// Compares what user mode of the host cannot run with Unicorn, and writes docs/unicorn.md.
// Run: build/<preset>/vtlsim_tests "[unicorn]"
#include <iostream>

#include <fmt/format.h>

#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/unicorn/cross.hpp"

using namespace vtlsim;
using namespace vtlsim::tests;

namespace {

constexpr auto kHead = R"(# The cross-check with Unicorn

Made from the table in `tests/unicorn/accepted.cpp`; do not edit.

What the host cannot run in user mode ([conform.md](conform.md) compares the rest with silicon) is
compared with Debian's Unicorn 2.0.1, which is QEMU's TCG: real mode, 16- and 32-bit protected mode,
compatibility and 64-bit mode at CPL 0 and 3 (reached by IRET), each with and without paging where it
can be; privileged instructions, far transfers through gates and tables, faults. A case is a random
world (`tests/fuzz/world.cpp`) and up to two random instructions, IRET being the first of those at
another level. 500 more begin with a far CALL or JMP through a call gate, a task gate or to a TSS, in 16-,
32- and 64-bit code; in 64-bit code also from level 3 to 0. Compared after each: general registers, RIP, the flags that the manual defines, visible
segment registers, GDTR, IDTR, LDTR, TR, CR0, CR3, CR4, the first MiB of memory with its page tables;
of faults the vector, CR2 and that nothing has changed.

`make test` runs these with a fixed seed, and counts this as skipped where Unicorn is
missing.

What cannot be compared: Unicorn delivers nothing through an IVT or IDT. With a hook on interrupts it
calls that; without one `uc_emu_start` ends with UC_ERR_EXCEPTION, RIP behind the instruction and nothing
pushed (tried: INT n in real and protected mode, #DE, TF). Through gates from level 3 of 32-bit code it
aborts the process in one case of five; after an IRET to virtual-8086 mode its EIP reads as the linear
address, so that mode is not compared. It gives neither error codes nor hidden parts of segments, loses exceptions from the third start of an
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

// Fails for each disagreement; how many were accepted.
[[maybe_unused]] u64 show(const CrossReport& report) {
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
    return accepted;
}

}  // namespace

TEST_CASE("unicorn: the page lists what is accepted", "[docs][unicorn]") {
    const std::string diff = golden_diff("docs/unicorn.md", page());
    INFO(diff);
    CHECK(diff.empty());
}

TEST_CASE("unicorn: random instructions at all levels do the same on both", "[unicorn]") {
    if (!peer_exists()) VTLSIM_SKIP("built without Unicorn");
#ifdef VTLSIM_ADDRESS_SANITIZER
    VTLSIM_SKIP("the sanitizers do not know the code that Unicorn generates");
#else
    const CrossReport report = cross_check(1, 0, 2000);
    const u64 accepted = show(report);
    // It does compare something: of all modes and kinds.
    CHECK(report.retired > report.cases);
    CHECK(report.instructions.size() > 120);
    for (const unsigned vector : {0u, 6u, 13u, 14u}) CHECK(report.faults.count(vector) == 1);
    CHECK(accepted * 4 < report.retired);
#endif
}

TEST_CASE("unicorn: gates and task switches do the same on both", "[unicorn]") {
    if (!peer_exists()) VTLSIM_SKIP("built without Unicorn");
#ifdef VTLSIM_ADDRESS_SANITIZER
    VTLSIM_SKIP("the sanitizers do not know the code that Unicorn generates");
#else
    const CrossReport report = cross_check(1, 0, 500, true);
    CHECK(show(report) * 4 < report.retired);
    CHECK(report.instructions.at("call") > 100);
    CHECK(report.instructions.at("jmp") > 50);
    CHECK(report.retired > 300);
#endif
}
