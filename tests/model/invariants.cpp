// Each invariant: broken once by a schedule, and silent where all is well.
#include <set>

#include "tests/model/lanes.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;
using sim::Reg;

// A run with every invariant on; those that broke, by name, in the order of the steps.
struct Watched : Run {
    explicit Watched(std::string_view guest, Switches switches = {})
        : Run(guest, {{Reg::rdx, kPort}, {Reg::rax, 0xFFFFFFFF81234500}}) {
        port(kPort, 1, {0xBB, 0xB0});
        config.switches = switches;
        for (const InvariantRow& row : invariant_rows()) config.invariants.push_back(row.id);
    }
    std::set<std::string> finish_broken() {
        while (world().turn()) collect();
        collect();
        return broken;
    }
    void collect() {
        for (const Violation& v : world().violations()) {
            broken.insert(std::string(invariant_rows()[static_cast<std::size_t>(v.id)].name));
            texts.push_back(v.what);
            REQUIRE_FALSE(v.what.empty());
        }
    }
    void act(std::string_view name, std::string_view step) {
        Lanes(world()).act(name, step);
        collect();
    }
    void until(std::string_view name, std::string_view step) {
        Lanes lanes(world());
        for (int i = 0; i < 400 && lanes.next(name) != step; ++i) {
            REQUIRE(lanes.can(name));
            world().step(lanes.id(name));
            collect();
        }
    }
    void turns_until(std::string_view name, std::string_view step) {
        Lanes lanes(world());
        for (int i = 0; i < 4000 && lanes.next(name) != step; ++i) {
            REQUIRE(world().turn());
            collect();
        }
    }
    void asleep(std::string_view name) {
        Lanes lanes(world());
        while (lanes.can(name)) {
            world().step(lanes.id(name));
            collect();
        }
    }
    // The race of hyperv-vtl.md 3.6, up to the second handling of the message.
    void race() {
        turns_until("vmm0", "request IPI (sync)");
        act("vmm0", "request IPI (sync)");
        act("ipi-vp0", "lands");
        until("vp0", "needs_attention = 1");
        until("vmm0", "status RUN");
        asleep("vp0");
        act("ipi-base", "lands");
        asleep("isr");
        asleep("poller");
        act("vmm0", "status RUN");
        act("vmm0", "request IPI");
        act("vmm0", "run finished");
    }
    std::set<std::string> broken;
    std::vector<std::string> texts;
};

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("invariants: names and meanings", "[model][invariants]") {
    std::set<std::string_view> names;
    std::size_t i = 0;
    for (const InvariantRow& row : invariant_rows()) {
        CHECK(static_cast<std::size_t>(row.id) == i++);
        CHECK(names.insert(row.name).second);
        CHECK(row.name.find('_') == std::string_view::npos);
        CHECK_FALSE(row.meaning.empty());
        CHECK(find_invariant(row.name) == &row);
    }
    CHECK(find_invariant("message-once")->id == Invariant::message_once);
    CHECK(find_invariant("message_once") == nullptr);
}

