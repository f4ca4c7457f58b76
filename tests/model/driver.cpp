// The sidecar driver, one step at a time, against hyperv-vtl.md 3.1 to 3.6.
#include "model/hyperv/names.hpp"
#include "tests/model/lanes.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;
using sim::Reg;

constexpr u64 kRax = 0xFFFFFFFF81234500;
constexpr u64 kRemoved = 0, kIdle = 1, kRun = 2, kStop = 3, kRemove = 4;  // 3.1
constexpr u64 kAvail = 0, kSync = 1, kAsync = 2, kStopping = 3, kStopped = 4, kStarting = 5;

struct Rig : Run {
    explicit Rig(std::string_view guest = "in al, dx\nhlt", Switches switches = {},
                 unsigned vps = 1)
        : Run(guest, {{Reg::rdx, kPort}, {Reg::rax, kRax}}) {
        port(kPort, 1, {0xB0});
        config.switches = switches;
        for (unsigned i = 1; i < vps; ++i) config.other_vps.push_back(config.vtl0_registers);
    }
    u64 status(const std::string& vp = "") { return value(vp + "control.cpu_status"); }
    u64 state(const std::string& vp = "") { return value(vp + "driver.vp_state"); }
    u64 last(EventKind kind, std::size_t arg) { return events(kind).back().args[arg]; }
};

Switches with(Driver driver) {
    Switches s;
    s.driver = driver;
    return s;
}

}  // namespace

TEST_CASE("driver: START, from the claim to the guest", "[model][driver]") {
    for (auto driver : {Driver::racy, Driver::asyncstarting, Driver::asyncstarting_release_store}) {
        Rig rig("in al, dx\nhlt", with(driver));
        Lanes lanes(rig.world());
        const bool racy = driver == Driver::racy;
        CHECK(rig.status() == kRun);  // the VP is being started (3.1)
        lanes.turns_until("vmm0", "initial context");
        CHECK(rig.status() == kIdle);
        lanes.until_asleep("vp0");
        lanes.act("vmm0", "initial context");
        CHECK(rig.value("context.rax") == kRax);
        lanes.act("vmm0", "command RUN_VP");
        CHECK(rig.value("command.command") == 1);
        CHECK(rig.state() == kAvail);
        lanes.act("vmm0", racy ? "claim ASYNC" : "claim ASYNC_STARTING");
        CHECK(rig.state() == (racy ? kAsync : kStarting));
        CHECK(rig.status() == kIdle);  // the window
        lanes.act("vmm0", "status RUN");
        CHECK(rig.status() == kRun);
        CHECK_FALSE(lanes.can("ipi-vp0"));
        lanes.act("vmm0", "request IPI");
        CHECK(lanes.can("ipi-vp0"));
        CHECK(rig.last(EventKind::ipi_sent, 0) == 0x20);
        if (!racy) {
            lanes.act("vmm0", "publish ASYNC");
            CHECK(rig.state() == kAsync);
            lanes.act("vmm0", "status again");
        }
        CHECK_FALSE(lanes.can("vmm0"));  // waits for the poller
        CHECK_FALSE(lanes.can("vp0"));   // HLT
        lanes.act("ipi-vp0", "lands");
        CHECK_FALSE(lanes.can("ipi-vp0"));
        lanes.act("vp0", "takes an interrupt");
        lanes.until("vp0", "IN 0x3fe");
        CHECK(rig.count(EventKind::vtl_return) == 1);
        CHECK(rig.count(EventKind::driver_warning) == 0);
    }
}

