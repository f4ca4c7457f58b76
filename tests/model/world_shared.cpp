// Whole worlds in which registers are shared, as the TLFS has it: no exit harms anything.
#include "tests/catch.hpp"
#include "tests/model/world_rig.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;
using sim::Reg;

constexpr u64 kRax = 0xFFFFFFFF81234500;

// Different values everywhere a guest's shared registers are.
void fill_registers(Run& run) {
    for (std::size_t i = 0; i < 16; ++i) {
        if (sim::gpr(i) != Reg::rsp && sim::gpr(i) != Reg::rdx) {
            run.set(sim::gpr(i), 0x1111'0000'0000'0000 * (i % 15 + 1) + i);
        }
        run.set(sim::offset(Reg::xmm0, i), 0xA000 + i, 0xB000 + i);
    }
    run.set(Reg::rdx, kPort);
    run.set(Reg::cr2, 0xC2C2C2C2C2C2);
    run.set(Reg::mxcsr, 0x1F00);
    run.set(Reg::fcw, 0x27F);
    run.set(Reg::fsw, 5 << 11);  // TOP = 5
    run.set(Reg::ftw, 0x20);
    run.set(Reg::fpr5, 0x8000000000000001, 0x3FFF);
    run.set(Reg::dr0, 0xD0D0);
    run.set(Reg::dr3, 0xD3D3);
}

std::vector<Reg> all_shared() {
    std::vector<Reg> regs{Reg::cr2, Reg::fcw, Reg::fsw, Reg::ftw,  Reg::mxcsr, Reg::dr0,
                          Reg::dr1, Reg::dr2, Reg::dr3, Reg::xcr0, Reg::rsp};
    for (std::size_t i = 0; i < 16; ++i) {
        if (sim::gpr(i) != Reg::rsp) regs.push_back(sim::gpr(i));
        regs.push_back(sim::offset(Reg::xmm0, i));
    }
    for (std::size_t i = 0; i < 8; ++i) regs.push_back(sim::offset(Reg::fpr0, i));
    return regs;
}

// The kinds of a run's events but for instructions and stores.
std::vector<EventKind> story(Run& run) {
    std::vector<EventKind> kinds;
    for (const Event& e : run.world().log().events()) {
        if (e.kind != EventKind::insn && e.kind != EventKind::store &&
            e.kind != EventKind::vmm_write) {
            kinds.push_back(e.kind);
        }
    }
    return kinds;
}

}  // namespace

TEST_CASE("world: G1, IN of a byte from the modem status register", "[model]") {
    for (auto width : {EmulateIoWidth::openvmm, EmulateIoWidth::architectural}) {
        Run run("in al, dx\nhlt", {{Reg::rdx, kPort}, {Reg::rax, kRax}});
        run.config.switches.emulate_io_width = width;
        run.port(kPort, 1, {0xB0});
        CHECK(run.finish() == EndReason::guest_halted);
        const u64 wanted =
            width == EmulateIoWidth::openvmm ? 0x00000000812345B0 : 0xFFFFFFFF812345B0;
        CHECK(run.value("context.rax") == wanted);
        CHECK(run.guest(Reg::rax) == wanted);
        CHECK(run.guest(Reg::rip) == kGuestCode + 2);
        CHECK(run.value("port.0x3fe.reads") == 1);
        CHECK(run.value("port.0x3fe.writes") == 0);
        CHECK(run.value("vmm.exits") == 1);
        CHECK(run.value("hypervisor.messages") == 1);
        CHECK(run.count(EventKind::vmm_assert) == 0);
        CHECK(run.guest_instructions() == 2);
    }
}

