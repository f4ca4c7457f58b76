// How worlds end: halts, crashes, gaps and limits; and what a config must be.
#include <functional>
#include <set>

#include "tests/catch.hpp"
#include "tests/model/world_rig.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;
using sim::Reg;

// Code instead of a VTL2 kernel: it enables the assist page, stores 1111h and 2222h as the lower
// VTL's RAX and RCX, and goes on. It never says that it is idle, so the VMM waits for ever: such a
// run ends as `stuck` once nobody can act.
Run vtl2_code(const std::string& text, std::string_view guest = "hlt") {
    Run run(guest);
    run.code(layout::kVtl2Code,
             "mov ecx, 0x40000073\nmov eax, 0x08021001\nxor edx, edx\nwrmsr\n"
             "mov qword [abs 0x08021010], 0x1111\nmov qword [abs 0x08021018], 0x2222\n" +
                 text);
    return run;
}

}  // namespace

TEST_CASE("ends: HLT", "[model]") {
    Run run("hlt");
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK_FALSE(run.world().turn());
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.count(EventKind::end) == 1);
    CHECK(run.events(EventKind::end)[0].args[0] == static_cast<u64>(EndReason::guest_halted));
}

TEST_CASE("ends: a triple fault of the guest", "[model]") {
    Run run("nop\nud2", {{Reg::rax, 0x42}});
    CHECK(run.finish() == EndReason::guest_triple_fault);
    CHECK(run.value("message.type") == 0x80000021);
    CHECK(run.value("message.payload_size") == 0x28);
    CHECK(run.value("message.rip") == kGuestCode + 1);
    CHECK(run.value("context.rax") == 0x42);
    CHECK(run.value("vmm.exits") == 1);
}

TEST_CASE("ends: a fault that the guest handles is none", "[model]") {
    Run run("ud2\nhlt");
    run.code(0x3000, "add qword [rsp], 2\ninc r15\niretq");
    run.gate(6, 0x3000);
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.guest(Reg::r15) == 1);
    CHECK(run.events(EventKind::fault)[0].args[0] == 6);
    CHECK(run.value("vmm.exits") == 0);
}

TEST_CASE("ends: VTL2's memory is a loud gap for the guest", "[model]") {
    struct Row {
        const char* text;
        u64 gpa;
        u64 access;
        const char* gap;
    };
    constexpr const char* kVtl2 = "the guest touches VTL2's memory";
    const Row kRows[] = {
        {"mov rax, 0x8021000\nmov [rax], rax\nhlt", 0x8021000, 1, kVtl2},  // the assist page
        {"mov rax, 0x8000000\njmp rax", 0x8000000, 2, kVtl2},              // code
    };
    for (const Row& row : kRows) {
        CAPTURE(row.text);
        Run run(row.text);
        CHECK(run.finish() == EndReason::not_modelled);
        CHECK(run.text(EventKind::not_modelled) == row.gap);
        const Event e = run.events(EventKind::exit_memory)[0];
        CHECK(e.args[0] == row.gpa);
        CHECK(e.args[1] == row.access);
        CHECK(run.value("message.gpa") == row.gpa);
        CHECK(run.value("message.gva") == row.gpa);
        CHECK(run.value("message.access_flags") == 3);
        CHECK(run.value("message.access") == row.access);
    }
    Run last("mov rax, [abs 0x1FFFF8]\nhlt");
    last.config.guest_ram = 0x200000;
    CHECK(last.finish() == EndReason::guest_halted);
}

TEST_CASE("ends: VTL return, normal and fast", "[model]") {
    for (u64 control : {u64{0}, u64{1}}) {
        Run run = vtl2_code("mov eax, " + std::to_string(control) + "\nmov ecx, 0x12\nvmcall\nhlt",
                            "nop\nhlt");
        CHECK(run.finish() == EndReason::stuck);
        CHECK(run.guest(Reg::activity) != 0);  // the guest has halted
        const bool fast = control == 1;
        CHECK(run.guest(Reg::rax) == (fast ? 1 : 0x1111));  // fast: nothing is loaded
        CHECK(run.guest(Reg::rcx) == (fast ? 0x12 : 0x2222));
        CHECK(run.events(EventKind::vtl_return)[0].args[1] == control);
        CHECK(run.guest_instructions() == 2);
    }
}

