// One program that goes from real mode through protected mode to 64-bit code, to compatibility mode
// and all the way back, as boot code does (SDM 3A 10.9, 10.8.5).
#include "tests/catch.hpp"
#include "tests/sim/modes_rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

constexpr std::string_view kTour = R"(
    bits 16
        lgdt [gdt_pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        db 0xea
        dw protected, 8
    bits 32
    protected:
        mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x8000
        push eax
        mov eax, cr4
        or eax, 0x20
        mov cr4, eax
        mov eax, 0x100000
        mov cr3, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x100
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov dword [0x3000], 0x11111111
        db 0xea
        dd long_mode
        dw 0x40
    bits 64
    long_mode:
        mov rax, 0x123456789abcdef0
        mov [0x3008], rax
        inc rax
        push 8
        push compatible
        db 0x48, 0xcb
    bits 32
    compatible:
        mov edx, 0xffffffff
        inc edx
        db 0x40                     ; INC EAX here, a REX prefix in 64-bit code
        mov [0x3010], eax
        mov [0x3014], esp
        mov ecx, 0xc0000080
        rdmsr
        mov [0x3018], eax
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        rdmsr
        mov [0x301c], eax
        db 0xea
        dd narrow
        dw 0x28
    bits 16
    narrow:
        mov ax, 0x30
        mov ds, ax
        mov ss, ax
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        db 0xea
        dw real, 0
    real:
        mov ax, 0x300
        mov ds, ax
        mov word [0x20], 0x2222
        hlt
    gdt_pointer:
        dw 0xff
        dd 0x4000
)";

std::unique_ptr<ModeRig> at_the_start() {
    auto r = std::make_unique<ModeRig>();
    ModeRig::real(*r);
    r->code16(Rig::kCode, kTour);
    PageTables(*r).map(0, 0, PageTables::p | PageTables::w, 2);  // 2 MBytes, identity
    return r;
}

}  // namespace

TEST_CASE("modes: a tour of all modes", "[modes]") {
    auto r = at_the_start();
    const Outcome end = r->finish();
    CAPTURE(end.index(), r->get(Reg::rip));
    REQUIRE(is<Halted>(end));
    CHECK(r->dword(0x3000) == 0x11111111);
    CHECK(r->word(0x3008) == 0x123456789ABCDEF0);
    CHECK(r->dword(0x3010) == 0x9ABCDEF2);
    CHECK(r->dword(0x3014) == 0x7FFC);
    CHECK(r->dword(0x3018) == (efer::lme | efer::lma));
    CHECK(r->dword(0x301C) == efer::lme);
    CHECK(r->half(0x3020) == 0x2222);
    CHECK(r->get(Reg::rdx) == 0);
    CHECK(r->get(Reg::cr0) == 0x60000010);
    CHECK(r->get(Reg::cs) == 0);
    CHECK(r->get(Reg::ds_base) == 0x3000);

    auto stepped = at_the_start();
    Outcome last = StepsDone{};
    for (unsigned i = 0; i < 200 && is<StepsDone>(last); ++i) last = stepped->run();
    REQUIRE(is<Halted>(last));
    CHECK(stepped->cpu.state() == r->cpu.state());
    CHECK(stepped->cpu.steps() == r->cpu.steps());

    class Quiet : public Observer {
      public:
        bool before_instruction(const Cpu&, u64) override { return false; }
    };
    auto observed = at_the_start();
    Quiet quiet;
    REQUIRE(is<Halted>(observed->finish(&quiet)));
    CHECK(observed->cpu.state() == r->cpu.state());
    CHECK(observed->cpu.steps() == r->cpu.steps());

    // The same bytes once more in the same machine.
    r->cpu.set_state(stepped->cpu.state());
    ModeRig::real(*r);
    REQUIRE(is<Halted>(r->finish()));
    CHECK(r->cpu.state() == observed->cpu.state());
}

TEST_CASE("modes: long mode needs PAE and no 16-bit TSS", "[modes]") {
    ModeRig r("mov cr0, eax");
    r.set(Reg::efer, efer::lme);
    r.set(Reg::rax, 0x80000031);
    const Fault gp{.vector = Vector::gp, .has_error_code = true};
    SECTION("no PAE") { CHECK(expect<Fault>(r.run()) == gp); }
    SECTION("16-bit TSS") {
        r.set(Reg::cr4, cr4::pae);
        r.set(Reg::tr_attr, 0x83);
        CHECK(expect<Fault>(r.run()) == gp);
    }
    SECTION("paging without protection") {
        r.set(Reg::rax, 0x80000030);
        CHECK(expect<Fault>(r.run()) == gp);
    }
    CHECK(r.get(Reg::cr0) == 0x31);
    CHECK(r.get(Reg::efer) == efer::lme);
}

