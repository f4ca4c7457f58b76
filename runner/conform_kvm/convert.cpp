#include "runner/conform_kvm/convert.hpp"

#if defined(__linux__) && defined(__x86_64__)

#include <algorithm>
#include <sys/eventfd.h>

namespace vtlsim::runner::conform_kvm {
namespace {

using model::kvm::ExitReason;
using model::kvm::RunExit;
using model::kvm::VcpuEvents;
using sim::CpuState;
using sim::Reg;
using sim::Seg;

// In the order of the ModRM number.
constexpr __u64 kvm_regs::*kGprs[] = {
    &kvm_regs::rax, &kvm_regs::rcx, &kvm_regs::rdx, &kvm_regs::rbx, &kvm_regs::rsp, &kvm_regs::rbp,
    &kvm_regs::rsi, &kvm_regs::rdi, &kvm_regs::r8,  &kvm_regs::r9,  &kvm_regs::r10, &kvm_regs::r11,
    &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14, &kvm_regs::r15};

struct SegmentField {
    Seg seg;
    kvm_segment kvm_sregs::*field;
};
constexpr SegmentField kSegments[] = {
    {Seg::es, &kvm_sregs::es},    {Seg::cs, &kvm_sregs::cs}, {Seg::ss, &kvm_sregs::ss},
    {Seg::ds, &kvm_sregs::ds},    {Seg::fs, &kvm_sregs::fs}, {Seg::gs, &kvm_sregs::gs},
    {Seg::ldtr, &kvm_sregs::ldt}, {Seg::tr, &kvm_sregs::tr},
};

// VMX access rights (SDM 3C 25.4.1); bit 16: unusable.
u64 rights_of(const kvm_segment& s) {
    return u64{s.type} | u64{s.s} << 4 | u64{s.dpl} << 5 | u64{s.present} << 7 | u64{s.avl} << 12 |
           u64{s.l} << 13 | u64{s.db} << 14 | u64{s.g} << 15 | u64{s.unusable} << 16;
}

void set_rights(kvm_segment& s, u64 rights) {
    const auto bits = [rights](unsigned at, u64 mask) {
        return static_cast<u8>(rights >> at & mask);
    };
    s.type = bits(0, 15);
    s.s = bits(4, 1);
    s.dpl = bits(5, 3);
    s.present = bits(7, 1);
    s.avl = bits(12, 1);
    s.l = bits(13, 1);
    s.db = bits(14, 1);
    s.g = bits(15, 1);
    s.unusable = bits(16, 1);
}

}  // namespace

void from_kvm(const kvm_regs& from, CpuState& to) {
    for (std::size_t i = 0; i < std::size(kGprs); ++i) to[sim::gpr(i)] = from.*kGprs[i];
    to[Reg::rip] = from.rip;
    to[Reg::rflags] = from.rflags;
}

void to_kvm(const CpuState& from, kvm_regs& to) {
    for (std::size_t i = 0; i < std::size(kGprs); ++i) to.*kGprs[i] = from[sim::gpr(i)];
    to.rip = from[Reg::rip];
    to.rflags = from[Reg::rflags];
}

void from_kvm(const kvm_sregs& from, CpuState& to) {
    for (const auto& [seg, field] : kSegments) {
        const kvm_segment& s = from.*field;
        to[selector_of(seg)] = s.selector;
        to[base_of(seg)] = s.base;
        to[limit_of(seg)] = s.limit;
        to[attr_of(seg)] = rights_of(s);
    }
    to[Reg::gdtr_base] = from.gdt.base;
    to[Reg::gdtr_limit] = from.gdt.limit;
    to[Reg::idtr_base] = from.idt.base;
    to[Reg::idtr_limit] = from.idt.limit;
    to[Reg::cr0] = from.cr0;
    to[Reg::cr2] = from.cr2;
    to[Reg::cr3] = from.cr3;
    to[Reg::cr4] = from.cr4;
    to[Reg::cr8] = from.cr8;
    to[Reg::efer] = from.efer;
}

void to_kvm(const CpuState& from, kvm_sregs& to) {
    for (const auto& [seg, field] : kSegments) {
        kvm_segment& s = to.*field;
        s.selector = static_cast<u16>(from[selector_of(seg)]);
        s.base = from[base_of(seg)];
        s.limit = static_cast<u32>(from[limit_of(seg)]);
        set_rights(s, from[attr_of(seg)]);
    }
    to.gdt.base = from[Reg::gdtr_base];
    to.gdt.limit = static_cast<u16>(from[Reg::gdtr_limit]);
    to.idt.base = from[Reg::idtr_base];
    to.idt.limit = static_cast<u16>(from[Reg::idtr_limit]);
    to.cr0 = from[Reg::cr0];
    to.cr2 = from[Reg::cr2];
    to.cr3 = from[Reg::cr3];
    to.cr4 = from[Reg::cr4];
    to.cr8 = from[Reg::cr8];
    to.efer = from[Reg::efer];
}

void from_kvm(const kvm_debugregs& from, CpuState& to) {
    constexpr Reg kAddresses[] = {Reg::dr0, Reg::dr1, Reg::dr2, Reg::dr3};
    for (std::size_t i = 0; i < 4; ++i) to[kAddresses[i]] = from.db[i];
    to[Reg::dr6] = from.dr6;
    to[Reg::dr7] = from.dr7;
}

void to_kvm(const CpuState& from, kvm_debugregs& to) {
    constexpr Reg kAddresses[] = {Reg::dr0, Reg::dr1, Reg::dr2, Reg::dr3};
    for (std::size_t i = 0; i < 4; ++i) to.db[i] = from[kAddresses[i]];
    to.dr6 = from[Reg::dr6];
    to.dr7 = from[Reg::dr7];
}

VcpuEvents from_kvm(const kvm_vcpu_events& from) {
    VcpuEvents to;
    to.exception_injected = from.exception.injected != 0;
    to.exception_pending = from.exception.pending != 0;
    to.exception = from.exception.nr;
    to.has_error_code = from.exception.has_error_code != 0;
    to.error_code = from.exception.error_code;
    to.has_payload = from.exception_has_payload != 0;
    to.payload = from.exception_payload;
    to.interrupt_injected = from.interrupt.injected != 0;
    to.interrupt = from.interrupt.nr;
    to.interrupt_soft = from.interrupt.soft != 0;
    // KVM_X86_SHADOW_INT_MOV_SS is 1, _STI is 2.
    to.shadow = static_cast<u8>((from.interrupt.shadow & KVM_X86_SHADOW_INT_STI) != 0      ? 1
                                : (from.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS) != 0 ? 2
                                                                                           : 0);
    to.nmi_injected = from.nmi.injected != 0;
    to.nmi_pending = from.nmi.pending != 0;
    to.nmi_masked = from.nmi.masked != 0;
    return to;
}

kvm_vcpu_events to_kvm(const VcpuEvents& from) {
    kvm_vcpu_events to{};
    to.exception.injected = from.exception_injected || from.exception_pending;
    to.exception.nr = from.exception;
    to.exception.has_error_code = from.has_error_code;
    to.exception.error_code = from.error_code;
    to.interrupt.injected = from.interrupt_injected;
    to.interrupt.nr = from.interrupt;
    to.interrupt.soft = from.interrupt_soft;
    to.interrupt.shadow = static_cast<u8>(from.shadow == 1   ? KVM_X86_SHADOW_INT_STI
                                          : from.shadow == 2 ? KVM_X86_SHADOW_INT_MOV_SS
                                                             : 0);
    to.nmi.injected = from.nmi_injected;
    to.nmi.pending = from.nmi_pending;
    to.nmi.masked = from.nmi_masked;
    to.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
    return to;
}

RunExit exit_of(const kvm_run& run, model::kvm::Return result, std::span<const u8> page) {
    RunExit out;
    out.result = result;
    out.reason = static_cast<ExitReason>(run.exit_reason);
    switch (run.exit_reason) {
        case KVM_EXIT_IO: {
            out.in = run.io.direction == KVM_EXIT_IO_IN;
            out.size = run.io.size;
            out.port = run.io.port;
            out.count = run.io.count;
            const std::size_t size = std::size_t{run.io.size} * run.io.count;
            if (!out.in && run.io.data_offset <= page.size()) {
                const auto data = page.subspan(run.io.data_offset);
                const auto end =
                    data.begin() + static_cast<std::ptrdiff_t>(std::min(size, data.size()));
                out.data.assign(data.begin(), end);
            }
            break;
        }
        case KVM_EXIT_MMIO:
            out.phys = run.mmio.phys_addr;
            out.length = static_cast<u8>(std::min<u32>(run.mmio.len, sizeof(run.mmio.data)));
            out.write = run.mmio.is_write != 0;
            if (out.write) out.data.assign(run.mmio.data, run.mmio.data + out.length);
            break;
        case KVM_EXIT_DEBUG:
            out.exception = run.debug.arch.exception;
            out.pc = run.debug.arch.pc;
            out.dr6 = run.debug.arch.dr6;
            break;
        case KVM_EXIT_X86_RDMSR:
        case KVM_EXIT_X86_WRMSR:
            out.msr = run.msr.index;
            if (run.exit_reason == KVM_EXIT_X86_WRMSR) out.msr_value = run.msr.data;
            break;
        case KVM_EXIT_INTERNAL_ERROR:
            out.suberror = run.internal.suberror;
            break;
        default:
            break;
    }
    return out;
}

int new_eventfd() { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

}  // namespace vtlsim::runner::conform_kvm

#endif
