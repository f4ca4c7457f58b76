// Debug registers: breakpoints on code, data and ports, general detect, RF, and the MOV SS shadow.
#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

enum class On : u64 { code = 0, write = 1, port = 2, access = 3 };

// DR<n> on an address, locally enabled. Lengths 1, 2, 4, 8.
void watch(Rig& rig, unsigned n, u64 address, On on, unsigned length = 1) {
    const u64 len = length == 8 ? 2 : length - 1;
    rig.set(offset(Reg::dr0, n), address);
    rig.set(Reg::dr7, rig.get(Reg::dr7) | u64{1} << 2 * n | static_cast<u64>(on) << (16 + 4 * n) |
                          len << (18 + 4 * n));
}

constexpr Fault kDebug{.vector = Vector::db};

// Runs to #DB; answers how far behind kCode RIP is.
u64 debug_trap(Rig& rig) {
    CHECK(expect<Fault>(rig.run(100)) == kDebug);
    return rig.get(Reg::rip) - Rig::kCode;
}

}  // namespace

TEST_CASE("breakpoints: code, before the instruction, until RF is set", "[debug]") {
    Rig rig("nop\ninc rax\ninc rax\nhlt");
    watch(rig, 1, Rig::kCode + 1, On::code);
    CHECK(debug_trap(rig) == 1);
    CHECK(rig.get(Reg::rax) == 0);
    CHECK(rig.get(Reg::dr6) == 0xFFFF0FF2);
    CHECK(rig.cpu.steps() == 1);
    CHECK(debug_trap(rig) == 1);
    CHECK((rig.get(Reg::rflags) & flag::rf) == 0);
    rig.set(Reg::rflags, flag::rf);
    CHECK(is<Halted>(rig.run(100)));
    CHECK(rig.get(Reg::rax) == 2);

    // Once more, with code that is cached by now; and DR7 without enable bits.
    rig.jump();
    CHECK(debug_trap(rig) == 1);
    rig.set(Reg::dr7, rig.get(Reg::dr7) & ~u64{0xFF});
    CHECK(is<Halted>(rig.run(100)));
}

TEST_CASE("breakpoints: a code breakpoint comes before the faults of the fetch", "[debug]") {
    Rig rig("nop");
    PageTables tables(rig);
    tables.map(0x1000, 0x1000, PageTables::p);
    tables.activate();
    watch(rig, 0, 0x5000, On::code);
    rig.jump(0x5000);
    CHECK(expect<Fault>(rig.run()) == kDebug);
    rig.set(Reg::rflags, flag::rf);
    CHECK(expect<Fault>(rig.run()).vector == Vector::pf);
    CHECK((rig.get(Reg::rflags) & flag::rf) != 0);
}

TEST_CASE("breakpoints: data, after the instruction", "[debug]") {
    struct Row {
        const char* text;
        On on;
        u64 address;
        unsigned length;
        bool hit;
    };
    const Row row = GENERATE(Row{"mov [0x4000], al", On::write, 0x4000, 1, true},
                             Row{"mov [0x4001], al", On::write, 0x4000, 1, false},
                             Row{"mov [0x4003], al", On::write, 0x4000, 4, true},
                             Row{"mov [0x4004], al", On::write, 0x4000, 4, false},
                             Row{"mov [0x4007], al", On::write, 0x4000, 8, true},
                             // The address's low bits do not count beyond the length.
                             Row{"mov [0x4000], al", On::write, 0x4003, 4, true},
                             Row{"mov [0x3fff], eax", On::write, 0x4000, 2, true},
                             Row{"mov [0x3ffc], eax", On::write, 0x4000, 1, false},
                             Row{"mov al, [0x4000]", On::write, 0x4000, 1, false},
                             Row{"mov al, [0x4000]", On::access, 0x4000, 1, true},
                             Row{"mov [0x4000], al", On::access, 0x4000, 1, true},
                             Row{"add [0x4000], al", On::write, 0x4000, 1, true},
                             Row{"cmp [0x4000], al", On::write, 0x4000, 1, false},
                             Row{"movups [0x3ff8], xmm0", On::write, 0x4004, 4, true},
                             Row{"push rax", On::write, 0x7FF8, 8, true},
                             Row{"nop", On::access, 0x1000, 8, false});
    CAPTURE(row.text, row.address, row.length);
    Rig rig(row.text);
    const u64 length = rig.code(Rig::kCode, row.text);
    rig.code(Rig::kCode + length, "hlt");
    watch(rig, 2, row.address, row.on, row.length);
    const Outcome outcome = rig.run(10);
    if (row.hit) {
        CHECK(expect<Fault>(outcome) == kDebug);
        CHECK(rig.get(Reg::rip) == Rig::kCode + length);
        CHECK(rig.get(Reg::dr6) == 0xFFFF0FF4);
        CHECK(is<Halted>(rig.run(10)));
    } else {
        CHECK(is<Halted>(outcome));
        CHECK(rig.get(Reg::dr6) == 0xFFFF0FF0);
    }
}

