// Decoded code follows the bytes it was made from.
#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

class Counter : public Observer {
  public:
    std::vector<u64> asked;
    bool before_instruction(const Cpu&, u64 rip) override {
        asked.push_back(rip);
        return false;
    }
};

}  // namespace

TEST_CASE("code: an instruction may change the next one of its own block", "[sim]") {
    // B0 xx: MOV AL, imm8. The store replaces the operand of the instruction behind it.
    constexpr auto kText = R"(
        mov byte [rel patched + 1], 0x22
    patched:
        mov al, 0x11
        hlt)";
    for (const bool observe : {false, true}) {
        Rig rig(kText);
        Counter counter;
        CHECK(is<Halted>(rig.finish(observe ? &counter : nullptr)));
        CHECK(rig.get(Reg::rax) == 0x22);
        CHECK(rig.cpu.steps() == 3);
        if (observe) CHECK(counter.asked == std::vector<u64>{0x1000, 0x1007, 0x1009});
    }
}

TEST_CASE("code: a loop that rewrites itself each time", "[sim]") {
    Rig rig(R"(
        mov ecx, 10
    again:
        inc byte [rel patched + 1]
    patched:
        mov al, 0
        add ebx, eax
        dec ecx
        jnz again
        hlt)");
    CHECK(is<Halted>(rig.finish()));
    CHECK(rig.get(Reg::rbx) == 55);
    CHECK(rig.cpu.steps() == 1 + 10 * 5 + 1);
}

TEST_CASE("code: an instruction may overwrite itself", "[sim]") {
    // The store has retired; what it wrote is executed next time.
    Rig rig("mov byte [rel $], 0xf4\njmp 0x1000");
    CHECK(is<Halted>(rig.finish()));
    CHECK(rig.cpu.steps() == 3);
}

TEST_CASE("code: writes from outside are seen", "[sim]") {
    Rig rig("mov al, 1\nhlt");
    rig.finish();
    CHECK(rig.get(Reg::rax) == 1);
    rig.bytes(Rig::kCode + 1, {2});
    rig.set(Reg::rip, Rig::kCode);
    rig.set(Reg::activity, 0);
    rig.finish();
    CHECK(rig.get(Reg::rax) == 2);
    const Memory with_two = rig.machine.snapshot_memory();
    rig.bytes(Rig::kCode + 1, {3});
    rig.machine.set_memory(with_two);
    rig.set(Reg::rip, Rig::kCode);
    rig.set(Reg::activity, 0);
    rig.set(Reg::rax, 0);
    rig.finish();
    CHECK(rig.get(Reg::rax) == 2);
}

TEST_CASE("code: writes of another processor are seen", "[sim]") {
    Rig rig("nop\nmov al, 1\nmov al, 1\nhlt");
    Cpu& other = rig.machine.add_cpu();
    rig.code(0x3000, "mov byte [0x1004], 9");
    other.set(Reg::rip, 0x3000);
    rig.run(2);
    other.run({.steps = 1});
    rig.run(1);
    CHECK(rig.get(Reg::rax) == 9);
}

TEST_CASE("code: the same code seen through another address", "[sim]") {
    Rig rig;
    PageTables tables(rig);
    tables.map(0x1000, 0x1000, PageTables::p);
    tables.map(0x400000, 0x1000, PageTables::p | PageTables::w);
    rig.code(0x1000, "mov byte [0x400008], 0xf4\nnop\nnop\nnop");
    tables.activate();
    CHECK(is<Halted>(rig.finish()));
    CHECK(rig.cpu.steps() == 2);
}

TEST_CASE("code: an instruction that crosses into the next page", "[sim]") {
    Rig rig;
    // MOV RAX, imm64 is ten bytes: here split 3 + 7, and not adjacent in physical memory.
    PageTables tables(rig);
    tables.map(0x1000, 0x1000, PageTables::p);
    tables.map(0x2000, 0x9000, PageTables::p);
    rig.bytes(0x1FFD, {0x48, 0xB8, 0x11});
    rig.bytes(0x9000, {0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0xF4});
    tables.activate();
    for (int pass = 0; pass < 2; ++pass) {
        rig.jump(0x1FFD);
        CHECK(is<Halted>(rig.finish()));
        CHECK(rig.get(Reg::rax) == 0x8877665544332211);
        CHECK(rig.get(Reg::rip) == 0x2008);
    }
    rig.bytes(0x9000, {0x23});
    rig.jump(0x1FFD);
    rig.run();
    CHECK(rig.get(Reg::rax) == 0x8877665544332311);

    // Into a page that is not there: the fault is at the second page.
    rig.put(tables.entry_at(0x2000), 0);
    rig.set(Reg::cr3, PageTables::kRoot);
    rig.jump(0x1FFD);
    const Fault fault = expect<Fault>(rig.run());
    CHECK(fault.vector == Vector::pf);
    CHECK(fault.cr2 == 0x2000);
    CHECK(rig.get(Reg::rip) == 0x1FFD);
    // An instruction that ends with the page needs nothing of the next.
    rig.bytes(0x1FFD, {0x90, 0x90, 0x90});
    CHECK(is<StepsDone>(rig.run(3)));
    CHECK(rig.get(Reg::rip) == 0x2000);
}

TEST_CASE("code: blocks longer than the limit, and a backward jump into one", "[sim]") {
    std::string text = "mov ecx, 3\nagain:\n";
    for (int i = 0; i < 100; ++i) text += "inc rax\n";
    text += "middle: inc rbx\ndec ecx\njnz again + 50 * 3\nhlt";
    Rig rig(text);
    CHECK(is<Halted>(rig.finish()));
    CHECK(rig.get(Reg::rax) == 200);
    CHECK(rig.get(Reg::rbx) == 3);
}

TEST_CASE("code: bytes that are no instruction", "[sim]") {
    Rig rig;
    rig.bytes(Rig::kCode, {0x06});  // PUSH ES does not exist in 64-bit mode
    CHECK(expect<Fault>(rig.run()) == Fault{.vector = Vector::ud});
    rig.bytes(Rig::kCode, {0xF0, 0x90});  // LOCK NOP
    CHECK(expect<Fault>(rig.run()) == Fault{.vector = Vector::ud});
    CHECK(rig.cpu.steps() == 0);

    // 15 bytes are the limit (SDM 2A 2.3.11), in the middle of a page and across two.
    const Fault gp{.vector = Vector::gp, .has_error_code = true};
    for (const u64 at : {u64{0x3000}, u64{0x3FF8}, u64{0x3FFF}}) {
        std::vector<u8> longest(14, 0x66);
        longest.push_back(0x90);
        rig.bytes(at, longest);
        rig.jump(at);
        CHECK(is<StepsDone>(rig.run()));
        CHECK(rig.get(Reg::rip) == at + 15);
        longest.insert(longest.begin(), 0x66);
        rig.bytes(at, longest);
        rig.jump(at);
        CHECK(expect<Fault>(rig.run()) == gp);
    }
}

TEST_CASE("code: what is not modelled says which instruction", "[sim]") {
    Rig rig("nop\nrdrand eax");
    CHECK(expect<NotModelled>(rig.run(2)).what == "rdrand eax");
    CHECK(rig.get(Reg::rip) == Rig::kCode + 1);
    CHECK(rig.cpu.steps() == 1);
    rig.code(0x3000, "vaddps ymm1, ymm2, [rax + 8]");
    rig.jump(0x3000);
    CHECK(expect<NotModelled>(rig.run()).what.find("vaddps ymm1, ymm2") == 0);
}
