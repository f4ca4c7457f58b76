// 32-bit protected mode: far transfers between levels, delivery through the IDT, faults of
// selectors.
#include <tuple>

#include "tests/catch.hpp"
#include "tests/sim/modes_rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

constexpr u64 kHandler = 0x2000;

Fault fault(Vector v, u32 code) {
    return {.vector = v, .has_error_code = true, .error_code = code};
}

// The fault ends the run and has changed nothing but accessed bits.
void check_fault(ModeRig& r, const Fault& want) {
    const CpuState before = r.cpu.state();
    CHECK(expect<Fault>(r.run()) == want);
    CHECK(r.cpu.state() == before);
}

// A 32-bit call gate to kHandler in kFree.
void make_gate(ModeRig& r, u64 access, u64 parameters = 0, u16 selector = ModeRig::kCode32) {
    r.put(ModeRig::kGdt + ModeRig::kFree, gate(selector, kHandler, access, parameters));
}

void set_idt(ModeRig& r, unsigned vector, u64 descriptor) {
    r.put(ModeRig::kIdt + 8u * vector, descriptor);
    r.cpu.set_deliver_faults(true);
}

}  // namespace

TEST_CASE("modes: far jumps and calls at the same level", "[modes]") {
    SECTION("jmp") {
        ModeRig r("db 0xea, 0, 0x20, 0, 0, 0x28, 0");
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.get(Reg::cs) == 0x28);
        CHECK(r.get(Reg::cs_attr) == 0x9B);
        CHECK(r.get(Reg::cs_limit) == 0xFFFF);
        CHECK(r.get(Reg::rip) == 0x2000);
    }
    SECTION("call and return") {
        ModeRig r("db 0x9a, 0, 0x20, 0, 0, 8, 0");
        r.code32(kHandler, "retf 8");
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.get(Reg::rsp) == 0x7FF8);
        CHECK(r.word(0x7FF8) == (0x1007 | u64{8} << 32));
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.get(Reg::rip) == 0x1007);
        CHECK(r.get(Reg::rsp) == 0x8008);
    }
    SECTION("the accessed bit is set") {
        ModeRig r("db 0xea, 0, 0x20, 0, 0, 0x48, 0");
        r.put(ModeRig::kGdt + 0x48, descriptor(0x100, 0xFFFFF, 0x9A, 0xC));
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.byte(ModeRig::kGdt + 0x4D) == 0x9B);
        CHECK(r.get(Reg::cs_base) == 0x100);
    }
}

TEST_CASE("modes: far jumps that fault", "[modes]") {
    struct Case {
        u16 selector;
        u32 offset;
        Vector vector;
        u32 code;
    };
    const Case c = GENERATE(Case{0, 0x2000, Vector::gp, 0}, Case{3, 0x2000, Vector::gp, 0},
                            Case{0x100, 0x2000, Vector::gp, 0x100},
                            Case{0x104, 0x2000, Vector::gp, 0x104},  // no LDT
                            Case{0x10, 0x2000, Vector::gp, 0x10},    // data
                            Case{0x1B, 0x2000, Vector::gp, 0x18},    // DPL 3
                            Case{0x0B, 0x2000, Vector::gp, 0x08},    // RPL 3
                            Case{0x28, 0x10000, Vector::gp, 0},      // limit
                            Case{0x50, 0x2000, Vector::np, 0x50});
    ModeRig r("jmp far [0x3000]");
    r.put(ModeRig::kGdt + 0x50, descriptor(0, 0xFFFFF, 0x1B, 0xC));
    r.put(0x3000, c.offset | u64{c.selector} << 32);
    CAPTURE(c.selector);
    check_fault(r, fault(c.vector, c.code));
}

TEST_CASE("modes: a conforming segment is entered at the caller's level", "[modes]") {
    ModeRig r("db 0xea, 0, 0x20, 0, 0, 0x48, 0");
    r.put(ModeRig::kGdt + 0x48, descriptor(0, 0xFFFFF, 0x9F, 0xC));
    r.user();
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::cs) == 0x4B);
    CHECK(r.cpu.state()[Reg::ss] == ModeRig::kUserData);
}

