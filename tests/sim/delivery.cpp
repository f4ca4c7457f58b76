// Interrupts and exceptions through a 64-bit IDT (SDM 3A 6.14, 6.15), and IRETQ back.
#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

constexpr u64 kGdt = 0x10000, kIdt = 0x11000, kTss = 0x12000, kHandler = 0x20000;
constexpr u64 kKernelStack = 0x30000, kIstStack = 0x40008;

struct Gate {
    unsigned type = 0xE;
    unsigned dpl = 0;
    unsigned ist = 0;
    bool present = true;
    u16 selector = 0x08;
    u64 target = kHandler;
};

// GDT: 08 kernel code, 10 kernel data, 18 user data, 20 user code. Every vector has its handler
// at kHandler + 16 * vector, which is a HLT.
struct Guest : Rig {
    explicit Guest(std::string_view text) : Rig(text) {
        cpu.set_deliver_faults(true);
        put(kGdt + 0x08, 0x00AF9B000000FFFF);
        put(kGdt + 0x10, 0x00CF93000000FFFF);
        put(kGdt + 0x18, 0x00CFF3000000FFFF);
        put(kGdt + 0x20, 0x00AFFB000000FFFF);
        set(Reg::gdtr_base, kGdt);
        set(Reg::gdtr_limit, 0x27);
        set(Reg::idtr_base, kIdt);
        set(Reg::idtr_limit, 0xFFF);
        set(Reg::tr, 0x28);
        set(Reg::tr_base, kTss);
        set(Reg::tr_limit, 0x67);
        put(kTss + 4, kKernelStack);
        put(kTss + 0x24, kIstStack);
        put(kTss + 0x66, 0xFFFF);  // no I/O map
        for (unsigned vector = 0; vector < 256; ++vector) {
            gate(vector, {.target = kHandler + 16 * vector});
            bytes(kHandler + 16 * vector, {0xF4});
        }
    }
    void gate(unsigned vector, const Gate& g) {
        const u64 low = (g.target & 0xFFFF) | u64{g.selector} << 16 | u64{g.ist} << 32 |
                        u64{g.type} << 40 | u64{g.dpl} << 45 | u64{g.present} << 47 |
                        (g.target >> 16 & 0xFFFF) << 48;
        put(kIdt + 16 * vector, low);
        put(kIdt + 16 * vector + 8, g.target >> 32);
    }
    void user() {
        set_cpl(3);
        set(Reg::cs, 0x23);
        set(Reg::ss, 0x1B);
        for (const Seg seg : {Seg::es, Seg::ds, Seg::fs, Seg::gs}) {
            set(selector_of(seg), 0x1B);
            set(attr_of(seg), get(Reg::ss_attr));
        }
    }
    // The vector whose handler is next, after running to the HLT in it.
    unsigned vector_taken() {
        if (!is<Halted>(finish())) throw std::runtime_error("not halted");
        return static_cast<unsigned>((get(Reg::rip) - kHandler) / 16);
    }
    u64 stack(unsigned slot) { return word(get(Reg::rsp) + 8 * slot); }
};

}  // namespace

TEST_CASE("delivery: a fault without error code, frame and flags", "[sim]") {
    Guest rig("nop\nud2");
    rig.set(Reg::rflags, flag::if_ | flag::zf | flag::df | flag::nt | flag::ac);
    const u64 flags = rig.get(Reg::rflags);
    CHECK(is<StepsDone>(rig.run(2)));
    CHECK(rig.cpu.steps() == 2);
    CHECK(rig.get(Reg::rip) == kHandler + 16 * 6);
    CHECK(rig.get(Reg::rsp) == 0x8000 - 40);
    CHECK(rig.stack(0) == Rig::kCode + 1);
    CHECK(rig.stack(1) == 0x08);
    CHECK(rig.stack(2) == (flags | flag::rf));
    CHECK(rig.stack(3) == 0x8000);
    CHECK(rig.stack(4) == 0x10);
    CHECK(rig.get(Reg::rflags) == (flags & ~(flag::if_ | flag::nt)));
}

TEST_CASE("delivery: interrupt and trap gates differ in IF", "[sim]") {
    Guest rig("ud2");
    rig.gate(6, {.type = 0xF});
    rig.set(Reg::rflags, flag::if_);
    rig.run();
    CHECK((rig.get(Reg::rflags) & flag::if_) != 0);
}

