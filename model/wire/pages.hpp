// The pages of a VP: assist page, register page, the sidecar's command and control pages, and the
// kernel driver's run page (reference: hyperv-vtl.md section 2; openvmm hvdef, sidecar_defs, hcl).
#pragma once

#include "model/wire/message.hpp"

namespace vtlsim::model {

inline constexpr std::size_t kWirePageSize = 0x1000;

enum class EntryReason : u32 { reserved = 0, vtl_call = 1, interrupt = 2, intercept = 3 };

#define HV_VP_ASSIST_FIELDS(F)                         \
    F(u32, apic_assist, 0x0)                           \
    F(u32, reserved0, 0x4)                             \
    F(u32, entry_reason, 0x8)                          \
    F(u8, vina_status, 0xC)                            \
    F(Bytes<3>, reserved1, 0xD)                        \
    F(u64, register_rax, 0x10)                         \
    F(u64, register_rcx, 0x18)                         \
    F(u64, nested_enlightenments_control, 0x20)        \
    F(u8, enlighten_vm_entry, 0x28)                    \
    F(Bytes<7>, reserved2, 0x29)                       \
    F(u64, current_nested_vmcs, 0x30)                  \
    F(u8, synthetic_time_unhalted_timer_expired, 0x38) \
    F(Bytes<7>, reserved3, 0x39)                       \
    F(Bytes<0x28>, virtualization_fault, 0x40)         \
    F(u64, reserved4, 0x68)                            \
    F(HvMessage, message, 0x70)                        \
    F(Bytes<0x100>, return_actions, 0x170)             \
    F(Bytes<0xD90>, reserved5, 0x270)
VTLSIM_WIRE_STRUCT(HvVpAssistPage, kWirePageSize, HV_VP_ASSIST_FIELDS)

// The report's "+0xB0": where an I/O message's RAX lies in the assist page.
static_assert(offsetof(HvVpAssistPage, message) + kMessagePayload +
                  offsetof(HvIoPortIntercept, rax) ==
              0xB0);

// dirty: general purpose 0, rip 1, xmm 2, segments 3, flags 4. The GPRs are in the encoding's
// order, so RSP is number 4.
#define HV_REGISTER_PAGE_FIELDS(F)      \
    F(u16, version, 0x0)                \
    F(u8, is_valid, 0x2)                \
    F(u8, vtl, 0x3)                     \
    F(u32, dirty, 0x4)                  \
    F(u64, rax, 0x8)                    \
    F(u64, rcx, 0x10)                   \
    F(u64, rdx, 0x18)                   \
    F(u64, rbx, 0x20)                   \
    F(u64, rsp, 0x28)                   \
    F(u64, rbp, 0x30)                   \
    F(u64, rsi, 0x38)                   \
    F(u64, rdi, 0x40)                   \
    F(u64, r8, 0x48)                    \
    F(u64, r9, 0x50)                    \
    F(u64, r10, 0x58)                   \
    F(u64, r11, 0x60)                   \
    F(u64, r12, 0x68)                   \
    F(u64, r13, 0x70)                   \
    F(u64, r14, 0x78)                   \
    F(u64, r15, 0x80)                   \
    F(u64, rip, 0x88)                   \
    F(u64, rflags, 0x90)                \
    F(u64, reserved0, 0x98)             \
    F(Vec128, xmm0, 0xA0)               \
    F(Vec128, xmm1, 0xB0)               \
    F(Vec128, xmm2, 0xC0)               \
    F(Vec128, xmm3, 0xD0)               \
    F(Vec128, xmm4, 0xE0)               \
    F(Vec128, xmm5, 0xF0)               \
    F(HvSegment, es, 0x100)             \
    F(HvSegment, cs, 0x110)             \
    F(HvSegment, ss, 0x120)             \
    F(HvSegment, ds, 0x130)             \
    F(HvSegment, fs, 0x140)             \
    F(HvSegment, gs, 0x150)             \
    F(u64, cr0, 0x160)                  \
    F(u64, cr3, 0x168)                  \
    F(u64, cr4, 0x170)                  \
    F(u64, cr8, 0x178)                  \
    F(u64, efer, 0x180)                 \
    F(u64, dr7, 0x188)                  \
    F(u64, pending_interruption, 0x190) \
    F(u64, interrupt_state, 0x198)      \
    F(u64, emulation_hints, 0x1A0)      \
    F(Bytes<0xE58>, reserved1, 0x1A8)
VTLSIM_WIRE_STRUCT(HvRegisterPage, kWirePageSize, HV_REGISTER_PAGE_FIELDS)

namespace dirty {
inline constexpr u32 general_purpose = 1, rip = 2, xmm = 4, segments = 8, flags = 16;
}

#define FXSAVE_FIELDS(F)     \
    F(u16, fcw, 0x0)         \
    F(u16, fsw, 0x2)         \
    F(u8, ftw, 0x4)          \
    F(u8, reserved0, 0x5)    \
    F(u16, fop, 0x6)         \
    F(u64, fip, 0x8)         \
    F(u64, fdp, 0x10)        \
    F(u32, mxcsr, 0x18)      \
    F(u32, mxcsr_mask, 0x1C) \
    F(Vec128, st0, 0x20)     \
    F(Vec128, st1, 0x30)     \
    F(Vec128, st2, 0x40)     \
    F(Vec128, st3, 0x50)     \
    F(Vec128, st4, 0x60)     \
    F(Vec128, st5, 0x70)     \
    F(Vec128, st6, 0x80)     \
    F(Vec128, st7, 0x90)     \
    F(Vec128, xmm0, 0xA0)    \
    F(Vec128, xmm1, 0xB0)    \
    F(Vec128, xmm2, 0xC0)    \
    F(Vec128, xmm3, 0xD0)    \
    F(Vec128, xmm4, 0xE0)    \
    F(Vec128, xmm5, 0xF0)    \
    F(Vec128, xmm6, 0x100)   \
    F(Vec128, xmm7, 0x110)   \
    F(Vec128, xmm8, 0x120)   \
    F(Vec128, xmm9, 0x130)   \
    F(Vec128, xmm10, 0x140)  \
    F(Vec128, xmm11, 0x150)  \
    F(Vec128, xmm12, 0x160)  \
    F(Vec128, xmm13, 0x170)  \
    F(Vec128, xmm14, 0x180)  \
    F(Vec128, xmm15, 0x190)  \
    F(Bytes<0x60>, reserved1, 0x1A0)
VTLSIM_WIRE_STRUCT(Fxsave, 0x200, FXSAVE_FIELDS)

// The VMM's picture of the guest's shared registers: CR2 sits where RSP would be.
#define CPU_CONTEXT_FIELDS(F) \
    F(u64, rax, 0x0)          \
    F(u64, rcx, 0x8)          \
    F(u64, rdx, 0x10)         \
    F(u64, rbx, 0x18)         \
    F(u64, cr2, 0x20)         \
    F(u64, rbp, 0x28)         \
    F(u64, rsi, 0x30)         \
    F(u64, rdi, 0x38)         \
    F(u64, r8, 0x40)          \
    F(u64, r9, 0x48)          \
    F(u64, r10, 0x50)         \
    F(u64, r11, 0x58)         \
    F(u64, r12, 0x60)         \
    F(u64, r13, 0x68)         \
    F(u64, r14, 0x70)         \
    F(u64, r15, 0x78)         \
    F(Fxsave, fx, 0x80)       \
    F(Bytes<0x180>, reserved0, 0x280)
VTLSIM_WIRE_STRUCT(CpuContext, 0x400, CPU_CONTEXT_FIELDS)

enum class SidecarCommand : u32 {
    none = 0,
    run_vp = 1,
    get_vp_registers = 2,
    set_vp_registers = 3,
    translate_gva = 4
};
enum class CpuStatus : u8 { removed = 0, idle = 1, run = 2, stop = 3, remove = 4 };

#define SIDECAR_ERROR_FIELDS(F) \
    F(u8, length, 0x0)          \
    F(Bytes<255>, text, 0x1)
VTLSIM_WIRE_STRUCT(SidecarError, 0x100, SIDECAR_ERROR_FIELDS)

#define COMMAND_PAGE_FIELDS(F)             \
    F(u32, command, 0x0)                   \
    F(u8, has_error, 0x4)                  \
    F(Bytes<11>, reserved0, 0x5)           \
    F(CpuContext, cpu_context, 0x10)       \
    F(HvMessage, intercept_message, 0x410) \
    F(SidecarError, error, 0x510)          \
    F(Bytes<0x400>, request_data, 0x610)   \
    F(Bytes<0x5F0>, reserved1, 0xA10)
VTLSIM_WIRE_STRUCT(CommandPage, kWirePageSize, COMMAND_PAGE_FIELDS)

#define CONTROL_PAGE_FIELDS(F)    \
    F(u32, index, 0x0)            \
    F(u32, base_cpu, 0x4)         \
    F(u32, cpu_count, 0x8)        \
    F(u32, request_vector, 0xC)   \
    F(u32, response_cpu, 0x10)    \
    F(u32, response_vector, 0x14) \
    F(u32, needs_attention, 0x18) \
    F(Bytes<36>, reserved0, 0x1C) \
    F(Bytes<4032>, cpu_status, 0x40)
VTLSIM_WIRE_STRUCT(ControlPage, kWirePageSize, CONTROL_PAGE_FIELDS)

// The sidecar driver's memory on the base CPU (OHCL kernel: drivers/hv/mshv_vtl_sidecar.c for the
// variables; where they lie is this simulator's own).
#define DRIVER_PAGE_FIELDS(F)    \
    F(u32, needs_vp_scan, 0x0)   \
    F(Bytes<60>, reserved0, 0x4) \
    F(Bytes<4032>, vp_state, 0x40)
VTLSIM_WIRE_STRUCT(DriverPage, kWirePageSize, DRIVER_PAGE_FIELDS)

// hyperv-vtl.md 3.3; async_starting is the fix's (3.6), its number is not in the sources.
enum class VpState : u8 {
    avail = 0,
    sync = 1,
    async = 2,
    async_stopping = 3,
    async_stopped = 4,
    async_starting = 5,
    removed = 0xFF
};

// GET and SET requests: this header, then up to 31 associations. request_data[0] of a RUN_VP
// response (intercept: u8) is the low byte of count.
#define REGISTER_REQUEST_FIELDS(F) \
    F(u16, count, 0x0)             \
    F(u8, target_vtl, 0x2)         \
    F(u8, reserved0, 0x3)          \
    F(u16, status, 0x4)            \
    F(Bytes<10>, reserved1, 0x6)
VTLSIM_WIRE_STRUCT(RegisterRequest, 0x10, REGISTER_REQUEST_FIELDS)

#define REGISTER_ASSOCIATION_FIELDS(F) \
    F(u32, name, 0x0)                  \
    F(Bytes<12>, reserved0, 0x4)       \
    F(Vec128, value, 0x10)
VTLSIM_WIRE_STRUCT(RegisterAssociation, 0x20, REGISTER_ASSOCIATION_FIELDS)

// TRANSLATE_GVA: the request, and the response in the same place. The response's layout before
// gpa_page is HvCallTranslateVirtualAddressEx's output.
#define TRANSLATE_REQUEST_FIELDS(F) \
    F(u64, gvn, 0x0)                \
    F(u64, flags, 0x8)
VTLSIM_WIRE_STRUCT(TranslateRequest, 0x10, TRANSLATE_REQUEST_FIELDS)

#define TRANSLATE_GVA_OUTPUT_FIELDS(F) \
    F(u32, result_code, 0x0)           \
    F(Bytes<0x2C>, reserved0, 0x4)     \
    F(u64, gpa_page, 0x30)             \
    F(u64, reserved1, 0x38)
VTLSIM_WIRE_STRUCT(TranslateGvaOutput, 0x40, TRANSLATE_GVA_OUTPUT_FIELDS)

#define TRANSLATE_RESPONSE_FIELDS(F) \
    F(u16, status, 0x0)              \
    F(Bytes<14>, reserved0, 0x2)     \
    F(TranslateGvaOutput, output, 0x10)
VTLSIM_WIRE_STRUCT(TranslateResponse, 0x50, TRANSLATE_RESPONSE_FIELDS)

// Input of HvCallTranslateVirtualAddressEx (TLFS).
#define TRANSLATE_GVA_INPUT_FIELDS(F) \
    F(u64, partition_id, 0x0)         \
    F(u32, vp_index, 0x8)             \
    F(u32, reserved0, 0xC)            \
    F(u64, control_flags, 0x10)       \
    F(u64, gva_page, 0x18)
VTLSIM_WIRE_STRUCT(TranslateGvaInput, 0x20, TRANSLATE_GVA_INPUT_FIELDS)

// Input of HvCallGet/SetVpRegisters (TLFS); associations follow. input_vtl: vtl 0-3, use bit 4.
#define VP_REGISTERS_INPUT_FIELDS(F) \
    F(u64, partition_id, 0x0)        \
    F(u32, vp_index, 0x8)            \
    F(u8, input_vtl, 0xC)            \
    F(Bytes<3>, reserved0, 0xD)
VTLSIM_WIRE_STRUCT(VpRegistersInput, 0x10, VP_REGISTERS_INPUT_FIELDS)

// The page between the VMM and the kernel driver for a VP that is not on the sidecar: 674h bytes
// are used, the rest is the 16-byte alignment.
#define HCL_RUN_FIELDS(F)                      \
    F(u32, cancel, 0x0)                        \
    F(u32, vtl_ret_action_size, 0x4)           \
    F(u32, flags, 0x8)                         \
    F(u8, scan_proxy_irr, 0xC)                 \
    F(u8, offload_flags, 0xD)                  \
    F(u8, reserved0, 0xE)                      \
    F(u8, mode, 0xF)                           \
    F(HvMessage, exit_message, 0x10)           \
    F(CpuContext, context, 0x110)              \
    F(Bytes<0x100>, vtl_ret_actions, 0x510)    \
    F(Bytes<0x20>, proxy_irr, 0x610)           \
    F(u8, target_vtl, 0x630)                   \
    F(Bytes<3>, reserved1, 0x631)              \
    F(Bytes<0x20>, proxy_irr_blocked, 0x634)   \
    F(Bytes<0x20>, proxy_irr_exit_mask, 0x654) \
    F(Bytes<0xC>, reserved2, 0x674)
VTLSIM_WIRE_STRUCT(HclRun, 0x680, HCL_RUN_FIELDS)

}  // namespace vtlsim::model