TEST_CASE("driver: from the AP's exit to the VMM's handler", "[model][driver]") {
    Rig rig;
    Lanes lanes(rig.world());
    lanes.turns_until("vp0", "cpu_status idle");  // of the start
    rig.world().turn();
    lanes.turns_until("vp0", "cpu_status idle");
    CHECK(rig.status() == kRun);
    lanes.act("vp0", "cpu_status idle");  // before the attention (3.1)
    CHECK(rig.status() == kIdle);
    CHECK(rig.value("control.needs_attention") == 0);
    CHECK(rig.value("command.request_data") == 1);
    CHECK(rig.value("message.rax") == kRax);
    lanes.act("vp0", "needs_attention = 1");
    CHECK(rig.value("control.needs_attention") == 1);
    CHECK_FALSE(lanes.can("ipi-base"));
    lanes.act("vp0", "attention IPI");
    CHECK_FALSE(lanes.can("isr"));
    lanes.act("ipi-base", "lands");
    CHECK_FALSE(lanes.can("poller"));
    // The interrupt handler: needs_vp_scan first, then needs_attention, then the wake-up (3.1).
    lanes.act("isr", "read needs_attention");
    lanes.act("isr", "needs_vp_scan = 1");
    CHECK(rig.value("driver.needs_vp_scan") == 1);
    CHECK(rig.value("control.needs_attention") == 1);
    lanes.act("isr", "needs_attention = 0");
    CHECK(rig.value("control.needs_attention") == 0);
    lanes.act("isr", "wake");
    CHECK_FALSE(lanes.can("isr"));
    CHECK(rig.state() == kAsync);
    // The scan clears its flag first (3.3).
    lanes.act("poller", "poll");
    lanes.act("poller", "take needs_vp_scan");
    CHECK(rig.value("driver.needs_vp_scan") == 0);
    lanes.act("poller", "scan vp0 cpu_status");
    lanes.act("poller", "scan vp0 vp_state");
    CHECK(rig.state() == kAsync);
    lanes.act("poller", "vp0 ASYNC_STOPPED");
    CHECK(rig.state() == kStopped);
    CHECK_FALSE(lanes.can("vmm0"));
    lanes.act("poller", "read vp0");
    CHECK(rig.state() == kAvail);
    CHECK_FALSE(lanes.can("vmm0"));
    lanes.act("poller", "finished vp0");
    lanes.act("vmm0", "run finished");
    lanes.act("vmm0", "handle");
    CHECK(rig.value("port.0x3fe.reads") == 1);
    // Nothing more is to be found, and the poller sleeps.
    lanes.act("poller", "take needs_vp_scan");
    lanes.act("poller", "read vp0");
    CHECK_FALSE(lanes.can("poller"));
}

TEST_CASE("driver: a scan leaves synchronous commands alone", "[model][driver]") {
    Rig rig;
    Lanes lanes(rig.world());
    lanes.turns_until("ipi-base", "lands");
    lanes.act("ipi-base", "lands");
    lanes.until_asleep("isr");
    lanes.until_asleep("poller");
    lanes.until("vmm0", "idle?");  // SET is under way
    lanes.act("ipi-vp0", "lands");
    lanes.until("vp0", "needs_attention = 1");
    lanes.act("vp0", "needs_attention = 1");
    lanes.act("vp0", "attention IPI");
    lanes.act("ipi-base", "lands");
    lanes.until_asleep("isr");
    CHECK(rig.value("control.needs_attention") == 0);
    CHECK(rig.value("driver.needs_vp_scan") == 1);
    lanes.act("poller", "poll");
    lanes.act("poller", "take needs_vp_scan");
    lanes.act("poller", "scan vp0 cpu_status");
    lanes.act("poller", "scan vp0 vp_state");  // SYNC is none of its business
    CHECK(rig.state() == kSync);
    lanes.act("poller", "read vp0");
    CHECK_FALSE(lanes.can("poller"));
}

TEST_CASE("driver: a spurious interrupt", "[model][driver]") {
    // Two VPs raise attention; the handler's first run clears both needs, its second finds none.
    Rig rig("in al, dx\nhlt", {}, 2);
    Lanes lanes(rig.world());
    for (const char* n : {"0", "1"}) {
        const std::string vp = std::string("vp") + n;
        lanes.until_asleep(vp);
        lanes.until("vmm" + std::string(n), "request IPI");
        lanes.act("vmm" + std::string(n), "request IPI");
        lanes.act("ipi-" + vp, "lands");
        lanes.until_asleep(vp);
    }
    lanes.act("ipi-base", "lands");
    lanes.act("isr", "read needs_attention");
    lanes.act("ipi-base", "lands");  // while the handler runs
    lanes.act("isr", "needs_vp_scan = 1");
    lanes.act("isr", "needs_attention = 0");
    lanes.act("isr", "wake");
    lanes.act("isr", "read needs_attention");
    CHECK_FALSE(lanes.can("isr"));  // there is none: no second wake-up
    lanes.until_asleep("poller");
    CHECK(rig.state("vp0.") == kAvail);
    CHECK(rig.state("vp1.") == kAvail);
    CHECK(lanes.can("vmm0"));
    CHECK(lanes.can("vmm1"));
}

