// Hardware task switches (SDM 3A chapter 8).
#include "tests/catch.hpp"
#include "tests/sim/modes_rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

constexpr u16 kOldTss = 0x58, kNewTss = 0x60, kTss16 = 0x68, kTaskGate = 0x70, kLdt = 0x78;
constexpr u32 kOther = 0x6800, kOther16 = 0x6C00;  // where the new TSSs are
constexpr u64 kNewCode = 0x2000;

// Two tasks: the running one with TR = kOldTss at ModeRig::kTss, and kNewTss or kTss16, which go on
// at kNewCode with every register told apart.
class TaskRig : public ModeRig {
  public:
    explicit TaskRig(std::string_view text) : ModeRig(text) {
        put(kGdt + kOldTss, descriptor(kTss, 0x67, 0x8B, 0));
        put(kGdt + kNewTss, descriptor(kOther, 0x67, 0x89, 0));
        put(kGdt + kTss16, descriptor(kOther16, 0x2B, 0x81, 0));
        put(kGdt + kTaskGate, gate(kNewTss, 0, 0x85));
        put(kGdt + kLdt, descriptor(0x7800, 0xF, 0x82, 0));
        field(0x20, kNewCode);
        field(0x24, 0x2 | flag::cf);
        for (u32 i = 0; i < 8; ++i) field(0x28 + 4 * i, 0x11110000 * (i + 1) + i);
        field(0x38, 0x7000);
        for (u32 i = 0; i < 6; ++i) field(0x48 + 4 * i, i == 1 ? kCode32 : kData32);
        field(0x60, kLdt);
        const u16 words[] = {u16{kNewCode}, 0x3002,  1,       2,       3, 4, 0x7000, 6, 7, 8,
                             kData32,       kCode32, kData32, kData32, 0};
        for (u32 i = 0; i < std::size(words); ++i) field16(0x0E + 2 * i, words[i]);
        code32(kNewCode, "hlt");
    }
    // Of the 32-bit TSS, and of the 16-bit one.
    void field(u64 at, u64 value) { put32(kOther + at, static_cast<u32>(value)); }
    void field16(u64 at, u16 value) {
        bytes(kOther16 + at, {static_cast<u8>(value), static_cast<u8>(value >> 8)});
    }
    void put32(u64 at, u32 value) {
        bytes(at, {static_cast<u8>(value), static_cast<u8>(value >> 8),
                   static_cast<u8>(value >> 16), static_cast<u8>(value >> 24)});
    }
    u8 type(u16 tss) const { return byte(kGdt + tss + 5) & 0xF; }
    void check_new_registers() const {
        for (u32 i = 0; i < 8; ++i) {
            CHECK(get(gpr(i)) == (i == 4 ? 0x7000 : 0x11110000 * (i + 1) + i));
        }
    }
};

Fault fault(Vector v, u32 code) {
    return {.vector = v, .has_error_code = true, .error_code = code};
}

constexpr const char* kFarJump = "db 0xea, 0, 0, 0, 0, 0x60, 0";
constexpr const char* kFarCall = "db 0x9a, 0, 0, 0, 0, 0x60, 0";

}  // namespace

