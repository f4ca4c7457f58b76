#include "model/hyperv/hypervisor.hpp"

#include <fmt/format.h>

#include "model/hyperv/names.hpp"
#include "model/vtl2/layout.hpp"
#include "sim/exec/cpuid.hpp"
#include "sim/mmu/walk.hpp"

namespace vtlsim::model {

using sim::Exit;
using sim::ExitKind;
using sim::Reg;

void Hypervisor::on_exit(const Exit& exit) {
    if (board_.vp().active_vtl == kVtl0) {
        guest_exit(exit);
    } else {
        vtl2_exit(exit);
    }
}

void Hypervisor::guest_exit(const Exit& exit) {
    switch (exit.kind) {
        case ExitKind::io:
            io_intercept(exit);
            break;
        case ExitKind::cpuid:
            cpuid_intercept(exit);
            break;
        case ExitKind::rdmsr:
        case ExitKind::wrmsr:
            // Each VTL has an APIC of its own, which is the hypervisor's, not the VMM's.
            if (exit.msr == msr::kX2apicEoi && exit.kind == ExitKind::wrmsr) {
                write_msr(exit);
            } else if (exit.msr >= msr::kX2apicFirst && exit.msr <= msr::kX2apicLast) {
                board_.not_modelled(fmt::format("x2APIC MSR {:#x} of VTL0", exit.msr));
            } else {
                msr_intercept(exit);
            }
            break;
        case ExitKind::hypercall:
            hypercall_intercept(exit);
            break;
        case ExitKind::memory:
            memory_intercept(exit);
            break;
    }
}

void Hypervisor::vtl2_exit(const Exit& exit) {
    switch (exit.kind) {
        case ExitKind::hypercall:
            hypercall(exit);
            break;
        case ExitKind::wrmsr:
            write_msr(exit);
            break;
        case ExitKind::cpuid: {
            const sim::CpuidResult r =
                sim::cpuid(board_.cpu().state(), static_cast<u32>(board_.cpu().get(Reg::rax)),
                           static_cast<u32>(board_.cpu().get(Reg::rcx)));
            board_.cpu().set(Reg::rax, r.eax);
            board_.cpu().set(Reg::rbx, r.ebx);
            board_.cpu().set(Reg::rcx, r.ecx);
            board_.cpu().set(Reg::rdx, r.edx);
            board_.cpu().retire_exit(exit);
            break;
        }
        case ExitKind::io:
            board_.not_modelled("a port access by VTL2");
            break;
        case ExitKind::rdmsr:
            board_.not_modelled(fmt::format("RDMSR {:#x} by VTL2", exit.msr));
            break;
        case ExitKind::memory:
            board_.not_modelled(fmt::format("VTL2 touches {:#x}, where nothing is", exit.gpa));
            break;
    }
}

void Hypervisor::inject(const sim::Fault& fault) {
    board_.emit(EventKind::fault, Lane::hypervisor,
                {static_cast<u64>(fault.vector), fault.has_error_code ? fault.error_code : kNone,
                 fault.cr2});
    const auto failed = board_.cpu().inject_fault(fault);
    if (!failed) return;
    if (std::holds_alternative<sim::OutOfMemory>(*failed)) {
        board_.finish(EndReason::memory_limit);
    } else if (const auto* gap = std::get_if<sim::NotModelled>(&*failed)) {
        board_.not_modelled(gap->what);
    } else if (!std::holds_alternative<sim::Shutdown>(*failed)) {
        board_.not_modelled("an exit while an exception is delivered");
    } else if (board_.vp().active_vtl == kVtl0) {
        on_guest_shutdown();
    } else {
        board_.finish(EndReason::vtl2_crash);
    }
}

// --- interrupts
// ------------------------------------------------------------------------------------

std::optional<u8> Hypervisor::deliverable(const Vp& vp, u8 vtl) const {
    // CR8 is private under every policy; this runs before each instruction.
    const u64 cr8 = vtl == vp.active_vtl ? vp.cpu.get(Reg::cr8) : state_.banks.saved(vtl)[Reg::cr8];
    return state_.apic[vtl].deliverable(cr8);
}

u8 Hypervisor::accept() {
    const u8 vector = *deliverable();
    state_.apic[board_.vp().active_vtl].accept(vector);
    return vector;
}

void Hypervisor::interrupt(u8 vtl, u8 vector, bool transient) {
    board_.emit(EventKind::interrupt_pending, Lane::hypervisor, {vtl, vector});
    if (!transient) state_.apic[vtl].request(vector);
    if (vtl != kVtl2 || board_.vp().active_vtl == kVtl2) return;
    // A transient one is not in the APIC any more, but its priority counts as if it were.
    Apic wanted = state_.apic[vtl];
    wanted.request(vector);
    const u64 cr8 = state_.banks.saved(kVtl2)[Reg::cr8];
    if (wanted.deliverable(cr8)) enter_vtl2(EntryReason::interrupt);
}

void Hypervisor::interrupt_with_exit(u8 vector, bool transient) {
    state_.with_exit = vector;
    state_.with_exit_transient = transient;
}

void Hypervisor::expire_with_exit() {
    interrupt(kVtl2, std::exchange(state_.with_exit, u8{0}), state_.with_exit_transient);
}

// --- VTL switches
// ----------------------------------------------------------------------------------

void Hypervisor::enter_vtl2(EntryReason reason) {
    if (!state_.assist_page_enabled) {
        board_.not_modelled("a VTL2 entry before VTL2 has enabled its VP assist page");
        return;
    }
    board_.store(board_.page(layout::kAssistPage) + offsetof(HvVpAssistPage, entry_reason), reason);
    sim::CpuState live = board_.cpu().state();
    struct Shadowed {
        Reg reg;
        u64 was, is;
    };
    std::vector<Shadowed> shadowed;
    state_.banks.raise(live, board_.switches(), reason == EntryReason::interrupt,
                       [&](Reg reg, u64 was, u64 is) {
                           shadowed.push_back({reg, was, is});
                       });
    live[Reg::activity] = 0;  // entry un-halts the VP
    board_.cpu().set_state(live);
    board_.cpu().set_address_space(kVtl2);
    board_.vp().active_vtl = kVtl2;
    board_.emit(EventKind::vtl_enter, Lane::hypervisor, {kVtl2, static_cast<u64>(reason)});
    for (const Shadowed& s : shadowed) {
        board_.emit(EventKind::shadow, Lane::hypervisor, {static_cast<u64>(s.reg), s.was, s.is});
    }
}

void Hypervisor::vtl_return(const Exit& exit) {
    // #UD: bad control word or input, not CPL 0 (hyperv-vtl.md 1.2).
    const u64 control = board_.cpu().get(Reg::rax);
    if (board_.cpu().get(Reg::rcx) != hv_call::kVtlReturn || (control & ~u64{1}) != 0 ||
        sim::cpl(board_.cpu().state()) != 0) {
        inject(sim::Fault{.vector = sim::Vector::ud});
        return;
    }
    // RIP moves past VMCALL before the switch, so that VTL2 resumes at the stub's RET.
    board_.cpu().retire_exit(exit);
    const bool fast = (control & 1) != 0;
    const u64 assist = board_.page(layout::kAssistPage);
    const u64 rax = board_.load<u64>(assist + offsetof(HvVpAssistPage, register_rax));
    const u64 rcx = board_.load<u64>(assist + offsetof(HvVpAssistPage, register_rcx));
    if (board_.load<Bytes<0x100>>(assist + offsetof(HvVpAssistPage, return_actions)) !=
        Bytes<0x100>{}) {
        board_.not_modelled("VTL return actions");
        return;
    }

    sim::CpuState live = board_.cpu().state();
    if (const auto pending = deliverable(board_.vp(), kVtl2)) {
        // The lower VTL executes nothing (TLFS: VTL Interrupt Management).
        if (!fast && board_.switches().pending_on_return == PendingOnReturn::restore_then_bounce) {
            state_.banks.write(live, kVtl2, kVtl0, Reg::rax, {rax, 0}, board_.switches());
            state_.banks.write(live, kVtl2, kVtl0, Reg::rcx, {rcx, 0}, board_.switches());
            board_.cpu().set_state(live);
        }
        board_.store(assist + offsetof(HvVpAssistPage, entry_reason), EntryReason::interrupt);
        board_.emit(EventKind::bounce, Lane::hypervisor, {*pending});
        return;
    }
    flush_register_page();
    live = board_.cpu().state();
    state_.banks.lower(live, board_.switches());
    if (!fast) {
        live[Reg::rax] = rax;
        live[Reg::rcx] = rcx;
    }
    board_.emit(EventKind::vtl_return, Lane::hypervisor, {kVtl0, fast ? 1u : 0u, rax, rcx});
    board_.cpu().set_state(live);
    board_.cpu().set_address_space(kVtl0);
    board_.vp().active_vtl = kVtl0;
}

// What the VMM changed in the register page goes to VTL0; then the page is not valid until the
// next intercept (inferred: hyperv-vtl.md 5 says that is_valid is 0 after a flush).
void Hypervisor::flush_register_page() {
    if (!state_.register_page_mapped) return;
    const u64 page = board_.page(layout::kRegisterPage);
    const u32 bits = board_.load<u32>(page + offsetof(HvRegisterPage, dirty));
    if (bits != 0) {
        board_.emit(EventKind::regpage_flush, Lane::hypervisor, {bits});
        if ((bits & ~(dirty::rip | dirty::flags)) != 0) {
            board_.not_modelled("dirty bits of the register page other than rip and flags");
            return;
        }
        const auto copy = board_.load<HvRegisterPage>(page);
        sim::CpuState& vtl0 = state_.banks.saved(kVtl0);
        if ((bits & dirty::rip) != 0) vtl0[Reg::rip] = copy.rip;
        if ((bits & dirty::flags) != 0) vtl0[Reg::rflags] = copy.rflags | sim::flag::kAlwaysSet;
        board_.store(page + offsetof(HvRegisterPage, dirty), u32{0});
    }
    board_.store(page + offsetof(HvRegisterPage, is_valid), u8{0});
}

// --- services for VTL2
// -----------------------------------------------------------------------------

void Hypervisor::hypercall(const Exit& exit) {
    const u64 control = board_.cpu().get(Reg::rcx);
    const u64 code = control & 0xFFFF;
    if (code == hv_call::kVtlReturn) {
        vtl_return(exit);
        return;
    }
    if (code == hv_call::kTranslateVirtualAddressEx) {
        board_.cpu().set(Reg::rax,
                         translate_gva(board_.cpu().get(Reg::rdx), board_.cpu().get(Reg::r8)));
        board_.cpu().retire_exit(exit);
        return;
    }
    if (code != hv_call::kSetVpRegisters && code != hv_call::kGetVpRegisters) {
        board_.not_modelled(fmt::format("hypercall {:#x} by VTL2", code));
        return;
    }
    const u64 repetitions = control >> 32 & 0xFFF;
    if (repetitions != 1) {
        board_.not_modelled("HvCallGet/SetVpRegisters of several registers at once");
        return;
    }
    const u64 input = board_.cpu().get(Reg::rdx);
    const u64 status = code == hv_call::kSetVpRegisters
                           ? set_vp_registers(input)
                           : get_vp_registers(input, board_.cpu().get(Reg::r8));
    // TLFS, hypercall result value: repetitions done in bits 32-43.
    board_.cpu().set(Reg::rax, status | (status == hv_status::kSuccess ? repetitions << 32 : 0));
    board_.cpu().retire_exit(exit);
}

u64 Hypervisor::set_vp_registers(u64 input) {
    const auto head = board_.load<VpRegistersInput>(input);
    const auto assoc = board_.load<RegisterAssociation>(input + sizeof(VpRegistersInput));
    // input_vtl: bits 0-3 the VTL, bit 4 whether it counts; else the caller's own.
    const u8 vtl = (head.input_vtl & 0x10) != 0 ? head.input_vtl & 0xF : kVtl2;
    u64 status = hv_status::kInvalidParameter;
    if (vtl == kVtl0 || vtl == kVtl2) status = set_register(vtl, assoc.name, assoc.value);
    board_.emit(EventKind::hypercall, Lane::hypervisor,
                {hv_call::kSetVpRegisters, assoc.name, assoc.value.lo, status});
    return status;
}

// Input: the header, then the name; output: the value (TLFS: HvCallGetVpRegisters).
u64 Hypervisor::get_vp_registers(u64 input, u64 output) {
    const auto head = board_.load<VpRegistersInput>(input);
    const u32 name = board_.load<u32>(input + sizeof(VpRegistersInput));
    const u8 vtl = (head.input_vtl & 0x10) != 0 ? head.input_vtl & 0xF : kVtl2;
    const auto reg = register_of_hv_name(name);
    u64 status = hv_status::kInvalidParameter;
    Vec128 value{};
    if (!reg) {
        board_.not_modelled(fmt::format("HvCallGetVpRegisters of register {:#x}", name));
    } else if (vtl == kVtl0 || vtl == kVtl2) {
        value = state_.banks.view(board_.cpu().state(), board_.vp().active_vtl, vtl, *reg,
                                  board_.switches());
        board_.store(output, value);
        status = hv_status::kSuccess;
    }
    board_.emit(EventKind::hypercall, Lane::hypervisor,
                {hv_call::kGetVpRegisters, name, value.lo, status});
    return status;
}

// The guest's own tables, walked without setting bits in them (TLFS:
// HvCallTranslateVirtualAddress).
u64 Hypervisor::translate_gva(u64 input, u64 output) {
    const auto in = board_.load<TranslateGvaInput>(input);
    // The input VTL is in the flags' top byte: bits 0-3, and bit 4 for "counts".
    const u64 vtl = in.control_flags >> 56;
    u64 status = hv_status::kInvalidParameter;
    TranslateGvaOutput out{};
    if (vtl == (0x10 | kVtl0)) {
        status = hv_status::kSuccess;
        const sim::CpuState& s = state_.banks.saved(kVtl0);
        const u64 gva = in.gva_page << sim::kPageShift;
        sim::Walk walk;
        walk.physical = gva;
        if (s[Reg::identity_map] == 0) {
            walk = sim::walk_tables(board_.machine, kVtl0, s, gva);
        }
        const bool write = (in.control_flags & hv_translate::kValidateWrite) != 0;
        if (walk.end == sim::Walk::End::not_present) {
            out.result_code = hv_translate::kPageNotPresent;
        } else if (walk.end == sim::Walk::End::reserved) {
            out.result_code = hv_translate::kInvalidPageTableFlags;
        } else if (walk.end == sim::Walk::End::outside_ram ||
                   !board_.machine.is_ram(kVtl0, walk.physical, 1)) {
            out.result_code = hv_translate::kGpaUnmapped;
        } else if (write && !walk.writable && (s[Reg::cr0] & sim::cr0::wp) != 0) {
            out.result_code = hv_translate::kPrivilegeViolation;
        } else {
            out.gpa_page = walk.physical >> sim::kPageShift;
        }
        board_.store(output, out);
    }
    board_.emit(EventKind::hypercall, Lane::hypervisor,
                {hv_call::kTranslateVirtualAddressEx, in.gva_page, out.gpa_page, status});
    return status;
}

u64 Hypervisor::set_register(u8 vtl, u32 name, Vec128 value) {
    if (name == hv_register::kRegisterPage) {
        if (board_.switches().regpage_fill == RegpageFill::unmapped) {
            return hv_status::kInvalidParameter;
        }
        const u64 page = value.lo & ~u64{0xFFF};
        if (page != board_.page(layout::kRegisterPage) && (value.lo & 1) != 0) {
            board_.not_modelled("a register page somewhere else");
        }
        state_.register_page_mapped = (value.lo & 1) != 0;
        return hv_status::kSuccess;
    }
    const auto reg = register_of_hv_name(name);
    if (!reg) {
        board_.not_modelled(fmt::format("HvCallSetVpRegisters of register {:#x}", name));
        return hv_status::kInvalidParameter;
    }
    if (vtl == board_.vp().active_vtl) {
        board_.not_modelled("HvCallSetVpRegisters of the caller's own x86 registers");
        return hv_status::kInvalidParameter;
    }
    sim::CpuState live = board_.cpu().state();
    state_.banks.write(live, board_.vp().active_vtl, vtl, *reg, value, board_.switches());
    board_.cpu().set_state(live);
    return hv_status::kSuccess;
}

void Hypervisor::write_msr(const Exit& exit) {
    switch (exit.msr) {
        case msr::kX2apicSvr:
            break;  // on from the start; the spurious vector is never used
        case msr::kX2apicEoi:
            if (exit.value != 0) {  // SDM 3A 11.12.1.3
                inject({.vector = sim::Vector::gp, .has_error_code = true});
                return;
            }
            state_.apic[board_.vp().active_vtl].end_of_interrupt();
            break;
        case msr::kX2apicIcr:
            // Fixed delivery to one CPU, by its APIC ID; nobody here sends anything else.
            if ((exit.value & 0xFFFFFF00) != 0 || exit.value >> 32 != kBaseCpu) {
                board_.not_modelled(fmt::format("x2APIC ICR {:#x}", exit.value));
                return;
            }
            driver_.send_attention_ipi();
            break;
        case msr::kVpAssistPage:
            if (exit.value == 0) {
                state_.assist_page_enabled = false;
                break;
            }
            if (exit.value != (board_.page(layout::kAssistPage) | 1)) {
                board_.not_modelled("a VP assist page somewhere else");
            }
            state_.assist_page_enabled = true;
            break;
        default:
            board_.not_modelled(fmt::format("WRMSR {:#x} by VTL2", exit.msr));
            return;
    }
    board_.emit(EventKind::msr, Lane::hypervisor, {exit.msr, 1, exit.value});
    board_.cpu().retire_exit(exit);
}

}  // namespace vtlsim::model