TEST_CASE("modes: a call gate to an inner level copies parameters, RETF goes back", "[modes]") {
    ModeRig r("db 0x9a, 0, 0, 0, 0, 0x48, 0");
    make_gate(r, 0xEC, 2);
    r.code32(kHandler, "retf 8");
    r.user();
    r.set(Reg::ds, ModeRig::kData32);  // of DPL 0: not for level 3
    r.set(Reg::ds_attr, 0xC093);
    r.put(0x8000, 0x2222222211111111);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::cs) == ModeRig::kCode32);
    CHECK(r.get(Reg::ss) == ModeRig::kData32);
    CHECK(r.get(Reg::rip) == kHandler);
    CHECK(r.get(Reg::rsp) == 0x9000 - 24);
    CHECK(r.dword(0x8FE8) == 0x1007);
    CHECK(r.dword(0x8FEC) == ModeRig::kUserCode);
    CHECK(r.dword(0x8FF0) == 0x11111111);
    CHECK(r.dword(0x8FF4) == 0x22222222);
    CHECK(r.dword(0x8FF8) == 0x8000);
    CHECK(r.dword(0x8FFC) == ModeRig::kUserData);

    r.put(ModeRig::kGdt + 0x20, descriptor(0, 0xFFFFF, 0xF2, 0xC));  // not accessed
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::cs) == ModeRig::kUserCode);
    CHECK(r.get(Reg::ss) == ModeRig::kUserData);
    CHECK(r.get(Reg::rip) == 0x1007);
    CHECK(r.get(Reg::rsp) == 0x8008);
    CHECK(r.get(Reg::ds) == 0);
    CHECK(r.get(Reg::ds_attr) == attr::kUnusable);
    CHECK(r.get(Reg::es) == ModeRig::kUserData);
    CHECK(r.byte(ModeRig::kGdt + 0x25) == 0xF3);
}

TEST_CASE("modes: a 16-bit call gate pushes words and takes a 16-bit offset", "[modes]") {
    ModeRig r("db 0x9a, 0, 0, 0, 0, 0x48, 0");
    r.put(ModeRig::kGdt + 0x48, gate(ModeRig::kCode32, 0xFFFF2000, 0xE4, 1));
    r.user();
    r.put(0x8000, 0x2222);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == 0x2000);
    CHECK(r.get(Reg::rsp) == 0x9000 - 10);
    CHECK(r.half(0x8FF6) == 0x1007);
    CHECK(r.half(0x8FF8) == ModeRig::kUserCode);
    CHECK(r.half(0x8FFA) == 0x2222);
    CHECK(r.half(0x8FFC) == 0x8000);
    CHECK(r.half(0x8FFE) == ModeRig::kUserData);
}

TEST_CASE("modes: call gates that fault", "[modes]") {
    ModeRig r("db 0x9a, 0, 0, 0, 0, 0x48, 0");
    r.user();
    SECTION("of a more privileged level") {
        make_gate(r, 0x8C);
        check_fault(r, fault(Vector::gp, 0x48));
    }
    SECTION("not present") {
        make_gate(r, 0x6C);
        check_fault(r, fault(Vector::np, 0x48));
    }
    SECTION("to a null selector") {
        make_gate(r, 0xEC, 0, 0);
        check_fault(r, fault(Vector::gp, 0));
    }
    SECTION("to data") {
        make_gate(r, 0xEC, 0, ModeRig::kData32);
        check_fault(r, fault(Vector::gp, ModeRig::kData32));
    }
    SECTION("with a null stack in the TSS") {
        make_gate(r, 0xEC);
        r.put(ModeRig::kTss + 4, 0x9000);
        check_fault(r, fault(Vector::ts, 0));
    }
    SECTION("with a stack of another level in the TSS") {
        make_gate(r, 0xEC);
        r.put(ModeRig::kTss + 4, 0x9000 | u64{ModeRig::kUserData} << 32);
        check_fault(r, fault(Vector::ts, ModeRig::kUserData & ~3u));
    }
    SECTION("with a stack that is not present") {
        make_gate(r, 0xEC);
        r.put(ModeRig::kTss + 4, 0x9000 | u64{ModeRig::kAbsent} << 32);
        check_fault(r, fault(Vector::ss, ModeRig::kAbsent));
    }
    SECTION("with a stack that is too small") {
        make_gate(r, 0xEC);
        r.put(ModeRig::kGdt + 0x50, descriptor(0, 0x8000, 0x93, 4));
        r.put(ModeRig::kTss + 4, 0x9000 | u64{0x50} << 32);
        check_fault(r, fault(Vector::ss, 0x50));
    }
    SECTION("with a TSS that is too short") {
        make_gate(r, 0xEC);
        r.set(Reg::tr_limit, 8);
        check_fault(r, fault(Vector::ts, 0x58));
    }
    SECTION("a jump inwards") {
        r.code32(Rig::kCode, "db 0xea, 0, 0, 0, 0, 0x48, 0");
        make_gate(r, 0xEC);
        check_fault(r, fault(Vector::gp, ModeRig::kCode32));
    }
    SECTION("a task gate to what is no TSS") {
        make_gate(r, 0xE5);
        check_fault(r, fault(Vector::gp, ModeRig::kCode32));
    }
}

