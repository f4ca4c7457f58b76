// A world is a value: same config, same log; a snapshot restored and continued is no different.
#include <set>

#include "tests/catch.hpp"
#include "tests/model/world_rig.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;
using sim::Reg;

// Worlds that use about everything: all exits, string I/O, faults, interrupts, code that changes
// itself, each under several switches.
std::vector<Run> worlds() {
    constexpr std::string_view kText =
        "sti\nmov rax, 0x1234\nmov rcx, 0x5678\nnop\nmov rax, 0x1235\nin al, dx\nmov ebx, eax\n"
        "movups xmm7, [0x6000]\nout dx, al\nud2\n"
        "mov eax, 7\ncpuid\nmov ecx, 0x4321\nrdmsr\nmov ecx, 0x42\nvmcall\n"
        "mov edx, 0x3FE\nmov rsi, 0x6000\nmov ecx, 1500\nxor eax, eax\nrep outsb\n"
        "mov rdi, 0x7000\nmov ecx, 9\ncld\nrep insb\n"
        "mov byte [rel patched + 1], 5\npatched: mov al, 1\nhlt";
    const u64 nop =
        kGuestCode + assembled(kGuestCode, "sti\nmov rax, 0x1234\nmov rcx, 0x5678").size();
    std::vector<Run> list;
    const auto add = [&](const Switches& switches, bool transient) {
        Run run(kText, {{Reg::rdx, kPort}, {Reg::rflags, 2}});
        run.config.switches = switches;
        run.config.limits.steps = 6000;
        run.port(kPort, 1, {0xBB, 0xB0, 1, 2, 3});
        run.memory(0x6000, {1, 2, 3, 4, 5, 6, 7, 8, 9});
        run.code(0x3000, "add qword [rsp], 2\niretq");
        run.gate(6, 0x3000);
        run.code(0x3100,
                 "push rax\npush rcx\npush rdx\nmov ecx, 0x80B\nxor eax, eax\nxor edx, edx\n"
                 "wrmsr\npop rdx\npop rcx\npop rax\niretq");
        run.gate(0x55, 0x3100);
        run.interrupt(0, nop, transient);
        run.config.events.push_back({.vtl = 0, .address = nop + 1, .for_vtl = 0, .vector = 0x55});
        run.config.cpuid = {{.leaf = 7, .eax = 1, .ebx = 2, .ecx = 3, .edx = 4}};
        run.config.msrs = {{.msr = 0x4321, .value = 0x1122334455667788}};
        run.config.hypercalls = {{.code = 0x42, .status = 3}};
        list.push_back(std::move(run));
    };
    add({}, true);
    add({}, false);  // starves: bounces until the limit
    add({.vp_runner = VpRunner::kernel_driver}, false);
    add({.set_rip_path = SetRipPath::register_page}, true);
    add({.gpr_model = GprModel::shadow_on_second_reentry}, true);
    add({.gpr_model = GprModel::shadow_on_second_reentry, .vmm_fix = VmmFix::V1V2}, true);
    add({.gpr_model = GprModel::shadow,
         .fx_cr2_restore = FxCr2Restore::pre3584,
         .vmm_fix = VmmFix::V1},
        true);
    return list;
}

}  // namespace

TEST_CASE("snapshot: two worlds of one config have the same log and hash", "[model]") {
    std::set<std::string> hashes;
    for (Run& run : worlds()) {
        World other(run.config);
        CHECK(run.finish() == other.run());
        CHECK(run.world().hash() == other.hash());
        CHECK(run.world().hash().size() == 16);
        CHECK(run.world().steps() == other.steps());
        const auto a = run.world().log().events();
        const auto b = other.log().events();
        CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
        CHECK(a.size() > 100);
        hashes.insert(run.world().hash());
    }
    CHECK(hashes.size() == worlds().size());  // and different ones have not
}

TEST_CASE("snapshot: the worlds of these tests get far", "[model]") {
    std::vector<EndReason> ends;
    for (Run& run : worlds()) ends.push_back(run.finish());
    using E = EndReason;
    CHECK(ends == std::vector<E>{E::guest_halted, E::step_limit, E::guest_halted, E::guest_halted,
                                 E::vmm_panic, E::guest_halted, E::guest_halted});
    Run run = std::move(worlds()[0]);
    run.finish();
    CHECK(run.guest(Reg::rax) == 5);  // the patched instruction
    CHECK(run.value("port.0x3fe.reads") == 10);
    CHECK(run.value("port.0x3fe.writes") == 1501);
}