TEST_CASE("modes: an interrupt in compatibility mode reaches a 64-bit handler above 4 GBytes",
          "[modes]") {
    ModeRig r;
    constexpr u64 kHigh = 0xFFFF800000000000;
    r.code32(Rig::kCode, "int 0x30\nmov ds, ax");
    r.code(0x2000, "iretq");
    r.put(0x10000 + 0x30 * 16, gate(ModeRig::kCode64, 0x2000, 0xEE));
    r.put(0x10000 + 0x30 * 16 + 8, 0xFFFF8000);
    r.put(ModeRig::kTss + 4, kHigh + 0x9000);
    PageTables tables(r);
    const u64 all = PageTables::p | PageTables::w | PageTables::u;
    tables.map(0, 0, all, 2);
    tables.map(kHigh, 0, PageTables::p | PageTables::w, 2);
    r.user();
    r.set(Reg::cr4, cr4::pae);
    r.set(Reg::efer, efer::lme | efer::lma);
    r.set(Reg::cr3, PageTables::kRoot);
    r.set(Reg::cr0, 0x80000031);
    r.set(Reg::gdtr_base, kHigh + ModeRig::kGdt);
    r.set(Reg::idtr_base, kHigh + 0x10000);
    r.set(Reg::idtr_limit, 0xFFF);
    r.set(Reg::tr_base, kHigh + ModeRig::kTss);
    r.cpu.set_deliver_faults(true);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == kHigh + 0x2000);
    CHECK(r.get(Reg::cs) == ModeRig::kCode64);
    CHECK(r.get(Reg::rsp) == kHigh + 0x9000 - 40);
    CHECK(r.word(0x8FD8) == 0x1002);
    CHECK(r.word(0x8FE0) == ModeRig::kUserCode);
    CHECK(r.word(0x8FF0) == 0x8000);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == 0x1002);
    CHECK(r.get(Reg::cs) == ModeRig::kUserCode);
    CHECK(r.get(Reg::rsp) == 0x8000);
    r.set(Reg::rax, ModeRig::kUserData);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::ds) == ModeRig::kUserData);
}

TEST_CASE("modes: an address that wraps at 4 GBytes is not remembered for 64-bit code", "[modes]") {
    ModeRig r;
    r.code32(Rig::kCode, "mov eax, [ebx]\nmov [ebx], eax\ndb 0xea\ndd 0x2000\ndw 0x40");
    r.code(0x2000, "mov rcx, 0x100003000\nmov [rcx], rax\nmov rdx, [rcx]");
    r.put(0x3000, 0x12345678);
    r.put(0x100003000, 0x1111);
    r.set(Reg::cr4, cr4::pae);
    r.set(Reg::efer, efer::lme | efer::lma);
    r.set(Reg::identity_map, 1);
    r.set(Reg::cr0, 0x80000031);
    r.set(Reg::ds_base, 0xFFFFF000);
    r.set(Reg::rbx, 0x4000);
    REQUIRE(is<StepsDone>(r.run(3)));
    CHECK(r.get(Reg::rax) == 0x12345678);
    REQUIRE(is<StepsDone>(r.run(3)));
    CHECK(r.word(0x3000) == 0x12345678);
    CHECK(r.word(0x100003000) == 0x12345678);
}

TEST_CASE("modes: real mode keeps the limits that protected mode has loaded", "[modes]") {
    // "Unreal" mode: DS goes on with 4 GBytes (SDM 3A 3.4.3).
    ModeRig r;
    ModeRig::real(r);
    r.code16(Rig::kCode, R"(
        mov eax, cr0
        or al, 1
        mov cr0, eax
        mov bx, 0x10
        mov ds, bx
        and al, 0xfe
        mov cr0, eax
        mov bx, 0x100
        mov ds, bx
        mov ebx, 0x200000
        mov dword [ebx], 0x12345678
        hlt)");
    r.set(Reg::gdtr_base, ModeRig::kGdt);
    r.set(Reg::gdtr_limit, 0xFF);
    REQUIRE(is<Halted>(r.finish()));
    CHECK(r.dword(0x201000) == 0x12345678);
}