TEST_CASE("world: the story of one exit", "[model]") {
    using K = EventKind;
    Run run("in al, dx\nhlt", {{Reg::rdx, kPort}});
    run.finish();
    const std::vector<K> wanted{
        K::msr, K::halt,  // the kernel starts: APIC on, then parked
        // START: the claim, RUN, the IPI
        K::vmm_run, K::driver_state, K::driver_write, K::ipi_sent,
        // the AP: EOI, the overlays (assist page, register page), the guest, its exit
        K::interrupt_pending, K::interrupt_accepted, K::msr, K::msr, K::hypercall, K::vtl_return,
        K::exit_io, K::message, K::regpage, K::vtl_enter,
        // the attention IPI by the x2APIC's ICR, then parked
        K::ipi_sent, K::msr, K::halt,
        // the handler: needs_vp_scan, needs_attention; poll: takes the flag, scans; read
        K::ipi_landed, K::driver_write, K::driver_write, K::driver_write, K::driver_state,
        K::driver_state, K::poll_finished, K::vmm_exit, K::device_read,
        // the RUN ioctl for SET
        K::vmm_run, K::driver_state, K::driver_write, K::ipi_sent, K::driver_sleep,
        K::interrupt_pending, K::interrupt_accepted, K::msr, K::hypercall, K::ipi_sent, K::msr,
        K::halt, K::ipi_landed, K::driver_write, K::driver_write, K::driver_write, K::driver_state,
        // START again; the guest halts
        K::vmm_run, K::driver_state, K::driver_write, K::ipi_sent, K::interrupt_pending,
        K::interrupt_accepted, K::msr, K::vtl_return, K::halt, K::end};
    CHECK(story(run) == wanted);
    for (const Event& e : run.events(K::hypercall)) CHECK(e.args[0] == 0x51);
    CHECK(run.events(K::hypercall)[0].args[1] == 0x9001C);
    CHECK(run.events(K::hypercall)[1].args[1] == 0x20010);
    CHECK(run.events(K::hypercall)[1].args[2] == kGuestCode + 1);
    CHECK(run.events(K::vmm_run)[0].args[0] == 1);
    CHECK(run.events(K::vmm_run)[1].args[0] == 3);
    CHECK(run.events(K::vtl_enter)[0].args[1] == 3);
}

TEST_CASE("world: IN and OUT of every size", "[model]") {
    struct Row {
        const char* text;
        u8 size;
        u64 openvmm, architectural;  // RAX after IN
    };
    const Row kRows[] = {
        {"in al, dx\nhlt", 1, 0x556677B0, 0x11223344556677B0},
        {"in ax, dx\nhlt", 2, 0x5566A1B0, 0x112233445566A1B0},
        {"in eax, dx\nhlt", 4, 0xC3D2A1B0, 0xC3D2A1B0},
    };
    for (const Row& row : kRows) {
        for (auto width : {EmulateIoWidth::openvmm, EmulateIoWidth::architectural}) {
            CAPTURE(row.text, static_cast<int>(width));
            Run run(row.text, {{Reg::rdx, kPort}, {Reg::rax, 0x1122334455667788}});
            run.config.switches.emulate_io_width = width;
            run.port(kPort, row.size, {0xC3D2A1B0});
            CHECK(run.finish() == EndReason::guest_halted);
            CHECK(run.guest(Reg::rax) ==
                  (width == EmulateIoWidth::openvmm ? row.openvmm : row.architectural));
        }
    }
    for (const auto& [text, written] :
         std::vector<std::pair<const char*, u64>>{{"out dx, al\nhlt", 0x88},
                                                  {"out dx, ax\nhlt", 0x7788},
                                                  {"out dx, eax\nhlt", 0x55667788}}) {
        CAPTURE(text);
        Run run(text, {{Reg::rdx, kPort}, {Reg::rax, 0x1122334455667788}});
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK(run.guest(Reg::rax) == 0x1122334455667788);
        CHECK(run.value("port.0x3fe.last_written") == written);
        CHECK(run.value("port.0x3fe.writes") == 1);
    }
}

TEST_CASE("world: a device gives its values in turn, to accesses of its size", "[model]") {
    Run run(
        "in al, dx\nmov r8, rax\nin ax, dx\nmov r9, rax\nin al, dx\nmov r10, rax\n"
        "in al, dx\nmov r11, rax\nin eax, dx\nhlt",
        {{Reg::rdx, kPort}});
    run.port(kPort, 1, {0x1BB, 0xB0});
    run.port(kPort, 4, {0x12345678});
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.guest(Reg::r8) == 0xBB);
    CHECK(run.guest(Reg::r9) == 0xFFFF);  // no device of this size
    CHECK(run.guest(Reg::r10) == 0xFFB0);
    CHECK(run.guest(Reg::r11) == 0xFFB0);  // the last value, for ever
    CHECK(run.guest(Reg::rax) == 0x12345678);
    CHECK(run.value("port.0x3fe.reads") == 5);
    CHECK(run.events(EventKind::device_read)[1].args[3] == 0);
    CHECK(run.events(EventKind::device_read)[2].args[3] == 1);
}