TEST_CASE("driver: the order of the scan's two loads", "[model][driver]") {
    // Racy: the status is loaded first. Fixed: the state, so that ASYNC implies that RUN was set.
    for (auto driver : {Driver::racy, Driver::asyncstarting}) {
        Rig rig("in al, dx\nhlt", with(driver), 2);
        Lanes lanes(rig.world());
        lanes.until_asleep("vp1");
        lanes.until_asleep("vp0");
        lanes.until("vmm0", "request IPI");
        lanes.act("vmm0", "request IPI");
        if (driver != Driver::racy) {
            lanes.act("vmm0", "publish ASYNC");
            lanes.act("vmm0", "status again");
        }
        lanes.act("ipi-vp0", "lands");
        lanes.until_asleep("vp0");
        lanes.act("ipi-base", "lands");
        lanes.until_asleep("isr");
        lanes.act("poller", "poll");
        lanes.act("poller", "take needs_vp_scan");
        if (driver == Driver::racy) {
            lanes.act("poller", "scan vp0 cpu_status");
            lanes.act("poller", "scan vp0 vp_state");
            lanes.act("poller", "vp0 ASYNC_STOPPED");
            lanes.act("poller", "scan vp1 cpu_status");  // idle
            lanes.act("poller", "scan vp1 vp_state");    // but AVAIL
        } else {
            lanes.act("poller", "scan vp0 vp_state");
            lanes.act("poller", "scan vp0 cpu_status");
            lanes.act("poller", "vp0 ASYNC_STOPPED");
            lanes.act("poller", "scan vp1 vp_state");  // AVAIL: the status does not matter
        }
        lanes.act("poller", "read vp0");
        CHECK(rig.state("vp0.") == kAvail);
        lanes.act("poller", "finished vp0");
        lanes.act("poller", "take needs_vp_scan");
        lanes.act("poller", "read vp0");
        lanes.act("poller", "read vp1");
        CHECK_FALSE(lanes.can("poller"));
        CHECK(rig.count(EventKind::poll_finished) == 1);
    }
}

// The script of 3.6; with the fix, the same schedule as far as it goes (G2, G14).
TEST_CASE("driver: the race of two STARTs and a late attention", "[model][driver]") {
    for (auto driver : {Driver::racy, Driver::asyncstarting}) {
        const bool racy = driver == Driver::racy;
        Rig rig("in al, dx\nhlt", with(driver));
        for (const InvariantRow& row : invariant_rows()) rig.config.invariants.push_back(row.id);
        Lanes lanes(rig.world());
        lanes.turns_until("vmm0", "request IPI (sync)");
        lanes.act("vmm0", "request IPI (sync)");
        lanes.act("ipi-vp0", "lands");
        lanes.until("vp0", "cpu_status idle");
        lanes.act("vp0", "cpu_status idle");
        lanes.act("vmm0", "idle?");  // before the attention IPI
        lanes.act("vmm0", "release AVAIL");
        lanes.act("vmm0", "response");
        lanes.act("vmm0", "command RUN_VP");
        lanes.act("vmm0", racy ? "claim ASYNC" : "claim ASYNC_STARTING");
        lanes.act("vp0", "needs_attention = 1");
        lanes.act("vp0", "attention IPI");
        lanes.act("ipi-base", "lands");
        lanes.until_asleep("isr");
        lanes.act("poller", "poll");
        lanes.act("poller", "take needs_vp_scan");
        if (!racy) {
            lanes.act("poller", "scan vp0 vp_state");  // ASYNC_STARTING
            lanes.act("poller", "read vp0");
            CHECK_FALSE(lanes.can("poller"));
            CHECK(rig.state() == kStarting);
            CHECK(lanes.finish() == EndReason::guest_halted);
            CHECK(rig.value("port.0x3fe.reads") == 1);
            CHECK(rig.value("vmm.exits") == 1);
            continue;
        }
        lanes.act("poller", "scan vp0 cpu_status");
        lanes.act("poller", "scan vp0 vp_state");
        lanes.act("poller", "vp0 ASYNC_STOPPED");  // fabricated
        CHECK(rig.status() == kIdle);
        lanes.act("poller", "read vp0");
        lanes.act("poller", "finished vp0");
        lanes.act("vmm0", "status RUN");
        lanes.act("vmm0", "request IPI");
        lanes.act("vmm0", "run finished");
        lanes.act("vmm0", "handle");
        CHECK(rig.world().end() == EndReason::vmm_panic);
        CHECK(rig.last(EventKind::vmm_assert, 0) == kRax);
        CHECK(rig.last(EventKind::vmm_assert, 1) == 0x812345B0);  // G2
        CHECK(rig.value("port.0x3fe.reads") == 1);
        CHECK(rig.value("vmm.exits") == 2);
        CHECK(rig.value("hypervisor.messages") == 1);
    }
}

