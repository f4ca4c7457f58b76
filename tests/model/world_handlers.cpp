// The VMM's handlers for a guest whose registers are shared.
#include "sim/exec/cpuid.hpp"
#include "tests/catch.hpp"
#include "tests/model/world_rig.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;
using sim::Reg;

constexpr u64 kTop = 0xAAAAAAAA'00000000;
constexpr u64 kBuffer = 0x6000;

// String I/O of `bytes` (the instruction), then HLT.
Run string_io(std::initializer_list<u8> bytes, const Run::Registers& registers) {
    Run run("hlt", registers);
    std::vector<u8> code(bytes);
    code.push_back(0xF4);
    run.config.memory.clear();
    run.memory(kGuestCode, code);
    run.set(Reg::rdx, kPort);
    return run;
}
std::vector<u64> device_values(Run& run, EventKind kind) {
    std::vector<u64> values;
    for (const Event& e : run.events(kind)) values.push_back(e.args[2]);
    return values;
}
std::vector<u8> count_up(u8 first, std::size_t n) {
    std::vector<u8> bytes;
    for (std::size_t i = 0; i < n; ++i) bytes.push_back(static_cast<u8>(first + i));
    return bytes;
}

}  // namespace

TEST_CASE("handlers: CPUID", "[model]") {
    const Run::Registers registers{
        {Reg::rax, kTop | 7}, {Reg::rbx, kTop}, {Reg::rcx, kTop | 1}, {Reg::rdx, kTop}};
    Run run("cpuid\nhlt", registers);
    run.config.cpuid = {{.leaf = 6, .eax = 9, .ebx = 9, .ecx = 9, .edx = 9},
                        {.leaf = 7, .eax = 0xA, .ebx = 0xB, .ecx = 0xC, .edx = 0xFFFFFFFF}};
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.guest(Reg::rax) == 0xA);  // the upper halves are cleared
    CHECK(run.guest(Reg::rbx) == 0xB);
    CHECK(run.guest(Reg::rcx) == 0xC);
    CHECK(run.guest(Reg::rdx) == 0xFFFFFFFF);
    CHECK(run.guest(Reg::rip) == kGuestCode + 3);
    CHECK(run.events(EventKind::exit_cpuid)[0].args[0] == 7);
    CHECK(run.events(EventKind::exit_cpuid)[0].args[1] == 1);

    // What nobody has answered is what the hypervisor proposes.
    Run other("cpuid\nhlt", {{Reg::rax, 1}, {Reg::rcx, 0}});
    other.until_event(EventKind::vmm_exit);
    const sim::CpuidResult wanted = sim::cpuid(sim::long_mode_state(), 1, 0);
    CHECK(other.value("message.default_rax") == wanted.eax);
    CHECK(other.value("message.default_rbx") == wanted.ebx);
    CHECK(other.value("message.default_rcx") == wanted.ecx);
    CHECK(other.value("message.default_rdx") == wanted.edx);
    CHECK(wanted.edx != 0);
    CHECK(other.finish() == EndReason::guest_halted);
    CHECK(other.guest(Reg::rdx) == wanted.edx);
    CHECK(other.guest(Reg::rbx) == wanted.ebx);
}