TEST_CASE("modes: interrupt through a 32-bit gate from level 3 and back", "[modes]") {
    ModeRig r("int 0x30");
    r.code32(kHandler, "iret");
    set_idt(r, 0x30, gate(ModeRig::kCode32, kHandler, 0xEE));
    r.user();
    r.set(Reg::rflags, flag::if_ | flag::cf | flag::nt | 2);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::cs) == ModeRig::kCode32);
    CHECK(r.get(Reg::ss) == ModeRig::kData32);
    CHECK(r.get(Reg::rsp) == 0x9000 - 20);
    CHECK(r.dword(0x8FEC) == 0x1002);
    CHECK(r.dword(0x8FF0) == ModeRig::kUserCode);
    CHECK(r.dword(0x8FF4) == (flag::if_ | flag::cf | flag::nt | 2));
    CHECK(r.dword(0x8FF8) == 0x8000);
    CHECK(r.dword(0x8FFC) == ModeRig::kUserData);
    CHECK(r.get(Reg::rflags) == (flag::cf | 2));
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == 0x1002);
    CHECK(r.get(Reg::cs) == ModeRig::kUserCode);
    CHECK(r.get(Reg::rsp) == 0x8000);
    CHECK(r.get(Reg::rflags) == (flag::if_ | flag::cf | flag::nt | 2));
    CHECK(r.get(Reg::ds) == ModeRig::kUserData);
}

TEST_CASE("modes: delivery at the same level", "[modes]") {
    SECTION("trap gate, no error code, IF stays") {
        ModeRig r("int 0x30");
        set_idt(r, 0x30, gate(ModeRig::kCode32, kHandler, 0x8F));
        r.set(Reg::rflags, flag::if_ | 2);
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.get(Reg::rsp) == 0x7FF4);
        CHECK(r.dword(0x7FF4) == 0x1002);
        CHECK(r.get(Reg::rflags) == (flag::if_ | 2));
    }
    SECTION("a fault with its error code, RF in the image") {
        ModeRig r("mov ds, ax");
        r.set(Reg::rax, 0x1234);
        set_idt(r, 13, gate(ModeRig::kCode32, kHandler, 0x8E));
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.get(Reg::rsp) == 0x7FF0);
        CHECK(r.dword(0x7FF0) == 0x1234);
        CHECK(r.dword(0x7FF4) == Rig::kCode);
        CHECK(r.dword(0x7FF8) == ModeRig::kCode32);
        CHECK(r.dword(0x7FFC) == (flag::rf | 2));
    }
    SECTION("16-bit gate") {
        ModeRig r("mov ds, ax");
        r.set(Reg::rax, 0x1234);
        set_idt(r, 13, gate(ModeRig::kCode32, kHandler | 0xFFFF0000, 0x86));
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.get(Reg::rip) == kHandler);
        CHECK(r.get(Reg::rsp) == 0x7FF8);
        CHECK(r.word(0x7FF8) == (0x1234 | Rig::kCode << 16 | u64{8} << 32 | u64{2} << 48));
    }
}

TEST_CASE("modes: delivery that faults", "[modes]") {
    // The fault of the delivery is delivered through vector 13 or 11; its error code is on the
    // stack.
    struct Case {
        const char* what;
        u64 gate;
        unsigned vector;
        u32 code;
        bool user = false;
        u64 idt_limit = 0x7FF;
    };
    constexpr u32 kGateCode = 0x30 * 8 + 2;
    const Case c =
        GENERATE(Case{"no gate", 0, 13, kGateCode},
                 Case{"beyond the IDT", gate(ModeRig::kCode32, kHandler, 0x8E), 13, kGateCode,
                      false, 0x30 * 8 + 6},
                 Case{"gate not present", gate(ModeRig::kCode32, kHandler, 0x0E), 11, kGateCode},
                 Case{"null code segment", gate(0, kHandler, 0x8E), 13, 0},
                 Case{"data as the code segment", gate(ModeRig::kData32, kHandler, 0x8E), 13,
                      ModeRig::kData32},
                 Case{"beyond the code segment", gate(ModeRig::kCode16, 0x10000, 0x8E), 13, 0},
                 Case{"a gate of level 0 from level 3", gate(ModeRig::kCode32, kHandler, 0x8E), 13,
                      kGateCode, true});
    ModeRig r("int 0x30");
    if (c.user) r.user();
    r.set(Reg::idtr_limit, c.idt_limit);
    set_idt(r, 0x30, c.gate);
    for (unsigned v : {11u, 13u}) {
        set_idt(r, v, gate(ModeRig::kCode32, 0x2000 + 0x10 * v, 0x8E));
    }
    const u64 top = c.user ? 0x9000 - 24 : 0x8000 - 16;
    CAPTURE(c.what);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == 0x2000 + 0x10 * c.vector);
    CHECK(r.get(Reg::rsp) == top);
    CHECK(r.dword(top) == c.code);
    CHECK(r.dword(top + 4) == Rig::kCode);
}