// A scan that comes between RUN and publication must not be lost.
TEST_CASE("driver: the fix re-arms the scan when the AP is idle again already", "[model][driver]") {
    Rig rig("in al, dx\nhlt", with(Driver::asyncstarting));
    Lanes lanes(rig.world());
    lanes.until_asleep("vp0");
    lanes.until("vmm0", "publish ASYNC");
    lanes.act("ipi-vp0", "lands");
    lanes.until_asleep("vp0");  // runs the guest to its exit
    lanes.act("ipi-base", "lands");
    lanes.until_asleep("isr");
    lanes.until_asleep("poller");
    CHECK(rig.state() == kStarting);  // the scan has left it alone
    CHECK(rig.value("driver.needs_vp_scan") == 0);
    lanes.act("vmm0", "publish ASYNC");
    lanes.act("vmm0", "status again");
    CHECK_FALSE(lanes.can("poller"));
    lanes.act("vmm0", "re-arm the scan");
    CHECK(rig.value("driver.needs_vp_scan") == 1);
    lanes.until_asleep("poller");
    CHECK(rig.count(EventKind::poll_finished) == 1);
    CHECK(lanes.finish() == EndReason::guest_halted);
}

TEST_CASE("driver: RUN sleeps until the interrupt handler wakes it", "[model][driver]") {
    Rig rig;
    Lanes lanes(rig.world());
    lanes.turns_until("vmm0", "claim SYNC");
    CHECK(rig.value("command.command") == 3);
    lanes.act("vmm0", "claim SYNC");
    CHECK(rig.state() == kSync);
    lanes.act("vmm0", "status RUN (sync)");
    CHECK(rig.status() == kRun);
    lanes.act("vmm0", "request IPI (sync)");
    lanes.act("vmm0", "idle?");  // not yet
    CHECK_FALSE(lanes.can("vmm0"));
    CHECK(rig.count(EventKind::driver_sleep) == 1);
    lanes.act("ipi-vp0", "lands");
    lanes.until_asleep("vp0");
    CHECK(rig.status() == kIdle);
    CHECK_FALSE(lanes.can("vmm0"));  // nobody has told it
    lanes.act("ipi-base", "lands");
    lanes.until("isr", "wake");
    CHECK_FALSE(lanes.can("vmm0"));
    lanes.act("isr", "wake");
    lanes.act("vmm0", "idle?");
    lanes.act("vmm0", "release AVAIL");
    CHECK(rig.state() == kAvail);
    lanes.act("vmm0", "response");
}

// Another VP's attention wakes it for nothing: it looks and sleeps again.
TEST_CASE("driver: RUN is woken by another VP's attention", "[model][driver]") {
    Rig rig("in al, dx\nhlt", {}, 2);
    Lanes lanes(rig.world());
    lanes.until_asleep("vp1");
    lanes.until_asleep("vp0");
    lanes.until("vmm1", "request IPI");
    lanes.act("vmm1", "request IPI");
    lanes.until("vmm0", "request IPI");
    lanes.act("vmm0", "request IPI");
    lanes.act("ipi-vp0", "lands");
    lanes.until_asleep("vp0");
    lanes.act("ipi-base", "lands");
    lanes.until_asleep("isr");
    lanes.until_asleep("poller");
    lanes.until("vmm0", "idle?");
    lanes.act("vmm0", "idle?");
    CHECK_FALSE(lanes.can("vmm0"));
    lanes.act("ipi-vp1", "lands");
    lanes.until_asleep("vp1");
    lanes.act("ipi-base", "lands");
    lanes.until_asleep("isr");
    lanes.act("vmm0", "idle?");
    CHECK_FALSE(lanes.can("vmm0"));
    CHECK(rig.state("vp0.") == kSync);
    CHECK(lanes.finish() == EndReason::guest_halted);
    CHECK(rig.value("vp0.vmm.exits") == 1);
    CHECK(rig.value("vp1.vmm.exits") == 1);
    CHECK(rig.value("port.0x3fe.reads") == 2);
}

