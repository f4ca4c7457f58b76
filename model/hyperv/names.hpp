// Numbers of the hypervisor's interface (TLFS; hyperv-vtl.md 1.2, 2.4).
#pragma once

#include <optional>

#include "sim/state/registers.hpp"

namespace vtlsim::model {

namespace hv_call {
inline constexpr u64 kVtlCall = 0x11, kVtlReturn = 0x12, kGetVpRegisters = 0x50,
                     kSetVpRegisters = 0x51, kTranslateVirtualAddressEx = 0xAC;
}

// Flags and results of HvCallTranslateVirtualAddressEx.
namespace hv_translate {
inline constexpr u64 kValidateRead = 1, kValidateWrite = 2;
inline constexpr u32 kPageNotPresent = 1, kPrivilegeViolation = 2, kInvalidPageTableFlags = 3,
                     kGpaUnmapped = 4;
}  // namespace hv_translate

namespace hv_status {
inline constexpr u64 kSuccess = 0, kInvalidHypercallCode = 2, kInvalidHypercallInput = 3,
                     kInvalidParameter = 5;
}

namespace hv_register {
inline constexpr u32 kRegisterPage = 0x9001C;
}

// HV_REGISTER_NAME of an x86 register of the list; nothing where there is none.
std::optional<sim::Reg> register_of_hv_name(u32 name);
inline constexpr u32 kHvRegisterRsp = 0x20004, kHvRegisterRip = 0x20010,
                     kHvRegisterRflags = 0x20011;

namespace msr {
inline constexpr u32 kX2apicFirst = 0x800, kX2apicEoi = 0x80B, kX2apicSvr = 0x80F,
                     kX2apicIcr = 0x830, kX2apicLast = 0x8FF, kVpAssistPage = 0x40000073;
}

}  // namespace vtlsim::model