TEST_CASE("invariants: silent on default runs", "[model][invariants]") {
    constexpr std::string_view kAll =
        "in al, dx\nmov ebx, eax\nout dx, al\nmov eax, 7\ncpuid\nmov ecx, 0x4321\nrdmsr\n"
        "mov ecx, 0x42\nvmcall\nmov edx, 0x3FE\nmov rdi, 0x7000\nmov ecx, 9\ncld\nrep insb\n"
        "movups xmm3, [0x7000]\nin al, dx\nhlt";
    for (unsigned vps : {1u, 2u, 3u}) {
        for (auto driver :
             {Driver::racy, Driver::asyncstarting, Driver::asyncstarting_release_store}) {
            for (auto order : {MemoryOrder::sc, MemoryOrder::tso}) {
                for (auto fix : {VmmFix::V0, VmmFix::V1, VmmFix::V2, VmmFix::VH}) {
                    Switches s;
                    s.driver = driver;
                    s.memory_order = order;
                    s.vmm_fix = fix;
                    Watched run(kAll, s);
                    run.config.msrs = {{.msr = 0x4321, .value = 0x1122334455667788}};
                    run.config.hypercalls = {{.code = 0x42, .status = 3}};
                    for (unsigned i = 1; i < vps; ++i) {
                        run.config.other_vps.push_back(run.config.vtl0_registers);
                    }
                    CHECK(run.finish_broken() == Names{});
                    CHECK(run.world().end() == EndReason::guest_halted);
                }
            }
        }
    }
    Watched leaving("in al, dx\nin al, dx\nagain: jmp again");
    leaving.config.hotplug = true;
    Lanes(leaving.world()).turns_until("spawn0", "the new thread is there");
    leaving.act("spawn0", "the new thread is there");
    CHECK(leaving.finish_broken() == Names{});
    CHECK(leaving.world().end() == EndReason::removed);
}

// G2: what the incident broke.
TEST_CASE("invariants: the race under V0", "[model][invariants]") {
    Watched run("in al, dx\nhlt");
    run.race();
    CHECK(run.broken == Names{});
    run.act("vmm0", "handle");
    CHECK(run.world().end() == EndReason::vmm_panic);
    CHECK(run.broken == Names{"no-vmm-panic", "exits-are-messages", "no-handler-while-ap-runs",
                              "message-once", "context-is-guest"});
    // They name the two events that conflict.
    const auto found = run.events(EventKind::message);
    REQUIRE(found.size() == 1);
    const std::string step = "step " + std::to_string(found[0].step);
    CHECK(std::any_of(run.texts.begin(), run.texts.end(),
                      [&](const std::string& t) { return t.find(step) != std::string::npos; }));
}

// G3: the assert is masked, the device is read twice, the command page has two owners.
TEST_CASE("invariants: the race under V2", "[model][invariants]") {
    Switches s;
    s.vmm_fix = VmmFix::V2;
    Watched run("in al, dx\nhlt", s);
    run.race();
    run.act("vmm0", "handle");
    CHECK(run.world().end() == EndReason::none);
    CHECK(run.broken.count("device-once") == 1);
    CHECK(run.broken.count("no-vmm-panic") == 0);
    CHECK(run.broken.count("command-page-owner") == 1);  // context.rax, while the AP runs
}

// What an invariant looks at is an access of the step, or the reduction would leave orders out that
// only it tells apart.
TEST_CASE("invariants: what they look at counts as touched", "[model][invariants]") {
    for (bool on : {false, true}) {
        Switches s;
        s.vmm_fix = VmmFix::V2;
        Watched run("in al, dx\nhlt", s);
        if (!on) run.config.invariants.clear();
        const Access status{object_id(Object::cpu_status), false};
        const auto touched = [&] {
            const auto& all = run.world().accesses();
            return std::find(all.begin(), all.end(), status) != all.end();
        };
        run.race();
        run.act("vmm0", "handle");
        CHECK(touched() == on);
        run.act("vmm0", "command SET rip");
        CHECK(touched() == on);
    }
}

// G6: nothing asserts, and the device is written twice.
TEST_CASE("invariants: the race after an OUT", "[model][invariants]") {
    Watched run("out dx, al\nhlt");
    run.race();
    run.act("vmm0", "handle");
    CHECK(run.world().end() == EndReason::none);
    CHECK(run.value("port.0x3fe.writes") == 2);
    CHECK(run.broken.count("device-once") == 1);
    CHECK(run.broken.count("no-vmm-panic") == 0);
    CHECK(run.broken.count("context-is-guest") == 0);
}

TEST_CASE("invariants: a scenario hears only of those it asks for", "[model][invariants]") {
    Watched run("in al, dx\nhlt");
    run.config.invariants = {Invariant::message_once};
    run.race();
    run.act("vmm0", "handle");
    CHECK(run.broken == Names{"message-once"});
}

