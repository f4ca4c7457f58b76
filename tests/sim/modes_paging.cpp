// Paging of 32-bit and PAE page tables (SDM 3A 4.3, 4.4, 4.7, 4.8).
#include "tests/catch.hpp"
#include "tests/sim/modes_rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

constexpr u64 kDirectory = 0x10000, kTable = 0x11000;
constexpr u32 p = 1, w = 2, u = 4, accessed = 0x20, dirty = 0x40, large = 0x80;

// Linear 0-4 MBytes through kTable: identity but for what a test changes. EBX = 300000h.
class PagedRig : public ModeRig {
  public:
    explicit PagedRig(std::string_view text) : ModeRig(text) {
        for (u32 i = 0; i < 1024; ++i) put32(kTable + 4 * i, i << 12 | p | w | u);
        put32(kDirectory, kTable | p | w | u);
        set(Reg::cr3, kDirectory);
        set(Reg::cr0, 0x80010031);
        set(Reg::rbx, 0x300000);
    }
    void put32(u64 at, u32 value) {
        bytes(at, {static_cast<u8>(value), static_cast<u8>(value >> 8),
                   static_cast<u8>(value >> 16), static_cast<u8>(value >> 24)});
    }
    void page(u32 entry) { put32(kTable + 4 * 0x300, entry); }
    u32 page() const { return dword(kTable + 4 * 0x300); }
};

Fault page_fault(u32 code, u64 address) {
    return {.vector = Vector::pf, .has_error_code = true, .error_code = code, .cr2 = address};
}

}  // namespace

TEST_CASE("modes: 32-bit paging translates and sets accessed and dirty bits", "[modes]") {
    PagedRig r("mov eax, [ebx]\nmov [ebx+4], eax");
    r.page(0x55000 | p | w | u);
    r.put(0x55000, 0x12345678);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rax) == 0x12345678);
    CHECK(r.page() == (0x55000 | p | w | u | accessed));
    CHECK(r.dword(kDirectory) == (kTable | p | w | u | accessed));
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.dword(0x55004) == 0x12345678);
    CHECK(r.page() == (0x55000 | p | w | u | accessed | dirty));
    CHECK(r.dword(kDirectory) == (kTable | p | w | u | accessed));
}

TEST_CASE("modes: page faults of 32-bit paging", "[modes]") {
    struct Case {
        u32 entry;
        bool write;
        bool user;
        bool wp;
        i64 code;  // -1: none
    };
    const Case c = GENERATE(Case{0, false, false, true, 0}, Case{0, true, false, true, 2},
                            Case{0, false, true, true, 4}, Case{0, true, true, true, 6},
                            Case{p | w, false, true, true, 5}, Case{p | w, true, true, true, 7},
                            Case{p | u, true, true, true, 7}, Case{p | u, true, false, true, 3},
                            Case{p | u, true, false, false, -1}, Case{p | u, true, true, false, 7},
                            Case{p, false, false, true, -1});
    PagedRig r(c.write ? "mov [ebx+8], eax" : "mov eax, [ebx+8]");
    if (c.user) r.user();
    if (!c.wp) r.set(Reg::cr0, 0x80000031);
    r.page(c.entry == 0 ? 0 : 0x55000 | c.entry);
    CAPTURE(c.entry, c.write, c.user);
    const Outcome outcome = r.run();
    if (c.code < 0) {
        CHECK(is<StepsDone>(outcome));
    } else {
        CHECK(expect<Fault>(outcome) == page_fault(static_cast<u32>(c.code), 0x300008));
    }
}