TEST_CASE("delivery: the stack is aligned to 16 bytes", "[sim]") {
    for (const u64 rsp : {0x8000u, 0x8001u, 0x800Fu}) {
        Guest rig("ud2");
        rig.set(Reg::rsp, rsp);
        rig.run();
        CHECK(rig.get(Reg::rsp) == 0x8000 - 40);
        CHECK(rig.stack(3) == rsp);
    }
}

TEST_CASE("delivery: an error code is on top of the frame", "[sim]") {
    Guest rig("mov rax, [rbx]");
    rig.set(Reg::rbx, u64{1} << 63);
    rig.run();
    CHECK(rig.get(Reg::rip) == kHandler + 16 * 13);
    CHECK(rig.get(Reg::rsp) == 0x8000 - 48);
    CHECK(rig.stack(0) == 0);
    CHECK(rig.stack(1) == Rig::kCode);
}

TEST_CASE("delivery: CR2 is written by a page fault", "[sim]") {
    Guest rig("mov rax, [rbx]");
    PageTables tables(rig);
    tables.map(0, 0, PageTables::p | PageTables::w | PageTables::u, 2);
    tables.activate();
    rig.set(Reg::rbx, 0x400123);
    rig.run();
    CHECK(rig.get(Reg::rip) == kHandler + 16 * 14);
    CHECK(rig.get(Reg::cr2) == 0x400123);
    CHECK(rig.stack(0) == 0);
}

// SDM 3A 6.15, interrupt 14: also by those that become a double fault or a shutdown.
TEST_CASE("delivery: CR2 is written by page faults that are not delivered", "[sim]") {
    Guest rig("mov rax, [rbx]");
    PageTables tables(rig);
    tables.map(0, 0, PageTables::p | PageTables::w | PageTables::u, 2);
    tables.activate();
    rig.set(Reg::rbx, 0x400123);
    SECTION("another exception makes it a double fault") {
        rig.gate(14, {.present = false});
        CHECK(rig.vector_taken() == 8);
        CHECK(rig.get(Reg::cr2) == 0x400123);
    }
    SECTION("a second page fault makes it a double fault") {
        rig.set(Reg::rsp, 0x500000);
        rig.gate(8, {.ist = 1, .target = kHandler + 16 * 8});
        CHECK(rig.vector_taken() == 8);
        CHECK(rig.get(Reg::cr2) == 0x500000 - 8 * 6);
    }
    SECTION("a third one shuts the processor down") {
        rig.set(Reg::rsp, 0x500000);
        rig.gate(8, {.ist = 1});
        rig.put(kTss + 0x24, 0x600000);
        CHECK(is<Shutdown>(rig.run()));
        CHECK(rig.get(Reg::cr2) == 0x600000 - 8 * 6);
    }
}

// Vectors 1, 3, 4 and n; only INT1 does not ask for the gate's level (SDM 3A 6.12.1.2). INTO does
// not exist in 64-bit code.
TEST_CASE("delivery: INT1 passes a gate that INT3 and INT n may not", "[sim]") {
    Guest rig("int1\nint3");
    rig.user();
    CHECK(rig.vector_taken() == 1);
    CHECK(rig.stack(0) == Rig::kCode + 1);
    CHECK(rig.get(Reg::dr6) == 0xFFFF0FF0);
    rig.user();
    rig.set(Reg::rsp, 0x8000);
    rig.jump(Rig::kCode + 1);
    CHECK(rig.vector_taken() == 13);
    CHECK(rig.stack(0) == 3 * 8 + 2);
    CHECK(rig.stack(1) == Rig::kCode + 1);
}

// What the processor delivers first and second, by table 6-5 of SDM 3A: 0 benign, 1 contributory,
// 2 page fault.
TEST_CASE("delivery: which two exceptions make a double fault", "[sim]") {
    const unsigned first = GENERATE(0u, 1u, 2u);
    const unsigned second = GENERATE(1u, 2u);
    const char* const texts[] = {"ud2", "mov rax, [rcx]", "mov rax, [rbx]"};
    constexpr unsigned kVectors[] = {6, 13, 14};
    Guest rig(texts[first]);
    PageTables tables(rig);
    tables.map(0, 0, PageTables::p | PageTables::w | PageTables::u, 2);
    tables.activate();
    rig.set(Reg::rbx, 0x400000);
    rig.set(Reg::rcx, u64{1} << 63);
    // The first one's delivery fails: its gate is absent, or its stack is not mapped.
    if (second == 1) {
        rig.gate(kVectors[first], {.present = false});
    } else {
        rig.gate(kVectors[first], {.ist = 1, .target = kHandler + 16 * kVectors[first]});
        rig.put(kTss + 0x24, 0x500000);
    }
    const bool twice = (first == 1 && second == 1) || first == 2;
    CHECK(rig.vector_taken() == (twice ? 8u : second == 1 ? 11u : 14u));
}

