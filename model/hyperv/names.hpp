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
inline constexpr u64 kValidateRead = 1, kValidateWrite = 2, kValidateExecute = 4,
                     kSetPageTableBits = 0x10, kTlbFlushInhibit = 0x20;
inline constexpr u32 kPageNotPresent = 1, kPrivilegeViolation = 2, kInvalidPageTableFlags = 3,
                     kGpaUnmapped = 4, kGpaIllegalOverlayAccess = 7;
}  // namespace hv_translate

namespace hv_status {
inline constexpr u64 kSuccess = 0, kInvalidHypercallCode = 2, kInvalidHypercallInput = 3,
                     kInvalidParameter = 5;
}

namespace hv_register {
inline constexpr u32 kPendingEvent0 = 0x10004, kCr0 = 0x40000, kEfer = 0x80001,
                     kRegisterPage = 0x9001C;
}

// HV_REGISTER_NAME of an x86 register of the list; nothing where there is none.
std::optional<sim::Reg> register_of_hv_name(u32 name);
inline constexpr u32 kHvRegisterRsp = 0x20004, kHvRegisterRip = 0x20010,
                     kHvRegisterRflags = 0x20011, kHvRegisterDr0 = 0x50000, kHvRegisterEs = 0x60000,
                     kHvRegisterMtrrCap = 0x8000D;
// Of a segment register (ES, CS, SS, DS, FS, GS in this order).
std::optional<sim::Seg> segment_of_hv_name(u32 name);

namespace msr {
inline constexpr u32 kX2apicFirst = 0x800, kX2apicEoi = 0x80B, kX2apicSvr = 0x80F,
                     kX2apicIcr = 0x830, kX2apicLast = 0x8FF, kVpAssistPage = 0x40000073,
                     kScontrol = 0x40000080, kSimp = 0x40000083, kEom = 0x40000084,
                     kSint0 = 0x40000090;
}

// HV_REGISTER_PENDING_EVENT0: an event that the hypervisor delivers when the VTL runs next
// (hyperv-vtl.md 2.3).
namespace pending_event {
inline constexpr u64 kPending = 1, kTypeMask = 7 << 1, kException = 0 << 1, kExtInt = 5 << 1,
                     kDeliverErrorCode = 1 << 8;
inline constexpr unsigned kExtIntVectorShift = 8, kVectorShift = 16, kErrorCodeShift = 32;
constexpr Vec128 exception(u8 vector, std::optional<u32> error_code, u64 parameter) {
    return {kPending | kException | (error_code ? kDeliverErrorCode : 0) |
                u64{vector} << kVectorShift | u64{error_code.value_or(0)} << kErrorCodeShift,
            parameter};
}
constexpr Vec128 external(u8 vector) {
    return {kPending | kExtInt | u64{vector} << kExtIntVectorShift, 0};
}
}  // namespace pending_event

}  // namespace vtlsim::model
