// The library's plug-ins, in C++ and in C: when they are asked, what they are told and what they
// may do.
#include <cstring>
#include <string>

#include "api/vtlsim.h"
#include "api/vtlsim.hpp"
#include "tests/catch.hpp"

namespace vtlsim {
namespace {

// A guest that asks CPUID twice, reads a port and writes one.
constexpr const char* kGuest = R"({
  "name": "guest", "why": "w", "source": "s",
  "guest": { "code": { "at": "0x1000", "asm": [
    "mov eax, 0x40000000", "cpuid", "mov esi, ebx",
    "mov eax, 0x40000000", "cpuid", "mov edi, ebx",
    "mov edx, 0x3F8", "in al, dx", "inc eax", "out dx, al", "hlt" ] } },
  "expect": { "end": "guest-halted" }
})";

Simulation guest() { return Simulation::parse(kGuest); }

void count_cpuid(Simulation& sim) {
    sim.set_handler([](model::Intercept& intercept, u64& state) {
        if (intercept.type_name() != "cpuid_intercept") return false;
        intercept.set_context("rbx", 0x100 + ++state);
        return true;
    });
}

}  // namespace

TEST_CASE("A handler answers what it takes, and leaves the rest to the VMM", "[api][plugins]") {
    Simulation sim = guest();
    count_cpuid(sim);
    const Run run = sim.run();
    CHECK(run.end() == "guest-halted");
    CHECK(run.value("vtl0.rsi") == 0x101);
    CHECK(run.value("vtl0.rdi") == 0x102);
    CHECK(run.value("port.0x3f8.reads") == 1);  // the VMM's own handler
    // Its memory is the run's: the next one begins anew.
    CHECK(sim.run().value("vtl0.rdi") == 0x102);
    CHECK(sim.run().hash() == run.hash());
    CHECK(guest().run().hash() != run.hash());
}

TEST_CASE("A handler is told what the message and the context have", "[api][plugins]") {
    Simulation sim = guest();
    std::string seen;
    sim.set_handler([&seen](model::Intercept& intercept, u64&) {
        if (intercept.type_name() != "io_port_intercept") return false;
        seen += std::to_string(intercept.value("message.port").value_or(0)) + " ";
        CHECK(intercept.vp() == 0);
        CHECK_FALSE(intercept.value("message.leaf"));
        CHECK_FALSE(intercept.value("nothing.like.it"));
        CHECK_FALSE(intercept.set_context("raxx", 1));
        CHECK(intercept.set_context("rax", 0x41));
        CHECK(intercept.value("context.rax") == 0x41);
        return true;
    });
    const Run run = sim.run();
    CHECK(seen == "1016 1016 ");
    CHECK(run.end() == "guest-halted");
}

TEST_CASE("A handler sends the guest where it likes", "[api][plugins]") {
    Simulation sim = Simulation::parse(R"({
      "name": "n", "why": "w", "source": "s",
      "guest": { "code": { "at": "0x1000", "asm": [
        "in al, 0x60", "mov ebx, 1", "hlt", "elsewhere: mov ebx, 2", "hlt" ] } },
      "expect": { "end": "guest-halted" } })");
    sim.set_handler([](model::Intercept& intercept, u64&) {
        CHECK(intercept.next_rip() == 0x1002);
        intercept.set_next_rip(0x1008);
        return true;
    });
    CHECK(sim.run().value("vtl0.rbx") == 2);
}

TEST_CASE("A device answers its port before the scenario's own", "[api][plugins]") {
    Simulation sim = guest();
    u64 written = 0;
    sim.add_device(
        {.port = 0x3F8,
         .size = 1,
         .read = [](u64& state) { return static_cast<u32>(0x50 + ++state); },
         .write = [&written](u32 value, u64& state) { written = value + (state << 8); }});
    CHECK(sim.run().end() == "guest-halted");
    CHECK(written == 0x152);
    CHECK_THROWS_AS(sim.add_device({.port = 1, .size = 3, .read = {}, .write = {}}),
                    std::invalid_argument);
}