TEST_CASE("driver: STOP at each place of a run", "[model][driver]") {
    const auto stopping = [](Rig& rig) {
        rig.config.events.push_back({.free = true, .action = PinnedAction::stop});
    };
    SECTION("the guest runs: STOP, and no intercept") {
        Rig rig("again: jmp again");
        stopping(rig);
        Lanes lanes(rig.world());
        CHECK_FALSE(lanes.can("event0"));  // no run is going on
        lanes.turns_until("event0", "stop");
        CHECK(rig.state() == kAsync);
        lanes.act("event0", "stop");
        CHECK_FALSE(lanes.can("event0"));
        lanes.act("vmm0", "STOP");
        CHECK(rig.state() == kAsync);
        lanes.act("vmm0", "claim ASYNC_STOPPING");
        CHECK(rig.state() == kStopping);
        CHECK(rig.status() == kRun);
        lanes.act("vmm0", "status STOP");
        CHECK(rig.status() == kStop);
        lanes.act("vmm0", "stop IPI");
        CHECK_FALSE(lanes.can("vmm0"));  // must still wait (3.4)
        CHECK(lanes.finish() == EndReason::stopped);
        CHECK(rig.count(EventKind::vmm_no_intercept) == 1);
        CHECK(rig.value("command.request_data") == 0);
        CHECK(rig.value("vmm.exits") == 0);
        CHECK(rig.status() == kIdle);
        CHECK(rig.state() == kAvail);
        CHECK(rig.count(EventKind::driver_warning) == 0);
    }
    SECTION("G17: the exit comes between the STOP's two steps") {
        Rig rig;
        stopping(rig);
        Lanes lanes(rig.world());
        lanes.turns_until("vp0", "VTL return");
        lanes.act("event0", "stop");
        lanes.act("vmm0", "STOP");
        lanes.act("vmm0", "claim ASYNC_STOPPING");
        lanes.until_asleep("vp0");
        CHECK(rig.status() == kIdle);
        lanes.act("vmm0", "status STOP");  // IDLE is fine (3.3)
        CHECK(rig.status() == kIdle);
        CHECK_FALSE(lanes.can("vmm0"));
        CHECK(lanes.finish() == EndReason::stopped);
        CHECK(rig.value("vmm.exits") == 1);  // the exit is handled first
        CHECK(rig.value("port.0x3fe.reads") == 1);
        CHECK(rig.count(EventKind::driver_warning) == 0);
    }
    SECTION("G18: before the AP has looked at the command") {
        Rig rig;
        stopping(rig);
        Lanes lanes(rig.world());
        lanes.until_asleep("vp0");
        lanes.until("vmm0", "request IPI");
        lanes.act("vmm0", "request IPI");
        lanes.act("event0", "stop");
        lanes.until_asleep("vmm0");
        CHECK(rig.status() == kStop);
        CHECK(lanes.finish() == EndReason::stopped);
        CHECK(rig.guest_instructions() == 0);
        CHECK(rig.count(EventKind::vtl_return) == 0);
    }
    SECTION("the scan has taken the VP already: nothing to stop, the exit is handled") {
        Rig rig;
        stopping(rig);
        Lanes lanes(rig.world());
        lanes.turns_until("poller", "vp0 ASYNC_STOPPED");
        lanes.act("poller", "vp0 ASYNC_STOPPED");
        lanes.act("event0", "stop");
        lanes.act("vmm0", "STOP");
        lanes.act("vmm0", "claim ASYNC_STOPPING");
        CHECK(rig.state() == kStopped);
        CHECK_FALSE(lanes.can("vmm0"));
        lanes.until_asleep("poller");
        lanes.act("vmm0", "run finished");
        CHECK(lanes.finish() == EndReason::stopped);
        CHECK(rig.value("vmm.exits") == 1);
    }
    SECTION("between claim and status of the next START there is no run to stop") {
        Rig rig("nop\nin al, dx\nhlt");
        stopping(rig);
        Lanes lanes(rig.world());
        lanes.turns_until("vmm0", "status RUN");
        CHECK_FALSE(lanes.can("event0"));
    }
}

TEST_CASE("driver: wrong states and statuses are told", "[model][driver]") {
    SECTION("V2 in the race: SET finds RUN, warns, and its ioctl waits for the guest (G3)") {
        Switches s;
        s.vmm_fix = VmmFix::V2;
        Rig rig("in al, dx\nhlt", s);
        Lanes lanes(rig.world());
        lanes.turns_until("vmm0", "request IPI (sync)");
        lanes.act("vmm0", "request IPI (sync)");
        lanes.act("ipi-vp0", "lands");
        lanes.until("vp0", "needs_attention = 1");
        lanes.until("vmm0", "status RUN");
        lanes.until_asleep("vp0");
        lanes.act("ipi-base", "lands");
        lanes.until_asleep("isr");
        lanes.until_asleep("poller");
        CHECK(rig.count(EventKind::poll_finished) == 2);
        lanes.act("vmm0", "status RUN");
        lanes.act("vmm0", "request IPI");
        lanes.act("vmm0", "run finished");
        lanes.act("vmm0", "handle");
        CHECK(rig.value("port.0x3fe.reads") == 2);
        CHECK(rig.count(EventKind::vmm_assert) == 0);
        lanes.act("vmm0", "command SET rip");
        lanes.act("vmm0", "claim SYNC");
        CHECK(rig.count(EventKind::driver_warning) == 0);
        lanes.act("vmm0", "status RUN (sync)");
        REQUIRE(rig.count(EventKind::driver_warning) == 1);
        CHECK(rig.last(EventKind::driver_warning, 1) == kIdle);
        CHECK(rig.last(EventKind::driver_warning, 2) == kRun);
    }
    SECTION("a claim of a VP that is not AVAIL is busy") {
        Rig rig;
        const u64 vp_state = layout::kDriverPage + offsetof(DriverPage, vp_state);
        rig.memory(vp_state, {static_cast<u8>(kStopping)});
        Lanes lanes(rig.world());
        lanes.turns_until("vmm0", "claim ASYNC");
        lanes.act("vmm0", "claim ASYNC");
        CHECK(rig.count(EventKind::driver_busy) == 1);
        CHECK(rig.last(EventKind::driver_busy, 1) == kStopping);
        CHECK(rig.world().end() == EndReason::vmm_error);
        CHECK(rig.state() == kStopping);
    }
}

