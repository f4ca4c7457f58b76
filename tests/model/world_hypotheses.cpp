// Whole worlds under the report's hypotheses, and what each fix mends and does not.
#include "tests/catch.hpp"
#include "tests/model/world_rig.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;
using sim::Reg;

// The assert's two sides; it must have ended the run.
std::pair<u64, u64> assert_sides(Run& run) {
    REQUIRE(run.count(EventKind::vmm_assert) == 1);
    REQUIRE(run.world().end() == EndReason::vmm_panic);
    const Event e = run.events(EventKind::vmm_assert)[0];
    return {e.args[0], e.args[1]};
}

// Sets everything that an exit can lose, then exits. Label `point`: before the second half.
constexpr std::string_view kAllRegisters =
    "mov rax, 0xA0\nmov rcx, 0xA1\nmov rbx, 0xA3\nmov rbp, 0xA5\nmov rsi, 0xA6\nmov rdi, 0xA7\n"
    "mov r8, 0xA8\nmov r9, 0xA9\nmov r10, 0xAA\nmov r11, 0xAB\nmov r12, 0xAC\nmov r13, 0xAD\n"
    "mov r14, 0xAE\nmov r15, 0xAF\n"
    "movups xmm0, [0x6000]\nmovups xmm5, [0x6010]\nmovups xmm6, [0x6020]\n"
    "movups xmm15, [0x6030]\nldmxcsr [0x6040]\nfldcw [0x6044]\n"
    "mov rdx, 0xC2C2\nmov cr2, rdx\nmov rdx, 0x3FE\nout dx, al\nhlt";

Run all_registers(GprModel gpr, VmmFix fix) {
    Run run(kAllRegisters);
    run.config.switches.gpr_model = gpr;
    run.config.switches.vmm_fix = fix;
    run.code(0x6000, "dq 0xE0, 0xF0, 0xE5, 0xF5, 0xE6, 0xF6, 0xEF, 0xFF\ndd 0x1FC0\ndw 0x27F");
    return run;
}

constexpr std::pair<const char*, u64> kGprs[] = {
    {"rax", 0xA0}, {"rcx", 0xA1}, {"rdx", 0x3FE}, {"rbx", 0xA3}, {"rbp", 0xA5},
    {"rsi", 0xA6}, {"rdi", 0xA7}, {"r8", 0xA8},   {"r9", 0xA9},  {"r10", 0xAA},
    {"r11", 0xAB}, {"r12", 0xAC}, {"r13", 0xAD},  {"r14", 0xAE}, {"r15", 0xAF}};

}  // namespace

TEST_CASE("world: G8, a shadow asserts at the very first OUT", "[model]") {
    for (auto runner : {VpRunner::sidecar, VpRunner::kernel_driver}) {
        Run run("out dx, al\nhlt", {{Reg::rdx, kPort}, {Reg::rax, 0xFFFFFFFF81234500}});
        run.config.switches.gpr_model = GprModel::shadow;
        run.config.switches.vp_runner = runner;
        CHECK(run.finish() == EndReason::vmm_panic);
        CHECK(assert_sides(run) == std::pair<u64, u64>{0xFFFFFFFF81234500, 0});
        CHECK(run.value("context.rax") == 0);
        CHECK(run.value("context.rcx") == 0x12);
        CHECK(run.value("message.rax") == 0xFFFFFFFF81234500);
        CHECK(run.guest(Reg::rax) == 0xFFFFFFFF81234500);  // the hypervisor has lost nothing
        CHECK(run.value("port.0x3fe.writes") == 0);
        CHECK(run.value("vmm.exits") == 1);
        CHECK(run.guest_instructions() == 1);
    }
    // With RAX = 0 the two agree.
    Run run("out dx, al\nhlt", {{Reg::rdx, kPort}});
    run.config.switches.gpr_model = GprModel::shadow;
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.guest(Reg::rcx) == 0x12);  // but RCX travels by the context, and is stale
}