TEST_CASE("breakpoints: armed and disarmed by the program, with the page already in the TLB",
          "[debug]") {
    Rig rig(R"(
        mov [0x4000], al
        mov [0x4000], al
        mov eax, 0x4000
        mov dr0, rax
        mov eax, 0x10001
        mov dr7, rax
        mov [0x4000], al
    hit:
        xor eax, eax
        mov dr7, rax
        mov [0x4000], al
        hlt)");
    CHECK(debug_trap(rig) == 7 + 7 + 5 + 3 + 5 + 3 + 7);
    CHECK(rig.get(Reg::dr6) == 0xFFFF0FF1);
    CHECK(is<Halted>(rig.run(100)));
    CHECK(rig.get(Reg::dr7) == 0x400);
}

TEST_CASE("breakpoints: those of an instruction that faults are forgotten", "[debug]") {
    Rig rig("div qword [0x4000]\nnop\nhlt");  // by zero
    watch(rig, 0, 0x4000, On::access, 8);
    CHECK(expect<Fault>(rig.run()).vector == Vector::de);
    rig.jump(Rig::kCode + 8);
    CHECK(is<Halted>(rig.run(10)));
}

TEST_CASE("breakpoints: a repeated string instruction traps after the iteration", "[debug]") {
    Rig rig("rep stosb\nhlt");
    rig.set(Reg::rdi, 0x4000);
    rig.set(Reg::rcx, 20);
    watch(rig, 3, 0x4005, On::write);
    CHECK(debug_trap(rig) == 0);
    CHECK(rig.get(Reg::rcx) == 14);
    CHECK(rig.get(Reg::rdi) == 0x4006);
    CHECK((rig.get(Reg::rflags) & flag::rf) != 0);
    CHECK(rig.cpu.steps() == 0);
    CHECK(is<Halted>(rig.run(10)));
    CHECK(rig.get(Reg::rcx) == 0);
}

TEST_CASE("breakpoints: ports, with CR4.DE", "[debug]") {
    Rig rig("in al, 0x60\nout 0x61, eax\nhlt");
    rig.cpu.set_exits({.ports = false});
    watch(rig, 0, 0x62, On::port, 2);
    CHECK(is<Halted>(rig.run(10)));
    rig.jump();
    rig.set(Reg::cr4, rig.get(Reg::cr4) | cr4::de);
    CHECK(debug_trap(rig) == 4);
    CHECK(rig.get(Reg::dr6) == 0xFFFF0FF1);

    // Where the access is an exit, nothing of it is visible yet, and the trap comes when the exit
    // is retired; whatever happened to the state meanwhile.
    rig.cpu.set_exits({.ports = true});
    rig.jump(Rig::kCode + 2);
    rig.set(Reg::dr6, 0xFFFF0FF0);
    const Exit exit = expect<Exit>(rig.run());
    CHECK(exit.breakpoints == 1);
    CHECK(rig.get(Reg::pending_debug) == 0);
    CHECK(rig.get(Reg::dr6) == 0xFFFF0FF0);
    rig.cpu.set_state(rig.cpu.state());
    rig.cpu.retire_exit(exit);
    CHECK(debug_trap(rig) == 4);
    CHECK(rig.get(Reg::dr6) == 0xFFFF0FF1);
}

