// 4-level paging (SDM 3A 4.5 to 4.8) and the RAM map, through instructions.
#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

using T = PageTables;
constexpr u64 kData = 0x400000;      // linear
constexpr u64 kDataFrame = 0x30000;  // physical

// Code and stack mapped for everybody; the test maps kData.
struct Paged : Rig {
    PageTables tables;

    explicit Paged(std::string_view text) : Rig(text), tables(*this) {
        tables.map(0x1000, 0x1000, T::p | T::w);
        tables.map(0x7000, 0x7000, T::p | T::w | T::u);
        set(Reg::rbx, kData);
    }
    void map(u64 bits) { tables.map(kData, kDataFrame, bits); }
    void user_code() {
        tables.map(0x1000, 0x1000, T::p | T::u);
        set_cpl(3);
    }
    u64 entry(u64 linear = kData, unsigned level = 1) {
        return word(tables.entry_at(linear, level));
    }
    // The fault of the next instruction.
    Fault fault() {
        tables.activate();
        jump();
        return expect<Fault>(run());
    }
    bool works() {
        tables.activate();
        jump();
        return is<StepsDone>(run());
    }
};

Fault page_fault(u32 code, u64 address = kData) {
    return {.vector = Vector::pf, .has_error_code = true, .error_code = code, .cr2 = address};
}

constexpr auto kLoad = "mov rax, [rbx]";
constexpr auto kStore = "mov [rbx], rax";
constexpr auto kJump = "jmp rbx";

}  // namespace

TEST_CASE("paging: a mapped page", "[sim]") {
    Paged rig(kLoad);
    rig.map(T::p);
    rig.put(kDataFrame, 0x1234);
    CHECK(rig.works());
    CHECK(rig.get(Reg::rax) == 0x1234);
}

TEST_CASE("paging: accessed and dirty bits", "[sim]") {
    Paged rig("mov rax, [rbx]\nmov [rbx], rax");
    rig.map(T::p | T::w);
    rig.tables.activate();
    CHECK((rig.entry() & (T::a | T::d)) == 0);
    rig.run();
    CHECK((rig.entry() & (T::a | T::d)) == T::a);
    for (unsigned level = 2; level <= 4; ++level) {
        CHECK((rig.entry(kData, level) & (T::a | T::d)) == T::a);
    }
    rig.run();
    CHECK((rig.entry() & (T::a | T::d)) == (T::a | T::d));
    CHECK((rig.entry(kData, 2) & T::d) == 0);
    CHECK((rig.entry(0x1000) & (T::a | T::d)) == T::a);  // fetched from
}

TEST_CASE("paging: a faulting access sets neither A nor D", "[sim]") {
    Paged rig(kStore);
    rig.user_code();
    rig.map(T::p | T::u);
    CHECK(rig.fault() == page_fault(7));
    CHECK((rig.entry() & (T::a | T::d)) == 0);
}

TEST_CASE("paging: not present at each level", "[sim]") {
    for (unsigned level = 1; level <= 4; ++level) {
        Paged rig(kLoad);
        const u64 far = u64{0x123} << 39 | 0x45678;  // shares no table with the code
        rig.tables.map(far & ~kPageMask, kDataFrame, T::p);
        rig.put(rig.tables.entry_at(far, level), 0);
        rig.set(Reg::rbx, far | 0xFFFF000000000000);
        CHECK(rig.fault() == page_fault(0, far | 0xFFFF000000000000));
        CHECK(rig.get(Reg::rip) == Rig::kCode);
        CHECK(rig.get(Reg::cr2) == 0);  // written by delivery only
    }
}

TEST_CASE("paging: error codes of reads, writes and fetches", "[sim]") {
    SECTION("supervisor") {
        CHECK(Paged(kLoad).fault() == page_fault(0));
        CHECK(Paged(kStore).fault() == page_fault(2));
        Paged fetch(kJump);
        fetch.tables.activate();
        CHECK(expect<Fault>(fetch.run(2)) == page_fault(0x10));
        CHECK(fetch.get(Reg::rip) == kData);
    }
    SECTION("user") {
        for (const auto& [text, code] : {std::pair{kLoad, 4u}, std::pair{kStore, 6u}}) {
            Paged rig(text);
            rig.user_code();
            CHECK(rig.fault() == page_fault(code));
            rig.map(T::p | T::w);
            CHECK(rig.fault() == page_fault(code | 1));
        }
    }
    SECTION("without NX and SMEP the fetch bit is not reported") {
        Paged rig(kJump);
        rig.set(Reg::efer, efer::lme | efer::lma);
        rig.tables.activate();
        CHECK(expect<Fault>(rig.run(2)) == page_fault(0));
    }
}