TEST_CASE("world: an exit leaves every register but the result alone", "[model]") {
    for (auto runner : {VpRunner::sidecar, VpRunner::kernel_driver}) {
        for (auto path : {SetRipPath::ap_command, SetRipPath::register_page}) {
            Run run("nop\nout dx, al\nhlt");
            run.config.switches.vp_runner = runner;
            run.config.switches.set_rip_path = path;
            fill_registers(run);
            // At the first instruction the guest has what the config says...
            while (run.guest_instructions() == 0) REQUIRE(run.world().turn());
            std::vector<Vec128> start;
            for (Reg reg : all_shared()) start.push_back(run.world().register_of(0, reg));
            for (const auto& [reg, value] : run.config.vtl0_registers) {
                if (reg == Reg::rip) continue;
                CAPTURE(sim::info(reg).name);
                if (reg != Reg::rsp) CHECK(run.world().register_of(0, reg) == value);
            }
            // ... and after the exit too.
            CHECK(run.finish() == EndReason::guest_halted);
            CHECK(run.value("vmm.exits") == 1);
            for (std::size_t i = 0; i < start.size(); ++i) {
                CAPTURE(sim::info(all_shared()[i]).name);
                CHECK(run.world().register_of(0, all_shared()[i]) == start[i]);
            }
            CHECK(run.guest(Reg::rip) == kGuestCode + 3);
            const bool flushed = path == SetRipPath::register_page;
            CHECK(run.count(EventKind::regpage_flush) == (flushed ? 1 : 0));
            if (flushed) CHECK(run.events(EventKind::regpage_flush)[0].args[0] == 2);
            CHECK(run.count(EventKind::vmm_run) == (flushed ? 2 : 3));
        }
    }
}

TEST_CASE("world: the context holds the guest's registers at an exit", "[model]") {
    for (auto runner : {VpRunner::sidecar, VpRunner::kernel_driver}) {
        Run run("out dx, al\nhlt");
        run.config.switches.vp_runner = runner;
        fill_registers(run);
        run.until_event(EventKind::vmm_exit);
        for (const auto& [reg, value] : run.config.vtl0_registers) {
            const std::string name(sim::info(reg).name);
            const auto slot = run.world().value("context." + name);
            if (!slot) continue;
            CAPTURE(name);
            CHECK(*slot == value);
        }
        CHECK(run.wide("context.st0") == Vec128{0x8000000000000001, 0x3FFF});  // R5, TOP = 5
        CHECK(run.value("context.cr2") == 0xC2C2C2C2C2C2);
        CHECK(run.wide("context.xmm15") == Vec128{0xA00F, 0xB00F});
    }
}

