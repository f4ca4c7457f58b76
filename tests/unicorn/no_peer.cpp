// What the tests are linked with where Unicorn is missing.
#include "tests/unicorn/peer.hpp"

namespace vtlsim::tests {

struct Peer::Engine {};

Peer::Peer(const World&) : engine_(nullptr) {}
Peer::~Peer() { delete engine_; }
PeerStep Peer::step(const sim::CpuState& before) { return {.state = before}; }
void Peer::take_over(const sim::CpuState&) {}
void Peer::read_memory(std::span<u8>) const {}

bool peer_exists() { return false; }

}  // namespace vtlsim::tests