TEST_CASE("ends: a bounce of a normal and of a fast return", "[model]") {
    for (auto order : {PendingOnReturn::restore_then_bounce, PendingOnReturn::bounce_then_keep}) {
        for (u64 control : {u64{0}, u64{1}}) {
            const std::string text = "mov eax, " + std::to_string(control) + "\nmov ecx, 0x12\n";
            Run run = vtl2_code(text + "vmcall\nmov r14, rax\nmov r15, rcx\nhlt");
            run.config.switches.pending_on_return = order;
            run.config.events.push_back({.vtl = 2, .address = layout::kVtl2Code, .vector = 0x55});
            run.finish();
            CHECK(run.count(EventKind::bounce) == 1);
            CHECK(run.guest_instructions() == 0);
            CHECK(run.value("assist.entry_reason") == 2);
            const bool loaded = control == 0 && order == PendingOnReturn::restore_then_bounce;
            CHECK(run.world().register_of(2, Reg::r14).lo == (loaded ? 0x1111 : control));
            CHECK(run.world().register_of(2, Reg::r15).lo == (loaded ? 0x2222 : 0x12));
        }
    }
}

TEST_CASE("ends: VTL2 resumes after its VMCALL", "[model]") {
    Run run = vtl2_code("xor eax, eax\nmov ecx, 0x12\nvmcall\nmov r15, 0x77\nmov r14, rax\nhlt",
                        "mov rax, 0x5555\nin al, dx\nhlt");
    run.finish();
    CHECK(run.world().register_of(2, Reg::r15).lo == 0x77);
    CHECK(run.world().register_of(2, Reg::r14).lo == 0x5555);
    CHECK(run.value("assist.entry_reason") == 3);
    CHECK(run.count(EventKind::vtl_enter) == 1);
}

TEST_CASE("ends: a bad VTL return is #UD in VTL2", "[model]") {
    for (const char* bad :
         {"mov eax, 2\nmov ecx, 0x12\nvmcall\nhlt", "mov rax, 1 << 63\nmov ecx, 0x12\nvmcall\nhlt",
          "xor eax, eax\nmov ecx, 0x10012\nvmcall\nhlt",
          "xor eax, eax\nmov rcx, 0x100000012\nvmcall\nhlt"}) {
        CAPTURE(bad);
        Run run = vtl2_code(bad);
        CHECK(run.finish() == EndReason::vtl2_crash);  // its IDT has no gate for #UD
        REQUIRE(run.count(EventKind::fault) == 1);
        CHECK(run.events(EventKind::fault)[0].args[0] == 6);
        CHECK(run.events(EventKind::fault)[0].vtl == 2);
        CHECK(run.count(EventKind::vtl_return) == 0);
        CHECK(run.guest_instructions() == 0);
    }
}

TEST_CASE("ends: what VTL2 does and the hypervisor lacks is a loud gap", "[model]") {
    struct Row {
        const char* text;
        const char* what;
    };
    const Row kRows[] = {
        {"in al, 0x80", "a port access by VTL2"},
        {"mov ecx, 0x12345\nrdmsr", "RDMSR 0x12345 by VTL2"},
        {"mov ecx, 0x12345\nwrmsr", "WRMSR 0x12345 by VTL2"},
        {"mov ecx, 0x40000073\nmov eax, 0x08022001\nxor edx, edx\nwrmsr",
         "a VP assist page somewhere else"},
        {"mov ecx, 0x40000073\nmov eax, 0x08021000\nxor edx, edx\nwrmsr",
         "a VP assist page somewhere else"},
        {"mov rax, [abs 0x10000000]", "VTL2 touches 0x10000000, where nothing is"},
        {"mov ecx, 0x52\nvmcall", "hypercall 0x52 by VTL2"},
        {"mov ecx, 0x50\nvmcall", "HvCallGet/SetVpRegisters of several registers at once"},
        {"mov ecx, 0x51\nvmcall", "HvCallGet/SetVpRegisters of several registers at once"},
        {"mov dword [abs 0x08022010], 0x70000\n"
         "mov rcx, 1 << 32 | 0x50\nmov edx, 0x08022000\nmov r8d, 0x08022800\nvmcall",
         "HvCallGetVpRegisters of register 0x70000"},
        {"mov byte [abs 0x0802200C], 0x10\nmov dword [abs 0x08022010], 0x70000\n"
         "mov rcx, 1 << 32 | 0x51\nmov edx, 0x08022000\nvmcall",
         "HvCallSetVpRegisters of register 0x70000"},
        {"mov dword [abs 0x08022010], 0x20000\n"
         "mov rcx, 1 << 32 | 0x51\nmov edx, 0x08022000\nvmcall",
         "HvCallSetVpRegisters of the caller's own x86 registers"},
        {"mov dword [abs 0x08022010], 0x9001C\nmov dword [abs 0x08022020], 0x08033001\n"
         "mov rcx, 1 << 32 | 0x51\nmov edx, 0x08022000\nvmcall",
         "a register page somewhere else"},
        {"mov byte [abs 0x08021170], 1\nxor eax, eax\nmov ecx, 0x12\nvmcall", "VTL return actions"},
    };
    for (const Row& row : kRows) {
        CAPTURE(row.text);
        Run run = vtl2_code(std::string(row.text) + "\nhlt");
        CHECK(run.finish() == EndReason::not_modelled);
        CHECK(run.text(EventKind::not_modelled) == row.what);
        // Nothing follows the end.
        CHECK(run.world().log().events().back().kind == EventKind::end);
        CHECK(run.guest_instructions() == 0);
    }
    Run early("hlt");
    early.code(layout::kVtl2Code, "xor eax, eax\nmov ecx, 0x12\nvmcall\nhlt");
    early.code(kGuestCode, "in al, dx\nhlt");
    CHECK(early.finish() == EndReason::not_modelled);
    CHECK(early.text(EventKind::not_modelled) ==
          "a VTL2 entry before VTL2 has enabled its VP assist page");
    Run late = vtl2_code(
        "mov ecx, 0x40000073\nxor eax, eax\nxor edx, edx\nwrmsr\nmov ecx, 0x12\nvmcall\nhlt",
        "in al, dx\nhlt");
    CHECK(late.finish() == EndReason::not_modelled);
    CHECK(late.text(EventKind::not_modelled) ==
          "a VTL2 entry before VTL2 has enabled its VP assist page");
    Run apic("mov ecx, 0x808\nrdmsr\nhlt");
    CHECK(apic.finish() == EndReason::not_modelled);
    CHECK(apic.text(EventKind::not_modelled) == "x2APIC MSR 0x808 of VTL0");
}