TEST_CASE("tasks: JMP to a TSS", "[tasks]") {
    TaskRig r(kFarJump);
    r.set(Reg::rbx, 0x12345678);
    r.set(Reg::rflags, flag::nt | flag::zf | 2);
    r.set(Reg::dr7, 0x7FF);
    r.set(Reg::dr0, 0x7000000);
    r.set(Reg::dr1, 0x7000000);
    r.set(Reg::dr2, 0x7000000);
    r.set(Reg::dr3, 0x7000000);
    REQUIRE(is<StepsDone>(r.run()));
    // The old task, as it goes on later.
    CHECK(r.dword(ModeRig::kTss + 0x20) == Rig::kCode + 7);
    CHECK(r.dword(ModeRig::kTss + 0x24) == (flag::nt | flag::zf | 2));
    CHECK(r.dword(ModeRig::kTss + 0x34) == 0x12345678);
    CHECK(r.dword(ModeRig::kTss + 0x38) == 0x8000);
    CHECK(r.half(ModeRig::kTss + 0x4C) == ModeRig::kCode32);
    CHECK(r.half(ModeRig::kTss + 0x5C) == ModeRig::kData32);
    CHECK(r.type(kOldTss) == 9);
    // The new one.
    CHECK(r.type(kNewTss) == 0xB);
    CHECK(r.get(Reg::tr) == kNewTss);
    CHECK(r.get(Reg::tr_base) == kOther);
    CHECK(r.get(Reg::tr_attr) == 0x8B);
    CHECK(r.half(kOther) == 0);  // no link
    r.check_new_registers();
    CHECK(r.get(Reg::rip) == kNewCode);
    CHECK(r.get(Reg::rflags) == (flag::cf | 2));
    CHECK(r.get(Reg::ldtr) == kLdt);
    CHECK(r.get(Reg::ldtr_base) == 0x7800);
    CHECK((r.get(Reg::cr0) & cr0::ts) != 0);
    CHECK(r.get(Reg::dr7) == 0x6AA);  // global breakpoints stay
    CHECK(r.get(Reg::pending_debug) == 0);
    CHECK(is<Halted>(r.run()));
}

TEST_CASE("tasks: CALL nests, IRET comes back", "[tasks]") {
    TaskRig r(std::string(kFarCall) + "\nhlt");
    r.code32(kNewCode, "inc eax\niret\nhlt");
    r.set(Reg::rax, 5);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.type(kOldTss) == 0xB);
    CHECK(r.type(kNewTss) == 0xB);
    CHECK(r.half(kOther) == kOldTss);
    CHECK(r.get(Reg::rflags) == (flag::nt | flag::cf | 2));
    REQUIRE(is<StepsDone>(r.run(2)));
    CHECK(r.type(kOldTss) == 0xB);
    CHECK(r.type(kNewTss) == 9);
    CHECK(r.get(Reg::tr) == kOldTss);
    CHECK(r.get(Reg::rip) == Rig::kCode + 7);
    CHECK(r.get(Reg::rax) == 5);
    CHECK((r.get(Reg::rflags) & flag::nt) == 0);
    CHECK(r.dword(kOther + 0x20) == kNewCode + 2);
    CHECK(r.dword(kOther + 0x24) == 3);  // CF; NT is not saved
    CHECK(r.dword(kOther + 0x28) == 0x11110001);
    CHECK(is<Halted>(r.run()));
}

TEST_CASE("tasks: through a gate, and to a 16-bit TSS", "[tasks]") {
    TaskRig gate("db 0xea, 0, 0, 0, 0, 0x70, 0");
    REQUIRE(is<StepsDone>(gate.run()));
    CHECK(gate.get(Reg::tr) == kNewTss);
    gate.check_new_registers();

    TaskRig r("db 0x9a, 0, 0, 0, 0, 0x68, 0");
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::tr) == kTss16);
    CHECK(r.get(Reg::tr_attr) == 0x83);
    CHECK(r.get(Reg::rip) == kNewCode);
    CHECK(r.get(Reg::rflags) == (0x3002 | flag::nt));
    CHECK(r.get(Reg::rax) == 0xFFFF0001);
    CHECK(r.get(Reg::rsp) == 0xFFFF7000);
    CHECK(r.get(Reg::rdi) == 0xFFFF0008);
    CHECK(r.get(Reg::fs) == 0);
    CHECK(r.half(kOther16) == kOldTss);
    // Back from it: what a 16-bit TSS keeps.
    r.code32(kNewCode, "iret");
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == Rig::kCode + 7);
    CHECK(r.half(kOther16 + 0x0E) == kNewCode + 1);
    CHECK(r.half(kOther16 + 0x10) == 0x3002);
    CHECK(r.half(kOther16 + 0x12) == 1);
    CHECK(r.half(kOther16 + 0x28) == ModeRig::kData32);
}