TEST_CASE("world: every GPR and x87/SSE register is stale under a shadow", "[model]") {
    Run run = all_registers(GprModel::shadow, VmmFix::V0);
    CHECK(run.finish() == EndReason::vmm_panic);
    for (const auto& [name, value] : kGprs) {
        CAPTURE(name);
        // X, the context's own value at the VTL return: zero; RAX and RCX as the stub left them.
        CHECK(run.value(std::string("context.") + name) == (name == std::string("rcx") ? 0x12 : 0));
        CHECK(run.value(std::string("vtl0.") + name) == value);
    }
    CHECK(run.wide("context.xmm0") == Vec128{});
    CHECK(run.wide("context.xmm6") == Vec128{});
    CHECK(run.value("context.mxcsr") == 0x1F80);
    CHECK(run.value("context.fcw") == 0x37F);
    CHECK(run.value("context.cr2") == 0xC2C2);  // not shadowed by default
    CHECK(run.value("message.rax") == 0xA0);
    CHECK(run.count(EventKind::shadow) > 20);

    Run cr2 = all_registers(GprModel::shadow, VmmFix::V0);
    cr2.config.switches.cr2_model = Cr2Model::shadow;
    CHECK(cr2.finish() == EndReason::vmm_panic);
    CHECK(cr2.value("context.cr2") == 0);
    CHECK(cr2.value("vtl0.cr2") == 0xC2C2);
}

TEST_CASE("world: V1 under a shadow", "[model]") {
    for (auto fix : {VmmFix::V1, VmmFix::V1V2, VmmFix::V1_all_gps}) {
        CAPTURE(static_cast<int>(fix));
        Run run = all_registers(GprModel::shadow, fix);
        run.until_event(EventKind::vmm_exit);
        CHECK(run.count(EventKind::vmm_assert) == 0);
        for (const auto& [name, value] : kGprs) {
            CAPTURE(name);
            CHECK(run.value(std::string("context.") + name) == value);
        }
        CHECK(run.wide("context.xmm0") == Vec128{0xE0, 0xF0});
        CHECK(run.wide("context.xmm5") == Vec128{0xE5, 0xF5});
        // Its limits: the register page has no more.
        CHECK(run.wide("context.xmm6") == Vec128{});
        CHECK(run.wide("context.xmm15") == Vec128{});
        CHECK(run.value("context.mxcsr") == 0x1F80);
        CHECK(run.value("context.fcw") == 0x37F);
        CHECK(run.value("context.cr2") == (fix == VmmFix::V1_all_gps ? kGuestStack : 0xC2C2));
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK(run.value("port.0x3fe.writes") == 1);
        CHECK(run.guest(Reg::rcx) == 0xA1);
        CHECK(run.guest(Reg::cr2) == (fix == VmmFix::V1_all_gps ? kGuestStack : 0xC2C2));
    }
}

TEST_CASE("world: V1 as first committed puts RSP into CR2 where all is shared, too", "[model]") {
    for (auto restore : {FxCr2Restore::head, FxCr2Restore::pre3584}) {
        Run run = all_registers(GprModel::shared, VmmFix::V1_all_gps);
        run.config.switches.fx_cr2_restore = restore;
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK(run.value("context.cr2") == kGuestStack);
        // It reaches the guest only where run_vp_once loads CR2.
        CHECK(run.guest(Reg::cr2) == (restore == FxCr2Restore::head ? kGuestStack : 0xC2C2));
    }
}

TEST_CASE("world: V1 depends on what the register page holds", "[model]") {
    for (auto fill : {RegpageFill::invalid, RegpageFill::unmapped}) {
        CAPTURE(static_cast<int>(fill));
        Run run = all_registers(GprModel::shadow, VmmFix::V1);
        run.config.switches.regpage_fill = fill;
        CHECK(run.finish() == EndReason::vmm_panic);  // as without it
        CHECK(assert_sides(run) == std::pair<u64, u64>{0xA0, 0});
        CHECK(run.value("context.rcx") == 0x12);

        Run shared = all_registers(GprModel::shared, VmmFix::V1);
        shared.config.switches.regpage_fill = fill;
        CHECK(shared.finish() == EndReason::guest_halted);
        CHECK(shared.guest(Reg::r15) == 0xAF);
    }
    // A page with RSP only: V1 destroys registers that were right.
    Run run = all_registers(GprModel::shared, VmmFix::V1);
    run.config.switches.regpage_fill = RegpageFill::rsp_only;
    CHECK(run.finish() == EndReason::vmm_panic);
    CHECK(assert_sides(run) == std::pair<u64, u64>{0xA0, 0});
    CHECK(run.value("context.r15") == 0);
    CHECK(run.wide("context.xmm5") == Vec128{});
    CHECK(run.wide("context.xmm6") == Vec128{0xE6, 0xF6});
    // With V2 on top nobody notices, and the guest goes on with zeros.
    Run silent = all_registers(GprModel::shared, VmmFix::V1V2);
    silent.config.switches.regpage_fill = RegpageFill::rsp_only;
    CHECK(silent.finish() == EndReason::guest_halted);
    CHECK(silent.guest(Reg::rax) == 0xA0);
    CHECK(silent.guest(Reg::r15) == 0);
}