TEST_CASE("delivery: from CPL 3 the stack of the TSS is used, and SS is null", "[sim]") {
    Guest rig("ud2");
    rig.user();
    rig.run();
    CHECK(rig.get(Reg::rsp) == kKernelStack - 40);
    CHECK(rig.stack(1) == 0x23);
    CHECK(rig.stack(3) == 0x8000);
    CHECK(rig.stack(4) == 0x1B);
    CHECK(rig.get(Reg::cs) == 0x08);
    CHECK(rig.get(Reg::ss) == 0);
    CHECK(cpl(rig.cpu.state()) == 0);
    CHECK(rig.get(Reg::cs_attr) == 0xA09B);
}

TEST_CASE("delivery: an IST stack is used at every level", "[sim]") {
    for (const bool user : {false, true}) {
        Guest rig("ud2");
        rig.gate(6, {.ist = 1});
        if (user) rig.user();
        rig.run();
        CHECK(rig.get(Reg::rsp) == (kIstStack & ~u64{15}) - 40);
        CHECK(rig.get(Reg::ss) == (user ? 0 : 0x10));
    }
}

TEST_CASE("delivery: software interrupts return behind the instruction", "[sim]") {
    Guest rig("int 0x80\nint3");
    rig.run();
    CHECK(rig.get(Reg::rip) == kHandler + 16 * 0x80);
    CHECK(rig.stack(0) == Rig::kCode + 2);
    CHECK((rig.stack(2) & flag::rf) == 0);
    rig.set(Reg::rsp, 0x8000);
    rig.jump(Rig::kCode + 2);
    rig.run();
    CHECK(rig.get(Reg::rip) == kHandler + 16 * 3);
    CHECK(rig.stack(0) == Rig::kCode + 3);
}

TEST_CASE("delivery: a software interrupt needs the gate's DPL", "[sim]") {
    Guest rig("int 0x80");
    rig.user();
    CHECK(rig.vector_taken() == 13);
    CHECK(rig.stack(0) == 0x80 * 8 + 2);
    CHECK(rig.stack(1) == Rig::kCode);
    rig.user();
    rig.gate(0x80, {.dpl = 3, .target = kHandler + 16 * 0x80});
    rig.jump();
    CHECK(rig.vector_taken() == 0x80);
    // Hardware events do not ask for it.
    rig.user();
    rig.code(Rig::kCode, "ud2");
    rig.jump();
    CHECK(rig.vector_taken() == 6);
}

TEST_CASE("delivery: bad gates and selectors", "[sim]") {
    const auto taken = [](const Gate& gate, u64& code) {
        Guest rig("ud2");
        rig.put(kGdt + 0x28, 0x00AF1B000000FFFF);  // not present
        rig.put(kGdt + 0x30, 0x00CF9B000000FFFF);  // 32-bit code
        rig.set(Reg::gdtr_limit, 0x37);
        rig.gate(6, gate);
        const unsigned vector = rig.vector_taken();
        code = rig.stack(0);
        return vector;
    };
    u64 code = 0;
    CHECK(taken({.present = false}, code) == 11);
    CHECK(code == 6 * 8 + 3);
    CHECK(taken({.type = 0xC}, code) == 13);
    CHECK(code == 6 * 8 + 3);
    CHECK(taken({.selector = 0}, code) == 13);
    CHECK(code == 1);
    CHECK(taken({.selector = 0x10}, code) == 13);
    CHECK(code == 0x11);
    CHECK(taken({.selector = 0x38}, code) == 13);
    CHECK(code == 0x39);
    CHECK(taken({.selector = 0x28}, code) == 11);
    CHECK(code == 0x29);
    CHECK(taken({.selector = 0x30}, code) == 13);
    CHECK(code == 0x31);
    CHECK(taken({.target = u64{1} << 47}, code) == 13);
    CHECK(code == 1);
}