TEST_CASE("snapshot: restored at any turn, a world goes on as if nothing had been", "[model]") {
    std::size_t restored = 0;
    for (Run& run : worlds()) {
        World whole(run.config);
        const EndReason end = whole.run();
        // Taking a snapshot changes nothing.
        std::vector<std::shared_ptr<const World::Snapshot>> snapshots{run.world().snapshot()};
        std::size_t turns = 0;
        while (run.world().turn()) {
            // Every turn of the beginning, then some.
            if (++turns < 25 || turns % 97 == 0) snapshots.push_back(run.world().snapshot());
        }
        snapshots.push_back(run.world().snapshot());
        REQUIRE(run.world().hash() == whole.hash());
        // Restored from the last to the first, so that each one goes back far, into the same
        // world and into one that has run something else before.
        World fresh(run.config);
        for (auto it = snapshots.rbegin(); it != snapshots.rend(); ++it) {
            for (World* world : {&run.world(), &fresh}) {
                world->restore(**it);
                REQUIRE(world->run() == end);
                REQUIRE(world->hash() == whole.hash());
                REQUIRE(world->steps() == whole.steps());
                ++restored;
            }
        }
        for (const sim::RegInfo& r : sim::registers()) {
            CHECK(run.world().register_of(0, r.reg) == whole.register_of(0, r.reg));
            CHECK(run.world().register_of(2, r.reg) == whole.register_of(2, r.reg));
        }
        for (const char* path : {"vmm.exits", "hypervisor.messages", "port.0x3fe.reads",
                                 "port.0x3fe.writes", "context.rax", "context.xmm7"}) {
            CHECK(run.world().value(path) == whole.value(path));
        }
    }
    CHECK(restored > 300);
}

TEST_CASE("snapshot: it keeps what it had when the world goes on", "[model]") {
    Run run("mov qword [abs 0x6000], 1\nin al, dx\nmov qword [abs 0x6000], 2\nhlt");
    run.until_event(EventKind::message);
    const auto at_exit = run.world().snapshot();
    const std::size_t events = run.world().log().events().size();
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.word(0x6000) == 2);
    run.world().restore(*at_exit);
    CHECK(run.word(0x6000) == 1);
    CHECK(run.world().end() == EndReason::none);
    CHECK(run.world().log().events().size() == events);
    CHECK(run.value("vmm.exits") == 0);
}

// Between the store to a page-table entry and INVLPG a processor may use either translation; which
// one must not depend on whether a snapshot was restored in between.
TEST_CASE("snapshot: a translation that the guest has not invalidated", "[model]") {
    Run run(
        "mov rax, [abs 0x200000]\nmov qword [abs 0xC008], 0x400083\nnop\n"
        "mov rax, [abs 0x200000]\nhlt");
    run.set(Reg::identity_map, 0);
    run.set(Reg::cr3, 0xA000);
    run.code(0xA000, "dq 0xB003");
    run.code(0xB000, "dq 0xC003");
    run.code(0xC000, "dq 0x83, 0x200083");
    run.memory(0x200000, {1});
    run.memory(0x400000, {2});
    const u64 nop =
        kGuestCode +
        assembled(kGuestCode, "mov rax, [abs 0x200000]\nmov qword [abs 0xC008], 0x400083").size();
    // Only to have a turn end there: VTL0's IF is 0.
    run.config.events.push_back({.vtl = 0, .address = nop, .for_vtl = 0, .vector = 0x55});
    World whole(run.config);
    CHECK(whole.run() == EndReason::guest_halted);
    while (run.guest_instructions() < 2) REQUIRE(run.world().turn());
    const auto snapshot = run.world().snapshot();
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.guest(Reg::rax) == whole.register_of(0, Reg::rax).lo);
    run.world().restore(*snapshot);
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.guest(Reg::rax) == whole.register_of(0, Reg::rax).lo);
}

}  // namespace vtlsim::tests
