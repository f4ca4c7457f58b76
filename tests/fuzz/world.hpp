// A machine in a random but plausible state of each mode: where the executor's fuzz target, the
// tests of ways to run and the cross-check with Unicorn start from. A function of its seed.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "runner/conform/values.hpp"
#include "runner/exec_request.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::tests {

using runner::ExecMode;
using runner::conform::Random;

// Physical addresses; linear ones are the same where no page table says otherwise. Everything lies
// below 1 MiB, where real mode reaches it.
namespace at {
inline constexpr u64 kIvt = 0, kGdt = 0x3000, kIdt = 0x4000, kTss = 0x5000, kSpareTss = 0x5800,
                     kLdt = 0x6000, kData = 0x8000, kDataEnd = 0xA000, kStacks = 0xA000,
                     kStacksEnd = 0xC000, kHandlers = 0xC000, kCode = 0x10000, kTables = 0x20000,
                     kTablesEnd = 0x30000;
inline constexpr u64 kHandlerSize = 32;
}  // namespace at

// Selectors of the GDT that every world has (RPL 0); DPL is 0 unless the name says otherwise.
namespace sel {
inline constexpr u16 kCode = 0x08, kData = 0x10, kUserCode = 0x18, kUserData = 0x20, kCode16 = 0x28,
                     kData16 = 0x30, kConforming = 0x38, kAbsent = 0x40, kReadOnly = 0x48,
                     kExpandDown = 0x50, kTss = 0x58, kLdt = 0x68, kCallGate = 0x78,
                     kSpareTss = 0x88, kCode32 = 0x98, kCode64 = 0xA0, kTaskGate = 0xA8,
                     kRandom = 0xB0;
inline constexpr u16 kCount = 0x100;  // bytes of the GDT
}  // namespace sel

enum class Paging : u8 { off, bits32, pae, long_mode };

struct World {
    ExecMode mode = ExecMode::long64;
    Paging paging = Paging::off;
    sim::CpuState state;
    sim::Memory memory;
};

struct WorldOptions {
    ExecMode mode = ExecMode::long64;
    unsigned cpl = 0;
    bool paging = false;
    bool odd = true;  // also what no operating system would set up; else tables without surprises
    bool virtual_8086 = false;  // with prot32 and CPL 3
    bool armed = false;         // breakpoints, where code and data are
    bool xsave = false;
    u64 max_pages = 256;
};

// `code` lies at kCode, and RIP on it. kHandlers + kHandlerSize * n is where vector n leads to;
// what is there is the caller's to write (zeros otherwise).
World make_world(Random& random, const WorldOptions& options, std::span<const u8> code);

// Throws if the memory is full.
void put(sim::Memory& memory, u64 address, std::span<const u8> bytes);
void put_word(sim::Memory& memory, u64 address, u64 value, std::size_t size = 8);

}  // namespace vtlsim::tests