TEST_CASE("driver: three VPs finish in any order", "[model][driver]") {
    for (auto driver : {Driver::racy, Driver::asyncstarting}) {
        Rig rig("in al, dx\nhlt", with(driver), 3);
        Lanes lanes(rig.world());
        CHECK(lanes.finish() == EndReason::guest_halted);
        for (const char* vp : {"vp0.", "vp1.", "vp2."}) {
            CAPTURE(vp);
            CHECK(rig.value(std::string(vp) + "vmm.exits") == 1);
            CHECK(rig.value(std::string(vp) + "vtl0.rax") == 0x812345B0);
            CHECK(rig.value(std::string(vp) + "hypervisor.messages") == 1);
            CHECK(rig.state(vp) == kAsync);  // running: halted in the guest
        }
        CHECK(rig.value("port.0x3fe.reads") == 3);
        CHECK(rig.count(EventKind::driver_warning) == 0);
    }
}

// --- GET, REMOVE, hotplug (3.2, 3.5) -------------------------------------------------------------

TEST_CASE("driver: a VP leaves the sidecar after its first exit", "[model][driver]") {
    Rig rig("in al, dx\nagain: jmp again");
    rig.config.hotplug = true;
    for (u8 i = 0; i < 4; ++i) {
        rig.config.vtl0_registers.push_back({sim::offset(sim::Reg::dr0, i), {0xD0u + i, 0}});
    }
    Lanes lanes(rig.world());
    CHECK_FALSE(lanes.can("spawn0"));
    lanes.turns_until("vmm0", "response");
    CHECK_FALSE(lanes.can("spawn0"));
    lanes.act("vmm0", "response");
    CHECK_FALSE(lanes.can("spawn0"));  // meanwhile the VP runs again
    lanes.turns_until("spawn0", "the new thread is there");
    CHECK(rig.count(EventKind::vmm_run) == 3);
    lanes.act("spawn0", "the new thread is there");
    CHECK_FALSE(lanes.can("spawn0"));
    lanes.until_asleep("vmm0");
    CHECK(rig.status() == kStop);
    lanes.turns_until("vmm0", "command GET");
    lanes.turns_until("vmm0", "claim REMOVED");
    CHECK(rig.count(EventKind::vmm_removed) == 1);
    CHECK(rig.last(EventKind::vmm_removed, 0) == kGuestCode + 1);  // RIP, by GET
    CHECK(rig.value("command.request_data") == 5);                 // RIP, and DR0 to DR3 by MOV
    for (u64 i = 0; i < 5; ++i) {
        const u64 at = layout::kCommandPage + offsetof(CommandPage, request_data) +
                       sizeof(RegisterRequest) + i * sizeof(RegisterAssociation);
        CHECK(rig.word(at) == (i == 0 ? kHvRegisterRip : kHvRegisterDr0 + i - 1));
        CHECK(rig.word(at + 0x10) == (i == 0 ? kGuestCode + 1 : 0xD0 + i - 1));
    }
    std::size_t gets = 0;
    for (const Event& e : rig.events(EventKind::hypercall)) gets += e.args[0] == 0x50;
    CHECK(gets == 1);
    lanes.act("vmm0", "claim REMOVED");
    CHECK(rig.state() == 0xFF);
    lanes.act("vmm0", "status REMOVE");
    CHECK(rig.status() == kRemove);
    lanes.act("vmm0", "request IPI (sync)");
    lanes.act("vmm0", "removed?");
    CHECK_FALSE(lanes.can("vmm0"));
    lanes.act("ipi-vp0", "lands");
    lanes.until("vp0", "needs_attention = 1");
    CHECK(rig.status() == kRemoved);  // after all else (3.1), then the attention
    lanes.until_asleep("vp0");
    CHECK((rig.world().register_of(2, Reg::rflags).lo & sim::flag::if_) == 0);  // halts for ever
    CHECK(lanes.finish() == EndReason::removed);
    CHECK(rig.state() == 0xFF);
    // What it did: assist page off, register page off, APIC off.
    const auto writes = rig.events(EventKind::msr);
    std::vector<std::pair<u64, u64>> last;
    for (const Event& e : writes) last.push_back({e.args[0], e.args[2]});
    CHECK(std::find(last.begin(), last.end(), std::pair<u64, u64>{0x40000073, 0}) != last.end());
    CHECK(std::find(last.begin(), last.end(), std::pair<u64, u64>{0x80F, 0xFF}) != last.end());
    bool unmapped = false;
    for (const Event& e : rig.events(EventKind::hypercall)) {
        unmapped = unmapped || (e.args[0] == 0x51 && e.args[1] == 0x9001C && e.args[2] == 0);
    }
    CHECK(unmapped);
}