TEST_CASE("delivery: a vector beyond the IDT's limit", "[sim]") {
    Guest rig("int 0x80");
    rig.set(Reg::idtr_limit, 0x80 * 16 + 14);
    CHECK(rig.vector_taken() == 13);
    CHECK(rig.stack(0) == 0x80 * 8 + 2);
}

TEST_CASE("delivery: an IST entry outside the TSS is #TS", "[sim]") {
    Guest rig("ud2");
    rig.gate(6, {.ist = 1});
    rig.set(Reg::tr_limit, 0x2A);
    CHECK(rig.vector_taken() == 10);
    CHECK(rig.stack(0) == 0x29);
}

TEST_CASE("delivery: double faults", "[sim]") {
    SECTION("contributory after contributory") {
        Guest rig("mov rax, [rbx]");
        rig.set(Reg::rbx, u64{1} << 63);
        rig.gate(13, {.present = false});
        CHECK(rig.vector_taken() == 8);
        CHECK(rig.stack(0) == 0);
        CHECK(rig.stack(1) == Rig::kCode);
    }
    SECTION("contributory after benign is handled in turn") {
        Guest rig("ud2");
        rig.gate(6, {.present = false});
        CHECK(rig.vector_taken() == 11);
    }
    SECTION("page fault, then anything but benign; benign ones not") {
        Guest rig("mov rax, [rbx]");
        PageTables tables(rig);
        tables.map(0, 0, PageTables::p | PageTables::w, 2);
        tables.activate();
        rig.set(Reg::rbx, 0x400000);
        rig.gate(14, {.selector = 0});
        CHECK(rig.vector_taken() == 8);
    }
    SECTION("a page fault after a contributory exception is handled in turn") {
        Guest rig("mov rax, [rbx]");
        PageTables tables(rig);
        tables.map(0, 0, PageTables::p | PageTables::w, 2);
        tables.activate();
        rig.set(Reg::rbx, u64{1} << 63);
        rig.gate(13, {.ist = 1});
        rig.put(kTss + 0x24, 0x500000);
        CHECK(rig.vector_taken() == 14);
        CHECK(rig.get(Reg::cr2) == 0x500000 - 8 * 6);
        CHECK(rig.stack(0) == 2);
    }
}

TEST_CASE("delivery: a fault while a double fault is delivered shuts the processor down", "[sim]") {
    Guest rig("ud2");
    rig.set(Reg::idtr_limit, 0);
    CHECK(is<Shutdown>(rig.run()));
    CHECK(rig.get(Reg::activity) == 2);
    CHECK(rig.get(Reg::rip) == Rig::kCode);
    CHECK(rig.cpu.steps() == 0);
    CHECK(is<Shutdown>(rig.run()));
}

TEST_CASE("delivery: IRETQ resumes what was interrupted", "[sim]") {
    for (const bool user : {false, true}) {
        Guest rig("nop\nint 0x80\nhlt");
        rig.gate(0x80, {.dpl = 3});
        rig.code(kHandler, "iretq");
        if (user) rig.user();
        rig.set(Reg::rflags, flag::if_ | flag::cf | flag::df);
        rig.run();
        const CpuState before = rig.cpu.state();
        rig.run(2);
        CpuState expected = before;
        expected[Reg::rip] = Rig::kCode + 3;
        expected[Reg::tsc] += 2;
        for (const RegInfo& row : registers()) {
            INFO(row.name);
            CHECK(rig.cpu.state().get(row.reg) == expected.get(row.reg));
        }
    }
}

TEST_CASE("delivery: IRETQ to CPL 3 takes away the segments of the kernel", "[sim]") {
    Guest rig("iretq");
    rig.set(Reg::rsp, 0x7000);
    rig.put(0x7000, 0x3000);
    rig.put(0x7008, 0x23);
    rig.put(0x7010, 0x202 | flag::iopl);
    rig.put(0x7018, 0x6000);
    rig.put(0x7020, 0x1B);
    rig.set(Reg::fs, 0x1B);
    rig.set(Reg::fs_attr, 0xC0F3);
    rig.run();
    CHECK(rig.get(Reg::rip) == 0x3000);
    CHECK(rig.get(Reg::rsp) == 0x6000);
    CHECK(cpl(rig.cpu.state()) == 3);
    CHECK(rig.get(Reg::ds) == 0);
    CHECK(rig.get(Reg::ds_attr) == attr::kUnusable);
    CHECK(rig.get(Reg::fs) == 0x1B);
    // At CPL 3 IRETQ changes neither IOPL nor, above it, IF.
    rig.set(Reg::rflags, flag::if_);
    rig.put(0x7008, 0x23);
    rig.put(0x7010, flag::iopl | flag::cf);
    rig.set(Reg::rsp, 0x7000);
    rig.jump();
    rig.run();
    CHECK(rig.get(Reg::rflags) == (flag::if_ | flag::cf | flag::kAlwaysSet));
}

