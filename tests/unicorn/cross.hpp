// Random instructions and short programs in modes and at levels that user mode of the host cannot
// reach, compared with Unicorn.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/unicorn/peer.hpp"

namespace vtlsim::tests {

// What an instruction did on both sides, and what both were before.
struct Step {
    ExecMode mode = ExecMode::long64;  // of the world
    sim::Decoded insn;
    sim::CpuState before;
    sim::CpuState ours;
    PeerStep theirs;
    End our_end = End::retired;
    unsigned our_vector = 0;
    std::string text;        // disassembled
    std::string difference;  // one a line; empty if there is none
};

// A disagreement in which the manual is with vtlsim, or says nothing.
struct Accepted {
    std::string_view name;
    std::string_view reason;
    std::string_view section;
    bool (*fits)(const Step&);
};
std::span<const Accepted> accepted_disagreements();

// Why an instruction is not compared at all; empty for all others.
std::string_view not_compared(const sim::Decoded& d);

struct CrossReport {
    u64 cases = 0;
    u64 retired = 0;                          // instructions that both retired
    std::map<unsigned, u64> faults;           // that both raised, by vector
    std::map<std::string, u64> accepted;      // by name
    std::map<std::string, u64> instructions;  // compared, by mnemonic
    std::vector<std::string> disagreements;
};
// `gates`: each begins with a far transfer through a gate or to a TSS.
CrossReport cross_check(u64 seed, u64 first, u64 count, bool gates = false);

}  // namespace vtlsim::tests