TEST_CASE("driver: removal with or without a register page, after an exit that won",
          "[model][driver]") {
    for (auto fill : {RegpageFill::all16, RegpageFill::unmapped}) {
        Switches s;
        s.regpage_fill = fill;
        Rig rig("in al, dx\nin al, dx\nagain: jmp again", s);
        rig.config.hotplug = true;
        Lanes lanes(rig.world());
        lanes.turns_until("spawn0", "the new thread is there");
        lanes.act("ipi-vp0", "lands");
        lanes.until("vp0", "cpu_status idle");  // the second exit
        lanes.act("spawn0", "the new thread is there");
        CHECK(lanes.finish() == EndReason::removed);
        CHECK(rig.value("port.0x3fe.reads") == 2);
        CHECK(rig.last(EventKind::vmm_removed, 0) == kGuestCode + 2);
        CHECK(rig.count(EventKind::driver_warning) == 0);
    }
}

TEST_CASE("driver: GET gives the guest's MTRRs, by RDMSR, and RIP", "[model][driver]") {
    Rig rig("in al, dx\nagain: jmp again");
    rig.config.hotplug = true;
    rig.config.vtl0_registers.push_back({Reg::mtrr_base0, {0x80000006, 0}});
    rig.config.vtl0_registers.push_back({Reg::mtrr_fix4k_f8000, {0x0505050505050505, 0}});
    Lanes lanes(rig.world());
    lanes.turns_until("spawn0", "the new thread is there");
    lanes.act("spawn0", "the new thread is there");
    lanes.until_asleep("vmm0");
    lanes.turns_until("vmm0", "response");
    CHECK(rig.count(EventKind::hypercall) == 2);  // the register page's, and SET of RIP
    CHECK(rig.value("command.request_data") == 28);
    const auto answer = [&](u64 i) {
        const u64 at = layout::kCommandPage + offsetof(CommandPage, request_data) +
                       sizeof(RegisterRequest) + i * sizeof(RegisterAssociation);
        return std::pair(rig.word(at), rig.word(at + offsetof(RegisterAssociation, value)));
    };
    CHECK(answer(1) == std::pair<u64, u64>(0x80010, 0x80000006));
    CHECK(answer(27) == std::pair<u64, u64>(0x8007A, 0x0505050505050505));
    lanes.act("vmm0", "response");
    lanes.turns_until("vmm0", "response");
    u64 gets = 0;
    for (const Event& e : rig.events(EventKind::hypercall)) {
        if (e.args[0] != 0x50) continue;
        ++gets;
        CHECK(e.args[1] == 0x20010);
        CHECK(e.args[2] == rig.value("vtl0.rip"));
        CHECK(e.args[3] == 0);
    }
    CHECK(gets == 1);
}

TEST_CASE("driver: the attention IPI takes at least so many turns of others", "[model][driver]") {
    for (u16 delay : {u16{0}, u16{1}, u16{5}}) {
        Rig rig;
        rig.config.attention_delay = delay;
        Lanes lanes(rig.world());
        lanes.turns_until("vp0", "attention IPI");
        lanes.act("vp0", "attention IPI");
        u16 turns = 0;
        while (!rig.world().can_act(lanes.id("ipi-base"))) {
            ++turns;
            const auto now = rig.world().enabled();
            REQUIRE_FALSE(now.empty());
            if (now.front() == lanes.id("ipi-base")) break;  // there is nothing else left to do
            rig.world().step(now.front());
        }
        // The AP has only its park loop to go: reading the status and HLT.
        CHECK(turns == std::min<u16>(delay, 3));
        CHECK(lanes.finish() == EndReason::guest_halted);
    }
}