TEST_CASE("breakpoints: with single step, one exception has both", "[debug]") {
    Rig rig("mov [0x4000], al\nhlt");
    rig.set(Reg::rflags, flag::tf);
    watch(rig, 0, 0x4000, On::write);
    watch(rig, 1, 0x4000, On::access, 4);
    CHECK(debug_trap(rig) == 7);
    CHECK(rig.get(Reg::dr6) == 0xFFFF4FF3);
}

TEST_CASE("breakpoints: a trap comes before the code breakpoint behind it", "[debug]") {
    Rig rig("nop\nnop\nhlt");
    rig.set(Reg::rflags, flag::tf);
    watch(rig, 0, Rig::kCode + 1, On::code);
    CHECK(debug_trap(rig) == 1);
    CHECK(rig.get(Reg::dr6) == 0xFFFF4FF0);
    CHECK(debug_trap(rig) == 1);
    CHECK(rig.get(Reg::dr6) == 0xFFFF4FF1);  // BS stays until software clears it
}

TEST_CASE("breakpoints: MOV SS holds all debug exceptions back for one instruction", "[debug]") {
    Rig rig("mov ss, [0x4000]\nnop\nnop\nhlt");
    rig.set(Reg::gdtr_base, 0x5000);
    rig.set(Reg::gdtr_limit, 0x17);
    rig.put(0x5010, 0x00CF93000000FFFF);
    rig.put(0x4000, 0x10);
    watch(rig, 0, 0x4000, On::access, 2);
    watch(rig, 1, Rig::kCode + 7, On::code);  // is not looked at in the shadow
    CHECK(debug_trap(rig) == 8);
    CHECK(rig.get(Reg::dr6) == 0xFFFF0FF1);

    // A software interrupt in the shadow takes the trap with it to its handler.
    Rig other("mov ss, [0x4000]\nint 0x80");
    other.cpu.set_state(rig.cpu.state());
    other.put(0x5010, 0x00CF93000000FFFF);
    other.put(0x4000, 0x10);
    other.put(0x5008, 0x00AF9B000000FFFF);
    other.set(Reg::idtr_base, 0x6000);
    other.set(Reg::idtr_limit, 0xFFF);
    other.put(0x6800, 0x00008E0000082000);
    other.put(0x6010, 0x00008E0000083000);  // #DB
    other.cpu.set_deliver_faults(true);
    other.set(Reg::dr7, 0x400);
    watch(other, 0, 0x4000, On::access, 2);
    other.jump();
    other.run(1);
    CHECK(other.get(Reg::pending_debug) == 1);
    other.run(1);
    CHECK(other.get(Reg::rip) == 0x2000);
    other.run(1);
    CHECK(other.get(Reg::rip) == 0x3000);
    CHECK(other.word(other.get(Reg::rsp)) == 0x2000);
}

TEST_CASE("single step: not between MOV SS and what follows it", "[debug]") {
    Rig rig("mov ss, eax\nnop\nnop");
    rig.set(Reg::gdtr_base, 0x5000);
    rig.set(Reg::gdtr_limit, 0x17);
    rig.put(0x5010, 0x00CF93000000FFFF);
    rig.set(Reg::rax, 0x10);
    rig.set(Reg::rflags, flag::tf);
    CHECK(debug_trap(rig) == 3);
    CHECK(rig.cpu.steps() == 2);
}

TEST_CASE("DR7.GD: a fault before the access, and the handler may", "[debug]") {
    Rig rig("mov rax, dr0\nhlt");
    rig.set(Reg::dr7, 0x2400);
    const Fault fault = expect<Fault>(rig.run());
    CHECK(fault == Fault{.vector = Vector::db, .general_detect = true});
    CHECK(rig.get(Reg::dr6) == 0xFFFF2FF0);
    CHECK(rig.get(Reg::rip) == Rig::kCode);
    CHECK(rig.get(Reg::dr7) == 0x2400);

    rig.put(0x5008, 0x00AF9B000000FFFF);
    rig.set(Reg::gdtr_base, 0x5000);
    rig.set(Reg::gdtr_limit, 0xF);
    rig.set(Reg::idtr_base, 0x6000);
    rig.set(Reg::idtr_limit, 0xFFF);
    rig.put(0x6010, 0x00008E0000083000);
    rig.cpu.set_deliver_faults(true);
    rig.code(0x3000, "mov rax, dr7\nhlt");
    CHECK(is<Halted>(rig.run(10)));
    CHECK(rig.get(Reg::rax) == 0x400);
    CHECK((rig.word(rig.get(Reg::rsp) + 16) & flag::rf) != 0);
}

