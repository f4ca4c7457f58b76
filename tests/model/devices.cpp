// The VMM's devices: scripts, counters, 16550s.
#include "tests/catch.hpp"
#include "tests/model/world_rig.hpp"

namespace vtlsim::tests {

using namespace model;
using sim::Reg;

namespace {

constexpr u16 kCom1 = 0x3F8;

Run with_uart(std::string_view guest, bool connected = true) {
    Run run(guest, {});
    run.config.uarts = {{.port = kCom1, .connected = connected}};
    return run;
}

}  // namespace

TEST_CASE("16550: the modem status of a connected port, deltas once", "[model][devices]") {
    Run run = with_uart("mov edx, 0x3FE\nin al, dx\nmov bl, al\nin al, dx\nhlt");
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.guest(Reg::rbx) == 0xBB);
    CHECK(run.guest(Reg::rax) == 0xB0);
    Run none = with_uart("mov edx, 0x3FE\nin al, dx\nhlt", false);
    CHECK(none.finish() == EndReason::guest_halted);
    CHECK(none.guest(Reg::rax) == 0);
}

TEST_CASE("16550: registers that can be read back, the divisor latch, FIFOs", "[model][devices]") {
    struct Row {
        std::string_view code;
        u64 al;
    };
    constexpr Row kRows[] = {
        {"mov edx, 0x3FF\nmov al, 0x5A\nout dx, al\nmov al, 0\nin al, dx", 0x5A},
        {"mov edx, 0x3FB\nmov al, 3\nout dx, al\nmov al, 0\nin al, dx", 3},
        {"mov edx, 0x3FC\nmov al, 0x0B\nout dx, al\nmov al, 0\nin al, dx", 0x0B},
        {"mov edx, 0x3FD\nin al, dx", 0x60},
        {"mov edx, 0x3FA\nin al, dx", 1},
        {"mov edx, 0x3FA\nmov al, 1\nout dx, al\nin al, dx", 0xC1},
        // DLAB: the divisor is behind the data and interrupt registers.
        {"mov edx, 0x3FB\nmov al, 0x83\nout dx, al\nmov edx, 0x3F8\nin al, dx", 0x0C},
        {"mov edx, 0x3F8\nin al, dx", 0},
        {"mov edx, 0x3F9\nmov al, 0\nout dx, al\nin al, dx", 0},
    };
    for (const Row& row : kRows) {
        CAPTURE(row.code);
        Run run = with_uart(std::string(row.code) + "\nhlt");
        CHECK(run.finish() == EndReason::guest_halted);
        CHECK((run.guest(Reg::rax) & 0xFF) == row.al);
    }
}

TEST_CASE("16550: interrupts and loopback are loud gaps", "[model][devices]") {
    for (const char* code : {"mov edx, 0x3F9\nmov al, 8\nout dx, al\nhlt",
                             "mov edx, 0x3FC\nmov al, 0x10\nout dx, al\nhlt"}) {
        Run run = with_uart(code);
        CHECK(run.finish() == EndReason::not_modelled);
    }
    // Its ports are bytes: a wider access reaches no device.
    Run wide = with_uart("mov edx, 0x3FE\nin ax, dx\nhlt");
    CHECK(wide.finish() == EndReason::guest_halted);
    CHECK(wide.guest(Reg::rax) == 0xFFFF);
}

TEST_CASE("counter: each read gives a step more, and wraps", "[model][devices]") {
    Run run("mov edx, 0x608\nin eax, dx\nmov ebx, eax\nin eax, dx\nmov ecx, eax\nin eax, dx\nhlt");
    run.config.ports = {{.port = 0x608, .size = 4, .reads = {0xFFFFFFF0}, .step = 0xB0}};
    CHECK(run.finish() == EndReason::guest_halted);
    CHECK(run.guest(Reg::rbx) == 0xFFFFFFF0);
    CHECK(run.guest(Reg::rcx) == 0xA0);
    CHECK(run.guest(Reg::rax) == 0x150);
}

TEST_CASE("devices are part of a snapshot and of the fingerprint", "[model][devices]") {
    Run run = with_uart("mov edx, 0x3FE\nin al, dx\nin al, dx\nhlt");
    run.config.ports = {{.port = 0x608, .size = 4, .reads = {0}, .step = 1}};
    World& world = run.until_event(EventKind::vmm_exit);
    const auto before = world.snapshot();
    const auto fingerprint = world.fingerprint();
    CHECK(world.run() == EndReason::guest_halted);
    CHECK(world.fingerprint() != fingerprint);
    world.restore(*before);
    CHECK(world.fingerprint() == fingerprint);
    CHECK(world.run() == EndReason::guest_halted);
    CHECK(run.guest(Reg::rax) == 0xB0);
}

TEST_CASE("devices that overlap are refused", "[model][devices]") {
    WorldConfig config;
    config.uarts = {{.port = 0x3F8, .connected = true}, {.port = 0x3FC, .connected = true}};
    CHECK_FALSE(check_config(config).empty());
    config.uarts = {{.port = 0x3F8, .connected = true}};
    CHECK(check_config(config).empty());
    config.ports = {{.port = 0x3FE, .size = 1, .reads = {}}};
    CHECK_FALSE(check_config(config).empty());
    config.ports = {{.port = 0x608, .size = 4, .reads = {}, .step = 1}};
    CHECK_FALSE(check_config(config).empty());
    config.ports = {};
    config.uarts = {{.port = 0xFFFC, .connected = true}};
    CHECK_FALSE(check_config(config).empty());
}

}  // namespace vtlsim::tests