TEST_CASE("paging: write protection", "[sim]") {
    SECTION("user") {
        Paged rig(kStore);
        rig.user_code();
        rig.map(T::p | T::u);
        CHECK(rig.fault() == page_fault(7));
        rig.map(T::p | T::u | T::w);
        CHECK(rig.works());
    }
    SECTION("supervisor, by CR0.WP") {
        Paged rig(kStore);
        rig.map(T::p);
        CHECK(rig.fault() == page_fault(3));
        rig.set(Reg::cr0, rig.get(Reg::cr0) & ~cr0::wp);
        CHECK(rig.works());
        rig.set(Reg::cr0, rig.get(Reg::cr0) | cr0::wp);
        CHECK(rig.fault() == page_fault(3));
    }
    SECTION("an upper level counts too") {
        Paged rig(kStore);
        rig.map(T::p | T::w);
        rig.put(rig.tables.entry_at(kData, 2), rig.entry(kData, 2) & ~T::w);
        CHECK(rig.fault() == page_fault(3));
    }
    SECTION("a read-modify-write faults as a write, and changes nothing") {
        Paged rig("add [rbx], rax");
        rig.user_code();
        rig.map(T::p | T::u);
        const CpuState before = rig.cpu.state();
        CHECK(rig.fault() == page_fault(7));
        CHECK(rig.get(Reg::rflags) == before[Reg::rflags]);
    }
}

TEST_CASE("paging: execute disable", "[sim]") {
    Paged rig(kJump);
    rig.bytes(kDataFrame, {0x90});
    rig.map(T::p | T::nx);
    rig.tables.activate();
    CHECK(expect<Fault>(rig.run(2)) == page_fault(0x11));
    rig.jump();
    rig.map(T::p);
    rig.tables.activate();
    CHECK(is<StepsDone>(rig.run(2)));
    CHECK(rig.get(Reg::rip) == kData + 1);

    // The bit is reserved while EFER.NXE is clear.
    Paged reserved(kLoad);
    reserved.map(T::p | T::nx);
    reserved.set(Reg::efer, efer::lme | efer::lma);
    CHECK(reserved.fault() == page_fault(9));
}

TEST_CASE("paging: SMEP", "[sim]") {
    Paged rig(kJump);
    rig.map(T::p | T::u);
    rig.set(Reg::cr4, rig.get(Reg::cr4) | cr4::smep);
    rig.tables.activate();
    CHECK(expect<Fault>(rig.run(2)) == page_fault(0x11));
}

TEST_CASE("paging: SMAP, and its override by EFLAGS.AC", "[sim]") {
    Paged rig(kLoad);
    rig.map(T::p | T::u);
    rig.set(Reg::cr4, rig.get(Reg::cr4) | cr4::smap);
    rig.tables.map(0x7000, 0x7000, T::p | T::w);
    CHECK(rig.fault() == page_fault(1));
    rig.set(Reg::rflags, flag::ac);
    CHECK(rig.works());
    rig.set(Reg::rflags, 0);  // what the TLB holds was allowed by AC only
    CHECK(rig.fault() == page_fault(1));
    rig.set(Reg::cr4, rig.get(Reg::cr4) & ~cr4::smap);
    CHECK(rig.works());
}

TEST_CASE("paging: a user page needs the user bit at every level", "[sim]") {
    Paged rig(kLoad);
    rig.user_code();
    rig.map(T::p | T::u);
    CHECK(rig.works());
    rig.put(rig.tables.entry_at(kData, 2), rig.entry(kData, 2) & ~T::u);
    CHECK(rig.fault() == page_fault(5));
}

TEST_CASE("paging: what the supervisor has cached is no right of the user", "[sim]") {
    Paged rig("mov rax, [rbx]");
    rig.map(T::p);
    CHECK(rig.works());
    rig.user_code();
    rig.jump();
    CHECK(expect<Fault>(rig.run()) == page_fault(5));
}

