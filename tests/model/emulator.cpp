// The VMM's instruction emulator: what it knows, reads and writes, and what it makes of the rest.
#include <fmt/format.h>

#include "model/vmm/x86emu.hpp"
#include "tests/catch.hpp"
#include "tests/model/world_rig.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;
using sim::Reg;

constexpr u64 kNowhere = 0x7000000;  // above the guest's RAM
constexpr u64 kTop = 0xAAAAAAAA'00000000;

// The first 2 MiB one to one, then 4 KiB pages: 200000h -> 7000h, 201000h -> 9000h, 202000h is
// absent, 203000h is MMIO, 204000h is 6000h but read-only.
void page_tables(Run& run) {
    run.set(Reg::identity_map, 0);
    run.set(Reg::cr3, 0xA000);
    run.code(0xA000, "dq 0xB003");
    run.code(0xB000, "dq 0xC003");
    run.code(0xC000, "dq 0x83, 0xD003");
    run.code(0xD000, "dq 0x7003, 0x9003, 0, 0x7000003, 0x6001");
}

std::vector<u64> device_values(Run& run, EventKind kind) {
    std::vector<u64> values;
    for (const Event& e : run.events(kind)) values.push_back(e.args[2]);
    return values;
}
// Pages of the TRANSLATE commands, in order.
std::vector<u64> translated(Run& run) {
    std::vector<u64> pages;
    for (const Event& e : run.events(EventKind::hypercall)) {
        if (e.args[0] == 0xAC) pages.push_back(e.args[1]);
    }
    return pages;
}
// "r 7000008 4", one per access to memory where nothing is.
std::vector<std::string> accesses(Run& run) {
    std::vector<std::string> out;
    for (const Event& e : run.events(EventKind::mmio)) {
        out.push_back(fmt::format("{} {:x} {}", e.args[1] == 0 ? 'r' : 'w', e.args[0], e.args[2]));
    }
    return out;
}
using Texts = std::vector<std::string>;

Run string_io(std::string_view insn, const Run::Registers& registers) {
    Run run(std::string(insn) + "\nhlt", registers);
    run.set(Reg::rdx, kPort);
    return run;
}

}  // namespace

TEST_CASE("emulator: reads ones and drops writes where nothing is", "[model][emulator]") {
    Run run("mov eax, [rbx + 8]\nmovzx ecx, byte [rbx]\nadd dword [rbx], 2\nhlt",
            {{Reg::rbx, kNowhere}, {Reg::rax, kTop}, {Reg::rcx, kTop}});
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.guest(Reg::rax) == 0xFFFFFFFF);
    CHECK(run.guest(Reg::rcx) == 0xFF);
    CHECK((run.guest(Reg::rflags) & 1) == 1);  // FFFFFFFFh + 2 carries
    CHECK(run.value("vmm.exits") == 3);
    CHECK(accesses(run) == Texts{"r 7000008 4", "r 7000000 1", "r 7000000 4", "w 7000000 4"});
    CHECK(run.events(EventKind::mmio)[3].args[3] == 1);  // what was to be written
    // RIP, RFLAGS and RSP go back in one SET.
    CHECK(run.value("command.request_data") == 3);
}

