#include "model/hyperv/hypervisor.hpp"

#include <fmt/format.h>

#include "model/hyperv/names.hpp"
#include "model/vtl2/layout.hpp"
#include "sim/exec/cpuid.hpp"

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

void Hypervisor::raise_exception(const sim::Fault& fault) {
    board_.emit(EventKind::fault, Lane::hypervisor,
                {static_cast<u64>(fault.vector), fault.has_error_code ? fault.error_code : kNone,
                 fault.cr2});
    delivered(board_.cpu().inject_fault(fault));
}

void Hypervisor::delivered(const std::optional<sim::Outcome>& failed) {
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
        raise_exception(sim::Fault{.vector = sim::Vector::ud});
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
    if (state_.pending_event != Vec128{}) deliver_pending_event();
}

// PendingEvent0: what VTL0 meets before its next instruction.
void Hypervisor::deliver_pending_event() {
    using namespace pending_event;
    const Vec128 event = std::exchange(state_.pending_event, Vec128{});
    const auto vector = static_cast<u8>(event.lo >> kVectorShift);
    if ((event.lo & (kPending | kTypeMask)) == (kPending | kException)) {
        const bool page_fault = vector == static_cast<u8>(sim::Vector::pf);
        raise_exception({.vector = static_cast<sim::Vector>(vector),
                         .has_error_code = (event.lo & kDeliverErrorCode) != 0,
                         .error_code = static_cast<u32>(event.lo >> kErrorCodeShift),
                         .cr2 = page_fault ? event.hi : 0});
    } else if ((event.lo & (kPending | kTypeMask)) == (kPending | kExtInt) &&
               board_.cpu().interruptible()) {
        const auto external = static_cast<u8>(event.lo >> kExtIntVectorShift);
        board_.emit(EventKind::interrupt_accepted, Lane::guest, {external});
        delivered(board_.cpu().deliver_interrupt(external));
    } else {
        board_.not_modelled(fmt::format("PendingEvent0 {:#x} now", event.lo));
    }
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

}  // namespace vtlsim::model
