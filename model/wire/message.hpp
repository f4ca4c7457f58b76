// Hypervisor messages and intercept payloads (TLFS: intercepts; openvmm vm/hv1/hvdef).
#pragma once

#include "model/wire/wire.hpp"

namespace vtlsim::model {

enum class MessageType : u32 {
    none = 0,
    unmapped_gpa = 0x80000000,
    gpa_intercept = 0x80000001,
    unaccepted_gpa = 0x80000003,
    unrecoverable_exception = 0x80000021,
    hypercall_intercept = 0x80000050,
    synic_sint_deliverable = 0x80000062,
    io_port_intercept = 0x80010000,
    msr_intercept = 0x80010001,
    cpuid_intercept = 0x80010002,
    exception_intercept = 0x80010003,
    apic_eoi = 0x80010004,
    register_intercept = 0x80010006,
    halt = 0x80010007,
    interruption_deliverable = 0x80010008,
};

#define HV_SEGMENT_FIELDS(F) \
    F(u64, base, 0x0)        \
    F(u32, limit, 0x8)       \
    F(u16, selector, 0xC)    \
    F(u16, attributes, 0xE)
VTLSIM_WIRE_STRUCT(HvSegment, 0x10, HV_SEGMENT_FIELDS)

#define HV_TABLE_FIELDS(F)      \
    F(Bytes<6>, reserved0, 0x0) \
    F(u16, limit, 0x6)          \
    F(u64, base, 0x8)
VTLSIM_WIRE_STRUCT(HvTable, 0x10, HV_TABLE_FIELDS)

// flags bit 0: a further message is pending for the slot.
#define HV_MESSAGE_FIELDS(F) \
    F(u32, type, 0x0)        \
    F(u8, payload_size, 0x4) \
    F(u8, flags, 0x5)        \
    F(u16, reserved0, 0x6)   \
    F(u64, id, 0x8)          \
    F(Bytes<0xF0>, payload, 0x10)
VTLSIM_WIRE_STRUCT(HvMessage, 0x100, HV_MESSAGE_FIELDS)

// length_cr8: instruction length bits 0-3, CR8 bits 4-7. access: 0 read, 1 write, 2 execute.
// execution_state: cpl 0-1, cr0.pe 2, cr0.am 3, efer.lma 4, debug active 5, interruption pending 6,
// vtl 7-10, enclave 11, interrupt shadow 12, virtualization fault 13.
#define HV_INTERCEPT_HEADER_FIELDS(F) \
    F(u32, vp_index, 0x0)             \
    F(u8, length_cr8, 0x4)            \
    F(u8, access, 0x5)                \
    F(u16, execution_state, 0x6)      \
    F(HvSegment, cs, 0x8)             \
    F(u64, rip, 0x18)                 \
    F(u64, rflags, 0x20)
VTLSIM_WIRE_STRUCT(HvInterceptHeader, 0x28, HV_INTERCEPT_HEADER_FIELDS)

// access_info: size bits 0-2, string 3, rep 4.
#define HV_IO_PORT_FIELDS(F)              \
    F(HvInterceptHeader, header, 0x0)     \
    F(u16, port, 0x28)                    \
    F(u8, access_info, 0x2A)              \
    F(u8, instruction_byte_count, 0x2B)   \
    F(u32, reserved0, 0x2C)               \
    F(u64, rax, 0x30)                     \
    F(Bytes<16>, instruction_bytes, 0x38) \
    F(HvSegment, ds, 0x48)                \
    F(HvSegment, es, 0x58)                \
    F(u64, rcx, 0x68)                     \
    F(u64, rsi, 0x70)                     \
    F(u64, rdi, 0x78)
VTLSIM_WIRE_STRUCT(HvIoPortIntercept, 0x80, HV_IO_PORT_FIELDS)

// access_flags: gva valid 0, gva-gpa valid 1, hypercall output pending 2, tlb locked 3, supervisor
// shadow stack 4.
#define HV_MEMORY_FIELDS(F)             \
    F(HvInterceptHeader, header, 0x0)   \
    F(u32, cache_type, 0x28)            \
    F(u8, instruction_byte_count, 0x2C) \
    F(u8, access_flags, 0x2D)           \
    F(u8, tpr_priority, 0x2E)           \
    F(u8, reserved0, 0x2F)              \
    F(u64, gva, 0x30)                   \
    F(u64, gpa, 0x38)                   \
    F(Bytes<16>, instruction_bytes, 0x40)
VTLSIM_WIRE_STRUCT(HvMemoryIntercept, 0x50, HV_MEMORY_FIELDS)

#define HV_MSR_FIELDS(F)              \
    F(HvInterceptHeader, header, 0x0) \
    F(u32, msr, 0x28)                 \
    F(u32, reserved0, 0x2C)           \
    F(u64, rdx, 0x30)                 \
    F(u64, rax, 0x38)
VTLSIM_WIRE_STRUCT(HvMsrIntercept, 0x40, HV_MSR_FIELDS)

#define HV_CPUID_FIELDS(F)            \
    F(HvInterceptHeader, header, 0x0) \
    F(u64, rax, 0x28)                 \
    F(u64, rcx, 0x30)                 \
    F(u64, rdx, 0x38)                 \
    F(u64, rbx, 0x40)                 \
    F(u64, default_rax, 0x48)         \
    F(u64, default_rcx, 0x50)         \
    F(u64, default_rdx, 0x58)         \
    F(u64, default_rbx, 0x60)
VTLSIM_WIRE_STRUCT(HvCpuidIntercept, 0x68, HV_CPUID_FIELDS)

#define HV_HYPERCALL_FIELDS(F)        \
    F(HvInterceptHeader, header, 0x0) \
    F(u64, rax, 0x28)                 \
    F(u64, rbx, 0x30)                 \
    F(u64, rcx, 0x38)                 \
    F(u64, rdx, 0x40)                 \
    F(u64, r8, 0x48)                  \
    F(u64, rsi, 0x50)                 \
    F(u64, rdi, 0x58)                 \
    F(Vec128, xmm0, 0x60)             \
    F(Vec128, xmm1, 0x70)             \
    F(Vec128, xmm2, 0x80)             \
    F(Vec128, xmm3, 0x90)             \
    F(Vec128, xmm4, 0xA0)             \
    F(Vec128, xmm5, 0xB0)             \
    F(u64, flags, 0xC0)               \
    F(u64, reserved0, 0xC8)
VTLSIM_WIRE_STRUCT(HvHypercallIntercept, 0xD0, HV_HYPERCALL_FIELDS)

// exception_info: error code valid 0, software exception 1. GPRs in the order of the reference.
#define HV_EXCEPTION_FIELDS(F)            \
    F(HvInterceptHeader, header, 0x0)     \
    F(u16, vector, 0x28)                  \
    F(u8, exception_info, 0x2A)           \
    F(u8, instruction_byte_count, 0x2B)   \
    F(u32, error_code, 0x2C)              \
    F(u64, parameter, 0x30)               \
    F(u64, reserved0, 0x38)               \
    F(Bytes<16>, instruction_bytes, 0x40) \
    F(HvSegment, ds, 0x50)                \
    F(HvSegment, ss, 0x60)                \
    F(u64, rax, 0x70)                     \
    F(u64, rcx, 0x78)                     \
    F(u64, rdx, 0x80)                     \
    F(u64, rbx, 0x88)                     \
    F(u64, rsp, 0x90)                     \
    F(u64, rbp, 0x98)                     \
    F(u64, rsi, 0xA0)                     \
    F(u64, rdi, 0xA8)                     \
    F(u64, r8, 0xB0)                      \
    F(u64, r9, 0xB8)                      \
    F(u64, r10, 0xC0)                     \
    F(u64, r11, 0xC8)                     \
    F(u64, r12, 0xD0)                     \
    F(u64, r13, 0xD8)                     \
    F(u64, r14, 0xE0)                     \
    F(u64, r15, 0xE8)
VTLSIM_WIRE_STRUCT(HvExceptionIntercept, 0xF0, HV_EXCEPTION_FIELDS)

// interrupt_type: 0 int, 2 nmi, 3 exception, 4 software int, 5 privileged software exception,
// 6 software exception.
#define HV_INTERRUPTION_DELIVERABLE_FIELDS(F) \
    F(HvInterceptHeader, header, 0x0)         \
    F(u8, interrupt_type, 0x28)               \
    F(Bytes<7>, reserved0, 0x29)
VTLSIM_WIRE_STRUCT(HvInterruptionDeliverable, 0x30, HV_INTERRUPTION_DELIVERABLE_FIELDS)

#define HV_SINT_DELIVERABLE_FIELDS(F) \
    F(HvInterceptHeader, header, 0x0) \
    F(u16, deliverable_sints, 0x28)   \
    F(Bytes<6>, reserved0, 0x2A)
VTLSIM_WIRE_STRUCT(HvSintDeliverable, 0x30, HV_SINT_DELIVERABLE_FIELDS)

#define HV_REGISTER_INTERCEPT_FIELDS(F) \
    F(HvInterceptHeader, header, 0x0)   \
    F(u32, flags, 0x28)                 \
    F(u32, register_name, 0x2C)         \
    F(Vec128, value, 0x30)
VTLSIM_WIRE_STRUCT(HvRegisterIntercept, 0x40, HV_REGISTER_INTERCEPT_FIELDS)

// The only payload without the header.
#define HV_APIC_EOI_FIELDS(F) \
    F(u32, vp_index, 0x0)     \
    F(u32, vector, 0x4)
VTLSIM_WIRE_STRUCT(HvApicEoi, 0x8, HV_APIC_EOI_FIELDS)

inline constexpr u32 kMessagePayload = offsetof(HvMessage, payload);

// Name of a type as the log prints it ("io_port_intercept"); "unknown" for other numbers.
std::string_view message_type_name(u32 type);
// The payload's fields for a type; the bare header where a payload has nothing more.
std::span<const WireField> payload_fields(u32 type);

}  // namespace vtlsim::model
