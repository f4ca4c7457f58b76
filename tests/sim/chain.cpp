// Chains of blocks: links follow the code, and stop where a run by single steps would.
#include <fmt/format.h>

#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

// The same program in one run and step by step.
void check_divided(const std::string& text, const std::vector<std::pair<Reg, u64>>& start = {}) {
    CAPTURE(text);
    Rig whole(text);
    Rig single(text);
    for (const auto& [reg, value] : start) {
        whole.set(reg, value);
        single.set(reg, value);
    }
    Outcome outcome = StepsDone{};
    while (std::holds_alternative<StepsDone>(outcome)) outcome = single.run(1);
    CHECK(whole.finish().index() == outcome.index());
    CHECK(whole.cpu.steps() == single.cpu.steps());
    CHECK(whole.cpu.state() == single.cpu.state());
}

}  // namespace

TEST_CASE("chain: every condition behind everything that is joined with it", "[sim][chain]") {
    constexpr std::string_view kMakers[] = {
        "cmp eax, ebx",  "cmp rax, 5",   "cmp al, bl",  "cmp [rsi], eax", "test eax, 9",
        "test rbx, rax", "sub rax, rbx", "add eax, -3", "and eax, ebx",   "xor rbx, 5",
        "dec eax",       "inc rbx",      "neg eax",     "shr eax, 1",     "shl rbx, 63",
        "sar eax, 0",    "adc eax, 7",   "sbb rbx, 1"};
    constexpr std::string_view kConditions[] = {"o", "no", "b", "nb", "z", "nz", "be", "nbe",
                                                "s", "ns", "p", "np", "l", "nl", "le", "nle"};
    const u64 kValues[] = {0, 1, 5, 0x7FFFFFFF, 0x80000000, ~u64{0}, u64{1} << 63};
    for (const std::string_view maker : kMakers) {
        std::string text = "mov rsi, 0x3000\nmov [rsi], rbx\nstc\n";
        for (const std::string_view condition : kConditions) {
            text += fmt::format(
                "mov rax, r8\nmov rbx, r9\n{0}\nj{1} skip_{1}\n"
                "shl r15, 1\nskip_{1}: inc r15\npushf\npop r14\nxor r13, r14\n",
                maker, condition);
        }
        text += "hlt";
        for (const u64 a : kValues) {
            check_divided(text, {{Reg::r8, a}, {Reg::r9, 0x80000000}, {Reg::rbx, 5}});
        }
    }
}

TEST_CASE("chain: a block changes another one that it has been linked to", "[sim][chain]") {
    check_divided(R"(
        mov ecx, 20
    again:
        cmp ecx, 10
        jne keep
        mov byte [rel patched + 1], 0x22
    keep:
        nop
        jmp patched
    patched:
        mov al, 0x11
        add rbx, rax
        dec ecx
        jnz again
        hlt)");
}

TEST_CASE("chain: a call's return address may fall on the code that it calls", "[sim][chain]") {
    // Three calls push elsewhere, the fourth one onto its own target.
    check_divided(R"(
        mov ecx, 3
    again:
        call target
        dec ecx
        jnz again
        lea rsp, [rel target + 8]
        mov ecx, 1
        jmp again
        times 16 int3
    target:
        inc rbx
        ret
        times 16 int3)");
}

TEST_CASE("chain: through two pages, one of which changes", "[sim][chain]") {
    for (const u64 size : {1u, 1000u}) {
        Rig rig("again: add rax, 1\njmp 0x2000");
        rig.code(0x2000, "add rbx, 1\njmp 0x1000");
        for (u64 done = 0; done < 4000; done += size) CHECK(is<StepsDone>(rig.run(size)));
        rig.code(0x2000, "add rbx, 3\njmp 0x1000");
        for (u64 done = 0; done < 4000; done += size) CHECK(is<StepsDone>(rig.run(size)));
        CHECK(rig.get(Reg::rax) == 2000);
        CHECK(rig.get(Reg::rbx) == 4000);
    }
}

TEST_CASE("chain: a fault in the middle of a linked block", "[sim][chain]") {
    // The address grows until it is no longer canonical.
    check_divided(R"(
        mov rsi, 0x00007fffffff0000
    again:
        inc rbx
        mov rax, [rsi]
        add rsi, 0x1000
        inc rdx
        jmp again)");
    check_divided(
        "mov rax, 0x800000000000\nlea rcx, [rel back]\nback: inc rbx\ncmp rbx, 9\n"
        "cmove rcx, rax\njmp rcx");
    check_divided(
        "again: inc rbx\npush rax\ncmp rbx, 9\njne again\nmov rax, 0x800000000000\n"
        "push rax\nret");
}

TEST_CASE("chain: any number of steps in one run", "[sim][chain]") {
    constexpr auto kText = R"(
    again:
        inc rax
        call inner
        test al, 3
        jnz again
        add rbx, rax
        jmp again
    inner:
        add rcx, 2
        ret)";
    Rig single(kText);
    u64 done = 0;
    for (const u64 steps : {1u, 2u, 31u, 1023u, 1024u, 1025u, 2047u, 5000u}) {
        Rig rig(kText);
        CHECK(is<StepsDone>(rig.run(steps)));
        for (; done < steps; ++done) single.run(1);
        CHECK(rig.cpu.steps() == steps);
        CHECK(rig.cpu.state() == single.cpu.state());
    }
}

TEST_CASE("chain: decoded code survives the restoring of memory that did not change",
          "[sim][chain]") {
    Rig rig("again: mov [0x3000], rax\nadd rax, 1\njmp again");
    CHECK(is<StepsDone>(rig.run(30)));
    const Memory saved = rig.machine.snapshot_memory();
    CHECK(is<StepsDone>(rig.run(30)));
    CHECK(rig.word(0x3000) == 19);
    rig.machine.set_memory(saved);
    CHECK(rig.word(0x3000) == 9);
    CHECK(is<StepsDone>(rig.run(3)));
    CHECK(rig.word(0x3000) == 20);
    // And code that did change is decoded anew, both ways.
    rig.code(Rig::kCode, "again: mov [0x3000], rax\nadd rax, 2\njmp again");
    CHECK(is<StepsDone>(rig.run(3)));
    CHECK(rig.get(Reg::rax) == 23);
    rig.machine.set_memory(saved);
    CHECK(is<StepsDone>(rig.run(3)));
    CHECK(rig.get(Reg::rax) == 24);
}