TEST_CASE("emulator: every instruction that it knows, by its accesses", "[model][emulator]") {
    struct Row {
        const char* text;  // RBX is where nothing is
        Texts wanted;
    };
    const Row rows[] = {
        {"mov [rbx], cl", {"w 7000000 1"}},
        {"mov [abs qword 0x7000010], eax", {"w 7000010 4"}},
        {"mov dword [rbx + rcx * 4], 7", {"w 7000004 4"}},
        {"movsxd rax, dword [rbx]", {"r 7000000 4"}},
        {"movsx eax, word [rbx]", {"r 7000000 2"}},
        {"movnti [rbx], rax", {"w 7000000 8"}},
        {"movdqa xmm1, [rbx]", {"r 7000000 16"}},
        {"movntps [rbx], xmm1", {"w 7000000 16"}},
        {"cmp [rbx], rax", {"r 7000000 8"}},
        {"test dword [rbx], 1", {"r 7000000 4"}},
        {"adc rax, [rbx]", {"r 7000000 8"}},
        {"lock or dword [rbx], 4", {"r 7000000 4", "w 7000000 4"}},
        {"sbb [rbx], al", {"r 7000000 1", "w 7000000 1"}},
        {"neg word [rbx]", {"r 7000000 2", "w 7000000 2"}},
        {"not qword [rbx]", {"r 7000000 8", "w 7000000 8"}},
        {"inc byte [rbx]", {"r 7000000 1", "w 7000000 1"}},
        {"mul dword [rbx]", {"r 7000000 4"}},
        {"imul rax, [rbx], 3", {"r 7000000 8"}},
        {"shl dword [rbx], 1", {"r 7000000 4", "w 7000000 4"}},
        {"shl dword [rbx], 32", {"r 7000000 4"}},  // by nothing: not written
        {"rol byte [rbx], 8", {"r 7000000 1"}},
        {"rcr word [rbx], 17", {"r 7000000 2"}},
        {"shld [rbx], eax, 5", {"r 7000000 4", "w 7000000 4"}},
        {"xchg [rbx], eax", {"r 7000000 4", "w 7000000 4"}},
        {"xadd [rbx], eax", {"r 7000000 4", "w 7000000 4"}},
        {"cmpxchg [rbx], ecx", {"r 7000000 4"}},  // EAX is not ones
        {"cmpxchg8b [rbx]", {"r 7000000 8"}},
        {"lock cmpxchg16b [rbx]", {"r 7000000 16"}},
        {"bt dword [rbx], 33", {"r 7000000 4"}},
        {"bts [rbx], rbp", {"r 7000028 8", "w 7000028 8"}},  // bit 321
        {"btr [rbx], r8d", {"r 6fffffc 4", "w 6fffffc 4"}},  // bit -1
        {"setz [rbx]", {"w 7000000 1"}},
        {"cmovz eax, [rbx]", {}},  // the condition does not hold: nothing is read
        {"cmovnz eax, [rbx]", {"r 7000000 4"}},
        {"lodsw", {"r 7000100 2"}},
        {"stosb", {"w 7000200 1"}},
        {"movsd", {"r 7000100 4", "w 7000200 4"}},
        {"cmpsq", {"r 7000100 8", "r 7000200 8"}},
        {"scasb", {"r 7000200 1"}},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        Run run(std::string(row.text) + "\nhlt", {{Reg::rbx, kNowhere},
                                                  {Reg::rcx, 1},
                                                  {Reg::rax, kTop | 5},
                                                  {Reg::rbp, 321},
                                                  {Reg::r8, ~u64{0}},
                                                  {Reg::rsi, kNowhere + 0x100},
                                                  {Reg::rdi, kNowhere + 0x200}});
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK(run.value("vmm.exits") == 1);
        CHECK(accesses(run) == row.wanted);
        CHECK(run.count(EventKind::fault) == 0);
    }
}

