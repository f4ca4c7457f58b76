// What the fuzz target of the executor (tests/fuzz) has found, one case each.
#include "tests/catch.hpp"
#include "tests/sim/modes_rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

std::vector<u8> bytes_at(const Rig& rig, u64 address, std::size_t size) {
    std::vector<u8> bytes(size);
    rig.machine.read(address, bytes);
    return bytes;
}

}  // namespace

TEST_CASE("fuzz: ENTER that faults at an outer frame has pushed nothing", "[sim][fuzz]") {
    Rig rig("enter 16, 3");
    PageTables tables(rig);
    for (u64 page = 0; page < 16; ++page) tables.map(page << 12, page << 12, 7);
    tables.activate();
    rig.set(Reg::rbp, 0x20008);  // the second outer frame pointer is not mapped
    rig.bytes(0x7F00, std::vector<u8>(0x100, 0xCC));
    const Fault fault = expect<Fault>(rig.run());
    CHECK(fault.vector == Vector::pf);
    CHECK(fault.cr2 == 0x20000);
    CHECK(bytes_at(rig, 0x7F00, 0x100) == std::vector<u8>(0x100, 0xCC));
    CHECK(rig.get(Reg::rsp) == 0x8000);
}

TEST_CASE("fuzz: ENTER reads a frame pointer that it has pushed itself", "[sim][fuzz]") {
    Rig rig("enter 0, 2");
    rig.set(Reg::rbp, 0x8000);  // its outer frame pointer is at 7FF8, where RBP goes
    rig.put(0x7FF8, 0x1234);
    CHECK(is<StepsDone>(rig.run()));
    CHECK(rig.word(0x7FF8) == 0x8000);
    CHECK(rig.word(0x7FF0) == 0x8000);
    CHECK(rig.word(0x7FE8) == 0x7FF8);
    CHECK(rig.get(Reg::rsp) == 0x7FE8);
    CHECK(rig.get(Reg::rbp) == 0x7FF8);
}

TEST_CASE("fuzz: an undefined instruction beyond the limit of CS is #GP, in a block too",
          "[sim][fuzz]") {
    // The NOP is within the limit; UD2's second byte is not.
    for (const u64 steps : {1u, 10u}) {
        INFO(steps);
        ModeRig rig("nop");
        rig.bytes(ModeRig::kCode + 1, {0x0F, 0x04});  // 0F 04 is no instruction
        rig.set(Reg::cs_limit, ModeRig::kCode + 1);
        Outcome outcome = rig.run(steps);
        if (is<StepsDone>(outcome)) outcome = rig.run(steps);
        CHECK(expect<Fault>(outcome).vector == Vector::gp);
        CHECK(rig.get(Reg::rip) == ModeRig::kCode + 1);
        rig.set(Reg::cs_limit, ModeRig::kCode + 2);
        CHECK(expect<Fault>(rig.run()).vector == Vector::ud);
    }
}

TEST_CASE("fuzz: a debug trap whose delivery exits is still due", "[sim][fuzz]") {
    Rig rig("nop");
    rig.machine.set_ram(0, {{0, 0xFFFF}});
    rig.cpu.set_deliver_faults(true);
    rig.set(Reg::idtr_base, 0x100000);  // not RAM
    rig.set(Reg::idtr_limit, 0xFFF);
    rig.set(Reg::rflags, flag::tf);
    const u64 dr6 = rig.get(Reg::dr6);
    CHECK(expect<Exit>(rig.run(5)).kind == ExitKind::memory);
    CHECK(rig.get(Reg::pending_debug) == 0x4000);
    CHECK(rig.get(Reg::dr6) == dr6);
}

TEST_CASE("fuzz: a processor stays halted when what would wake it exits", "[sim][fuzz]") {
    Rig rig("hlt");
    rig.machine.set_ram(0, {{0, 0xFFFF}});
    rig.cpu.set_deliver_faults(true);
    rig.set(Reg::idtr_base, 0x100000);  // not RAM
    rig.set(Reg::idtr_limit, 0xFFF);
    rig.set(Reg::rflags, flag::tf | flag::if_);
    CHECK(is<Halted>(rig.run()));
    CHECK(is<Exit>(rig.run(5)));
    CHECK(rig.get(Reg::activity) == 1);
    rig.set(Reg::pending_debug, 0);
    CHECK(is<Exit>(*rig.cpu.deliver_interrupt(0x20)));
    CHECK(rig.get(Reg::activity) == 1);
}

TEST_CASE("fuzz: delivery that exits in the middle of its pushes has pushed nothing",
          "[sim][fuzz]") {
    ModeRig rig("ud2");
    rig.put(ModeRig::kIdt + 6 * 8, gate(ModeRig::kCode32, 0x2000, 0x8E));
    rig.cpu.set_deliver_faults(true);
    rig.machine.set_ram(0, {{0x1000, 0xFFFF}});
    rig.set(Reg::rsp, 0x1004);  // room for one push; the next is below RAM
    CHECK(expect<Exit>(rig.run()).kind == ExitKind::memory);
    CHECK(bytes_at(rig, 0x1000, 2) == std::vector<u8>{0x0F, 0x0B});
    CHECK(rig.get(Reg::rsp) == 0x1004);
}

TEST_CASE("fuzz: MASKMOVQ that exits leaves the x87 tags alone", "[sim][fuzz]") {
    Rig rig("maskmovq mm2, mm2");
    rig.machine.set_ram(0, {{0, 0xFFFF}});
    rig.set(Reg::rdi, 0x100000);
    CHECK(expect<Exit>(rig.run()).kind == ExitKind::memory);
    CHECK(rig.get(Reg::ftw) == 0);
}
