// One instruction with a state around it, and what became of it, as the processor that runs it and
// the simulator both take and give it. Shared with the child process: plain data only.
#pragma once

#include "sim/types.hpp"

namespace vtlsim::runner::conform {

// Where both run. Low, so that 32-bit addresses reach them; no page beside them is mapped.
inline constexpr u64 kCodePage = 0x20001000;
inline constexpr u64 kScratchPage = 0x20010000;
inline constexpr std::size_t kPage = 4096;

inline constexpr u32 kNoVector = ~u32{0};

// The assembly of native.cpp knows this layout.
struct alignas(64) State {
    std::array<u8, 512> fx{};   // as FXSAVE64 stores it (SDM 1 10.5.1)
    std::array<u64, 16> gpr{};  // in the encoding's order
    u64 rflags = 2;
    u64 rip = kCodePage;
    u32 vector = kNoVector;  // of the fault
    u32 error_code = 0;
    u64 cr2 = 0;  // of a page fault
};

struct Case {
    State in;
    std::array<u8, 15> code{};
    u8 length = 0;
    // Lies on the pattern that fills the scratch page.
    std::array<u8, 64> data{};
    u16 data_offset = 0;  // at most kPage - data.size()
};

struct Answer {
    State out;
    std::array<u8, kPage> scratch{};
    bool not_modelled = false;  // of the simulator only
};

// Fields of State::fx.
inline constexpr std::size_t kFcw = 0, kFsw = 2, kFtw = 4, kMxcsr = 24, kSt = 32, kXmm = 160;

// What the scratch page holds before each case, but for the case's data.
const std::array<u8, kPage>& scratch_pattern();

}  // namespace vtlsim::runner::conform