TEST_CASE("paging: large pages", "[sim]") {
    SECTION("2 MiB") {
        Paged rig("mov rax, [rbx]\nmov [rbx], rcx");
        rig.tables.map(0x600000, 0x800000, T::p | T::w, 2);
        rig.set(Reg::rbx, 0x600000 + 0x1FFF0);
        rig.put(0x81FFF0, 0x55);
        rig.tables.activate();
        CHECK(is<StepsDone>(rig.run(2)));
        CHECK(rig.get(Reg::rax) == 0x55);
        CHECK((rig.entry(0x600000, 2) & (T::a | T::d)) == (T::a | T::d));
        rig.tables.map(0x600000, 0x800000 | 0x2000, T::p | T::w, 2);  // reserved address bit
        rig.jump();
        CHECK(rig.fault() == page_fault(9, 0x61FFF0));
        rig.tables.map(0x600000, 0x800000 | 0x1000, T::p | T::w, 2);  // bit 12 is PAT
        CHECK(rig.works());
        CHECK(rig.get(Reg::rax) == rig.get(Reg::rcx));
    }
    SECTION("1 GiB") {
        Paged rig(kLoad);
        rig.tables.map(0x40000000, 0x80000000, T::p, 3);
        rig.set(Reg::rbx, 0x40000000 + 0x3FFFFF00);
        rig.put(0xBFFFFF00, 0x66);
        CHECK(rig.works());
        CHECK(rig.get(Reg::rax) == 0x66);
    }
    SECTION("not at the top level") {
        Paged rig(kLoad);
        rig.map(T::p);
        const u64 far = u64{5} << 39;
        rig.tables.map(far, kDataFrame, T::p);
        rig.put(rig.tables.entry_at(far, 4), rig.entry(far, 4) | T::ps);
        rig.set(Reg::rbx, far);
        CHECK(rig.fault() == page_fault(9, far));
    }
}

TEST_CASE("paging: a store that crosses into a page that is not there writes nothing", "[sim]") {
    for (const bool cached : {false, true}) {
        Paged rig(kStore);
        rig.map(T::p | T::w);
        rig.set(Reg::rax, ~u64{0});
        if (cached) REQUIRE(rig.works());
        rig.put(kDataFrame, 0);
        rig.set(Reg::rbx, kData + 0xFFC);
        CHECK(rig.fault() == page_fault(2, kData + 0x1000));
        CHECK(rig.word(kDataFrame + 0xFF8) == 0);
        // The lower page missing: the fault is at the address of the access.
        rig.set(Reg::rbx, kData - 4);
        CHECK(rig.fault() == page_fault(2, kData - 4));
        CHECK(rig.word(kDataFrame) == 0);
    }
}

TEST_CASE("paging: accesses across two pages", "[sim]") {
    Paged rig("mov [rbx], rax\nmov rcx, [rbx]");
    rig.map(T::p | T::w);
    rig.tables.map(kData + 0x1000, 0x50000, T::p | T::w);
    rig.set(Reg::rbx, kData + 0xFFD);
    rig.set(Reg::rax, 0x8877665544332211);
    rig.tables.activate();
    for (int pass = 0; pass < 2; ++pass) {
        rig.jump();
        rig.set(Reg::rcx, 0);
        CHECK(is<StepsDone>(rig.run(2)));
        CHECK(rig.get(Reg::rcx) == 0x8877665544332211);
        CHECK(rig.word(0x50000) == 0x8877665544);
        CHECK(rig.word(kDataFrame + 0xFF8) >> 40 == 0x332211);
    }
}

TEST_CASE("paging: the TLB holds a translation until INVLPG or a write of CR3", "[sim]") {
    for (const char* flush : {"invlpg [rbx]", "mov cr3, rdx"}) {
        Paged rig(std::string("mov rax, [rbx]\nmov rax, [rbx]\n") + flush + "\nmov rax, [rbx]");
        rig.map(T::p);
        rig.put(kDataFrame, 1);
        rig.put(0x50000, 2);
        rig.set(Reg::rdx, T::kRoot);
        rig.tables.activate();
        rig.run();
        rig.tables.map(kData, 0x50000, T::p);
        rig.run();
        CHECK(rig.get(Reg::rax) == 1);
        rig.run(2);
        CHECK(rig.get(Reg::rax) == 2);
    }
}

TEST_CASE("paging: alignment is checked at CPL 3 with CR0.AM and EFLAGS.AC", "[sim]") {
    Paged rig(kLoad);
    rig.user_code();
    rig.map(T::p | T::u);
    rig.set(Reg::rbx, kData + 1);
    CHECK(rig.works());
    rig.set(Reg::cr0, rig.get(Reg::cr0) | cr0::am);
    CHECK(rig.works());
    rig.set(Reg::rflags, flag::ac);
    CHECK(rig.fault() == Fault{.vector = Vector::ac, .has_error_code = true});
    rig.set(Reg::rbx, kData + 8);
    CHECK(rig.works());
    rig.set(Reg::rbx, kData + 1);
    CHECK(rig.fault().vector == Vector::ac);
    rig.tables.map(0x1000, 0x1000, T::p);
    rig.set_cpl(0);
    CHECK(rig.works());
}

