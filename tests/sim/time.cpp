// Virtual time: the time-stamp counter counts steps, however a run is divided.
#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

// Stores the counter at 4000h, 4008h, ... once in each round, from the middle of a block.
constexpr std::string_view kClock = R"(
        mov edi, 0x4000
    again:
        inc rbx
        rdtsc
        mov [rdi], eax
        mov [rdi + 4], edx
        add edi, 8
        cmp edi, 0x4020
        jne again
        mov ecx, 0x10
        xor eax, eax
        mov edx, 1
        wrmsr
        rdmsr
        mov [rdi], eax
        mov [rdi + 4], edx
        hlt)";

void check(const Rig& rig) {
    for (u64 round = 0; round < 4; ++round) CHECK(rig.word(0x4000 + 8 * round) == 2 + 7 * round);
    CHECK(rig.word(0x4020) == 0x100000001);
}

}  // namespace

TEST_CASE("time: a step is a tick, in one run or in many", "[time]") {
    Rig whole(kClock);
    CHECK(is<Halted>(whole.finish()));
    check(whole);
    CHECK(whole.get(Reg::tsc) == 0x100000005);
    for (const u64 size : {1u, 2u, 3u, 5u}) {
        Rig rig(kClock);
        while (!is<Halted>(rig.run(size))) {
        }
        check(rig);
        CHECK(rig.cpu.state() == whole.cpu.state());
    }
}

TEST_CASE("time: it is part of the state", "[time]") {
    Rig rig("again: inc rax\ninc rbx\njmp again");
    rig.set(Reg::tsc, 1000);
    rig.run(7);
    CHECK(rig.get(Reg::tsc) == 1007);
    CHECK(rig.cpu.state()[Reg::tsc] == 1007);
    const CpuState saved = rig.cpu.state();
    rig.run(5);
    rig.cpu.set_state(saved);
    CHECK(rig.get(Reg::tsc) == 1007);
    rig.run(1);
    CHECK(rig.get(Reg::tsc) == 1008);

    Rig other;
    other.cpu.set_state(saved);
    CHECK(other.get(Reg::tsc) == 1007);
}

TEST_CASE("time: a delivered event is a tick, an undelivered one is none", "[time]") {
    Rig rig("ud2");
    rig.run(1);
    CHECK(rig.get(Reg::tsc) == 0);
    rig.set(Reg::idtr_base, 0x5000);
    rig.set(Reg::idtr_limit, 0xFFF);
    rig.put(0x5000 + 6 * 16, 0x00008E0000082000);
    rig.put(0x4008, 0x00AF9B000000FFFF);
    rig.set(Reg::gdtr_base, 0x4000);
    rig.set(Reg::gdtr_limit, 0xF);
    rig.cpu.set_deliver_faults(true);
    rig.run(1);
    CHECK(rig.get(Reg::rip) == 0x2000);
    CHECK(rig.get(Reg::tsc) == 1);
}
