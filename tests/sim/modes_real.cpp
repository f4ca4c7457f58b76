// Real mode: delivery through the vector table, segments, and what differs between ways to run.
#include "tests/catch.hpp"
#include "tests/sim/modes_rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

class RealRig : public ModeRig {
  public:
    explicit RealRig(std::string_view text = "") {
        real(*this);
        if (!text.empty()) code16(kCode, text);
    }
    void vector(unsigned number, u16 segment, u16 offset) {
        put(number * 4u, (word(number * 4u) & ~u64{0xFFFFFFFF}) | offset | u64{segment} << 16);
        cpu.set_deliver_faults(true);
    }
};

}  // namespace

TEST_CASE("modes: real-mode interrupts push FLAGS, CS and IP", "[modes]") {
    RealRig r("int 0x21\nhlt");
    r.code16(0x12340 + 0x10, "iret");
    r.vector(0x21, 0x1234, 0x10);
    r.set(Reg::rflags, flag::cf | flag::if_ | flag::nt | flag::ac | 2);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::cs) == 0x1234);
    CHECK(r.get(Reg::cs_base) == 0x12340);
    CHECK(r.get(Reg::rip) == 0x10);
    CHECK(r.get(Reg::rsp) == 0x7FFA);
    CHECK(r.half(0x7FFA) == 0x1002);
    CHECK(r.half(0x7FFC) == 0);
    CHECK(r.half(0x7FFE) == (flag::cf | flag::if_ | flag::nt | 2));
    CHECK(r.get(Reg::rflags) == (flag::cf | flag::nt | 2));
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::cs) == 0);
    CHECK(r.get(Reg::rip) == 0x1002);
    CHECK(r.get(Reg::rsp) == 0x8000);
    CHECK(r.get(Reg::rflags) == (flag::cf | flag::if_ | flag::nt | 2));
    CHECK(is<Halted>(r.run()));
}

TEST_CASE("modes: real-mode exceptions return to the instruction, without error codes", "[modes]") {
    RealRig r("mov ax, [bx]");
    r.set(Reg::rbx, 0xFFFF);
    r.vector(13, 0, 0x2000);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == 0x2000);
    CHECK(r.get(Reg::rsp) == 0x7FFA);
    CHECK(r.half(0x7FFA) == Rig::kCode);
}

TEST_CASE("modes: the real-mode vector table has a base and a limit", "[modes]") {
    RealRig r("int 0x21");
    r.set(Reg::idtr_base, 0x3000);
    r.put(0x3000 + 0x21 * 4, 0x2000);
    r.put(0x3000 + 13 * 4, 0x2100);
    r.cpu.set_deliver_faults(true);
    SECTION("within") {
        r.set(Reg::idtr_limit, 0x21 * 4 + 3);
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.get(Reg::rip) == 0x2000);
    }
    SECTION("beyond is #GP") {
        r.set(Reg::idtr_limit, 0x21 * 4 + 2);
        REQUIRE(is<StepsDone>(r.run()));
        CHECK(r.get(Reg::rip) == 0x2100);
        CHECK(r.half(0x7FFA) == Rig::kCode);
    }
    SECTION("no table at all is a shutdown") {
        r.set(Reg::idtr_limit, 0);
        CHECK(is<Shutdown>(r.run()));
    }
}

TEST_CASE("modes: external interrupts in real mode wake HLT", "[modes]") {
    RealRig r("sti\nhlt");
    r.vector(8, 0x100, 0x20);
    CHECK(is<Halted>(r.finish()));
    r.cpu.set_interrupt_line(true);
    CHECK(is<InterruptWindow>(r.run()));
    CHECK_FALSE(r.cpu.deliver_interrupt(8).has_value());
    CHECK(r.cpu.linear_ip() == 0x1020);
    CHECK(r.half(0x7FFA) == 0x1002);
    CHECK(r.half(0x7FFE) == (flag::if_ | 2));
}

TEST_CASE("modes: the single-step trap in real mode", "[modes]") {
    RealRig r("nop\nnop");
    r.vector(1, 0, 0x2000);
    r.set(Reg::rflags, flag::tf | 2);
    REQUIRE(is<StepsDone>(r.run(2)));
    CHECK(r.get(Reg::rip) == 0x2000);
    CHECK(r.half(0x7FFA) == 0x1001);
    CHECK((r.half(0x7FFE) & flag::tf) != 0);
}

TEST_CASE("modes: ways to run 16- and 32-bit code agree", "[modes]") {
    // Calls, strings, segments, stack and self-modified code, at once, step by step, and observed.
    static constexpr std::string_view kText = R"(
        mov ax, 0x2000
        mov es, ax
        xor di, di
        mov ecx, 40
        mov ax, 0x1234
        cld
        rep stosw
        mov ecx, 5
    again:
        push cx
        call twice
        pop cx
        add byte [cs:patch + 1], 3
    patch:
        mov al, 0x10
        stosb
        pushf
        pushad
        popad
        popf
        loop again
        mov bx, 0xfffe
        mov [es:bx], di
        hlt
    twice:
        mov eax, ecx
        add eax, eax
        stosd
        ret
    )";
    const bool wide = GENERATE(false, true);
    std::string text(kText);
    if (wide) {
        for (const auto& [from, to] :
             {std::pair{"mov ax, 0x2000", "mov ax, 0x10"},
              std::pair{"xor di, di", "mov edi, 0x20000"},
              std::pair{"mov bx, 0xfffe", "mov ebx, 0x2fffe"},
              std::pair{"[es:bx], di", "[es:ebx], di"}, std::pair{"cs:patch", "patch"}}) {
            const auto at = text.find(from);
            REQUIRE(at != std::string::npos);
            text.replace(at, std::string_view(from).size(), to);
        }
    }
    class Counter : public Observer {
      public:
        u64 asked = 0;
        bool before_instruction(const Cpu&, u64) override {
            ++asked;
            return false;
        }
    };
    const auto make = [&] {
        auto rig = std::make_unique<ModeRig>();
        if (wide) {
            rig->code32(Rig::kCode, text);
        } else {
            ModeRig::real(*rig);
            rig->code16(Rig::kCode, text);
        }
        return rig;
    };
    auto whole = make();
    auto stepped = make();
    auto observed = make();
    auto twice = make();
    REQUIRE(is<Halted>(whole->finish()));
    Outcome last = StepsDone{};
    for (unsigned i = 0; i < 1000 && is<StepsDone>(last); ++i) last = stepped->run();
    REQUIRE(is<Halted>(last));
    Counter counter;
    REQUIRE(is<Halted>(observed->finish(&counter)));
    CHECK(counter.asked == observed->cpu.steps());

    CHECK(whole->half(0x2FFFE) == 80 + 5 * 5);
    CHECK(whole->byte(0x20050) == 10);
    CHECK(whole->byte(0x20054) == 0x13);
    for (auto* other : {&stepped, &observed}) {
        CHECK((*other)->cpu.state() == whole->cpu.state());
        CHECK((*other)->cpu.steps() == whole->cpu.steps());
        for (u64 at = 0x20000; at < 0x20080; at += 8) {
            CHECK((*other)->word(at) == whole->word(at));
        }
    }

    // Once more in the same machine: what was decoded is still there or rightly dropped.
    REQUIRE(is<Halted>(twice->finish()));
    const u8 patched = twice->byte(0x20050 + 5 * 4 + 4);
    twice->jump();
    REQUIRE(is<Halted>(twice->finish()));
    CHECK(twice->byte(0x20050 + 5 * 4 + 4) == static_cast<u8>(patched + 15));
}