TEST_CASE("handlers: MSRs", "[model]") {
    const Run::Registers registers{{Reg::rcx, 0x1234}, {Reg::rax, kTop | 5}, {Reg::rdx, kTop | 6}};
    Run known("rdmsr\nhlt", registers);
    known.config.msrs = {{.msr = 0x1233, .value = 1}, {.msr = 0x1234, .value = 0x1122334455667788}};
    CHECK(known.finish() == EndReason::guest_halted);
    CHECK(known.guest(Reg::rax) == 0x55667788);
    CHECK(known.guest(Reg::rdx) == 0x11223344);
    CHECK(known.guest(Reg::rcx) == 0x1234);
    CHECK(known.guest(Reg::rip) == kGuestCode + 3);
    CHECK(known.events(EventKind::vmm_msr)[0].args[3] == 1);

    Run unknown("rdmsr\nhlt", registers);
    CHECK(unknown.finish() == EndReason::guest_halted);
    CHECK(unknown.guest(Reg::rax) == 0);
    CHECK(unknown.guest(Reg::rdx) == 0);
    CHECK(unknown.events(EventKind::vmm_msr)[0].args[3] == 0);

    Run write("wrmsr\nhlt", registers);
    CHECK(write.finish() == EndReason::guest_halted);
    CHECK(write.guest(Reg::rax) == (kTop | 5));
    CHECK(write.guest(Reg::rdx) == (kTop | 6));
    CHECK(write.guest(Reg::rip) == kGuestCode + 3);
    const Event e = write.events(EventKind::vmm_msr)[0];
    CHECK(e.args[0] == 0x1234);
    CHECK(e.args[1] == 1);
    CHECK(e.args[2] == 0x600000005);
    CHECK(write.value("message.msr") == 0x1234);
    CHECK(write.value("message.access") == 1);
    CHECK(write.value("message.rdx") == (kTop | 6));
}

TEST_CASE("handlers: an MSR of the CPU itself needs no exit", "[model]") {
    Run run("mov ecx, 0xC0000101\nmov eax, 0x1234\nxor edx, edx\nwrmsr\nrdmsr\nhlt");
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.guest(Reg::gs_base) == 0x1234);
    CHECK(run.guest(Reg::rax) == 0x1234);
    CHECK(run.value("vmm.exits") == 0);
}

