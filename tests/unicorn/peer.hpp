// One case on both executors: vtlsim's and Unicorn's (QEMU's TCG). Tests only.
#pragma once

#include <string>

#include "sim/insn/decoded.hpp"
#include "tests/fuzz/world.hpp"

namespace vtlsim::tests {

// What became of one instruction.
enum class End : u8 { retired, fault, beyond };  // beyond: an access to what is not RAM

struct PeerStep {
    End end = End::retired;
    unsigned vector = 0;  // of a fault
    sim::CpuState state;  // what the peer can tell; else as before
};

// Unicorn with a world's state. Only what it can hold is set: no x87, MMX or SSE state.
class Peer {
  public:
    explicit Peer(const World& world);
    ~Peer();
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    // Runs the instruction at RIP. Not more than twice: from the third start on Unicorn 2.0.1 loses
    // exceptions.
    PeerStep step(const sim::CpuState& before);
    // What the manual leaves undefined must not make the next instructions differ.
    void take_over(const sim::CpuState& state);
    // The first MiB.
    void read_memory(std::span<u8> out) const;

  private:
    struct Engine;
    Engine* engine_;
};

// Whether the tests were built with the library; without it a Peer does nothing.
bool peer_exists();

}  // namespace vtlsim::tests