TEST_CASE("An actor reads and writes guest RAM and nothing else", "[api][plugins]") {
    Simulation sim = guest();
    sim.add_actor({.name = "dma",
                   .ready = [](u64 state) { return state < 2; },
                   .step =
                       [](model::ActorTurn& turn, u64& state) {
                           u8 byte = 0;
                           turn.read(0x2000, {&byte, 1});
                           byte = static_cast<u8>(byte + 3);
                           CHECK(turn.write(0x2000, {&byte, 1}));
                           CHECK_FALSE(turn.write(0xFFFF'FFFF'0000, {&byte, 1}));
                           CHECK_FALSE(turn.interrupt(0, 1, 0x40));  // no VTL1
                           CHECK_FALSE(turn.interrupt(9, 0, 0x40));
                           CHECK_FALSE(turn.interrupt(0, 0, 3));
                           ++state;
                       }});
    const Run run = sim.run();
    u8 byte = 0;
    run.read_memory(0x2000, {&byte, 1});
    CHECK(byte == 6);
}

TEST_CASE("The explorer goes back and forth in worlds with plug-ins", "[api][plugins]") {
    Simulation sim = guest();
    count_cpuid(sim);
    sim.add_actor({.name = "dma",
                   .ready = [](u64 state) { return state == 0; },
                   .step = [](model::ActorTurn&, u64& state) { state = 1; }});
    const Exploration first = sim.explore({}, 3000);
    CHECK(first.states >= 3000);
    CHECK_FALSE(first.complete);
    CHECK(sim.explore({}, 3000).report == first.report);
    // A copy has its own plug-ins.
    Simulation copy = sim;
    copy.set_handler({});
    CHECK(sim.run().value("vtl0.rsi") == 0x101);
    CHECK(copy.run().value("vtl0.rsi") != 0x101);
}

TEST_CASE("What is wrong is said, in C++ and in C", "[api]") {
    CHECK_THROWS_AS(Simulation::parse("{"), LoadError);
    CHECK_THROWS_AS(guest().run("no_switch=1"), std::invalid_argument);
    char* error = nullptr;
    CHECK(vtlsim_parse("{", "bad.json", &error) == nullptr);
    REQUIRE(error != nullptr);
    CHECK(std::strstr(error, "bad.json:1:2:") != nullptr);
    vtlsim_free_text(error);
    CHECK(vtlsim_load("/no/such/file.json", nullptr) == nullptr);

    vtlsim_simulation* sim = vtlsim_parse(kGuest, "guest.json", nullptr);
    REQUIRE(sim != nullptr);
    CHECK(vtlsim_add_device(sim, 1, 3, nullptr, nullptr, nullptr) == 0);
    CHECK(vtlsim_add_actor(sim, nullptr, nullptr, nullptr, nullptr) == 0);
    error = nullptr;
    CHECK(vtlsim_run_variant(sim, "no_switch=1", &error) == nullptr);
    REQUIRE(error != nullptr);
    vtlsim_free_text(error);
    vtlsim_free(sim);
}

TEST_CASE("Plug-ins of C do the same as those of C++", "[api][plugins]") {
    vtlsim_simulation* sim = vtlsim_parse(kGuest, "guest.json", nullptr);
    REQUIRE(sim != nullptr);
    vtlsim_set_handler(
        sim,
        [](vtlsim_intercept* intercept, uint64_t* state, void* user) {
            if (std::strcmp(vtlsim_intercept_type(intercept), "cpuid_intercept") != 0) return 0;
            ++*static_cast<int*>(user);
            return vtlsim_intercept_set_context(intercept, "rbx", 0x100 + ++*state);
        },
        [] {
            static int calls = 0;
            return static_cast<void*>(&calls);
        }());
    vtlsim_run* run = vtlsim_run_variant(sim, nullptr, nullptr);
    REQUIRE(run != nullptr);
    Simulation same = guest();
    count_cpuid(same);
    CHECK(same.run().hash() == vtlsim_run_hash(run));
    uint64_t value = 0;
    CHECK(vtlsim_run_value(run, "vtl0.rdi", &value) == 1);
    CHECK(value == 0x102);
    CHECK(vtlsim_run_value(run, "vtl0.raxx", &value) == 0);
    vtlsim_free_run(run);
    vtlsim_free(sim);
}

}  // namespace vtlsim