TEST_CASE("modes: what has no meaning is #UD", "[modes]") {
    // MOV to CS; BOUND, CALL far with registers; no instruction at all.
    const char* text = GENERATE("db 0x8e, 0xc8", "db 0x62, 0xc0", "db 0xff, 0xd8", "db 0xff, 0xff");
    ModeRig r(text);
    check_fault(r, {.vector = Vector::ud});
}

TEST_CASE("modes: an inner stack without room in a delivery is #SS with its selector", "[modes]") {
    ModeRig r("int 0x30");
    r.put(ModeRig::kGdt + 0x50, descriptor(0, 0x8000, 0x93, 4));
    r.put(ModeRig::kGdt + 0x60, descriptor(0, 0xFFFFF, 0x9F, 0xC));  // conforming
    r.put(ModeRig::kTss + 4, 0x9000 | u64{0x50} << 32);
    set_idt(r, 0x30, gate(ModeRig::kCode32, kHandler, 0xEE));
    set_idt(r, 12, gate(0x60, 0x3000, 0x8E));  // at level 3: on the current stack
    r.user();
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == 0x3000);
    CHECK(r.get(Reg::cs) == 0x63);
    CHECK(r.dword(r.get(Reg::rsp)) == 0x50);
}

TEST_CASE("modes: double and triple faults in protected mode", "[modes]") {
    ModeRig r("mov ds, ax");
    r.set(Reg::rax, 0x1234);
    r.cpu.set_deliver_faults(true);
    SECTION("double") {
        set_idt(r, 8, gate(ModeRig::kCode32, kHandler, 0x8E));
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.get(Reg::rip) == kHandler);
        CHECK(r.dword(r.get(Reg::rsp)) == 0);
    }
    SECTION("triple") { CHECK(is<Shutdown>(r.run())); }
}

TEST_CASE("modes: returns that fault change nothing", "[modes]") {
    struct Case {
        u16 cs;
        u16 ss;
        Vector vector;
        u32 code;
    };
    const Case c = GENERATE(Case{0, 0x23, Vector::gp, 0}, Case{3, 0x23, Vector::gp, 0},
                            Case{0x13, 0x23, Vector::gp, 0x10}, Case{0x0B, 0x23, Vector::gp, 8},
                            Case{0x1B, 0, Vector::gp, 0}, Case{0x1B, 0x13, Vector::gp, 0x10},
                            Case{0x1B, 0x20, Vector::gp, 0x20}, Case{0x1B, 0x4B, Vector::ss, 0x48},
                            Case{0x53, 0x23, Vector::np, 0x50});
    const bool interrupt = GENERATE(false, true);
    ModeRig r(interrupt ? "iret" : "retf");
    r.put(ModeRig::kGdt + 0x48, descriptor(0, 0xFFFFF, 0x73, 0xC));
    r.put(ModeRig::kGdt + 0x50, descriptor(0, 0xFFFFF, 0x7B, 0xC));
    r.put(0x8000, 0x2000 | u64{c.cs} << 32);
    const u64 stack = interrupt ? 0x800C : 0x8008;
    if (interrupt) r.put(0x8008, 2);
    r.put(stack, 0x7000 | u64{c.ss} << 32);
    CAPTURE(interrupt, c.cs, c.ss);
    check_fault(r, fault(c.vector, c.code));
}

TEST_CASE("modes: IRET to level 3 loads what the level may see", "[modes]") {
    ModeRig r("iret");
    r.put(0x8000, 0x2000 | u64{ModeRig::kUserCode} << 32);
    r.put(0x8008, (flag::if_ | 3u << 12 | 2) | u64{0x7000} << 32);
    r.put(0x8010, ModeRig::kUserData);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == 0x2000);
    CHECK(r.get(Reg::rsp) == 0x7000);
    CHECK(r.get(Reg::rflags) == (flag::if_ | 3u << 12 | 2));
    for (Seg seg : {Seg::es, Seg::ds, Seg::fs, Seg::gs}) CHECK(r.get(selector_of(seg)) == 0);
}

