// What the hypervisor does for VTL2: hypercalls and MSRs (TLFS; hyperv-vtl.md 1.2, 2.4).
#include <fmt/format.h>

#include "model/hyperv/hypervisor.hpp"
#include "model/hyperv/names.hpp"
#include "model/vtl2/layout.hpp"

namespace vtlsim::model {

using sim::Exit;
using sim::Reg;

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
    const auto seg = segment_of_hv_name(name);
    const auto seen = [&](Reg r) {
        return state_.banks.view(board_.cpu().state(), board_.vp().active_vtl, vtl, r,
                                 board_.switches());
    };
    u64 status = hv_status::kInvalidParameter;
    Vec128 value{};
    if (!reg && !seg) {
        board_.not_modelled(fmt::format("HvCallGetVpRegisters of register {:#x}", name));
    } else if (vtl == kVtl0 || vtl == kVtl2) {
        if (seg) {
            value = {seen(sim::base_of(*seg)).lo, seen(sim::limit_of(*seg)).lo |
                                                      seen(sim::selector_of(*seg)).lo << 32 |
                                                      seen(sim::attr_of(*seg)).lo << 48};
        } else {
            value = seen(*reg);
        }
        board_.store(output, value);
        status = hv_status::kSuccess;
    }
    board_.emit(EventKind::hypercall, Lane::hypervisor,
                {hv_call::kGetVpRegisters, name, value.lo, status});
    return status;
}

// The guest's own tables, with the bits that its processor would set in them if it is asked for
// (TLFS: HvCallTranslateVirtualAddress). That a page where no RAM is translates like any other is
// inferred: OpenVMM takes GpaUnmapped for a page table's.
u64 Hypervisor::translate_gva(u64 input, u64 output) {
    using namespace hv_translate;
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
        if (walk.end == sim::Walk::End::not_present) {
            out.result_code = kPageNotPresent;
        } else if (walk.end == sim::Walk::End::reserved) {
            out.result_code = kInvalidPageTableFlags;
        } else if (walk.end == sim::Walk::End::outside_ram) {
            out.result_code = kGpaUnmapped;
        } else if (walk.entries != 0 && !translation_allowed(walk, in.control_flags)) {
            out.result_code = kPrivilegeViolation;
        } else {
            out.gpa_page = walk.physical >> sim::kPageShift;
            if ((in.control_flags & kSetPageTableBits) != 0) {
                set_table_bits(walk, (in.control_flags & kValidateWrite) != 0);
            }
        }
        board_.store(output, out);
    }
    board_.emit(EventKind::hypercall, Lane::hypervisor,
                {hv_call::kTranslateVirtualAddressEx, in.gva_page, out.gpa_page, status});
    return status;
}

// At VTL0's privilege level (SDM 3A 4.6.1).
bool Hypervisor::translation_allowed(const sim::Walk& walk, u64 flags) const {
    const sim::CpuState& s = state_.banks.saved(kVtl0);
    const bool user = sim::cpl(s) == 3;
    const bool write = (flags & hv_translate::kValidateWrite) != 0;
    const bool fetch = (flags & hv_translate::kValidateExecute) != 0;
    const u64 cr4 = s[Reg::cr4];
    if (fetch && (walk.no_execute || (!user && walk.user && (cr4 & sim::cr4::smep) != 0))) {
        return false;
    }
    if (user) return walk.user && (!write || walk.writable);
    const bool smap = (cr4 & sim::cr4::smap) != 0 && (s[Reg::rflags] & sim::flag::ac) == 0;
    if (!fetch && walk.user && smap) return false;
    return !write || walk.writable || (s[Reg::cr0] & sim::cr0::wp) == 0;
}

void Hypervisor::set_table_bits(const sim::Walk& walk, bool dirty) {
    const sim::PagingMode mode = sim::paging_mode(state_.banks.saved(kVtl0));
    for (unsigned i = mode.levels == 3 ? 1 : 0; i < walk.entries; ++i) {  // PDPTEs of PAE have none
        u64 entry = walk.entry[i] | sim::pte::accessed;
        if (dirty && i + 1 == walk.entries) entry |= sim::pte::dirty;
        if (entry == walk.entry[i]) continue;
        if (!board_.machine.write(walk.entry_at[i],
                                  {reinterpret_cast<const u8*>(&entry), mode.entry_size})) {
            board_.finish(EndReason::memory_limit);
        }
    }
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
    if (name == hv_register::kPendingEvent0 && vtl == kVtl0) {
        state_.pending_event = value;
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
                raise_exception({.vector = sim::Vector::gp, .has_error_code = true});
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
            if (write_synic_msr(exit.msr, exit.value)) break;
            board_.not_modelled(fmt::format("WRMSR {:#x} by VTL2", exit.msr));
            return;
    }
    board_.emit(EventKind::msr, Lane::hypervisor, {exit.msr, 1, exit.value});
    board_.cpu().retire_exit(exit);
}

}  // namespace vtlsim::model
