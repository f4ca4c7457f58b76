// Call gates of long mode (SDM 3A 5.8.3.1, 5.8.5.1).
#include "tests/catch.hpp"
#include "tests/sim/modes_rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

constexpr u64 kGdt = 0x4000, kTss = 0x6000, kTarget = 0x123456002000;
constexpr u16 kKernel = 0x08, kUserCode = 0x18 | 3, kUserData = 0x20 | 3, kCode32 = 0x28,
              kConforming = 0x30, kGate = 0x40;

// A program at level 3 that does CALL or JMP far [0x3000] through the gate.
class GateRig : public Rig {
  public:
    explicit GateRig(std::string_view text = "db 0xff, 0x1c, 0x25, 0, 0x30, 0, 0") : Rig(text) {
        put(kGdt + kKernel, 0x00AF9B000000FFFF);
        put(kGdt + 0x18, 0x00AFFB000000FFFF);
        put(kGdt + 0x20, 0x00CFF3000000FFFF);
        put(kGdt + kCode32, 0x00CF9B000000FFFF);
        put(kGdt + kConforming, 0x00AF9F000000FFFF);
        make_gate(kKernel);
        put(kTss + 4, 0x9000);
        set(Reg::gdtr_base, kGdt);
        set(Reg::gdtr_limit, 0x4F);
        set(Reg::tr_base, kTss);
        set(Reg::tr_limit, 0x67);
        put(0x3000, u64{kGate} << 32);
        set_cpl(3);
        set(Reg::cs, kUserCode);
        set(Reg::ss, kUserData);
    }
    void make_gate(u16 code, u64 access = 0xEC, u64 upper = 0) {
        put(kGdt + kGate, gate(code, static_cast<u32>(kTarget), access));
        put(kGdt + kGate + 8, kTarget >> 32 | upper);
    }
};

Fault fault(Vector v, u32 code) {
    return {.vector = v, .has_error_code = true, .error_code = code};
}

}  // namespace

TEST_CASE("long call gates: inwards, with a stack of the TSS and a null SS", "[modes]") {
    GateRig r;
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == kTarget);
    CHECK(r.get(Reg::cs) == kKernel);
    CHECK(cpl(r.cpu.state()) == 0);
    CHECK(r.get(Reg::ss) == 0);
    CHECK(r.get(Reg::rsp) == 0x9000 - 32);
    CHECK(r.word(0x9000 - 32) == Rig::kCode + 7);
    CHECK(r.word(0x9000 - 24) == kUserCode);
    CHECK(r.word(0x9000 - 16) == 0x8000);
    CHECK(r.word(0x9000 - 8) == kUserData);
    // And back with a 64-bit RETF.
    r.code(0x2800, "db 0x48, 0xcb");
    r.jump(0x2800);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == Rig::kCode + 7);
    CHECK(r.get(Reg::rsp) == 0x8000);
    CHECK(cpl(r.cpu.state()) == 3);
}

TEST_CASE("long call gates: to conforming code the stack stays", "[modes]") {
    GateRig r;
    r.make_gate(kConforming);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::cs) == (kConforming | 3));
    CHECK(r.get(Reg::rsp) == 0x8000 - 16);
    CHECK(r.word(0x8000 - 16) == Rig::kCode + 7);
    CHECK(r.word(0x8000 - 8) == kUserCode);

    GateRig jmp("db 0xff, 0x2c, 0x25, 0, 0x30, 0, 0");
    jmp.make_gate(kConforming);
    REQUIRE(is<StepsDone>(jmp.run()));
    CHECK(jmp.get(Reg::rip) == kTarget);
    CHECK(jmp.get(Reg::rsp) == 0x8000);
}

TEST_CASE("long call gates: what is refused", "[modes]") {
    GateRig r;
    const CpuState before = r.cpu.state();
    SECTION("the gate's level") {
        r.make_gate(kKernel, 0x8C);
        CHECK(expect<Fault>(r.run()) == fault(Vector::gp, kGate));
    }
    SECTION("absent") {
        r.make_gate(kKernel, 0x6C);
        CHECK(expect<Fault>(r.run()) == fault(Vector::np, kGate));
    }
    SECTION("a type in the upper half") {
        r.make_gate(kKernel, 0xEC, u64{1} << 40);
        CHECK(expect<Fault>(r.run()) == fault(Vector::gp, kGate));
    }
    SECTION("half outside of the GDT") {
        r.set(Reg::gdtr_limit, 0x47);
        CHECK(expect<Fault>(r.run()) == fault(Vector::gp, kGate));
        return;
    }
    SECTION("a 16-bit gate") {
        r.make_gate(kKernel, 0xE4);
        CHECK(expect<Fault>(r.run()) == fault(Vector::gp, kGate));
    }
    SECTION("32-bit code") {
        r.make_gate(kCode32);
        CHECK(expect<Fault>(r.run()) == fault(Vector::gp, kCode32));
    }
    SECTION("null") {
        r.make_gate(3);
        CHECK(expect<Fault>(r.run()) == fault(Vector::gp, 0));
    }
    SECTION("a jump inwards") {
        r.code(Rig::kCode, "db 0xff, 0x2c, 0x25, 0, 0x30, 0, 0");
        CHECK(expect<Fault>(r.run()) == fault(Vector::gp, kKernel));
    }
    SECTION("a stack that is not canonical") {
        r.put(kTss + 4, u64{1} << 47);
        r.put(kTss + 4, (u64{1} << 47) + 32);
        CHECK(expect<Fault>(r.run()) == fault(Vector::ss, 0));
    }
    CHECK(r.cpu.state() == before);
}