TEST_CASE("modes: IRET to a 16-bit stack loads SP only", "[modes]") {
    ModeRig r("iret");
    r.put(ModeRig::kGdt + 0x48, descriptor(0, 0xFFFF, 0xF3, 0));
    r.put(0x8000, 0x2000 | u64{ModeRig::kUserCode} << 32);
    r.put(0x8008, 2 | u64{0x56787000} << 32);
    r.put(0x8010, 0x4B);
    r.set(Reg::rsp, 0x8000);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rsp) == 0x7000);
}

TEST_CASE("modes: gaps are said loudly", "[modes]") {
    SECTION("CLI with CR4.PVI") {
        ModeRig r("cli");
        r.user();
        r.set(Reg::cr4, cr4::pvi);
        CHECK(expect<NotModelled>(r.run()).what == "CLI or STI with CR4.PVI set");
    }
}

TEST_CASE("modes: MOV SS and POP SS hold interrupts off for one instruction", "[modes]") {
    for (const char* text : {"mov ss, ax\nnop\nnop", "push eax\npop ss\nnop\nnop"}) {
        ModeRig r(text);
        r.set(Reg::rax, ModeRig::kData32);
        r.set(Reg::rflags, flag::if_ | 2);
        if (text[0] == 'p') REQUIRE(is<StepsDone>(r.run()));
        REQUIRE(is<StepsDone>(r.run()));
        r.cpu.set_interrupt_line(true);
        CHECK_FALSE(r.cpu.interruptible());
        CHECK(is<StepsDone>(r.run()));
        CHECK(is<InterruptWindow>(r.run()));
    }
}

TEST_CASE("modes: code runs up to the segment limit and not beyond", "[modes]") {
    ModeRig r("nop\nnop\nmov eax, 1");
    r.set(Reg::cs_limit, 0x1005);
    const Outcome outcome = r.run(10);
    CHECK(expect<Fault>(outcome) == fault(Vector::gp, 0));
    CHECK(r.get(Reg::rip) == 0x1002);
}

TEST_CASE("modes: selectors of the LDT", "[modes]") {
    ModeRig r("mov ds, ax\nmov eax, [0]");
    r.put(0x7000 + 8, descriptor(0x55000, 0xF, 0x92, 4));
    r.put(0x55000, 0x12345678);
    r.set(Reg::rax, 0x0C);
    SECTION("loaded, with the accessed bit") {
        r.set(Reg::ldtr, 0x58);
        r.set(Reg::ldtr_base, 0x7000);
        r.set(Reg::ldtr_limit, 0xF);
        r.set(Reg::ldtr_attr, 0x82);
        REQUIRE(is<StepsDone>(r.run(2)));
        CHECK(r.get(Reg::rax) == 0x12345678);
        CHECK(r.byte(0x700D) == 0x93);
    }
    SECTION("beyond its limit") {
        r.set(Reg::ldtr_base, 0x7000);
        r.set(Reg::ldtr_limit, 0xE);
        r.set(Reg::ldtr_attr, 0x82);
        check_fault(r, fault(Vector::gp, 0x0C));
    }
    SECTION("without one") {
        r.set(Reg::ldtr_attr, attr::kUnusable);
        check_fault(r, fault(Vector::gp, 0x0C));
    }
}

TEST_CASE("modes: segments that may not be loaded", "[modes]") {
    const u16 selector = ModeRig::kFree;
    SECTION("data") {
        // Execute-only code, system, too privileged, conforming code that any level may read.
        const auto [access, user, good] =
            GENERATE(std::tuple{0x99u, false, false}, std::tuple{0x82u, false, false},
                     std::tuple{0x93u, true, false}, std::tuple{0xB3u, false, true},
                     std::tuple{0x9Bu, true, false}, std::tuple{0x9Fu, true, true});
        ModeRig r("mov es, ax");
        r.put(ModeRig::kGdt + selector, descriptor(0, 0xFFFFF, access, 0xC));
        if (user) r.user();
        r.set(Reg::rax, user ? selector | 3u : selector);
        CAPTURE(access, user);
        if (good) {
            REQUIRE(is<StepsDone>(r.run()));
            CHECK(r.get(Reg::es) == (user ? selector | 3u : selector));
        } else {
            check_fault(r, fault(Vector::gp, selector));
        }
    }
    SECTION("stack") {
        const u32 access = GENERATE(0x91u, 0x9Bu, 0xF3u, 0x13u);
        ModeRig r("mov ss, ax");
        r.put(ModeRig::kGdt + selector, descriptor(0, 0xFFFFF, access, 0xC));
        r.set(Reg::rax, selector);
        CAPTURE(access);
        check_fault(r, fault(access == 0x13 ? Vector::ss : Vector::gp, selector));
    }
}
