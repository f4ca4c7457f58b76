// Different ways to run one and the same program: at once, step by step, in pieces of any size,
// with an observer that pauses, from a machine that is saved and restored in between. They must all
// end in the same state.
#pragma once

#include <set>
#include <string>

#include "tests/fuzz/world.hpp"

namespace vtlsim::tests {

// What surrounds the machine. Ports, CPUID, MSRs and hypercalls that exit get an answer that
// depends on RAX alone; other exits end the run.
struct Surroundings {
    u64 steps = 64;  // then the run ends
    bool deliver = true;
    sim::ExitControls exits{};
    bool watch = false;          // stores to the data and stack pages are reported
    bool small_ram = false;      // 1 MiB; what is above exits
    u64 interrupt_at = ~u64{0};  // from this step on the interrupt line is up, until it is served
    u8 interrupt_vector = 0x20;
};

struct Way {
    std::string_view name;
    u64 pieces = 0;            // 0: at once; 1: step by step; else the seed of the pieces' lengths
    bool observed = false;     // with pieces also pauses
    bool restored = false;     // each piece in a machine of its own
    bool flushed = false;      // the TLB, before each piece
    bool checked = false;      // each piece for what an instruction may not do; wants pieces == 1
    u64 iterations = 1 << 14;  // of REP in one piece; a run that needs more is abandoned or, if
    bool resumed = false;      // this is set, resumed
};

struct Ending {
    std::string outcome;
    u64 steps = 0;
    sim::CpuState state;
    sim::Memory memory;
    u64 seen = 0;            // hash of what the observer was told, if there was one
    bool abandoned = false;  // too many iterations of REP: says nothing
    // The guest has changed its page tables or where they are: how long the TLB remembers what they
    // were is no part of what is promised.
    bool remapped = false;
    std::string broken;  // rules that a checked run has broken, one a line
};

Ending run_in(const Way& way, const World& world, const Surroundings& around);

// What differs, one difference a line; empty if nothing does.
std::string difference(const Ending& a, const Ending& b);

// Runs in all ways and says what differs and which rules are broken, one a line; empty if all is
// well. `pieces` is the seed of the pieces' lengths.
std::string check_all_ways(const World& world, const Surroundings& around, u64 pieces);

std::string describe(const sim::Outcome& outcome);

// ZydisMnemonic of the instructions that checked ways of this process came to: they retired,
// faulted or exited.
const std::set<u16>& reached_mnemonics();

}  // namespace vtlsim::tests