TEST_CASE("world: V2 mends RAX of an I/O exit and nothing else", "[model]") {
    Run run = all_registers(GprModel::shadow, VmmFix::V2);
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.count(EventKind::vmm_assert) == 0);
    CHECK(run.value("context.rax") == 0xA0);
    CHECK(run.guest(Reg::rax) == 0xA0);
    CHECK(run.value("port.0x3fe.last_written") == 0xA0);
    CHECK(run.value("context.rcx") == 0x12);
    CHECK(run.guest(Reg::rcx) == 0x12);  // A1h is lost: RCX travels by the assist page
    CHECK(run.guest(Reg::rbx) == 0xA3);  // the hypervisor's copy
    CHECK(run.value("context.rbx") == 0);

    Run in("in al, dx\nhlt", {{Reg::rdx, kPort}, {Reg::rax, 0xFFFFFFFF81234500}});
    in.config.switches = {.gpr_model = GprModel::shadow, .vmm_fix = VmmFix::V2};
    in.port(kPort, 1, {0xB0});
    CHECK(in.finish() == EndReason::guest_halted);
    CHECK(in.guest(Reg::rax) == 0x812345B0);
}

TEST_CASE("world: the report's sequence, an interrupt entry and then a port access", "[model]") {
    constexpr std::string_view kText =
        "mov rax, 0x1111\nmov rbx, 0x2221\nmov rcx, 0x3331\nmovups xmm9, [0x6000]\nnop\n"
        "mov rax, 0x1112\nmov rbx, 0x2222\nmov rcx, 0x3332\nmovups xmm9, [0x6010]\n"
        "mov rdx, 0x3FE\nout dx, al\nhlt";
    const u64 nop = kGuestCode + assembled(kGuestCode, kText.substr(0, kText.find("nop"))).size();
    const auto make = [&](GprModel gpr, VmmFix fix, bool interrupt) {
        Run run(kText);
        run.code(0x6000, "dq 1, 2, 3, 4");
        run.config.switches = {.gpr_model = gpr, .vmm_fix = fix};
        if (interrupt) run.interrupt(0, nop, true);
        return run;
    };
    // The three conditions: an interrupt entry, then an I/O exit, with other registers.
    Run crash = make(GprModel::shadow_on_second_reentry, VmmFix::V0, true);
    CHECK(crash.finish() == EndReason::vmm_panic);
    CHECK(assert_sides(crash) == std::pair<u64, u64>{0x1112, 0x1111});
    CHECK(crash.value("context.rbx") == 0x2221);
    CHECK(crash.value("context.rcx") == 0x3331);
    CHECK(crash.wide("context.xmm9") == Vec128{1, 2});
    CHECK(crash.guest(Reg::rbx) == 0x2222);
    CHECK(crash.events(EventKind::vtl_enter).size() == 2);
    CHECK(crash.events(EventKind::vtl_enter)[0].args[1] == 2);
    CHECK(crash.events(EventKind::vtl_enter)[1].args[1] == 3);
    CHECK(crash.count(EventKind::message) == 1);

    // Without the interrupt, or with shared registers, nothing happens.
    Run quiet = make(GprModel::shadow_on_second_reentry, VmmFix::V0, false);
    CHECK(quiet.finish() == EndReason::guest_halted);
    CHECK(quiet.count(EventKind::shadow) == 0);
    Run shared = make(GprModel::shared, VmmFix::V0, true);
    CHECK(shared.finish() == EndReason::guest_halted);
    CHECK(shared.count(EventKind::vtl_enter) == 2);
    CHECK(shared.guest(Reg::rcx) == 0x3332);
    CHECK(shared.world().register_of(0, Reg::xmm9) == Vec128{3, 4});

    Run v1 = make(GprModel::shadow_on_second_reentry, VmmFix::V1, true);
    CHECK(v1.finish() == EndReason::guest_halted);
    CHECK(v1.guest(Reg::rax) == 0x1112);
    CHECK(v1.guest(Reg::rbx) == 0x2222);
    CHECK(v1.guest(Reg::rcx) == 0x3332);
    CHECK(v1.wide("context.xmm9") == Vec128{1, 2});  // beyond XMM5: stale

    Run v2 = make(GprModel::shadow_on_second_reentry, VmmFix::V2, true);
    CHECK(v2.finish() == EndReason::guest_halted);
    CHECK(v2.guest(Reg::rax) == 0x1112);
    CHECK(v2.guest(Reg::rbx) == 0x2222);
    CHECK(v2.guest(Reg::rcx) == 0x3331);  // stale, by the assist page

    // The full shadow crashes with the stub's values instead.
    Run shadow = make(GprModel::shadow, VmmFix::V0, true);
    CHECK(shadow.finish() == EndReason::vmm_panic);
    CHECK(assert_sides(shadow).second == 0);
}