TEST_CASE("tasks: interrupts and exceptions through a task gate", "[tasks]") {
    TaskRig r("int 0x30\nhlt");
    r.put(ModeRig::kIdt + 0x30 * 8, gate(kNewTss, 0, 0x85));
    r.cpu.set_deliver_faults(true);
    r.code32(kNewCode, "iret");
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::tr) == kNewTss);
    CHECK(r.dword(ModeRig::kTss + 0x20) == Rig::kCode + 2);
    CHECK(r.get(Reg::rsp) == 0x7000);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(is<Halted>(r.run()));

    // A fault's error code goes to the new stack, and RF to the saved flags.
    TaskRig f("mov ax, 0x48\nmov ds, ax");
    f.put(ModeRig::kIdt + 13 * 8, gate(kNewTss, 0, 0x85));
    f.cpu.set_deliver_faults(true);
    REQUIRE(is<StepsDone>(f.run(2)));
    CHECK(f.get(Reg::tr) == kNewTss);
    CHECK(f.get(Reg::rsp) == 0x6FFC);
    CHECK(f.dword(0x6FFC) == 0x48);
    CHECK(f.dword(ModeRig::kTss + 0x20) == Rig::kCode + 4);
    CHECK((f.dword(ModeRig::kTss + 0x24) & flag::rf) != 0);
}

TEST_CASE("tasks: what is refused changes nothing", "[tasks]") {
    struct Row {
        const char* why;
        u64 descriptor;
        Fault fault;
    };
    const Row row =
        GENERATE(Row{"busy", descriptor(kOther, 0x67, 0x8B, 0), fault(Vector::gp, 0x60)},
                 Row{"no TSS", descriptor(kOther, 0x67, 0x82, 0), fault(Vector::gp, 0x60)},
                 Row{"absent", descriptor(kOther, 0x67, 0x09, 0), fault(Vector::np, 0x60)},
                 Row{"short", descriptor(kOther, 0x66, 0x89, 0), fault(Vector::ts, 0x60)});
    CAPTURE(row.why);
    TaskRig r(kFarJump);
    r.put(ModeRig::kGdt + kNewTss, row.descriptor);
    const CpuState before = r.cpu.state();
    CHECK(expect<Fault>(r.run()) == row.fault);
    CHECK(r.cpu.state() == before);
    CHECK(r.dword(ModeRig::kTss + 0x20) == 0);
    CHECK(r.type(kOldTss) == 0xB);
}

TEST_CASE("tasks: the descriptor's level counts for programs, not for IRET", "[tasks]") {
    TaskRig r(kFarJump);
    r.user();
    CHECK(expect<Fault>(r.run()) == fault(Vector::gp, 0x60));
    r.put(ModeRig::kGdt + kNewTss, descriptor(kOther, 0x67, 0xE9, 0));
    r.jump();
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(cpl(r.cpu.state()) == 0);

    TaskRig i("iret");
    i.set(Reg::rflags, flag::nt | 2);
    CHECK(expect<Fault>(i.run()) == fault(Vector::ts, 0));  // the link is null
    i.put32(ModeRig::kTss, kNewTss);
    CHECK(expect<Fault>(i.run()) == fault(Vector::ts, 0x60));  // not busy
    i.put(ModeRig::kGdt + kNewTss, descriptor(kOther, 0x67, 0x8B, 0));
    REQUIRE(is<StepsDone>(i.run()));
    CHECK(i.type(kOldTss) == 9);
    CHECK((i.dword(ModeRig::kTss + 0x24) & flag::nt) == 0);
}

