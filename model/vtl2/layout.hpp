// Where things lie in guest physical memory. VTL0 may use [0, guest RAM); everything of VTL2 is
// above, and VTL2's linear addresses are physical ones.
#pragma once

#include "model/wire/pages.hpp"

namespace vtlsim::model::layout {

inline constexpr u64 kVtl2Base = 0x08000000;
inline constexpr u64 kVtl2Code = kVtl2Base;
inline constexpr u64 kVtl2StackTop = kVtl2Base + 0x18000;
inline constexpr u64 kHypercallPage = kVtl2Base + 0x20000;
inline constexpr u64 kAssistPage = kVtl2Base + 0x21000;
inline constexpr u64 kHypercallInput = kVtl2Base + 0x22000;
inline constexpr u64 kControlPage = kVtl2Base + 0x30000;
// Shared per VP: the command page, then the register page (hyperv-vtl.md 2.4).
inline constexpr u64 kCommandPage = kVtl2Base + 0x31000;
inline constexpr u64 kRegisterPage = kVtl2Base + 0x32000;
inline constexpr u64 kHclRun = kVtl2Base + 0x33000;
// The kernel driver's stand-in for the VMM's ioctl: command, result, and the SET request.
inline constexpr u64 kIoctlPage = kVtl2Base + 0x34000;
inline constexpr u64 kVtl2End = kVtl2Base + 0x40000;

inline constexpr u64 kMaxGuestRam = kVtl2Base;

// Offsets in the hypercall page (VsmCodePageOffsets; the real ones vary by hypervisor).
inline constexpr u64 kVtlReturnOffset = 0x10;

}  // namespace vtlsim::model::layout