TEST_CASE("ends: SET of another VTL's register", "[model]") {
    // Input VTL 0 (use bit 4); R9 is shared, RSP is not.
    Run run = vtl2_code(
        "mov byte [abs 0x0802200C], 0x10\nmov dword [abs 0x08022010], 0x20004\n"
        "mov dword [abs 0x08022020], 0x7770\n"
        "mov rcx, 1 << 32 | 0x51\nmov edx, 0x08022000\nvmcall\nmov r15, rax\n"
        "mov dword [abs 0x08022010], 0x20009\n"
        "mov rcx, 1 << 32 | 0x51\nmov edx, 0x08022000\nvmcall\n"
        "xor eax, eax\nmov ecx, 0x12\nvmcall\nhlt",
        "nop\nhlt");
    CHECK(run.finish() == EndReason::stuck);
    CHECK(run.guest_instructions() == 2);
    CHECK(run.guest(Reg::rsp) == 0x7770);
    CHECK(run.world().register_of(2, Reg::rsp).lo == layout::kVtl2StackTop);
    CHECK(run.guest(Reg::r9) == 0x7770);
    CHECK(run.guest(Reg::r15) == u64{1} << 32);  // status 0, one repetition done
    // A VTL that is not there.
    Run other = vtl2_code(
        "mov byte [abs 0x0802200C], 0x11\nmov dword [abs 0x08022010], 0x20004\n"
        "mov rcx, 1 << 32 | 0x51\nmov edx, 0x08022000\nvmcall\n"
        "mov r15, rax\nhlt");
    other.finish();
    CHECK(other.world().register_of(2, Reg::r15).lo == 5);
}

TEST_CASE("ends: the VTL2 kernel's own errors", "[model]") {
    // A command that it does not know: in place of "has_error = 0", of the same length.
    Run command("hlt");
    command.code(command.kernel_label("dispatch"), "mov byte [abs 0x08031000], 9");
    CHECK(command.finish() == EndReason::vmm_error);
    CHECK(command.text(EventKind::vmm_error) == "unknown command");

    // An entry reason that it does not know.
    Run reason("in al, dx\nhlt");
    const u64 at = reason.kernel_label("run_vp_intercept");
    const std::string fail = std::to_string(reason.kernel_label("fail"));
    const std::string text = std::to_string(reason.kernel_label("unexpected_entry_reason"));
    reason.code(at, "mov esi, " + text + "\njmp " + fail);
    CHECK(reason.finish() == EndReason::vmm_error);
    CHECK(reason.text(EventKind::vmm_error) == "unexpected entry reason");
    CHECK(reason.value("command.has_error") == 1);
    CHECK(reason.value("vmm.exits") == 0);
}

