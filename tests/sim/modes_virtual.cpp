// Virtual-8086 mode (SDM 3A chapter 21): entry, what is sensitive to IOPL, and the ways out.
#include "tests/catch.hpp"
#include "tests/sim/modes_rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

constexpr u64 kMonitor = 0x3000;  // handler of #GP and interrupts, 32-bit code

// A virtual-8086 task at 0200:0000 with SS:SP = 0700:0100 and the other segments told apart.
class VirtualRig : public ModeRig {
  public:
    explicit VirtualRig(std::string_view text, u64 flags = flag::iopl) : ModeRig("iret") {
        code16(0x2000, text);
        const u32 frame[] = {0x0000, 0x0200, static_cast<u32>(flags | flag::vm | 2),
                             0x0100, 0x0700, 0x0E00,
                             0x0D00, 0x0F00, 0x0600};
        for (u32 i = 0; i < std::size(frame); ++i) put(0x7F00 + 4 * i, frame[i]);
        set(Reg::rsp, 0x7F00);
        put(kGdt + 0x58, descriptor(kTss, 0x67, 0x8B, 0));
        code32(kMonitor, "hlt");
        if (!is<StepsDone>(run())) throw std::runtime_error("no entry");
    }
    // Interrupts and faults go to the monitor.
    void deliver() {
        for (u64 v = 0; v < 0x40; ++v) put(kIdt + 8 * v, gate(kCode32, kMonitor, 0xEE));
        cpu.set_deliver_faults(true);
    }
};

const Fault kGp{.vector = Vector::gp, .has_error_code = true};

}  // namespace

TEST_CASE("virtual-8086: IRET enters it", "[modes]") {
    VirtualRig r("mov ax, [0x10]\nmov es, ax\npush ax\nhlt");
    CHECK(r.get(Reg::rip) == 0);
    CHECK(r.get(Reg::cs) == 0x200);
    CHECK(r.get(Reg::cs_base) == 0x2000);
    CHECK(r.get(Reg::cs_limit) == 0xFFFF);
    CHECK(r.get(Reg::ss_base) == 0x7000);
    CHECK(r.get(Reg::es_base) == 0xE000);
    CHECK(r.get(Reg::ds_base) == 0xD000);
    CHECK(r.get(Reg::fs_base) == 0xF000);
    CHECK(r.get(Reg::gs_base) == 0x6000);
    CHECK(cpl(r.cpu.state()) == 3);
    CHECK((r.get(Reg::rflags) & flag::vm) != 0);
    r.put(0xD010, 0xABCD);
    REQUIRE(is<StepsDone>(r.run(3)));
    CHECK(r.get(Reg::es_base) == 0xABCD0);
    CHECK(r.get(Reg::rsp) == 0xFE);
    CHECK(r.half(0x70FE) == 0xABCD);
    CHECK(expect<Fault>(r.run()) == kGp);  // HLT at level 3
}

TEST_CASE("virtual-8086: what is sensitive to IOPL", "[modes]") {
    const char* text = GENERATE("cli", "sti", "pushf", "popf", "iret", "int 0x20");
    CAPTURE(text);
    VirtualRig tight(text, 0);
    CHECK(expect<Fault>(tight.run()) == kGp);
    CHECK(tight.get(Reg::rip) == 0);
    VirtualRig open(text);
    const Outcome outcome = open.run();
    if (std::string_view(text) == "int 0x20") {
        CHECK(expect<Fault>(outcome).software);
    } else {
        CHECK(is<StepsDone>(outcome));
    }
    // These are not.
    VirtualRig trap("int3", 0);
    CHECK(expect<Fault>(trap.run()).vector == Vector::bp);
}

TEST_CASE("virtual-8086: POPF and IRET leave IOPL and VM alone", "[modes]") {
    VirtualRig r("popf");
    r.put(0x7100, 0x0AD7);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rflags) == (flag::vm | flag::iopl | 0xAD7));

    VirtualRig i("iretd");
    i.put(0x7100, 0x1234 | u64{0x300} << 32);
    i.put(0x7108, 0);
    REQUIRE(is<StepsDone>(i.run()));
    CHECK(i.get(Reg::rip) == 0x1234);
    CHECK(i.get(Reg::cs_base) == 0x3000);
    CHECK(i.get(Reg::rflags) == (flag::vm | flag::iopl | 2));
}

