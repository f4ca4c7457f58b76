// A user's own intercept handler, device and actor under the simulated hypervisor.
#include <iostream>

#include "api/vtlsim.hpp"

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: handler_cpp guest.json\n";
        return 2;
    }
    try {
        vtlsim::Simulation sim = vtlsim::Simulation::load(argv[1]);

        // Handles CPUID, and leaves every other intercept to the VMM. `state` counts.
        sim.set_handler([](vtlsim::model::Intercept& intercept, vtlsim::u64& state) {
            if (intercept.type_name() != "cpuid_intercept") return false;
            ++state;
            intercept.set_context("rbx", 0x12345678 + state);
            return true;
        });
        // Counts up with every read.
        sim.add_device({.port = 0x3F8,
                        .size = 1,
                        .read = [](vtlsim::u64& state) { return static_cast<vtlsim::u32>(++state); },
                        .write = {}});
        // Writes to guest RAM once, when nobody else can act.
        sim.add_actor({.name = "dma",
                       .ready = [](vtlsim::u64 state) { return state == 0; },
                       .step =
                           [](vtlsim::model::ActorTurn& turn, vtlsim::u64& state) {
                               const vtlsim::u8 bytes[] = {0xD0, 0x0D};
                               state = turn.write(0x2000, bytes) ? 1 : 2;
                           }});

        const vtlsim::Run run = sim.run();
        vtlsim::u8 bytes[2];
        run.read_memory(0x2000, bytes);
        std::cout << run.report() << std::hex << "rsi=" << run.value("vtl0.rsi").value_or(0)
                  << " rax=" << run.value("vtl0.rax").value_or(0) << " dma=" << int{bytes[0]}
                  << int{bytes[1]} << '\n';
        // Searches the orders in which all of these may go. With more states it finds a lost
        // wake-up of the driver's own (docs/explore.md, the last section).
        const vtlsim::Exploration all = sim.explore({}, 10'000);
        std::cout << "explored " << std::dec << all.states << " states: " << all.violations
                  << " violations of the invariants\n";
        return run.passed() ? 0 : 1;
    } catch (const vtlsim::LoadError& e) {
        std::cerr << e.what();
        return 2;
    }
}