TEST_CASE("paging: looking without touching", "[sim]") {
    Paged rig(kLoad);
    rig.map(T::p);
    rig.tables.map(0x40000000, 0x80000000, T::p, 3);
    rig.tables.activate();
    CHECK(rig.cpu.peek_physical(kData + 5) == kDataFrame + 5);
    CHECK(rig.cpu.peek_physical(0x40000000 + 0x12345678) == 0x80000000 + 0x12345678);
    CHECK_FALSE(rig.cpu.peek_physical(kData + 0x1000).has_value());
    CHECK_FALSE(rig.cpu.peek_physical(u64{1} << 47).has_value());
    CHECK((rig.entry() & T::a) == 0);
    CHECK(rig.cpu.peek_code(kData + 0xFFE, 15).size() == 2);
    CHECK(rig.cpu.peek_code(Rig::kCode, 3) == std::vector<u8>{0x48, 0x8B, 0x03});
}

TEST_CASE("RAM map: accesses outside it exit", "[sim]") {
    SECTION("load and store") {
        for (const bool write : {false, true}) {
            Rig rig(write ? "mov [rbx], eax" : "mov eax, [rbx]");
            rig.machine.set_ram(0, {{0, 0x1FFFF}});
            rig.set(Reg::rbx, 0x20010);
            const CpuState before = rig.cpu.state();
            const Exit e = expect<Exit>(rig.run());
            CHECK(e.kind == ExitKind::memory);
            CHECK(e.gpa == 0x20010);
            CHECK(e.gva == 0x20010);
            CHECK(e.size == 4);
            CHECK(e.access == (write ? Access::write : Access::read));
            CHECK(rig.cpu.state() == before);
            CHECK(rig.cpu.steps() == 0);
        }
    }
    SECTION("through page tables, which must be RAM themselves") {
        Paged rig(kStore);
        rig.map(T::p | T::w);
        rig.machine.set_ram(0, {{0, kDataFrame - 1}, {T::kRoot, T::kRoot + 0xFFFFF}});
        rig.tables.activate();
        const Exit e = expect<Exit>(rig.run());
        CHECK(e.gpa == kDataFrame);
        CHECK(e.gva == kData);
        rig.machine.set_ram(0, {{0, kDataFrame + 0xFFF}});
        CHECK(expect<Exit>(rig.run()).gpa == T::kRoot);
    }
    SECTION("fetch") {
        Rig rig("jmp rbx");
        rig.machine.set_ram(0, {{0, 0x1FFFF}});
        rig.set(Reg::rbx, 0x20000);
        const Exit e = expect<Exit>(rig.run(2));
        CHECK(e.access == Access::execute);
        CHECK(e.gpa == 0x20000);
        CHECK(rig.get(Reg::rip) == 0x20000);
    }
    SECTION("a map with a hole inside a page") {
        Rig rig("mov [rbx], al");
        rig.machine.set_ram(0, {{0, 0x27FF}, {0x2810, 0x8FFF}});
        rig.set(Reg::rbx, 0x27FF);
        CHECK(is<StepsDone>(rig.run()));
        rig.jump();
        rig.set(Reg::rbx, 0x2800);
        CHECK(is<Exit>(rig.run()));
        rig.set(Reg::rbx, 0x2810);
        CHECK(is<StepsDone>(rig.run()));
    }
    SECTION("a store that is half outside writes nothing") {
        Rig rig("mov [rbx], rax");
        rig.machine.set_ram(0, {{0, 0x1FFFF}});
        rig.set(Reg::rbx, 0x1FFFC);
        rig.set(Reg::rax, ~u64{0});
        CHECK(expect<Exit>(rig.run()).gpa == 0x20000);
        CHECK(rig.word(0x1FFF8) == 0);
    }
    SECTION("each address space has its own") {
        Rig rig("mov eax, [rbx]");
        rig.machine.set_ram(1, {{0, 0x1FFFF}});
        rig.set(Reg::rbx, 0x20000);
        CHECK(is<StepsDone>(rig.run()));
        rig.jump();
        rig.cpu.set_address_space(1);
        CHECK(is<Exit>(rig.run()));
        rig.cpu.set_address_space(0);
        CHECK(is<StepsDone>(rig.run()));
    }
}
