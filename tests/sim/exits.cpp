// What leaves the machine: ports, CPUID, MSRs, hypercalls.
#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

// The exit of the first instruction; checks that nothing has happened yet.
Exit exit_of(Rig& rig) {
    const CpuState before = rig.cpu.state();
    const u64 steps = rig.cpu.steps();
    const Exit e = expect<Exit>(rig.run(10));
    CHECK(rig.cpu.state() == before);
    CHECK(rig.cpu.steps() == steps);
    std::vector<u8> bytes = rig.cpu.peek_code(rig.get(Reg::rip), e.length);
    bytes.resize(15);
    CHECK(bytes == std::vector<u8>(e.bytes.begin(), e.bytes.end()));
    return e;
}

}  // namespace

TEST_CASE("exits: IN and OUT", "[sim]") {
    struct Row {
        const char* text;
        bool in;
        u16 port;
        u8 size;
        u8 length;
        u32 data;
    };
    for (const Row& row : {
             Row{"in al, 0x80", true, 0x80, 1, 2, 0},
             Row{"in ax, dx", true, 0x3F8, 2, 2, 0},
             Row{"in eax, dx", true, 0x3F8, 4, 1, 0},
             Row{"out 0xff, al", false, 0xFF, 1, 2, 0x88},
             Row{"out dx, ax", false, 0x3F8, 2, 2, 0x7788},
             Row{"out dx, eax", false, 0x3F8, 4, 1, 0x55667788},
         }) {
        INFO(row.text);
        Rig rig(row.text);
        rig.set(Reg::rax, 0x1122334455667788);
        rig.set(Reg::rdx, 0xFFFF03F8);
        const Exit e = exit_of(rig);
        CHECK(e.kind == ExitKind::io);
        CHECK(e.in == row.in);
        CHECK(e.port == row.port);
        CHECK(e.size == row.size);
        CHECK(e.length == row.length);
        CHECK(e.data == row.data);
        CHECK_FALSE(e.string);
        CHECK_FALSE(e.rep);
    }
}

TEST_CASE("exits: INS and OUTS", "[sim]") {
    struct Row {
        const char* text;
        bool in;
        u8 size;
        bool rep;
        u8 address_size;
        Seg segment;
    };
    for (const Row& row : {
             Row{"insb", true, 1, false, 8, Seg::es},
             Row{"rep insd", true, 4, true, 8, Seg::es},
             Row{"outsw", false, 2, false, 8, Seg::ds},
             Row{"rep outsb", false, 1, true, 8, Seg::ds},
             Row{"db 0x64, 0x67, 0x6e", false, 1, false, 4, Seg::fs},
         }) {
        INFO(row.text);
        Rig rig(row.text);
        rig.set(Reg::rdx, 0x1F0);
        rig.set(Reg::rcx, 5);
        const Exit e = exit_of(rig);
        CHECK(e.kind == ExitKind::io);
        CHECK(e.string);
        CHECK(e.in == row.in);
        CHECK(e.port == 0x1F0);
        CHECK(e.size == row.size);
        CHECK(e.rep == row.rep);
        CHECK(e.address_size == row.address_size);
        CHECK(e.segment == row.segment);
    }
}

TEST_CASE("exits: hypercalls, CPUID and unknown MSRs as the controls say", "[sim]") {
    Rig vmcall("vmcall");
    CHECK(exit_of(vmcall).kind == ExitKind::hypercall);
    Rig vmmcall("vmmcall");
    CHECK(exit_of(vmmcall).vmmcall);

    Rig cpuid("cpuid");
    CHECK(is<StepsDone>(cpuid.run()));
    cpuid.jump();
    cpuid.cpu.set_exits({.cpuid = true});
    CHECK(exit_of(cpuid).kind == ExitKind::cpuid);

    Rig wrmsr("wrmsr");
    wrmsr.set(Reg::rcx, 0x1140000000);
    wrmsr.set(Reg::rax, 0xFFFFFFFF00000005);
    wrmsr.set(Reg::rdx, 0x7);
    CHECK(is<Fault>(wrmsr.run()));
    wrmsr.cpu.set_exits({.unknown_msr = true});
    Exit e = exit_of(wrmsr);
    CHECK(e.kind == ExitKind::wrmsr);
    CHECK(e.msr == 0x40000000);
    CHECK(e.value == 0x700000005);
    wrmsr.set_cpl(3);
    CHECK(expect<Fault>(wrmsr.run()).vector == Vector::gp);

    Rig rdmsr("rdmsr");
    rdmsr.set(Reg::rcx, 0x40000001);
    rdmsr.cpu.set_exits({.unknown_msr = true});
    e = exit_of(rdmsr);
    CHECK(e.kind == ExitKind::rdmsr);
    CHECK(e.msr == 0x40000001);
    rdmsr.set(Reg::rcx, 0xC0000080);
    CHECK(is<StepsDone>(rdmsr.run()));
    CHECK(rdmsr.get(Reg::rax) == 0xD00);
}