TEST_CASE("ends: a lost wake-up is stuck", "[model]") {
    Run run("hlt");
    run.code(layout::kVtl2Code, "cli\nhlt");  // never idle, never woken
    CHECK(run.finish() == EndReason::stuck);
    Run masked("hlt");
    masked.config.vtl2_registers = {{Reg::cr8, {15, 0}}};  // the request vector never gets in
    CHECK(masked.finish() == EndReason::stuck);
    CHECK(masked.count(EventKind::vmm_run) == 1);
}

// --- limits --------------------------------------------------------------------------------------

TEST_CASE("ends: an endless loop ends exactly at the step limit", "[model]") {
    for (u64 limit : {u64{0}, u64{1}, u64{1000}, u64{4321}}) {
        Run run("jmp $");
        run.config.limits.steps = limit;
        CHECK(run.finish() == EndReason::step_limit);
        CHECK(run.world().steps() == limit);
    }
    // Whose every second step is a fault.
    Run faults("ud2");
    faults.code(0x3000, "iretq");
    faults.gate(6, 0x3000);
    for (u64 limit : {u64{1000}, u64{1001}, u64{1002}}) {
        Run run = Run("ud2");
        run.code(0x3000, "iretq");
        run.gate(6, 0x3000);
        run.config.limits.steps = limit;
        CHECK(run.finish() == EndReason::step_limit);
        CHECK(run.world().steps() == limit);
    }
}

