// INS and OUTS where ports do not exit: INS stores ones, what OUTS reads is lost.
#include "tests/catch.hpp"
#include "tests/sim/modes_rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

TEST_CASE("ports: INS stores ones, OUTS drops what it reads", "[io]") {
    Rig rig("insb\nrep insd\nrep outsw\nhlt");
    rig.cpu.set_exits({.ports = false});
    rig.put(0x4008, 0);
    rig.set(Reg::rdi, 0x4000);
    rig.set(Reg::rsi, 0x5000);
    rig.set(Reg::rcx, 2);
    rig.run(2);
    CHECK(rig.get(Reg::rdi) == 0x4009);
    CHECK(rig.get(Reg::rcx) == 0);
    CHECK(rig.word(0x4000) == ~u64{0});
    CHECK(rig.word(0x4008) == 0xFF);
    rig.set(Reg::rcx, 3);
    CHECK(is<Halted>(rig.run(10)));
    CHECK(rig.get(Reg::rsi) == 0x5006);
    CHECK(rig.cpu.steps() == 4);
}

TEST_CASE("ports: string accesses downwards, and by the address size", "[io]") {
    Rig rig("std\ndb 0x67, 0xf3, 0x6d\nhlt");  // rep insd [edi]
    rig.cpu.set_exits({.ports = false});
    rig.set(Reg::rdi, 0xFFFFFFFF00004004);
    rig.set(Reg::rcx, 0xFFFFFFFF00000002);
    CHECK(is<Halted>(rig.run(10)));
    CHECK(rig.get(Reg::rdi) == 0x3FFC);
    CHECK(rig.get(Reg::rcx) == 0);
    CHECK(rig.word(0x4000) == ~u64{0});
}

TEST_CASE("ports: a string access that faults keeps what was done before", "[io]") {
    ModeRig r("rep insb");
    r.cpu.set_exits({.ports = false});
    r.set(Reg::es_limit, 0x4003);
    r.set(Reg::rdi, 0x4000);
    r.set(Reg::rcx, 9);
    CHECK(expect<Fault>(r.run()) == Fault{.vector = Vector::gp, .has_error_code = true});
    CHECK(r.get(Reg::rcx) == 5);
    CHECK(r.get(Reg::rdi) == 0x4004);
    CHECK(r.dword(0x4000) == 0xFFFFFFFF);
}

TEST_CASE("ports: string accesses are bounded work, and step between iterations", "[io]") {
    Rig rig("rep outsb");
    rig.cpu.set_exits({.ports = false});
    rig.set(Reg::rcx, 1000);
    CHECK(is<OutOfWork>(rig.cpu.run({.steps = 1, .iterations = 10})));
    CHECK(rig.get(Reg::rcx) == 990);
    rig.set(Reg::rflags, flag::tf);
    CHECK(expect<Fault>(rig.run()).vector == Vector::db);
    CHECK(rig.get(Reg::rcx) == 989);
}