TEST_CASE("delivery: IRETQ refuses bad selectors", "[sim]") {
    const auto code_of = [](u64 cs, u64 ss, u64 rip, bool user) {
        Guest rig("iretq");
        rig.cpu.set_deliver_faults(false);
        if (user) rig.user();
        rig.set(Reg::rsp, 0x7000);
        rig.put(0x7000, rip);
        rig.put(0x7008, cs);
        rig.put(0x7018, 0x6000);
        rig.put(0x7020, ss);
        const Fault f = expect<Fault>(rig.run());
        CHECK(f.vector == Vector::gp);
        CHECK(rig.get(Reg::rsp) == 0x7000);
        return f.error_code;
    };
    CHECK(code_of(0, 0x10, 0, false) == 0);
    CHECK(code_of(0x10, 0x10, 0, false) == 0x10);    // data
    CHECK(code_of(0x20, 0x10, 0, false) == 0x20);    // RPL is not DPL
    CHECK(code_of(0x08, 0x18, 0, false) == 0x18);    // SS of another level
    CHECK(code_of(0x08, 0x10, 0, true) == 0x08);     // inwards
    CHECK(code_of(0x100, 0x10, 0, false) == 0x100);  // beyond the table
    CHECK(code_of(0x0C, 0x10, 0, false) == 0x0C);    // no LDT
    CHECK(code_of(0x23, 0, 0, false) == 0);          // null SS at CPL 3
    CHECK(code_of(0x08, 0x10, u64{1} << 47, false) == 0);
}

TEST_CASE("delivery: external interrupts", "[sim]") {
    Guest rig("sti\nhlt\nnop");
    CHECK(is<Halted>(rig.finish()));
    CHECK(is<Halted>(rig.run()));
    CHECK_FALSE(rig.cpu.deliver_interrupt(0x30).has_value());
    CHECK(rig.get(Reg::rip) == kHandler + 16 * 0x30);
    CHECK(rig.get(Reg::activity) == 0);
    CHECK(rig.stack(0) == Rig::kCode + 2);
    CHECK((rig.stack(2) & flag::rf) == 0);
    CHECK(rig.get(Reg::rsp) == 0x8000 - 40);  // vectors of exceptions, too, have no error code
    CHECK_FALSE(rig.cpu.deliver_interrupt(13).has_value());
    CHECK(rig.get(Reg::rsp) == 0x8000 - 40 - 8 - 40);
    // EXT is set in the error code of what goes wrong.
    rig.gate(0x31, {.present = false});
    CHECK_FALSE(rig.cpu.deliver_interrupt(0x31).has_value());
    CHECK(rig.get(Reg::rip) == kHandler + 16 * 11);
    CHECK(rig.stack(0) == 0x31 * 8 + 3);
    rig.set(Reg::idtr_limit, 0);
    const auto ended = rig.cpu.deliver_interrupt(0x30);
    REQUIRE(ended.has_value());
    CHECK(is<Shutdown>(*ended));
}

TEST_CASE("delivery: observers hear of every fault that is delivered", "[sim]") {
    struct Listener : Observer {
        std::vector<Vector> heard;
        bool before_instruction(const Cpu&, u64) override { return false; }
        void delivering(const Cpu&, const Fault& f) override { heard.push_back(f.vector); }
    } listener;
    Guest rig("mov rax, [rbx]");
    rig.set(Reg::rbx, u64{1} << 63);
    rig.gate(13, {.present = false});
    rig.run(1, &listener);
    CHECK(listener.heard == std::vector<Vector>{Vector::gp, Vector::df});
    CHECK(rig.cpu.steps() == 1);
}

TEST_CASE("delivery: a read outside RAM during delivery is an exit", "[sim]") {
    Guest rig("ud2");
    rig.machine.set_ram(0, {{0, kIdt - 1}});
    const Exit e = expect<Exit>(rig.run());
    CHECK(e.kind == ExitKind::memory);
    CHECK(e.gpa == kIdt + 16 * 6);
}