TEST_CASE("ends: every step limit gives the beginning of the same story", "[model]") {
    const auto make = [](u64 limit) {
        Run run("sti\nin al, dx\nud2\nmov eax, 1\ncpuid\nhlt", {{Reg::rdx, kPort}});
        run.code(0x3000, "add qword [rsp], 2\niretq");
        run.gate(6, 0x3000);
        run.code(0x3100, "mov ecx, 0x80B\nxor eax, eax\nxor edx, edx\nwrmsr\niretq");
        run.gate(0x55, 0x3100);
        run.interrupt(0, kGuestCode + 1, true);
        run.config.events.push_back(
            {.vtl = 0, .address = kGuestCode + 2, .for_vtl = 0, .vector = 0x55});
        run.config.limits.steps = limit;
        return run;
    };
    Run whole = make(100'000);
    CHECK(whole.finish() == EndReason::guest_halted);
    const u64 all = whole.world().steps();
    const auto events = whole.world().log().events();
    REQUIRE(all > 200);
    // The guest runs in the last third; before it every seventh will do.
    for (u64 limit = 0; limit < all; limit += limit < all * 2 / 3 ? 7 : 1) {
        CAPTURE(limit);
        Run run = make(limit);
        REQUIRE(run.finish() == EndReason::step_limit);
        REQUIRE(run.world().steps() == limit);
        const auto part = run.world().log().events();
        REQUIRE(part.size() <= events.size());
        REQUIRE(std::equal(part.begin(), part.end() - 1, events.begin()));
    }
    Run exact = make(all);
    exact.finish();
    CHECK(exact.world().steps() == all);
}

TEST_CASE("ends: the page limit", "[model]") {
    constexpr std::string_view kText =
        "mov rdi, 0x10000\nagain: mov [rdi], rdi\nadd rdi, 0x1000\njmp again";
    Run run(kText);
    run.config.limits.pages = 40;
    CHECK(run.finish() == EndReason::memory_limit);
    CHECK(run.guest_instructions() > 20);
    // At every limit too small for the start there is an end too, and no crash.
    std::set<EndReason> ends;
    for (u64 pages = 0; pages < 20; ++pages) {
        Run small("in al, dx\nhlt");
        small.config.limits.pages = pages;
        ends.insert(small.finish());
        CHECK(small.world().log().events().back().kind == EventKind::end);
    }
    CHECK(ends == std::set<EndReason>{EndReason::memory_limit, EndReason::guest_halted});
}

// --- configs -------------------------------------------------------------------------------------

TEST_CASE("config: what is wrong is said", "[model]") {
    struct Row {
        std::function<void(WorldConfig&)> change;
        const char* problem;
    };
    const Row kRows[] = {
        {[](WorldConfig& c) { c.guest_ram = 0; },
         "guest RAM must be a multiple of 4 KiB up to 0x8000000 bytes"},
        {[](WorldConfig& c) { c.guest_ram = 0x1001; },
         "guest RAM must be a multiple of 4 KiB up to 0x8000000 bytes"},
        {[](WorldConfig& c) { c.guest_ram = 0x8001000; },
         "guest RAM must be a multiple of 4 KiB up to 0x8000000 bytes"},
        {[](WorldConfig& c) {
             c.memory = {{.address = 0xFFFFFF, .bytes = {1, 2}}};
         },
         "memory at 0xffffff is neither guest RAM nor VTL2's"},
        {[](WorldConfig& c) {
             c.memory = {{.address = ~u64{0}, .bytes = {1, 2}}};
         },
         "memory at 0xffffffffffffffff is neither guest RAM nor VTL2's"},
        {[](WorldConfig& c) {
             c.memory = {{.address = 0x803FFFF, .bytes = {1, 2}}};
         },
         "memory at 0x803ffff is neither guest RAM nor VTL2's"},
        {[](WorldConfig& c) { c.events = {{.vtl = 1, .address = 0x10}}; },
         "event at 0x10: the code is VTL 0's or 2's"},
        {[](WorldConfig& c) { c.events = {{.nth = 0}}; },
         "event at 0x0: the first execution is number 1"},
        {[](WorldConfig& c) { c.events = {{.for_vtl = 3}}; },
         "event at 0x0: an interrupt is for VTL 0 or 2"},
        {[](WorldConfig& c) { c.events = {{.for_vtl = 1}}; },
         "event at 0x0: an interrupt is for VTL 0 or 2"},
        {[](WorldConfig& c) { c.events = {{.vector = 0xF}}; },
         "event at 0x0: interrupt vectors below 10h are illegal in an APIC"},
        {[](WorldConfig& c) { c.events = {{.vtl = 2, .transient = true}}; },
         "event at 0x0: a transient interrupt only makes VTL0's code enter VTL2"},
        {[](WorldConfig& c) { c.events = {{.for_vtl = 0, .transient = true}}; },
         "event at 0x0: a transient interrupt only makes VTL0's code enter VTL2"},
        {[](WorldConfig& c) { c.ports = {{.port = 0x10, .size = 3, .reads = {}}}; },
         "port 0x10: accesses are of 1, 2 or 4 bytes"},
        {[](WorldConfig& c) {
             c.ports = {{.port = 0x10, .reads = {}}, {.port = 0x10, .reads = {1}}};
         },
         "a port with the same size is given twice"},
        {[](WorldConfig& c) {
             c.cpuid = {{.leaf = 1}, {.leaf = 1}};
         },
         "a CPUID leaf is given twice"},
        {[](WorldConfig& c) {
             c.msrs = {{.msr = 1}, {.msr = 1}};
         },
         "an MSR is given twice"},
        {[](WorldConfig& c) {
             c.hypercalls = {{.code = 1}, {.code = 1}};
         },
         "a hypercall is given twice"},
        {[](WorldConfig& c) {
             c.vtl0_registers = {{Reg::activity, {1, 0}}};
         },
         "a processor cannot start halted: the VTL2 kernel runs first"},
        {[](WorldConfig& c) {
             c.switches = {.vp_runner = VpRunner::kernel_driver, .vmm_fix = VmmFix::V1};
         },
         "vmm_fix V1 is a change of the sidecar kernel: it does not apply to vp_runner "
         "kernel_driver"},
        {[](WorldConfig& c) {
             c.switches = {.vp_runner = VpRunner::kernel_driver,
                           .fx_cr2_restore = FxCr2Restore::pre3584};
         },
         "fx_cr2_restore is about the sidecar kernel: it does not apply to vp_runner "
         "kernel_driver"},
        {[](WorldConfig& c) { c.other_vps.resize(layout::kMaxVps); }, "at most 8 VPs"},
        {[](WorldConfig& c) {
             c.switches = {.vp_runner = VpRunner::kernel_driver};
             c.hotplug = true;
         },
         "invariants but no-vmm-panic, hotplug, more VPs, driver and memory_order are about the "
         "sidecar: they do not apply to vp_runner kernel_driver"},
    };
    for (const Row& row : kRows) {
        WorldConfig config;
        row.change(config);
        CHECK(check_config(config) == std::vector<std::string>{row.problem});
        CHECK_THROWS_AS(World(config), std::invalid_argument);
    }
    WorldConfig good;
    good.guest_ram = 0x1000;
    good.memory = {{.address = 0, .bytes = std::vector<u8>(0x1000)},
                   {.address = 0x803FFFF, .bytes = {1}},
                   {.address = 0x5000, .bytes = {}}};
    good.memory.pop_back();
    good.ports = {{.port = 1, .size = 1, .reads = {}},
                  {.port = 1, .size = 2, .reads = {}},
                  {.port = 2, .size = 1, .reads = {}}};
    CHECK(check_config(good).empty());
    good.memory.push_back({.address = 0x807FFFF, .bytes = {1}});
    CHECK_FALSE(check_config(good).empty());
    good.other_vps.resize(1);
    CHECK(check_config(good).empty());
}

}  // namespace vtlsim::tests