TEST_CASE("driver: a signal ends the wait of a synchronous command, and the command is done",
          "[model][driver]") {
    Rig rig("in al, dx\nhlt", with(Driver::asyncstarting));
    rig.config.events.push_back({.free = true, .action = PinnedAction::signal});
    Lanes lanes(rig.world());
    CHECK_FALSE(lanes.can("event0"));
    lanes.turns_until("vmm0", "run finished");
    CHECK_FALSE(lanes.can("event0"));  // that wait is a poll
    lanes.turns_until("vmm0", "request IPI (sync)");
    lanes.act("vmm0", "request IPI (sync)");
    lanes.act("vmm0", "idle?");  // asleep
    CHECK_FALSE(lanes.can("vmm0"));
    lanes.act("event0", "signal");
    CHECK_FALSE(lanes.can("event0"));
    lanes.act("vmm0", "idle?");
    CHECK(rig.count(EventKind::driver_signal) == 1);
    lanes.act("vmm0", "status (signal)");
    CHECK(rig.status() == kRun);
    const std::size_t ipis = rig.count(EventKind::ipi_sent);
    lanes.act("vmm0", "status STOP (signal)");
    CHECK(rig.status() == kStop);
    CHECK(rig.count(EventKind::ipi_sent) == ipis);  // without one
    lanes.act("vmm0", "status (signal)");
    lanes.act("vmm0", "stopped?");
    CHECK_FALSE(lanes.can("vmm0"));
    CHECK(rig.state() == kSync);
    lanes.act("ipi-vp0", "lands");
    lanes.until_asleep("vp0");
    CHECK(rig.status() == kIdle);
    CHECK(rig.last(EventKind::hypercall, 1) == 0x20010);  // the SET, all the same
    lanes.act("ipi-base", "lands");
    lanes.until_asleep("isr");
    lanes.act("vmm0", "stopped?");
    lanes.act("vmm0", "status (signal)");
    lanes.act("vmm0", "release AVAIL");
    CHECK(rig.state() == kAvail);
    lanes.act("vmm0", "response");
    lanes.act("vmm0", "command RUN_VP");
    CHECK(lanes.finish() == EndReason::guest_halted);
}

TEST_CASE("driver: a signal that comes too late, or while the AP is done, changes nothing",
          "[model][driver]") {
    Rig late("in al, dx\nhlt", with(Driver::asyncstarting));
    late.config.events.push_back({.free = true, .action = PinnedAction::signal});
    Lanes lanes(late.world());
    lanes.turns_until("vmm0", "request IPI (sync)");
    lanes.act("vmm0", "request IPI (sync)");
    lanes.act("vmm0", "idle?");
    lanes.act("ipi-vp0", "lands");
    lanes.until_asleep("vp0");
    lanes.act("event0", "signal");
    lanes.act("vmm0", "idle?");  // the condition comes first
    CHECK(late.count(EventKind::driver_signal) == 0);
    lanes.act("vmm0", "release AVAIL");
    CHECK(lanes.finish() == EndReason::guest_halted);

    // Between the look at the status and the exchange the AP is done: nothing is overwritten.
    Rig done("in al, dx\nhlt", with(Driver::asyncstarting));
    done.config.events.push_back({.free = true, .action = PinnedAction::signal});
    Lanes other(done.world());
    other.turns_until("vmm0", "request IPI (sync)");
    other.act("vmm0", "request IPI (sync)");
    other.act("event0", "signal");
    other.act("vmm0", "idle?");
    other.act("vmm0", "status (signal)");
    other.act("ipi-vp0", "lands");
    other.until_asleep("vp0");
    CHECK(done.status() == kIdle);
    other.act("vmm0", "status STOP (signal)");
    CHECK(done.status() == kIdle);
    other.act("vmm0", "status (signal)");
    other.act("vmm0", "release AVAIL");
    CHECK(other.finish() == EndReason::guest_halted);

    // Placed where the thread waits for nothing.
    Rig placed("in al, dx\nhlt", with(Driver::asyncstarting));
    placed.config.events.push_back({.address = kGuestCode, .action = PinnedAction::signal});
    CHECK(placed.finish() == EndReason::guest_halted);
    CHECK(placed.count(EventKind::driver_signal) == 0);
}

TEST_CASE("driver: the stored copies' wait for a removed VP", "[model][driver]") {
    const auto rig = [](RemovalWait wait) {
        Switches s = with(Driver::asyncstarting);
        s.removal_wait = wait;
        Rig r("in al, dx\nhlt", s);
        r.config.hotplug = true;
        return r;
    };
    Rig early = rig(RemovalWait::remove_stored);
    CHECK(early.finish() == EndReason::removed);
    CHECK(early.status() == kRemove);  // the AP has not gone yet

    for (auto wait : {RemovalWait::removed, RemovalWait::remove_stored}) {
        Rig fast = rig(wait);  // the AP is gone before the driver looks
        Lanes lanes(fast.world());
        lanes.turns_until("vmm0", "status REMOVE");
        lanes.act("vmm0", "status REMOVE");
        lanes.act("vmm0", "request IPI (sync)");
        lanes.act("ipi-vp0", "lands");
        lanes.until_asleep("vp0");
        CHECK(fast.status() == kRemoved);
        CHECK(lanes.finish() ==
              (wait == RemovalWait::removed ? EndReason::removed : EndReason::stuck));
    }
}

}  // namespace vtlsim::tests