TEST_CASE("world: what the VMM writes reaches the guest only where registers are shared",
          "[model]") {
    for (auto gpr : {GprModel::shared, GprModel::shadow}) {
        Run run("cpuid\nhlt", {{Reg::rax, 7}, {Reg::rbx, 0xBBBB}, {Reg::rdx, 0xDDDD}});
        run.config.switches.gpr_model = gpr;
        run.config.cpuid.push_back({.leaf = 7, .eax = 1, .ebx = 2, .ecx = 3, .edx = 4});
        CHECK(run.finish() == EndReason::guest_halted);
        const bool shared = gpr == GprModel::shared;
        CHECK(run.guest(Reg::rax) == 1);
        CHECK(run.guest(Reg::rcx) == 3);
        CHECK(run.guest(Reg::rbx) == (shared ? 2 : 0xBBBB));
        CHECK(run.guest(Reg::rdx) == (shared ? 4 : 0xDDDD));
        CHECK(run.value("context.rbx") == 2);
    }
}

TEST_CASE("world: handlers that read the context are wrong under a shadow", "[model]") {
    Run call("mov rcx, 0x42\nvmcall\nhlt");
    call.config.hypercalls = {{.code = 0x42, .status = 0}};
    Run stale("mov rcx, 0x42\nvmcall\nhlt");
    stale.config.hypercalls = call.config.hypercalls;
    stale.config.switches.gpr_model = GprModel::shadow;
    CHECK(call.finish() == EndReason::guest_halted);
    CHECK(stale.finish() == EndReason::guest_halted);
    CHECK(call.guest(Reg::rax) == 0);
    CHECK(call.events(EventKind::vmm_hypercall)[0].args[1] == 0x42);
    CHECK(stale.events(EventKind::exit_hypercall)[0].args[0] == 0x42);
    CHECK(stale.events(EventKind::vmm_hypercall)[0].args[1] == 0x12);  // the stub's RCX
    CHECK(stale.guest(Reg::rax) == 2);                                 // no such hypercall

    // OUTS with RAX = 0 passes the assert and reads from where RSI was.
    for (auto gpr : {GprModel::shared, GprModel::shadow}) {
        Run outs("mov rsi, 0x6000\noutsb\nhlt", {{Reg::rdx, kPort}, {Reg::rsi, 0x6100}});
        outs.config.switches.gpr_model = gpr;
        outs.memory(0x6000, {0x11});
        outs.memory(0x6100, {0x22});
        CHECK(outs.finish() == EndReason::guest_halted);
        const bool shared = gpr == GprModel::shared;
        CHECK(outs.value("port.0x3fe.last_written") == (shared ? 0x11 : 0x22));
        CHECK(outs.value("context.rsi") == (shared ? 0x6001 : 0x6101));
        CHECK(outs.guest(Reg::rsi) == (shared ? 0x6001 : 0x6000));
    }
}