TEST_CASE("exits: in the middle of a block and across a page", "[sim]") {
    Rig rig("nop\nin al, dx\nnop");
    const Exit e = expect<Exit>(rig.run(10));
    CHECK(e.length == 1);
    CHECK(rig.get(Reg::rip) == Rig::kCode + 1);
    CHECK(rig.cpu.steps() == 1);
    rig.bytes(0x1FFF, {0x66, 0xEF});
    rig.jump(0x1FFF);
    const Exit crossing = exit_of(rig);
    CHECK(crossing.length == 2);
    CHECK(crossing.bytes[1] == 0xEF);
}

TEST_CASE("exits: retire_exit finishes the instruction", "[sim]") {
    Rig rig("sti\nin al, 0x80\nnop");
    const Exit e = expect<Exit>(rig.run(10));
    CHECK(rig.get(Reg::shadow) == 1);
    rig.set(Reg::rax, 0x12);
    rig.set(Reg::rflags, rig.get(Reg::rflags) | flag::rf);
    rig.cpu.retire_exit(e);
    CHECK(rig.get(Reg::rip) == Rig::kCode + 3);
    CHECK(rig.get(Reg::shadow) == 0);
    CHECK(rig.get(Reg::rflags) == (flag::if_ | flag::kAlwaysSet));
    CHECK(rig.cpu.steps() == 2);

    Rig stepped("in al, 0x80");
    stepped.set(Reg::rflags, flag::tf);
    stepped.cpu.retire_exit(expect<Exit>(stepped.run()));
    CHECK(expect<Fault>(stepped.run()).vector == Vector::db);
}

TEST_CASE("ports: at CPL 3 by IOPL or the I/O map of the TSS", "[sim]") {
    constexpr u64 kTss = 0x12000;
    const auto allowed = [](const char* text, u16 port, u64 limit, const std::vector<u8>& map) {
        Rig rig(text);
        rig.set_cpl(3);
        rig.set(Reg::rdx, port);
        rig.set(Reg::tr_base, kTss);
        rig.set(Reg::tr_limit, limit);
        rig.bytes(kTss + 0x66, {0x68, 0x00});
        rig.bytes(kTss + 0x68, map);
        const Outcome outcome = rig.run();
        if (is<Exit>(outcome)) return true;
        CHECK(expect<Fault>(outcome) == Fault{.vector = Vector::gp, .has_error_code = true});
        return false;
    };
    const std::vector<u8> some{0xFF, 0xF7, 0x3F, 0xFF};  // open: 11, 22, 23
    CHECK(allowed("in al, dx", 11, 0x6B, some));
    CHECK_FALSE(allowed("in al, dx", 10, 0x6B, some));
    CHECK_FALSE(allowed("in ax, dx", 11, 0x6B, some));
    CHECK(allowed("in ax, dx", 22, 0x6B, some));
    CHECK_FALSE(allowed("in ax, dx", 23, 0x6B, some));
    CHECK_FALSE(allowed("in eax, dx", 22, 0x6B, some));
    CHECK(allowed("outsb", 11, 0x6B, some));
    CHECK_FALSE(allowed("outsb", 12, 0x6B, some));
    CHECK_FALSE(allowed("in al, dx", 11, 0x69, some));  // the second byte is beyond the limit
    CHECK_FALSE(allowed("in al, dx", 11, 0x66, some));  // not even the map's address

    Rig rig("in al, dx");
    rig.set_cpl(3);
    rig.set(Reg::tr_limit, 0);
    CHECK(is<Fault>(rig.run()));
    rig.set(Reg::rflags, flag::iopl);
    CHECK(is<Exit>(rig.run()));
}