TEST_CASE("emulator: results, registers and flags", "[model][emulator]") {
    // CMOV of 32 bits clears the upper half though nothing is read; RSP goes back by SET.
    Run cmov("cmovz eax, [rbx]\nmov rsp, [rbx]\nhlt", {{Reg::rbx, kNowhere}, {Reg::rax, kTop | 5}});
    CHECK(cmov.finish() == EndReason::guest_halted);
    CHECK(cmov.guest(Reg::rax) == 5);
    CHECK(cmov.guest(Reg::rsp) == ~u64{0});

    // Before #3282 RSP went to the context's CR2 as well (hyperv-vtl.md 4.6).
    for (auto where : {EmulatorSetRsp::head, EmulatorSetRsp::pre3282}) {
        Run rsp("mov rsp, [rbx]\nhlt", {{Reg::rbx, kNowhere}, {Reg::cr2, 0x1234}});
        rsp.config.switches.emulator_set_rsp = where;
        CHECK(rsp.finish() == EndReason::guest_halted);
        CHECK(rsp.value("context.cr2") == (where == EmulatorSetRsp::head ? 0x1234 : ~u64{0}));
    }

    // AF, which AND leaves undefined, stays; SF, ZF and PF are those of the result.
    Run logic("and dword [rbx], 0\nhlt", {{Reg::rbx, kNowhere}, {Reg::rflags, 0x8D7}});
    CHECK(logic.finish() == EndReason::guest_halted);
    CHECK((logic.guest(Reg::rflags) & 0x8D5) == 0x54);

    // CMPXCHG that finds RAX: written, and the XADD that follows gives the old value.
    Run exchange("cmpxchg [rbx], ecx\nxadd [rbx], edx\nhlt",
                 {{Reg::rbx, kNowhere}, {Reg::rax, 0xFFFFFFFF}, {Reg::rcx, 7}, {Reg::rdx, 2}});
    CHECK(exchange.finish() == EndReason::guest_halted);
    CHECK(accesses(exchange) == Texts{"r 7000000 4", "w 7000000 4", "r 7000000 4", "w 7000000 4"});
    CHECK(exchange.events(EventKind::mmio)[1].args[3] == 7);
    CHECK(exchange.events(EventKind::mmio)[3].args[3] == 1);
    CHECK(exchange.guest(Reg::rdx) == 0xFFFFFFFF);

    // Flags of CMP for SCAS, against the processor's own.
    for (u64 al : {u64{0}, u64{0x7F}, u64{0x80}, u64{0xFF}}) {
        Run scas("scasb\nhlt", {{Reg::rax, al}, {Reg::rdi, kNowhere}});
        Run cmp("cmp al, 0xFF\nhlt", {{Reg::rax, al}});
        CHECK(scas.finish() == EndReason::guest_halted);
        CHECK(cmp.finish() == EndReason::guest_halted);
        CHECK(scas.guest(Reg::rflags) == cmp.guest(Reg::rflags));
    }
    for (u8 size : {u8{1}, u8{2}, u8{4}, u8{8}}) {
        CHECK(x86emu::compare_flags(5, 5, size) == 0x44);
        CHECK(x86emu::compare_flags(0, 1, size) == 0x95);
    }
}