// --- interrupts ----------------------------------------------------------------------------------

TEST_CASE("world: G10, a late request interrupt with IF=0 starves the guest", "[model]") {
    constexpr std::string_view kText = "mov rax, 0x1234\nmov rcx, 0x5678\nnop\nout dx, al\nhlt";
    const u64 nop = kGuestCode + assembled(kGuestCode, "mov rax, 0x1234\nmov rcx, 0x5678").size();
    const auto make = [&](PendingOnReturn order) {
        Run run(kText, {{Reg::rdx, kPort}, {Reg::rbx, 0xB}, {Reg::r15, 0xF}});
        run.config.switches.pending_on_return = order;
        run.config.limits.steps = 3000;
        run.interrupt(0, nop, false);
        return run;
    };
    Run run = make(PendingOnReturn::restore_then_bounce);
    run.until_event(EventKind::bounce);
    CHECK(run.guest_instructions() == 2);
    CHECK(run.events(EventKind::bounce)[0].args[0] == 0x20);
    CHECK(run.finish() == EndReason::step_limit);
    CHECK(run.world().steps() == 3000);
    CHECK(run.guest_instructions() == 2);
    CHECK(run.count(EventKind::bounce) > 20);
    CHECK(run.count(EventKind::vtl_enter) == 1);
    CHECK(run.count(EventKind::message) == 0);
    CHECK(run.value("assist.entry_reason") == 2);
    // Every bounce gave VTL2 the guest's own registers.
    for (const auto& [path, value] :
         std::vector<std::pair<const char*, u64>>{{"context.rax", 0x1234},
                                                  {"context.rcx", 0x5678},
                                                  {"context.rdx", kPort},
                                                  {"context.rbx", 0xB},
                                                  {"context.r15", 0xF},
                                                  {"vtl0.rip", nop}}) {
        CAPTURE(path);
        CHECK(run.value(path) == value);
    }
    // Under C1 they become what the stub had, and no assert can see it.
    Run keep = make(PendingOnReturn::bounce_then_keep);
    CHECK(keep.finish() == EndReason::step_limit);
    CHECK(keep.guest_instructions() == 2);
    CHECK(keep.value("context.rax") == 0);
    CHECK(keep.value("context.rcx") == 0x12);
    CHECK(keep.value("context.rbx") == 0xB);
}

TEST_CASE("world: G10 ends when the VMM stops the run", "[model]") {
    Run run("nop\nnop\nhlt", {{Reg::rbx, 0xB}});
    run.interrupt(0, kGuestCode + 1, false);
    run.config.events.push_back({.vtl = 2,
                                 .address = run.kernel_label("run_vp_loop"),
                                 .nth = 50,
                                 .action = PinnedAction::stop});
    CHECK(run.finish() == EndReason::stopped);
    // Its first execution let the guest run, the second follows the interrupt, then each a bounce;
    // the one at which the stop comes has not returned.
    CHECK(run.count(EventKind::bounce) == 48);
    CHECK(run.guest_instructions() == 1);
    CHECK(run.count(EventKind::vmm_no_intercept) == 1);
    CHECK(run.value("context.rbx") == 0xB);
    CHECK(run.value("vmm.exits") == 0);
}

TEST_CASE("world: G11, one bounce that keeps VTL2's RAX and RCX", "[model]") {
    for (auto order : {PendingOnReturn::restore_then_bounce, PendingOnReturn::bounce_then_keep}) {
        Run run("out dx, al\nhlt",
                {{Reg::rdx, kPort}, {Reg::rax, 0x1234}, {Reg::rcx, 0x5678}, {Reg::rbx, 0xB}});
        run.config.switches.vp_runner = VpRunner::kernel_driver;  // it takes the interrupt
        run.config.switches.pending_on_return = order;
        run.interrupt(2, run.kernel_label("vtl_return"), false);
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK(run.count(EventKind::bounce) == 1);
        CHECK(run.count(EventKind::vmm_assert) == 0);  // the message agrees
        const bool keep = order == PendingOnReturn::bounce_then_keep;
        CHECK(run.guest(Reg::rax) == (keep ? 0 : 0x1234));
        CHECK(run.guest(Reg::rcx) == (keep ? 0x12 : 0x5678));
        CHECK(run.guest(Reg::rbx) == 0xB);
        CHECK(run.value("port.0x3fe.last_written") == (keep ? 0 : 0x34));
    }
}