TEST_CASE("tasks: a bad segment faults in the new task", "[tasks]") {
    struct Row {
        u32 at;
        u16 selector;
        Fault fault;
    };
    const Row row =
        GENERATE(Row{0x4C, 0, fault(Vector::ts, 0)},                        // CS null
                 Row{0x4C, ModeRig::kData32, fault(Vector::ts, 0x10)},      // CS no code
                 Row{0x4C, ModeRig::kCode32 | 3, fault(Vector::ts, 0x08)},  // CS's level
                 Row{0x50, ModeRig::kUserData, fault(Vector::ts, 0x20)},    // SS's level
                 Row{0x50, ModeRig::kCode32, fault(Vector::ts, 0x08)},      // SS no data
                 Row{0x54, ModeRig::kFree, fault(Vector::ts, 0x48)},        // DS
                 Row{0x54, 0x108, fault(Vector::ts, 0x108)},                // outside of the GDT
                 Row{0x58, ModeRig::kAbsent, fault(Vector::np, 0x38)},      // FS
                 Row{0x60, ModeRig::kData32, fault(Vector::ts, 0x10)},      // LDT
                 Row{0x60, 0x7C, fault(Vector::ts, 0x7C)});
    CAPTURE(row.at, row.selector);
    TaskRig r(kFarJump);
    r.field(row.at, row.selector);
    CHECK(expect<Fault>(r.run()) == row.fault);
    CHECK(r.cpu.steps() == 0);
    CHECK(r.get(Reg::tr) == kNewTss);
    CHECK(r.get(Reg::rip) == kNewCode);
    CHECK(r.type(kOldTss) == 9);
}

TEST_CASE("tasks: the fault of a new task is delivered in it", "[tasks]") {
    TaskRig r(kFarJump);
    r.field(0x54, ModeRig::kAbsent);
    r.put(ModeRig::kIdt + 11 * 8, gate(ModeRig::kCode32, 0x3000, 0x8E));
    r.code32(0x3000, "hlt");
    r.cpu.set_deliver_faults(true);
    CHECK(is<Halted>(r.run(10)));
    CHECK(r.dword(r.get(Reg::rsp)) == 0x38);
    CHECK(r.dword(r.get(Reg::rsp) + 4) == kNewCode);
}

TEST_CASE("tasks: the T bit traps before the first instruction", "[tasks]") {
    TaskRig r(kFarJump);
    r.field(0x64, 1);
    CHECK(expect<Fault>(r.run(2)) == Fault{.vector = Vector::db});
    CHECK(r.get(Reg::rip) == kNewCode);
    CHECK((r.get(Reg::dr6) & 0x8000) != 0);
}

TEST_CASE("tasks: into virtual-8086 mode", "[tasks]") {
    TaskRig r(kFarJump);
    r.field(0x24, flag::vm | flag::iopl | 2);
    r.field(0x4C, 0x0200);  // CS: 0200:0000 is kNewCode
    r.field(0x20, 0);
    r.field(0x54, 0x1234);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::cs_base) == kNewCode);
    CHECK(r.get(Reg::ds_base) == 0x12340);
    CHECK(r.get(Reg::ds_limit) == 0xFFFF);
    CHECK(cpl(r.cpu.state()) == 3);
    CHECK(expect<Fault>(r.run()) == fault(Vector::gp, 0));  // HLT
}

TEST_CASE("tasks: paging changes with the task", "[tasks]") {
    // 32-bit paging with two directories; the second one maps the first 4 MBytes as well.
    TaskRig r(kFarJump);
    r.put32(0x100000, 0x83);
    r.put32(0x101000, 0x83);
    r.set(Reg::cr4, cr4::pse);
    r.set(Reg::cr3, 0x100000);
    r.set(Reg::cr0, r.get(Reg::cr0) | cr0::pg);
    r.field(0x1C, 0x101000);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::cr3) == 0x101000);
    CHECK(is<Halted>(r.run()));
    CHECK((r.dword(0x101000) & 0x20) != 0);
}