TEST_CASE("breakpoints: reserved bits of DR6 and DR7", "[debug]") {
    Rig rig("mov dr7, rax\nmov dr6, rbx\nmov rcx, dr7\nmov rdx, dr6\nhlt");
    rig.set(Reg::rax, 0xFFFFDF00);
    rig.set(Reg::rbx, 0xFFFFFFFF);
    rig.finish();
    CHECK(rig.get(Reg::rcx) == 0xFFFF0700);
    CHECK(rig.get(Reg::rdx) == 0xFFFFEFFF);
}

TEST_CASE("NMI: taken at once, blocks others until IRET", "[debug]") {
    Rig rig("nop\nnop\nnop\nhlt");
    rig.put(0x5008, 0x00AF9B000000FFFF);
    rig.put(0x5010, 0x00CF93000000FFFF);
    rig.set(Reg::gdtr_base, 0x5000);
    rig.set(Reg::gdtr_limit, 0x17);
    rig.set(Reg::idtr_base, 0x6000);
    rig.set(Reg::idtr_limit, 0xFFF);
    rig.put(0x6020, 0x00008E0000083000);
    rig.code(0x3000, "inc rbx\niretq");
    rig.cpu.set_deliver_faults(true);
    rig.run(1);
    rig.cpu.raise_nmi();
    CHECK(is<StepsDone>(rig.run(1)));
    CHECK(rig.get(Reg::rip) == 0x3000);
    CHECK(rig.get(Reg::nmi_blocked) == 1);
    CHECK(rig.cpu.steps() == 2);
    // Two more are one that waits.
    rig.cpu.raise_nmi();
    rig.cpu.raise_nmi();
    rig.run(2);
    CHECK(rig.get(Reg::rip) == Rig::kCode + 1);
    CHECK(rig.get(Reg::nmi_blocked) == 0);
    rig.run(1);
    CHECK(rig.get(Reg::rip) == 0x3000);
    CHECK(is<Halted>(rig.run(100)));
    CHECK(rig.get(Reg::rbx) == 2);
    // It ends HLT, too, whatever IF says.
    rig.cpu.raise_nmi();
    CHECK(is<StepsDone>(rig.run(1)));
    CHECK(rig.get(Reg::rip) == 0x3000);
    CHECK(rig.word(rig.get(Reg::rsp)) == Rig::kCode + 4);
}

TEST_CASE("NMI: behind debug traps, before interrupts, not in the shadow of MOV SS", "[debug]") {
    Rig rig("mov ss, eax\nnop\nnop");
    rig.put(0x5008, 0x00AF9B000000FFFF);
    rig.put(0x5010, 0x00CF93000000FFFF);
    rig.set(Reg::gdtr_base, 0x5000);
    rig.set(Reg::gdtr_limit, 0x17);
    rig.set(Reg::idtr_base, 0x6000);
    rig.set(Reg::idtr_limit, 0xFFF);
    rig.put(0x6010, 0x00008E0000082000);
    rig.put(0x6020, 0x00008E0000083000);
    rig.cpu.set_deliver_faults(true);
    rig.set(Reg::rax, 0x10);
    rig.set(Reg::rflags, flag::if_);
    rig.run(1);
    rig.cpu.raise_nmi();
    rig.cpu.set_interrupt_line(true);
    rig.run(1);
    CHECK(rig.get(Reg::rip) == Rig::kCode + 3);
    rig.set(Reg::pending_debug, 0x4000);
    rig.run(1);
    CHECK(rig.get(Reg::rip) == 0x2000);
    rig.run(1);
    CHECK(rig.get(Reg::rip) == 0x3000);
}

TEST_CASE("NMI: an IRET that faults ends the blocking", "[debug]") {
    Rig rig("iretq");
    rig.set(Reg::nmi_blocked, 1);
    CHECK(is<Fault>(rig.run()));
    CHECK(rig.get(Reg::nmi_blocked) == 0);
}