TEST_CASE("world: the driver takes an interrupt through VTL2's IDT after the return", "[model]") {
    Run run("nop\nnop\nout dx, al\nhlt", {{Reg::rdx, kPort}, {Reg::rax, 0x77}});
    run.config.switches.vp_runner = VpRunner::kernel_driver;
    run.config.events.push_back({.vtl = 0, .address = kGuestCode + 1, .vector = 0x55});
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.count(EventKind::bounce) == 0);
    CHECK(run.guest_instructions() == 4);
    const auto enters = run.events(EventKind::vtl_enter);
    REQUIRE(enters.size() == 2);
    CHECK(enters[0].args[1] == 2);
    CHECK(enters[1].args[1] == 3);
    std::size_t taken = 0;
    for (const Event& e : run.events(EventKind::interrupt_accepted)) {
        if (e.args[0] != 0x55) continue;
        ++taken;
        CHECK(e.vtl == 2);
        CHECK(e.step > enters[0].step);
        CHECK(e.step < enters[1].step);
    }
    CHECK(taken == 1);
    CHECK(run.guest(Reg::rax) == 0x77);
}

TEST_CASE("world: VTL2's CR8 masks an interrupt for VTL2, its IF does not", "[model]") {
    for (u64 cr8 : {u64{0}, u64{4}, u64{5}, u64{6}}) {
        for (bool transient : {false, true}) {
            CAPTURE(cr8, transient);
            Run run("nop\nnop\nhlt");
            // A VTL2 kernel that only enables its assist page and returns.
            run.code(layout::kVtl2Code,
                     "mov ecx, 0x40000073\nmov eax, 0x08021001\nxor edx, edx\nwrmsr\n"
                     "mov rax, rbx\nmov cr8, rax\n"
                     "xor eax, eax\nmov ecx, 0x12\nvmcall\nhlt");
            run.config.vtl2_registers = {{Reg::rbx, {cr8, 0}}, {Reg::rflags, {2, 0}}};
            run.config.events.push_back(
                {.vtl = 0, .address = kGuestCode + 1, .vector = 0x55, .transient = transient});
            run.finish();
            const bool enters = cr8 < 5;
            CHECK(run.count(EventKind::vtl_enter) == (enters ? 1 : 0));
            CHECK(run.guest_instructions() == (enters ? 1 : 3));
            CHECK(run.count(EventKind::interrupt_pending) == 1);
        }
    }
}

TEST_CASE("world: interrupts for VTL0 wait for VTL0, its IF and its EOI", "[model]") {
    const std::string handler = "inc r15\nmov ecx, 0x80B\nxor eax, eax\nxor edx, edx\nwrmsr\niretq";
    Run run("nop\nnop\nsti\nnop\nnop\nnop\nnop\nhlt", {{Reg::r14, 0xE}});
    run.code(0x3000, handler);
    run.gate(0x55, 0x3000);
    run.gate(0x20, 0x3000);
    const u64 loop = run.kernel_label("run_vp_loop");
    // One while VTL2 runs, one of the same vector later, one of a lower class in between.
    run.config.events.push_back({.vtl = 2, .address = loop, .for_vtl = 0, .vector = 0x55});
    run.config.events.push_back(
        {.vtl = 0, .address = kGuestCode + 5, .for_vtl = 0, .vector = 0x55});
    run.config.events.push_back(
        {.vtl = 0, .address = kGuestCode + 1, .for_vtl = 0, .vector = 0x20});
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.guest(Reg::r15) == 3);
    CHECK(run.count(EventKind::vtl_enter) == 0);
    CHECK(run.count(EventKind::message) == 0);  // EOI does not reach the VMM
    std::vector<std::pair<u64, u64>> taken;     // vector, RIP
    for (const Event& e : run.events(EventKind::interrupt_accepted)) {
        if (e.vtl == 0) taken.emplace_back(e.args[0], e.rip);
    }
    // After STI's shadow, the higher class first.
    CHECK(taken == std::vector<std::pair<u64, u64>>{
                       {0x55, kGuestCode + 4}, {0x20, kGuestCode + 4}, {0x55, kGuestCode + 5}});
}