TEST_CASE("world: every field of an I/O message", "[model]") {
    Run run("nop\ndb 0x64, 0x66, 0x6F\nhlt");  // outsw with segment FS
    fill_registers(run);
    run.set(Reg::cr8, 5);
    run.set(Reg::dr7, 0x402);  // breakpoint 0, global
    run.set(Reg::fs, 0x33);
    run.set(Reg::fs_base, 0x6000);
    run.set(Reg::rflags, 0xCD7);
    run.set(Reg::rsi, 0x10);
    run.until_event(EventKind::message);
    const auto m = [&](const char* field) {
        return run.value(std::string("assist.message.") + field);
    };
    CHECK(m("type") == 0x80010000);
    CHECK(m("payload_size") == 0x80);
    CHECK(m("flags") == 0);
    CHECK(m("vp_index") == 0);
    CHECK(m("length_cr8") == 0x53);
    CHECK(m("access") == 1);
    CHECK(m("execution_state") == (1 << 2 | 1 << 4 | 1 << 5));  // PE, LMA, debug; CPL 0, VTL 0
    CHECK(m("cs.selector") == 8);
    CHECK(m("cs.attributes") == 0xA09B);
    CHECK(m("rip") == kGuestCode + 1);
    CHECK(m("rflags") == 0xCD7);
    CHECK(m("port") == kPort);
    CHECK(m("access_info") == (2 | 1 << 3));
    CHECK(m("instruction_byte_count") == 3);
    CHECK(run.wide("assist.message.instruction_bytes") == Vec128{0x6F6664, 0});
    CHECK(m("rax") == run.guest(Reg::rax));
    CHECK(m("rax") == 0x1111'0000'0000'0000);
    CHECK(m("ds.selector") == 0x33);
    CHECK(m("ds.base") == 0x6000);
    CHECK(m("es.selector") == 0x10);
    CHECK(m("es.limit") == 0xFFFFFFFF);
    CHECK(m("rcx") == 0x2222'0000'0000'0001);
    CHECK(m("rsi") == 0x10);
    CHECK(m("rdi") == 0x8888'0000'0000'0007);
}

TEST_CASE("world: the header tells the guest's privilege and interrupt shadow", "[model]") {
    Run run("sti\nin al, dx\nhlt", {{Reg::rdx, kPort}});
    run.set(Reg::cr0, 0x80050033);  // AM
    run.until_event(EventKind::message);
    CHECK(run.value("assist.message.execution_state") == (1 << 2 | 1 << 3 | 1 << 4 | 1 << 12));
    CHECK(run.value("assist.message.access") == 0);
    CHECK(run.value("regpage.interrupt_state") == 1);

    Run user("in al, dx\nhlt", {{Reg::rdx, kPort}, {Reg::rflags, 0x3002}});  // IOPL 3
    user.set(Reg::cs_attr, sim::attr::kFlatCode64 | 3 << 5);
    user.set(Reg::ss_attr, sim::attr::kFlatData | 3 << 5);
    user.until_event(EventKind::message);
    CHECK(user.value("assist.message.execution_state") == (3 | 1 << 2 | 1 << 4));
}

TEST_CASE("world: the register page at an intercept", "[model]") {
    for (auto fill :
         {RegpageFill::all16, RegpageFill::rsp_only, RegpageFill::invalid, RegpageFill::unmapped}) {
        CAPTURE(static_cast<int>(fill));
        Run run("nop\nout dx, al\nhlt");
        run.config.switches.regpage_fill = fill;
        fill_registers(run);
        run.set(Reg::cr8, 3);
        run.set(Reg::dr7, 0x402);
        run.until_event(EventKind::vtl_enter);
        const bool all = fill == RegpageFill::all16;
        const bool valid = all || fill == RegpageFill::rsp_only;
        CHECK(run.count(EventKind::regpage) == (fill == RegpageFill::unmapped ? 0 : 1));
        CHECK(run.value("regpage.is_valid") == (valid ? 1 : 0));
        for (const auto& [reg, value] : run.config.vtl0_registers) {
            const std::string name(sim::info(reg).name);
            if (name == "rip" || !run.world().value("regpage." + name)) continue;
            CAPTURE(name);
            const bool of_all = sim::info(reg).group == sim::RegGroup::sse ||
                                (sim::info(reg).group == sim::RegGroup::gpr && reg != Reg::rsp);
            const bool there = of_all ? all : valid;
            CHECK(run.wide("regpage." + name) == (there ? value : Vec128{}));
        }
        CHECK(run.value("regpage.rsp") == (valid ? kGuestStack : 0));
        CHECK(run.value("regpage.rip") == (valid ? kGuestCode + 1 : 0));
        CHECK(run.value("regpage.rflags") == (valid ? 2 : 0));
        CHECK(run.value("regpage.cs.selector") == (valid ? 8 : 0));
        CHECK(run.value("regpage.ss.attributes") == (valid ? 0xC093 : 0));
        CHECK(run.value("regpage.cr0") == (valid ? 0x80010033 : 0));
        CHECK(run.value("regpage.efer") == (valid ? 0xD00 : 0));
        CHECK(run.value("regpage.dirty") == 0);
        // The next VTL return makes it stale.
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK(run.value("regpage.is_valid") == 0);
    }
}

TEST_CASE("world: RIP goes by command where the register page is not valid", "[model]") {
    for (auto fill : {RegpageFill::invalid, RegpageFill::unmapped}) {
        Run run("out dx, al\nhlt", {{Reg::rdx, kPort}});
        run.config.switches.regpage_fill = fill;
        run.config.switches.set_rip_path = SetRipPath::register_page;
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK(run.count(EventKind::regpage_flush) == 0);
        CHECK(run.events(EventKind::vmm_run)[1].args[0] == 3);
    }
}

TEST_CASE("world: the register page's RIP is taken once", "[model]") {
    Run run("out dx, al\nnop\nnop\nhlt", {{Reg::rdx, kPort}});
    run.config.switches.set_rip_path = SetRipPath::register_page;
    run.interrupt(0, kGuestCode + 2, true);
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.count(EventKind::vtl_enter) == 2);
    CHECK(run.count(EventKind::regpage_flush) == 1);
    CHECK(run.guest_instructions() == 4);
    CHECK(run.value("regpage.dirty") == 0);
}

TEST_CASE("world: #3584, what the context holds reaches the CPU or not", "[model]") {
    // The guest does nothing but exit; its registers come from the VMM, as after a restore.
    for (auto restore : {FxCr2Restore::head, FxCr2Restore::pre3584}) {
        Run run("nop\nout dx, al\nhlt");
        run.config.switches.fx_cr2_restore = restore;
        fill_registers(run);
        const bool head = restore == FxCr2Restore::head;
        const std::vector<Reg> disputed{Reg::cr2,  Reg::mxcsr, Reg::fcw, Reg::xmm0,
                                        Reg::xmm6, Reg::xmm15, Reg::fpr5};
        const sim::CpuState vtl2 = sim::long_mode_state();
        const auto check = [&] {
            for (Reg reg : disputed) {
                CAPTURE(sim::info(reg).name, head);
                const auto wanted =
                    std::find_if(run.config.vtl0_registers.begin(), run.config.vtl0_registers.end(),
                                 [&](const RegisterValue& v) { return v.first == reg; });
                CHECK(run.world().register_of(0, reg) == (head ? wanted->second : vtl2.get(reg)));
            }
            CHECK(run.guest(Reg::rbx) == 0x4444'0000'0000'0003);  // GPRs travel in any case
        };
        while (run.guest_instructions() == 0) REQUIRE(run.world().turn());
        check();
        CHECK(run.finish() == EndReason::guest_halted);
        check();
    }
    // What the guest loads itself stays, also without the restore.
    Run run(
        "movups xmm6, [0x6000]\nldmxcsr [0x6010]\nfldcw [0x6014]\nmov rax, 0x1234\n"
        "mov cr2, rax\nout dx, al\nhlt");
    run.config.switches.fx_cr2_restore = FxCr2Restore::pre3584;
    run.code(0x6000, "dq 0x1122, 0x3344\ndd 0x1FC0\ndw 0x27F");
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.world().register_of(0, Reg::xmm6) == Vec128{0x1122, 0x3344});
    CHECK(run.guest(Reg::mxcsr) == 0x1FC0);
    CHECK(run.guest(Reg::fcw) == 0x27F);
    CHECK(run.guest(Reg::cr2) == 0x1234);
    CHECK(run.wide("context.xmm6") == Vec128{0x1122, 0x3344});
    CHECK(run.value("context.mxcsr") == 0x1FC0);
    CHECK(run.value("context.cr2") == 0x1234);
}

TEST_CASE("world: the fixes do no harm where registers are shared", "[model]") {
    for (auto fix : {VmmFix::V0, VmmFix::V1, VmmFix::V2, VmmFix::V1V2}) {
        Run run("nop\nout dx, al\nhlt");
        run.config.switches.vmm_fix = fix;
        fill_registers(run);
        CHECK(run.finish() == EndReason::guest_halted);
        for (const auto& [reg, value] : run.config.vtl0_registers) {
            if (reg == Reg::rip) continue;
            CAPTURE(sim::info(reg).name, static_cast<int>(fix));
            CHECK(run.world().register_of(0, reg) == value);
        }
    }
}

}  // namespace vtlsim::tests