TEST_CASE("handlers: hypercalls", "[model]") {
    for (const char* instruction : {"vmcall\nhlt", "vmmcall\nhlt"}) {
        Run run(instruction, {{Reg::rcx, 0xABC0000'0042}, {Reg::rax, 0x99}, {Reg::rdx, 7}});
        run.set(Reg::xmm5, 5, 6);
        run.config.hypercalls = {{.code = 0x41, .status = 1}, {.code = 0x42, .status = 0x1234}};
        run.until_event(EventKind::vmm_exit);
        CHECK(run.value("message.rcx") == 0xABC0000'0042);
        CHECK(run.value("message.rax") == 0x99);
        CHECK(run.value("message.rdx") == 7);
        CHECK(run.wide("message.xmm5") == Vec128{5, 6});
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK(run.guest(Reg::rax) == 0x1234);
        CHECK(run.guest(Reg::rcx) == 0xABC0000'0042);
        CHECK(run.guest(Reg::rip) == kGuestCode + 4);
    }
    Run unknown("vmcall\nhlt", {{Reg::rcx, 0x43}});
    CHECK(unknown.finish() == EndReason::guest_halted);
    CHECK(unknown.guest(Reg::rax) == 2);  // HV_STATUS_INVALID_HYPERCALL_CODE
}

TEST_CASE("handlers: VTL0 cannot return, nor its user mode call the hypervisor", "[model]") {
    Run back("mov ecx, 0x12\nvmcall\nhlt");
    back.code(0x3000, "mov r15, 1\nhlt");
    back.gate(6, 0x3000);
    CHECK(back.finish() == EndReason::guest_halted);
    CHECK(back.guest(Reg::r15) == 1);
    CHECK(back.value("vmm.exits") == 0);
    const Event fault = back.events(EventKind::fault)[0];
    CHECK(fault.args[0] == 6);
    CHECK(fault.args[1] == kNone);
    CHECK(fault.rip == kGuestCode + 5);

    Run user("vmcall\nhlt", {{Reg::rcx, 0x42}});
    user.set(Reg::cs_attr, sim::attr::kFlatCode64 | 3 << 5);
    user.set(Reg::ss_attr, sim::attr::kFlatData | 3 << 5);
    CHECK(user.finish() == EndReason::guest_triple_fault);  // it has no IDT
    CHECK(user.events(EventKind::fault)[0].args[0] == 6);
    CHECK(user.count(EventKind::vmm_hypercall) == 0);

    Run call("mov ecx, 0x11\nvmcall\nhlt");
    CHECK(call.finish() == EndReason::not_modelled);
    CHECK(call.text(EventKind::not_modelled) == "a VTL call");
}

TEST_CASE("handlers: OUTS and INS once", "[model]") {
    struct Row {
        std::initializer_list<u8> bytes;
        u8 size;
        u64 value;
    };
    const Row kOuts[] = {{{0x6E}, 1, 0x10}, {{0x66, 0x6F}, 2, 0x1110}, {{0x6F}, 4, 0x13121110}};
    for (const Row& row : kOuts) {
        for (u64 df : {u64{0}, u64{0x400}}) {
            Run run = string_io(row.bytes, {{Reg::rsi, kBuffer}, {Reg::rflags, 2 | df}});
            run.memory(kBuffer, count_up(0x10, 16));
            CHECK(run.finish() == EndReason::guest_halted);
            CHECK(device_values(run, EventKind::device_write) == std::vector<u64>{row.value});
            CHECK(run.guest(Reg::rsi) == (df == 0 ? kBuffer + row.size : kBuffer - row.size));
            CHECK(run.guest(Reg::rip) == kGuestCode + row.bytes.size() + 1);
        }
    }
    const Row kIns[] = {{{0x6C}, 1, 0xA4}, {{0x66, 0x6D}, 2, 0xA3A4}, {{0x6D}, 4, 0xA1A2A3A4}};
    for (const Row& row : kIns) {
        for (u64 df : {u64{0}, u64{0x400}}) {
            Run run = string_io(row.bytes, {{Reg::rdi, kBuffer}, {Reg::rflags, 2 | df}});
            run.port(kPort, row.size, {0xA1A2A3A4});
            CHECK(run.finish() == EndReason::guest_halted);
            CHECK(run.word(kBuffer) == row.value);
            CHECK(run.guest(Reg::rdi) == (df == 0 ? kBuffer + row.size : kBuffer - row.size));
        }
    }
}

TEST_CASE("handlers: REP in both directions", "[model]") {
    Run out = string_io({0xF3, 0x6E}, {{Reg::rsi, kBuffer}, {Reg::rcx, 3}});
    out.memory(kBuffer, {1, 2, 3, 4});
    CHECK(out.finish() == EndReason::guest_halted);
    CHECK(device_values(out, EventKind::device_write) == std::vector<u64>{1, 2, 3});
    CHECK(out.guest(Reg::rsi) == kBuffer + 3);
    CHECK(out.guest(Reg::rcx) == 0);
    CHECK(out.value("vmm.exits") == 1);

    Run down =
        string_io({0xF3, 0x6E}, {{Reg::rsi, kBuffer + 2}, {Reg::rcx, 3}, {Reg::rflags, 0x402}});
    down.memory(kBuffer, {1, 2, 3, 4});
    CHECK(down.finish() == EndReason::guest_halted);
    CHECK(device_values(down, EventKind::device_write) == std::vector<u64>{3, 2, 1});
    CHECK(down.guest(Reg::rsi) == kBuffer - 1);

    Run in = string_io({0xF3, 0x66, 0x6D}, {{Reg::rdi, kBuffer}, {Reg::rcx, 3}});
    in.port(kPort, 2, {0x1111, 0x2222, 0x3333});
    CHECK(in.finish() == EndReason::guest_halted);
    CHECK(in.word(kBuffer) == 0x333322221111);
    CHECK(in.guest(Reg::rdi) == kBuffer + 6);
    CHECK(in.guest(Reg::rcx) == 0);

    Run none = string_io({0xF3, 0x6E}, {{Reg::rsi, kBuffer}, {Reg::rcx, 0}});
    CHECK(none.finish() == EndReason::guest_halted);
    CHECK(none.value("port.0x3fe.writes") == 0);
    CHECK(none.guest(Reg::rsi) == kBuffer);
}

TEST_CASE("handlers: 1024 iterations an exit, then the guest executes the rest again", "[model]") {
    struct Row {
        u64 count;
        std::size_t exits;
    };
    for (const Row& row : {Row{1023, 1}, Row{1024, 1}, Row{1025, 2}, Row{2500, 3}}) {
        CAPTURE(row.count);
        Run run = string_io({0xF3, 0x6E}, {{Reg::rsi, kBuffer}, {Reg::rcx, row.count}});
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK(run.value("port.0x3fe.writes") == row.count);
        CHECK(run.value("vmm.exits") == row.exits);
        CHECK(run.guest_instructions() == row.exits + 1);
        CHECK(run.guest(Reg::rcx) == 0);
        CHECK(run.guest(Reg::rsi) == kBuffer + row.count);
    }
    // In between, count and index are those of the rest.
    Run run = string_io({0xF3, 0x6E}, {{Reg::rsi, kBuffer}, {Reg::rcx, 2500}});
    run.until_event(EventKind::message, 2);
    CHECK(run.value("vtl0.rip") == kGuestCode);
    CHECK(run.value("assist.message.rcx") == 2500 - 1024);
    CHECK(run.value("assist.message.rsi") == kBuffer + 1024);
}

TEST_CASE("handlers: 32-bit address size uses and writes the low halves", "[model]") {
    Run out = string_io({0x67, 0xF3, 0x6E}, {{Reg::rsi, kTop | kBuffer}, {Reg::rcx, kTop | 2}});
    out.memory(kBuffer, {7, 8, 9});
    CHECK(out.finish() == EndReason::guest_halted);
    CHECK(device_values(out, EventKind::device_write) == std::vector<u64>{7, 8});
    CHECK(out.guest(Reg::rsi) == kBuffer + 2);
    CHECK(out.guest(Reg::rcx) == 0);

    Run in = string_io({0x67, 0x6C}, {{Reg::rdi, kTop | kBuffer}});
    in.port(kPort, 1, {0x5A});
    CHECK(in.finish() == EndReason::guest_halted);
    CHECK(in.word(kBuffer) == 0x5A);
    CHECK(in.guest(Reg::rdi) == kBuffer + 1);

    // Without the prefix the address is not RAM: the device gets what MMIO reads as.
    Run wide = string_io({0xF3, 0x6E}, {{Reg::rsi, 0x70'00000000 | kBuffer}, {Reg::rcx, 1}});
    CHECK(wide.finish() == EndReason::guest_halted);
    CHECK(device_values(wide, EventKind::device_write) == std::vector<u64>{0xFF});
}

TEST_CASE("handlers: OUTS reads through an overriding segment, INS ignores it", "[model]") {
    Run out = string_io({0x64, 0x6E}, {{Reg::rsi, 0x10}, {Reg::fs_base, kBuffer}});
    out.memory(kBuffer + 0x10, {0x77});
    CHECK(out.finish() == EndReason::guest_halted);
    CHECK(device_values(out, EventKind::device_write) == std::vector<u64>{0x77});

    Run in = string_io({0x64, 0x6C}, {{Reg::rdi, kBuffer}, {Reg::fs_base, 0x1000}});
    in.port(kPort, 1, {0x66});
    CHECK(in.finish() == EndReason::guest_halted);
    CHECK(in.word(kBuffer) == 0x66);
}

TEST_CASE("handlers: intercepts that no instruction asks for", "[model]") {
    struct Row {
        MessageType type;
        u64 value;
        EndReason end;
    };
    constexpr Row kRows[] = {
        {MessageType::apic_eoi, 0x31, EndReason::guest_halted},
        {MessageType::synic_sint_deliverable, 4, EndReason::guest_halted},
        {MessageType::exception_intercept, 1, EndReason::guest_halted},
        {MessageType::interruption_deliverable, 0, EndReason::guest_halted},
        {MessageType::interruption_deliverable, 2, EndReason::vmm_panic},
        {MessageType::halt, 0, EndReason::vmm_panic},
        {MessageType::unaccepted_gpa, 0x3000, EndReason::vmm_panic},
    };
    for (const Row& row : kRows) {
        CAPTURE(static_cast<u32>(row.type), row.value);
        Run run("nop\nnop\nhlt", {{Reg::rbx, 7}});
        run.config.events.push_back({.address = kGuestCode + 1,
                                     .action = PinnedAction::intercept,
                                     .message_type = static_cast<u32>(row.type),
                                     .value = row.value});
        CHECK(run.finish() == row.end);
        const auto notices = run.events(EventKind::vmm_notice);
        REQUIRE(notices.size() == 1);
        CHECK(notices[0].args[0] == static_cast<u32>(row.type));
        CHECK(notices[0].args[1] == row.value);
        CHECK(run.value("vmm.exits") == 1);
        CHECK(run.value("context.rbx") == 7);
        // RIP does not move, and no command is given but RUN_VP.
        CHECK(run.count(EventKind::vmm_run) == (row.end == EndReason::guest_halted ? 2 : 1));
        if (row.end == EndReason::guest_halted) CHECK(run.guest_instructions() == 3);
    }
}

TEST_CASE("reason_merge: an interrupt that comes first with an exit", "[model]") {
    const auto run_with = [](ReasonMerge merge) {
        Run run("mov edx, 0x3FE\nin al, dx\nhlt", {});
        run.port(kPort, 1, {0xB0, 0xB1});
        run.config.switches.reason_merge = merge;
        run.config.events.push_back(
            {.address = kGuestCode + 5, .transient = true, .with_exit = true});
        for (const InvariantRow& row : invariant_rows()) run.config.invariants.push_back(row.id);
        return run;
    };
    // WHP's order: VTL2 sees INTERRUPT, the message is lost, the guest executes the IN again.
    Run first = run_with(ReasonMerge::first_wins);
    CHECK(first.finish() == EndReason::guest_halted);
    CHECK(first.value("hypervisor.messages") == 2);
    CHECK(first.value("vmm.exits") == 1);
    CHECK(first.value("port.0x3fe.reads") == 1);
    CHECK(first.guest(Reg::rax) == 0xB0);
    CHECK(first.count(EventKind::intercept_lost) == 1);
    CHECK(first.world().all_violations().empty());
    // The other: the message is handed over at once.
    Run other = run_with(ReasonMerge::intercept_wins);
    CHECK(other.finish() == EndReason::guest_halted);
    CHECK(other.value("hypervisor.messages") == 1);
    CHECK(other.value("port.0x3fe.reads") == 1);
    CHECK(other.count(EventKind::intercept_lost) == 0);
    CHECK(other.world().all_violations().empty());
    // Without an exit it is an interrupt like others.
    Run none("nop\nhlt");
    none.config.events.push_back({.address = kGuestCode, .transient = true, .with_exit = true});
    CHECK(none.finish() == EndReason::guest_halted);
    CHECK(none.count(EventKind::vtl_enter) == 1);
    CHECK(none.guest_instructions() == 2);
}

TEST_CASE("a guest that never exits lets others act", "[model]") {
    Run run("again: jmp again");
    run.config.events.push_back({.action = PinnedAction::stop});
    run.config.events.back().free = true;
    run.config.limits.steps = 100'000;
    run.config.schedule = {
        {.turn = {}, .instead_of = "vp0", .step = "runs the guest", .nth = 3, .run = "event0"},
        {.turn = {}, .instead_of = "vp0", .step = "runs the guest", .nth = 4, .run = "vmm0"}};
    CHECK(run.finish() != EndReason::none);
    CHECK(run.world().schedule_done() == 2);
    CHECK(run.world().turns() > 20);
}

}  // namespace vtlsim::tests