TEST_CASE("world: an interrupt for VTL0 wakes it from HLT only while it can", "[model]") {
    for (bool enabled : {true, false}) {
        Run run(enabled ? "nop\nsti\nhlt\nhlt" : "nop\nhlt");
        run.code(0x3000, "inc r15\ncli\nhlt");
        run.gate(0x55, 0x3000);
        run.config.events.push_back(
            {.vtl = 0, .address = kGuestCode, .for_vtl = 0, .vector = 0x55});
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK(run.guest(Reg::r15) == (enabled ? 1 : 0));
    }
}

// --- stops ---------------------------------------------------------------------------------------

TEST_CASE("world: a stop while the guest runs", "[model]") {
    for (auto runner : {VpRunner::sidecar, VpRunner::kernel_driver}) {
        Run run("mov rax, 0x1234\nnop\nout dx, al\nhlt", {{Reg::rdx, kPort}});
        const u64 nop = kGuestCode + assembled(kGuestCode, "mov rax, 0x1234").size();
        run.config.switches.vp_runner = runner;
        run.config.events.push_back({.vtl = 0, .address = nop, .action = PinnedAction::stop});
        CHECK(run.finish() == EndReason::stopped);
        CHECK(run.guest_instructions() == 1);
        CHECK(run.value("context.rax") == 0x1234);
        CHECK(run.value("vtl0.rip") == nop);
        CHECK(run.value("port.0x3fe.writes") == 0);
        CHECK(run.count(EventKind::vmm_no_intercept) == 1);
        CHECK(run.value("control.cpu_status") == 1);
    }
}

TEST_CASE("world: G17, an exit that wins against a stop is handled first", "[model]") {
    for (auto runner : {VpRunner::sidecar, VpRunner::kernel_driver}) {
        Run run("in al, dx\nhlt", {{Reg::rdx, kPort}});
        run.config.switches.vp_runner = runner;
        run.port(kPort, 1, {0x42});
        const bool sidecar = runner == VpRunner::sidecar;
        run.config.events.push_back(
            {.vtl = 2,
             .address = run.kernel_label(sidecar ? "run_vp_intercept" : "intercepted"),
             .action = PinnedAction::stop});
        CHECK(run.finish() == EndReason::stopped);
        CHECK(run.value("vmm.exits") == 1);
        CHECK(run.value("context.rax") == 0x42);
        CHECK(run.value("vtl0.rip") == kGuestCode + 1);
        CHECK(run.guest_instructions() == 1);
        CHECK(run.count(EventKind::vmm_no_intercept) == 0);
    }
}

TEST_CASE("world: G18, a stop before the AP looks at its command", "[model]") {
    Run run("in al, dx\nhlt", {{Reg::rdx, kPort}});
    run.config.events.push_back(
        {.vtl = 2, .address = run.kernel_label("dispatch"), .action = PinnedAction::stop});
    CHECK(run.finish() == EndReason::stopped);
    CHECK(run.count(EventKind::vtl_return) == 0);
    CHECK(run.guest_instructions() == 0);
    CHECK(run.count(EventKind::vmm_no_intercept) == 1);
}

TEST_CASE("world: a stop when no run is going on is nothing", "[model]") {
    Run run("in al, dx\nhlt", {{Reg::rdx, kPort}});
    run.config.events.push_back(
        {.vtl = 2, .address = run.kernel_label("ap_start"), .action = PinnedAction::stop});
    run.config.events.push_back(
        {.vtl = 2, .address = run.kernel_label("set_vp_registers"), .action = PinnedAction::stop});
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.value("vmm.exits") == 1);
}

}  // namespace vtlsim::tests
