// Where things lie in guest physical memory. VTL0 may use [0, guest RAM); everything of VTL2 is
// above, and VTL2's linear addresses are physical ones. The addresses are VP 0's: those of VP n are
// n * kVpStride higher, but for the control page and the driver's page, which a node has once.
#pragma once

#include "model/wire/pages.hpp"

namespace vtlsim::model::layout {

inline constexpr u64 kVtl2Base = 0x08000000;
inline constexpr u64 kVtl2Code = kVtl2Base;
inline constexpr u64 kVtl2StackTop = kVtl2Base + 0x18000;
inline constexpr u64 kHypercallPage = kVtl2Base + 0x20000;
inline constexpr u64 kAssistPage = kVtl2Base + 0x21000;
inline constexpr u64 kHypercallInput = kVtl2Base + 0x22000;
inline constexpr u64 kSimpPage = kVtl2Base + 0x23000;  // SynIC messages: SINT0's slot is first
inline constexpr u64 kControlPage = kVtl2Base + 0x30000;
// Shared per VP: the command page, then the register page (hyperv-vtl.md 2.4).
inline constexpr u64 kCommandPage = kVtl2Base + 0x31000;
inline constexpr u64 kRegisterPage = kVtl2Base + 0x32000;
inline constexpr u64 kHclRun = kVtl2Base + 0x33000;
// The kernel driver's stand-in for the VMM's ioctl: command, result, and the SET request.
inline constexpr u64 kIoctlPage = kVtl2Base + 0x34000;
// The driver's own memory on the base CPU (the layout is this simulator's own).
inline constexpr u64 kDriverPage = kVtl2Base + 0x35000;

inline constexpr unsigned kMaxVps = 8;  // of a node; a real one has up to 32
inline constexpr u64 kVpStride = 0x40000;
// Of a world with so many VPs.
constexpr u64 vtl2_end(unsigned vps) { return kVtl2Base + vps * kVpStride; }
inline constexpr u64 kVtl2End = vtl2_end(kMaxVps);

inline constexpr u64 kMaxGuestRam = kVtl2Base;

// Offsets in the hypercall page (VsmCodePageOffsets; the real ones vary by hypervisor).
inline constexpr u64 kVtlReturnOffset = 0x10;

}  // namespace vtlsim::model::layout