TEST_CASE("virtual-8086: what needs level 0 or descriptors", "[modes]") {
    const char* text = GENERATE("mov eax, cr0", "lgdt [0]", "clts", "invd", "rdmsr", "lmsw ax");
    CAPTURE(text);
    VirtualRig r(text);
    CHECK(expect<Fault>(r.run()) == kGp);
    const char* absent =
        GENERATE("sldt ax", "str ax", "lldt ax", "ltr ax", "lar ax, bx", "lsl ax, bx", "verr ax",
                 "verw ax", "arpl ax, bx", "db 0xc4, 0xe2, 0x60, 0xf2, 0xc1");
    CAPTURE(absent);
    VirtualRig u(absent);
    CHECK(expect<Fault>(u.run()).vector == Vector::ud);
    VirtualRig smsw("smsw ax");
    CHECK(is<StepsDone>(smsw.run()));
}

TEST_CASE("virtual-8086: ports by the I/O map alone", "[modes]") {
    VirtualRig r("in al, 0x60");
    r.put(ModeRig::kTss + 0x66, 0x68);  // behind the limit, and IOPL 3 does not help
    CHECK(expect<Fault>(r.run()) == kGp);
    r.set(Reg::tr_limit, 0x87);
    CHECK(expect<Exit>(r.run()).port == 0x60);
}

TEST_CASE("virtual-8086: interrupts leave it for level 0", "[modes]") {
    VirtualRig r("int 0x20");
    r.deliver();
    r.set(Reg::rflags, r.get(Reg::rflags) | flag::if_ | flag::tf);
    const u64 flags = r.get(Reg::rflags);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == kMonitor);
    CHECK(r.get(Reg::cs) == ModeRig::kCode32);
    CHECK(cpl(r.cpu.state()) == 0);
    CHECK(r.get(Reg::rsp) == 0x9000 - 36);
    const u32 frame[] = {2,      0x200, static_cast<u32>(flags), 0x100, 0x700, 0x0E00, 0x0D00,
                         0x0F00, 0x600};
    for (u32 i = 0; i < std::size(frame); ++i) {
        CAPTURE(i);
        CHECK(r.dword(0x9000 - 36 + 4 * i) == frame[i]);
    }
    CHECK((r.get(Reg::rflags) & (flag::vm | flag::if_ | flag::tf)) == (flag::if_ & 0));
    for (const Seg seg : {Seg::ds, Seg::es, Seg::fs, Seg::gs}) {
        CHECK(r.get(selector_of(seg)) == 0);
        CHECK((r.get(attr_of(seg)) & attr::kUnusable) != 0);
    }
    // And back.
    r.code32(kMonitor, "iret");
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rflags) == flags);
    CHECK(r.get(Reg::rip) == 2);
    CHECK(r.get(Reg::gs_base) == 0x6000);
}

TEST_CASE("virtual-8086: handlers above level 0 are #GP", "[modes]") {
    VirtualRig r("int 0x20");
    r.deliver();
    r.put(ModeRig::kIdt + 0x20 * 8, gate(ModeRig::kUserCode, kMonitor, 0xEE));
    REQUIRE(is<Halted>(r.run(3)));
    CHECK(r.dword(r.get(Reg::rsp)) == 0x18);
    CHECK(r.dword(r.get(Reg::rsp) + 4) == 0);  // on the INT
}

TEST_CASE("virtual-8086: offsets end at 64 KBytes", "[modes]") {
    VirtualRig r("mov eax, [0xfffe]");
    CHECK(expect<Fault>(r.run()) == kGp);
    VirtualRig far("db 0xea, 4, 0, 0, 3");
    REQUIRE(is<StepsDone>(far.run()));
    CHECK(far.get(Reg::cs_base) == 0x3000);
    CHECK(far.get(Reg::rip) == 4);
}

TEST_CASE("virtual-8086: states that do not exist, and CR4.VME, are said", "[modes]") {
    VirtualRig r("nop");
    r.set(Reg::cr4, cr4::vme);
    CHECK(is<NotModelled>(r.run()));
    ModeRig p("nop");
    p.set(Reg::rflags, flag::vm | 2);
    CHECK(is<NotModelled>(p.run()));
}