TEST_CASE("invariants: the context under a shadow", "[model][invariants]") {
    Switches s;
    s.gpr_model = GprModel::shadow;
    Watched run("mov ebx, 5\nout dx, al\nhlt", s);
    const Names broken = run.finish_broken();
    CHECK(broken.count("context-is-guest") == 1);
    CHECK(broken.count("message-once") == 0);
    // V1 as first committed puts RSP where CR2 is.
    Switches first;
    first.vmm_fix = VmmFix::V1_all_gps;
    Watched cr2("in al, dx\nhlt", first);
    CHECK(cr2.finish_broken() == Names{"context-is-guest"});
    REQUIRE(cr2.texts.size() == 1);
    CHECK(cr2.texts[0].find("context.cr2 is 0x8000") == 0);
}

TEST_CASE("invariants: a lost wake-up", "[model][invariants]") {
    Watched run("hlt");
    run.config.vtl2_registers = {{Reg::cr8, {15, 0}}};  // the request vector never gets in
    CHECK(run.finish_broken() == Names{"no-lost-wakeup"});
    CHECK(run.world().end() == EndReason::stuck);
}

TEST_CASE("invariants: an endless bounce", "[model][invariants]") {
    Watched run("nop\nhlt");
    Lanes lanes(run.world());
    lanes.until_asleep("vp0");
    // The AP sees RUN without its IPI, which then stays pending (hyperv-vtl.md 1.4, G10).
    run.turns_until("vmm0", "claim ASYNC");
    run.config.limits.steps = 3000;
    run.until("vmm0", "request IPI");
    run.act("vmm0", "request IPI");
    run.act("ipi-vp0", "lands");
    run.until("vp0", "VTL return");
    CHECK(run.broken == Names{});
    // The same from an interrupt of the config.
    Watched pinned("nop\nhlt");
    pinned.config.limits.steps = 3000;
    pinned.interrupt(0, kGuestCode, false);
    CHECK(pinned.finish_broken() == Names{"no-endless-bounce"});
    CHECK(pinned.guest_instructions() == 0);
    // Seven times in a row are not endless: a transient interrupt comes once.
    Watched once("nop\nhlt");
    once.interrupt(0, kGuestCode, true);
    CHECK(once.finish_broken() == Names{});
}

TEST_CASE("invariants: the AP touches the command page after it has said IDLE",
          "[model][invariants]") {
    // In place of "needs_attention = 1", of the same length: it writes the command page.
    Watched run("in al, dx\nhlt");
    const u64 at = run.kernel_label("raise_attention");
    run.code(at, "mov dword [abs 0x08031000], 0");
    CHECK(run.finish_broken().count("command-page-owner") == 1);
}

TEST_CASE("invariants: a message that nobody handles", "[model][invariants]") {
    // The kernel says "no intercept" after it has copied the message.
    Watched run("in al, dx\nhlt");
    const u64 address = layout::kCommandPage + offsetof(CommandPage, request_data);
    const auto with = assembled(0, "mov byte [abs " + std::to_string(address) + "], 1");
    const auto without = assembled(0, "mov byte [abs " + std::to_string(address) + "], 0");
    REQUIRE(with.size() == without.size());
    const sim::AsmResult kernel = assemble_vtl2_kernel(run.config.switches);
    const u64 from = run.kernel_label("run_vp_intercept") - layout::kVtl2Code;
    const auto found = std::search(kernel.bytes.begin() + static_cast<std::ptrdiff_t>(from),
                                   kernel.bytes.end(), with.begin(), with.end());
    REQUIRE(found != kernel.bytes.end());
    run.memory(layout::kVtl2Code + static_cast<u64>(found - kernel.bytes.begin()), without);
    run.finish_broken();
    CHECK(run.value("vmm.exits") == 0);
    CHECK(run.world().end() == EndReason::stopped);
    CHECK(run.broken == Names{"exits-are-messages", "device-once"});
}

}  // namespace vtlsim::tests
