// One instruction with a state around it, and what became of it, as the processor that runs it and
// the simulator both take and give it. Shared with the child process: plain data only.
#pragma once

#include <array>
#include <cstring>

#include "sim/types.hpp"

namespace vtlsim::runner::conform {

enum class Mode : u8 { long64, compat32 };

// Where both run. Low, so that 32-bit addresses reach them; no page beside them is mapped.
inline constexpr u64 kCodePage = 0x20001000;
inline constexpr u64 kScratchPage = 0x20010000;
inline constexpr std::size_t kPage = 4096;
// FS and GS have these bases, so that 16-bit addresses reach the scratch page.
inline constexpr u64 kFsBase = kScratchPage - 0x8000;
inline constexpr u64 kGsBase = kScratchPage - 0x7FF0;

// Linux' selectors of user mode (arch/x86/include/asm/segment.h), and two of the LDT.
inline constexpr u16 kCs32 = 0x23, kData = 0x2B, kCs64 = 0x33, kFs = 0x07, kGs = 0x0F;

inline constexpr u32 kNoVector = ~u32{0};

// In the encoding's order (SDM 2A table B-8).
enum SegmentIndex : u8 { kEsIndex, kCsIndex, kSsIndex, kDsIndex, kFsIndex, kGsIndex };

// The assembly of child_stub.cpp knows this layout.
struct alignas(64) State {
    std::array<u8, 512> fx{};   // as FXSAVE64 stores it (SDM 1 10.5.1)
    std::array<u64, 16> gpr{};  // in the encoding's order
    u64 rflags = 2;
    u64 fs_base = kFsBase;
    u64 gs_base = kGsBase;
    std::array<u16, 6> selectors{kData, kCs64, kData, kData, kFs, kGs};
    u32 vector = kNoVector;  // of the fault
    u64 rip = kCodePage;
    u64 cr2 = 0;  // of a page fault
    u32 error_code = 0;
};

// What the report counts.
enum class EncodingKind : u8 {
    long64,
    compat32,
    register_form,
    memory_form,
    operand_size,
    address_size,
    rex,
    rep,
    lock,
    illegal_lock,
    segment,
    fs_gs,
    kCount
};
constexpr u16 kind_bit(EncodingKind k) { return static_cast<u16>(1u << static_cast<unsigned>(k)); }

struct Case {
    State in;
    std::array<u8, 16> code{};
    u8 length = 0;
    Mode mode = Mode::long64;
    // The instruction may go elsewhere: INT3 lies everywhere else on its page, and the answer is
    // that of two steps.
    bool transfer = false;
    bool ports = false;  // the instruction asks the TSS for its I/O permissions
    u16 kinds = 0;       // of its encoding: bits of EncodingKind
    bool hangs = false;  // is not to be run: hosts have hung on it (docs/conform.md)
    // Lies on the pattern that fills the scratch page, or on zeros.
    bool blank = false;
    std::array<u8, 64> data{};
    u16 data_offset = 0;  // at most kPage - data.size()
};

struct Answer {
    State out;
    std::array<u8, kPage> scratch{};
    bool not_modelled = false;  // of the simulator only
};

// Fields of State::fx.
inline constexpr std::size_t kFcw = 0, kFsw = 2, kFtw = 4, kFop = 6, kFip = 8, kFdp = 16,
                             kMxcsr = 24, kSt = 32, kXmm = 160;

template <class T>
T get(const std::array<u8, 512>& fx, std::size_t at) {
    T value;
    std::memcpy(&value, &fx[at], sizeof(value));
    return value;
}
template <class T>
void put(std::array<u8, 512>& fx, std::size_t at, T value) {
    std::memcpy(&fx[at], &value, sizeof(value));
}

// What the scratch page holds before the case, but for the case's data.
const std::array<u8, kPage>& scratch_background(const Case& c);

}  // namespace vtlsim::runner::conform