TEST_CASE("modes: 4-MByte pages exist with CR4.PSE only", "[modes]") {
    PagedRig r("mov eax, [ebx]\nmov [ebx], eax");
    r.set(Reg::rbx, 0x40523458);
    r.put32(kDirectory + 4 * 0x101, 0xC00000 | p | w | large);
    r.put(0xD23458, 0x12345678);
    SECTION("with") {
        r.set(Reg::cr4, cr4::pse);
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.get(Reg::rax) == 0x12345678);
        CHECK(r.dword(kDirectory + 4 * 0x101) == (0xC00000 | p | w | large | accessed));
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.dword(kDirectory + 4 * 0x101) == (0xC00000 | p | w | large | accessed | dirty));
    }
    SECTION("reserved bits of its address") {
        r.set(Reg::cr4, cr4::pse);
        r.put32(kDirectory + 4 * 0x101, 0xC02000 | p | w | large);
        CHECK(expect<Fault>(r.run()) == page_fault(9, 0x40523458));
    }
    SECTION("without, the entry points to a table") {
        r.put32(0xC00000 + 4 * 0x123, 0x55000 | p | w);
        r.put(0x55458, 0x87654321);
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.get(Reg::rax) == 0x87654321);
    }
}

TEST_CASE("modes: a fetch fault has no fetch bit in 32-bit paging, EFER.NXE or not", "[modes]") {
    PagedRig r("nop");
    r.set(Reg::efer, efer::nxe);
    r.put32(kTable + 4, 0);
    CHECK(expect<Fault>(r.run()) == page_fault(0, Rig::kCode));
}

TEST_CASE("modes: a page fault is delivered with its error code and CR2", "[modes]") {
    PagedRig r("mov [ebx+8], eax");
    r.page(0);
    r.put(ModeRig::kIdt + 14 * 8, gate(ModeRig::kCode32, 0x2000, 0x8E));
    r.user();
    r.cpu.set_deliver_faults(true);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::cr2) == 0x300008);
    CHECK(r.get(Reg::rip) == 0x2000);
    CHECK(r.get(Reg::rsp) == 0x9000 - 24);
    CHECK(r.dword(0x8FE8) == 6);
}

TEST_CASE("modes: PAE paging", "[modes]") {
    constexpr u64 kPointers = 0x12020, kPaeDirectory = 0x13000, kPaeTable = 0x14000;
    constexpr u64 nx = u64{1} << 63;
    ModeRig r("mov [ebx], eax\ncall ebx");
    r.put(kPointers, kPaeDirectory | p);
    r.put(kPaeDirectory, 0 | p | w | u | large);                   // 0-2 MBytes
    r.put(kPaeDirectory + 8, kPaeTable | p | w | u);               // 2-4 MBytes
    r.put(kPaeTable + 8 * 0x100, 0x1'0005'5000 | p | w | u | nx);  // 300000h, above 4 GBytes
    r.set(Reg::cr3, kPointers);
    r.set(Reg::cr4, cr4::pae);
    r.set(Reg::efer, efer::nxe);
    r.set(Reg::cr0, 0x80010031);
    r.set(Reg::rbx, 0x300000);
    r.set(Reg::rax, 0x12345678);
    SECTION("translates, with accessed and dirty bits but in the top entries") {
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.dword(0x100055000) == 0x12345678);
        CHECK(r.word(kPointers) == (kPaeDirectory | p));
        CHECK(r.word(kPaeDirectory + 8) == (kPaeTable | p | w | u | accessed));
        CHECK(r.word(kPaeTable + 8 * 0x100) == (0x1'0005'5000 | p | w | u | nx | accessed | dirty));
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(expect<Fault>(r.run()) == page_fault(0x11, 0x300000));
    }
    SECTION("the top bit is reserved without EFER.NXE") {
        r.set(Reg::efer, 0);
        CHECK(expect<Fault>(r.run()) == page_fault(0xB, 0x300000));
    }
    SECTION("so are bits 62 to 52") {
        r.put(kPaeTable + 8 * 0x100, 0x55000 | p | w | u64{1} << 52);
        CHECK(expect<Fault>(r.run()) == page_fault(0xB, 0x300000));
    }
    SECTION("a missing top entry") {
        r.set(Reg::rbx, 0x40000000);
        CHECK(expect<Fault>(r.run()) == page_fault(2, 0x40000000));
    }
    SECTION("no user accesses through a supervisor's table") {
        r.put(kPaeDirectory + 8, kPaeTable | p | w);
        r.user();
        CHECK(expect<Fault>(r.run()) == page_fault(7, 0x300000));
    }
}