TEST_CASE("emulator: what it computes is what the processor does on RAM full of ones",
          "[model][emulator]") {
    constexpr u64 kRam = 0x6000;
    constexpr u64 kStatus = sim::flag::kStatus;
    constexpr u64 kLogic = kStatus & ~sim::flag::af;
    constexpr u64 kCarry = sim::flag::cf;
    constexpr u64 kProduct = kCarry | sim::flag::of;
    constexpr u64 kShift = kStatus & ~(sim::flag::af | sim::flag::of);
    struct Row {
        const char* text;
        u64 flags;  // written; the others keep their value
    };
    constexpr Row kRows[] = {
        {"adc rax, [rbx]", kStatus},
        {"add [rbx], ax", kStatus},
        {"sbb eax, [rbx]", kStatus},
        {"sub [rbx], al", kStatus},
        {"cmp [rbx], rax", kStatus},
        {"cmp dword [rbx], -1", kStatus},
        {"neg dword [rbx]", kStatus},
        {"xadd [rbx], ecx", kStatus},
        {"cmpxchg [rbx], ecx", kStatus},
        {"cmpxchg [rbx], cl", kStatus},
        {"inc byte [rbx]", kStatus & ~kCarry},
        {"dec qword [rbx]", kStatus & ~kCarry},
        {"and eax, [rbx]", kLogic},
        {"or [rbx], ax", kLogic},
        {"xor rax, [rbx]", kLogic},
        {"test [rbx], al", kLogic},
        {"mul dword [rbx]", kProduct},
        {"imul word [rbx]", kProduct},
        {"imul rcx, [rbx], 77", kProduct},
        {"imul ecx, [rbx]", kProduct},
        {"shl dword [rbx], 3", kShift},
        {"shr byte [rbx], cl", kShift},
        {"sar word [rbx], 5", kShift},
        {"shr qword [rbx], 1", kShift | sim::flag::of},
        {"shld [rbx], eax, 5", kShift},
        {"shrd [rbx], rax, cl", kShift},
        {"rol byte [rbx], 8", kCarry},
        {"ror dword [rbx], 1", kCarry | sim::flag::of},
        {"rcl word [rbx], 3", kCarry},
        {"rcr qword [rbx], 1", kCarry | sim::flag::of},
        {"bt [rbx], eax", kCarry},
        {"btr dword [rbx], 7", kCarry},
        {"btc [rbx], cx", kCarry},
        {"cmpxchg8b [rbx]", sim::flag::zf},
        {"cmpxchg16b [rbx]", sim::flag::zf},
        {"not word [rbx]", 0},
        {"xchg [rbx], cl", 0},
        {"movsx rax, byte [rbx]", 0},
        {"movsxd rax, dword [rbx]", 0},
        {"movzx eax, word [rbx]", 0},
        {"cmovs eax, [rbx]", 0},
        {"cmovns ecx, [rbx]", 0},
        {"setnbe [rbx]", 0},
    };
    for (const Row& row : kRows) {
        for (u64 flags : {u64{0x2}, u64{0x8D7}}) {
            for (u64 rax : {kTop | 0x85, u64{0x7FFFFFFF'FFFFFFFF}, ~u64{0}}) {
                CAPTURE(row.text, flags, rax);
                const auto run = [&](u64 at) {
                    Run r(std::string(row.text) + "\nhlt", {{Reg::rbx, at},
                                                            {Reg::rax, rax},
                                                            {Reg::rcx, kTop | 3},
                                                            {Reg::rdx, 0x1111},
                                                            {Reg::rflags, flags}});
                    r.memory(kRam, std::vector<u8>(64, 0xFF));
                    return r;
                };
                // 32 bytes in, so that no bit string begins before the page's first byte.
                Run ram = run(kRam + 0x20);
                Run none = run(kNowhere + 0x20);
                CHECK(ram.finish() == EndReason::guest_halted);
                CHECK(none.finish() == EndReason::guest_halted);
                for (Reg reg : {Reg::rax, Reg::rcx, Reg::rdx}) {
                    CHECK(none.guest(reg) == ram.guest(reg));
                }
                const u64 is = none.guest(Reg::rflags);
                CHECK((is & row.flags) == (ram.guest(Reg::rflags) & row.flags));
                CHECK((is & ~row.flags) == (flags & ~row.flags));
                // What is written, where something is.
                const auto events = none.events(EventKind::mmio);
                if (events.empty() || events.back().args[1] == 0) continue;
                const auto size = static_cast<unsigned>(events.back().args[2]);
                const u64 at = events.back().args[0] - kNowhere + kRam;
                CHECK(events.back().args[3] == (ram.word(at) & low_bits(size)));
            }
        }
    }
}

TEST_CASE("emulator: what it does not know is #UD in the guest", "[model][emulator]") {
    for (const char* text : {"fld dword [rbx]",
                             "fst dword [rbx]",
                             "fldcw [rbx]",
                             "fxsave [rbx]",
                             "paddb mm0, [rbx]",
                             "movq [rbx], mm0",
                             "comiss xmm0, [rbx]",
                             "movhps xmm1, [rbx]",
                             "pand xmm2, [rbx]",
                             "movd eax, xmm0\nmovd [rbx], xmm0",
                             "movss xmm0, [rbx]",
                             "push qword [rbx]",
                             "pop qword [rbx]",
                             "call [rbx]",
                             "jmp [rbx]",
                             "mov ds, [rbx]",
                             "mov [rbx], es",
                             "lgdt [rbx]",
                             "sidt [rbx]",
                             "popcnt eax, [rbx]",
                             "movbe eax, [rbx]",
                             "ldmxcsr [rbx]",
                             "xlatb"}) {
        INFO(text);
        Run run(std::string(text) + "\nhlt", {{Reg::rbx, kNowhere}});
        run.code(0x3000, "hlt");
        run.gate(6, 0x3000);
        CHECK(run.finish() == EndReason::guest_halted);
        const auto faults = run.events(EventKind::fault);
        REQUIRE(faults.size() == 1);
        CHECK(faults[0].args[0] == 6);
        CHECK(run.count(EventKind::mmio) == 0);
        // RIP, RFLAGS and RSP go back as they were, then the event.
        CHECK(run.count(EventKind::vmm_run) >= 4);
    }
}

TEST_CASE("emulator: what has no memory operand ends the VP", "[model][emulator]") {
    struct Row {
        const char* text;
        const char* why;
    };
    const Row rows[] = {
        {"push rax", "emulation failed: push has no operand in memory or I/O"},
        {"pop rax", "emulation failed: pop has no operand in memory or I/O"},
        {"call next\nnext: nop", "emulation failed: call has no operand in memory or I/O"},
        {"ret", "emulation failed: ret has no operand in memory or I/O"},
        {"pushfq", "emulation failed: pushfq has no operand in memory or I/O"},
        {"leave", "emulation failed: leave has no operand in memory or I/O"},
        {"enter 8, 0", "emulation failed: enter has no operand in memory or I/O"},
        {"maskmovdqu xmm0, xmm1", "emulation failed: maskmovdqu has no operand in memory or I/O"},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        Run run(std::string(row.text) + "\nhlt",
                {{Reg::rsp, kNowhere + 0x80}, {Reg::rbp, kNowhere + 0x40}, {Reg::rdi, kNowhere}});
        run.set(Reg::xmm1, ~u64{0}, ~u64{0});
        CHECK(run.finish() == EndReason::vmm_error);
        CHECK(run.text(EventKind::vmm_error) == row.why);
        CHECK(run.count(EventKind::mmio) == 0);
    }
}

TEST_CASE("emulator: its faults are the guest's", "[model][emulator]") {
    // DIV by a word of ones overflows nothing; by what fits not: #DE without an error code.
    Run div("div byte [rbx]\nhlt", {{Reg::rbx, kNowhere}, {Reg::rax, 0xFFFF}});
    div.code(0x3000, "hlt");
    div.gate(0, 0x3000);
    CHECK(div.finish() == EndReason::guest_halted);
    CHECK(div.events(EventKind::fault)[0].args[0] == 0);
    CHECK(div.guest(Reg::rax) == 0xFFFF);
    CHECK(accesses(div) == Texts{"r 7000000 1"});

    // TF: #DB behind the instruction, and TF is gone from what the handler finds saved.
    Run trap("mov eax, [rbx]\nhlt", {{Reg::rbx, kNowhere}, {Reg::rflags, 0x102}});
    trap.code(0x3000, "mov r14, [rsp]\nmov r15, [rsp + 16]\nhlt");
    trap.gate(1, 0x3000);
    CHECK(trap.finish() == EndReason::guest_halted);
    CHECK(trap.guest(Reg::r14) == kGuestCode + 2);
    CHECK((trap.guest(Reg::r15) & 0x100) == 0);

    // Code where no RAM is: #GP(0), by one SET that has nothing but the event.
    Run code("jmp rbx", {{Reg::rbx, kNowhere}});
    code.code(0x3000, "pop r14\nhlt");
    code.gate(13, 0x3000);
    CHECK(code.finish() == EndReason::guest_halted);
    CHECK(code.guest(Reg::r14) == 0);
    CHECK(code.value("command.request_data") == 1);

    // An operand that begins in RAM and ends beyond.
    Run beyond("mov rax, [abs 0x1FFFF9]\nhlt");
    beyond.config.guest_ram = 0x200000;
    CHECK(beyond.finish() == EndReason::vmm_error);
    CHECK(beyond.text(EventKind::vmm_error) ==
          "emulation failed: 0x1ffff9 is RAM, its 8 bytes are not");

    // An intercept without bytes: they are fetched, and a NOP is nothing for the emulator.
    Run scripted("nop\nnop\nhlt");
    scripted.config.events.push_back({.address = kGuestCode + 1,
                                      .action = PinnedAction::intercept,
                                      .message_type = static_cast<u32>(MessageType::gpa_intercept),
                                      .value = kNowhere});
    CHECK(scripted.finish() == EndReason::vmm_error);
    CHECK(scripted.text(EventKind::vmm_error) ==
          "emulation failed: nop has no operand in memory or I/O");
}

TEST_CASE("emulator: repeated moves, compares and their limits", "[model][emulator]") {
    // From MMIO to RAM downwards, with a segment override; 32-bit addresses clear the upper halves.
    Run from("std\ndb 0x67, 0x64, 0xF3, 0xA4\ncld\nhlt", {{Reg::rsi, kTop | 0x12},
                                                          {Reg::rdi, kTop | 0x6002},
                                                          {Reg::rcx, kTop | 2},
                                                          {Reg::fs_base, kNowhere}});
    CHECK(from.finish() == EndReason::guest_halted);
    CHECK(accesses(from) == Texts{"r 7000012 1", "r 7000011 1"});
    CHECK(from.word(0x6000) == 0xFFFF00);
    CHECK(from.guest(Reg::rsi) == 0x10);
    CHECK(from.guest(Reg::rdi) == 0x6000);
    CHECK(from.guest(Reg::rcx) == 0);

    // 1024 elements at an exit; RIP stays until none is left. F2 repeats too.
    Run many("db 0xF2, 0xAA\nhlt", {{Reg::rdi, kNowhere}, {Reg::rcx, 1500}, {Reg::rax, 0x5A}});
    many.until_event(EventKind::message, 2);
    CHECK(many.value("vtl0.rip") == kGuestCode);
    CHECK(many.guest(Reg::rcx) == 1500 - 1024);
    CHECK(many.guest(Reg::rdi) == kNowhere + 1024);
    CHECK(many.finish() == EndReason::guest_halted);
    CHECK(many.value("vmm.exits") == 2);
    CHECK(many.count(EventKind::mmio) == 1500);

    // REPE CMPSB over 1024 equal elements: flags come with the last exit.
    Run equal(
        "repe cmpsb\nhlt",
        {{Reg::rsi, kNowhere}, {Reg::rdi, kNowhere + 0x800}, {Reg::rcx, 1030}, {Reg::rflags, 0x2}});
    equal.until_event(EventKind::message, 2);
    CHECK((equal.guest(Reg::rflags) & 0x40) == 0);
    CHECK(equal.finish() == EndReason::guest_halted);
    CHECK((equal.guest(Reg::rflags) & 0x40) != 0);
    CHECK(equal.guest(Reg::rcx) == 0);

    // Data of a string comparison with RAM on one side.
    Run differ("repe cmpsb\nhlt", {{Reg::rsi, 0x6000}, {Reg::rdi, kNowhere}, {Reg::rcx, 4}});
    differ.memory(0x6000, {0xFF, 0xFF, 1, 1});
    CHECK(differ.finish() == EndReason::guest_halted);
    CHECK(differ.guest(Reg::rcx) == 1);
    CHECK(differ.guest(Reg::rsi) == 0x6003);
    CHECK((differ.guest(Reg::rflags) & 1) != 0);  // 1 is below FFh
}

TEST_CASE("emulator: translations under page tables", "[model][emulator]") {
    for (VpRunner runner : {VpRunner::sidecar, VpRunner::kernel_driver}) {
        // The message's own translation serves accesses of its kind; one of the other kind asks.
        Run modify("inc dword [rbx]\nhlt", {{Reg::rbx, 0x203010}});
        modify.config.switches.vp_runner = runner;
        page_tables(modify);
        CHECK(modify.finish() == EndReason::guest_halted);
        CHECK(accesses(modify) == Texts{"r 7000010 4", "w 7000010 4"});
        // That one is of a write: the read asks, forgets it, and the write asks again.
        CHECK(modify.value("message.access") == 1);
        CHECK(translated(modify) == std::vector<u64>{0x203, 0x203});
        Run load("mov eax, [rbx]\nmov [rbx], eax\nhlt", {{Reg::rbx, 0x203010}});
        load.config.switches.vp_runner = runner;
        page_tables(load);
        CHECK(load.finish() == EndReason::guest_halted);
        CHECK(translated(load).empty());

        // It remembers one: reads and writes that take turns ask each time.
        Run moves("rep movsb\nhlt", {{Reg::rsi, 0x203000}, {Reg::rdi, 0x200FFF}, {Reg::rcx, 2}});
        moves.config.switches.vp_runner = runner;
        page_tables(moves);
        CHECK(moves.finish() == EndReason::guest_halted);
        CHECK(moves.value("vmm.exits") == 1);
        CHECK(translated(moves) == std::vector<u64>{0x200, 0x203, 0x201});
        CHECK(moves.count(EventKind::mmio) == 2);
        CHECK((moves.word(0x7FFF) & 0xFF) == 0xFF);
        CHECK((moves.word(0x9000) & 0xFF) == 0xFF);
        // Accessed and dirty bits, as the processor would have set them.
        CHECK(moves.word(0xD000) == 0x7063);
        CHECK(moves.word(0xD008) == 0x9063);
    }
    // The second operand's page is absent: #PF at the instruction, what was read is read again.
    struct Fault {
        u64 to;
        u64 code;
    };
    for (const Fault& fault : {Fault{0x202004, 2}, Fault{0x204004, 3}}) {
        Run run("movsd\nhlt", {{Reg::rsi, 0x203000}, {Reg::rdi, fault.to}});
        page_tables(run);
        run.code(0x3000, "mov r15, cr2\npop r14\nmov r13, [rsp]\nhlt");
        run.gate(14, 0x3000);
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK(run.guest(Reg::r15) == fault.to);
        CHECK(run.guest(Reg::r14) == fault.code);
        CHECK(run.guest(Reg::r13) == kGuestCode);
        CHECK(run.guest(Reg::rsi) == 0x203000);
        CHECK(accesses(run) == Texts{"r 7000000 4"});
    }
    // A page table outside of RAM: the message has no translation, and the hypervisor's walk ends.
    Run table("mov eax, [abs 0x400000]\nhlt");
    page_tables(table);
    table.code(0xC010, "dq 0x7000003");
    table.code(0x3000, "pop r14\nhlt");
    table.gate(13, 0x3000);
    CHECK(table.finish() == EndReason::guest_halted);
    CHECK(table.value("message.access_flags") == 1);
    CHECK(table.guest(Reg::r14) == 0);
    CHECK(table.count(EventKind::mmio) == 0);
}

TEST_CASE("emulator: string I/O under page tables", "[model][emulator]") {
    for (VpRunner runner : {VpRunner::sidecar, VpRunner::kernel_driver}) {
        Run out = string_io("rep outsb", {{Reg::rsi, 0x200FFE}, {Reg::rcx, 4}});
        out.config.switches.vp_runner = runner;
        page_tables(out);
        out.memory(0x7FFE, {1, 2});
        out.memory(0x9000, {3, 4});
        CHECK(out.finish() == EndReason::guest_halted);
        CHECK(device_values(out, EventKind::device_write) == std::vector<u64>{1, 2, 3, 4});
        CHECK(out.value("vmm.exits") == 1);
        CHECK(out.guest(Reg::rsi) == 0x201002);
        CHECK(out.guest(Reg::rcx) == 0);
        CHECK(translated(out) == std::vector<u64>{0x200, 0x201});
        // The emulator's own registers: by GET on the sidecar, from the register page elsewhere.
        std::vector<u64> fetched;
        for (const Event& e : out.events(EventKind::hypercall)) {
            if (e.args[0] == 0x50) fetched.push_back(e.args[1]);
        }
        const std::vector<u64> wanted{0x20004, 0x60000, 0x60003, 0x60004,
                                      0x60005, 0x60002, 0x40000, 0x80001};
        CHECK(fetched == (runner == VpRunner::sidecar ? wanted : std::vector<u64>{}));
    }
    Run in = string_io("insb", {{Reg::rdi, 0x200010}});
    page_tables(in);
    in.port(kPort, 1, {0x66});
    CHECK(in.finish() == EndReason::guest_halted);
    CHECK(in.word(0x7010) == 0x66);
    CHECK(in.value("port.0x3fe.reads") == 1);  // the TRANSLATE in between does not read again

    // INS asks the device before it translates: a page fault loses what it gave.
    Run nowhere = string_io("insb", {{Reg::rdi, 0x202000}});
    page_tables(nowhere);
    nowhere.port(kPort, 1, {0x66});
    nowhere.code(0x3000, "mov r15, cr2\npop r14\nhlt");
    nowhere.gate(14, 0x3000);
    CHECK(nowhere.finish() == EndReason::guest_halted);
    CHECK(nowhere.guest(Reg::r15) == 0x202000);
    CHECK(nowhere.guest(Reg::r14) == 2);  // a write to a page that is not there
    CHECK(nowhere.value("port.0x3fe.reads") == 1);

    // A page where no RAM is; an element that ends beyond RAM.
    Run outside = string_io("insb", {{Reg::rdi, 0x203000}});
    page_tables(outside);
    outside.port(kPort, 1, {0x66});
    CHECK(outside.finish() == EndReason::guest_halted);
    CHECK(accesses(outside) == Texts{"w 7000000 1"});
    Run end = string_io("outsd", {{Reg::rsi, (u64{16} << 20) - 2}});
    CHECK(end.finish() == EndReason::vmm_error);
}

TEST_CASE("emulator: string I/O of user code is refused by IOPL, whatever the TSS allows",
          "[model][emulator]") {
    Run user = string_io("rep outsb", {{Reg::rsi, 0x6000}, {Reg::rcx, 2}});
    user.memory(0x6000, {7, 8});
    user.set(Reg::cs, 0x1B);
    user.set(Reg::cs_attr, sim::attr::kFlatCode64 | 0x60);
    user.set(Reg::ss, 0x23);
    user.set(Reg::ss_attr, sim::attr::kFlatData | 0x60);
    user.set(Reg::tr_base, 0x9000);  // RSP0, and an I/O map that allows everything
    user.set(Reg::tr_limit, 0x68 + 0x2000);
    user.set(Reg::tr_attr, sim::attr::kTss64Busy);
    user.code(0x9004, "dq 0x7000");
    user.code(0x9066, "dw 0x68");
    user.code(0x9068 + 0x2000, "db 0xFF");
    user.code(0x3000, "pop r14\nhlt");
    user.gate(13, 0x3000);
    CHECK(user.finish() == EndReason::guest_halted);
    CHECK(user.count(EventKind::exit_io) == 1);  // the processor lets it through
    CHECK(user.count(EventKind::device_write) == 0);
    CHECK(user.guest(Reg::r14) == 0);
    CHECK(user.events(EventKind::fault)[0].args[0] == 13);
}

}  // namespace vtlsim::tests
