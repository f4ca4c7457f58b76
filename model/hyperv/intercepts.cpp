// From a guest's exit to the message in VTL2's assist page, or for its SynIC (hyperv-vtl.md 1.5,
// 2.2).
#include <algorithm>

#include "model/hyperv/hypervisor.hpp"
#include "model/hyperv/names.hpp"
#include "model/vtl2/layout.hpp"
#include "sim/exec/cpuid.hpp"

namespace vtlsim::model {

using sim::Exit;
using sim::Reg;
using sim::Seg;

namespace {

constexpr u8 kAccessRead = 0;
constexpr u8 kAccessWrite = 1;
constexpr u8 kAccessExecute = 2;

template <class Wire, class Value>
void put_field(Wire& wire, std::size_t offset, const Value& value) {
    std::memcpy(reinterpret_cast<u8*>(&wire) + offset, &value, sizeof(Value));
}

template <class Wire>
void put_xmm0_to_5(Wire& wire, std::size_t offset, const sim::CpuState& s) {
    for (std::size_t i = 0; i < 6; ++i) {
        put_field(wire, offset + i * sizeof(Vec128), s.vec(sim::offset(Reg::xmm0, i)));
    }
}

template <class Payload>
void set_instruction(Payload& payload, const Exit& exit) {
    payload.instruction_byte_count = exit.length;
    std::copy(exit.bytes.begin(), exit.bytes.end(), payload.instruction_bytes.begin());
}

}  // namespace

HvSegment Hypervisor::segment(Seg seg) const {
    return {.base = guest(sim::base_of(seg)),
            .limit = static_cast<u32>(guest(sim::limit_of(seg))),
            .selector = static_cast<u16>(guest(sim::selector_of(seg))),
            .attributes = static_cast<u16>(guest(sim::attr_of(seg)))};
}

HvInterceptHeader Hypervisor::header(u8 length, u8 access) const {
    const u64 cr0 = guest(Reg::cr0);
    const u64 state = sim::cpl(board_.cpu().state()) | ((cr0 & sim::cr0::pe) != 0 ? 1u << 2 : 0) |
                      ((cr0 & sim::cr0::am) != 0 ? 1u << 3 : 0) |
                      ((guest(Reg::efer) & sim::efer::lma) != 0 ? 1u << 4 : 0) |
                      ((guest(Reg::dr7) & 0xFF) != 0 ? 1u << 5 : 0) |
                      (guest(Reg::shadow) != 0 ? 1u << 12 : 0);
    return {.vp_index = board_.at,
            .length_cr8 = static_cast<u8>(length | guest(Reg::cr8) << 4),
            .access = access,
            .execution_state = static_cast<u16>(state),
            .cs = segment(Seg::cs),
            .rip = guest(Reg::rip),
            .rflags = guest(Reg::rflags)};
}

template <class Payload>
void Hypervisor::store_message(MessageType type, const Payload& payload) {
    HvMessage message{};
    message.type = static_cast<u32>(type);
    message.payload_size = sizeof(Payload);
    std::memcpy(message.payload.data(), &payload, sizeof(Payload));
    ++state_.messages;
    if (board_.switches().intercept_delivery == InterceptDelivery::synic_message) {
        post({message, state_.messages, guest(Reg::rax)});
    } else {
        board_.store(board_.page(layout::kAssistPage) + offsetof(HvVpAssistPage, message), message);
        board_.emit(EventKind::message, Lane::hypervisor,
                    {static_cast<u64>(type), state_.messages, guest(Reg::rax)});
    }
    invariants_.intercepted(board_.cpu().state());
    fill_register_page();
}

template <class Payload>
void Hypervisor::deliver_intercept(MessageType type, const Payload& payload) {
    store_message(type, payload);
    const bool synic = board_.switches().intercept_delivery == InterceptDelivery::synic_message;
    if (!waits_for_exit()) {
        enter_vtl2(synic ? EntryReason::interrupt : EntryReason::intercept);
        return;
    }
    // 1.3: once VTL2 is to run, the reason is not overwritten (as WHP does).
    const u8 vector = std::exchange(state_.with_exit, u8{0});
    board_.emit(EventKind::interrupt_pending, Lane::hypervisor, {kVtl2, vector});
    Apic wanted = state_.apic[kVtl2];
    wanted.request(vector);
    const bool enters = wanted.deliverable(state_.banks.saved(kVtl2)[Reg::cr8]).has_value();
    if (!state_.with_exit_transient) state_.apic[kVtl2] = wanted;
    if (synic) {
        enter_vtl2(EntryReason::interrupt);  // either way; the message is in its slot
    } else if (!enters || board_.switches().reason_merge == ReasonMerge::intercept_wins) {
        enter_vtl2(EntryReason::intercept);
    } else {
        board_.emit(EventKind::intercept_lost, Lane::hypervisor, {state_.messages});
        enter_vtl2(EntryReason::interrupt);
    }
}

// What the message is about, in the field that says it.
void Hypervisor::asynchronous_intercept(MessageType type, u64 value, bool interruption_pending) {
    HvInterceptHeader head = header(0, kAccessExecute);
    constexpr u16 kInterruptionPending = 1 << 6;
    if (interruption_pending) head.execution_state |= kInterruptionPending;
    switch (type) {
        case MessageType::gpa_intercept:
        case MessageType::unaccepted_gpa: {
            HvMemoryIntercept p{};
            p.header = head;
            p.gpa = value;
            deliver_intercept(type, p);
            break;
        }
        case MessageType::exception_intercept: {
            HvExceptionIntercept p{};
            p.header = head;
            p.vector = static_cast<u16>(value);
            deliver_intercept(type, p);
            break;
        }
        case MessageType::interruption_deliverable: {
            HvInterruptionDeliverable p{};
            p.header = head;
            p.interrupt_type = static_cast<u8>(value);
            deliver_intercept(type, p);
            break;
        }
        case MessageType::synic_sint_deliverable: {
            HvSintDeliverable p{};
            p.header = head;
            p.deliverable_sints = static_cast<u16>(value);
            deliver_intercept(type, p);
            break;
        }
        case MessageType::apic_eoi:
            deliver_intercept(type, HvApicEoi{board_.at, static_cast<u32>(value)});
            break;
        default:  // halt: nothing but the header
            deliver_intercept(type, head);
            break;
    }
}

void Hypervisor::fill_register_page() {
    if (!state_.register_page_mapped) return;
    const RegpageFill fill = board_.switches().regpage_fill;
    HvRegisterPage page{};
    if (fill != RegpageFill::invalid) {
        page.is_valid = 1;
        page.vtl = kVtl0;
        const sim::CpuState s = board_.cpu().state();
        if (fill == RegpageFill::all16) {
            for (std::size_t i = 0; i < 16; ++i) {
                put_field(page, offsetof(HvRegisterPage, rax) + i * 8, s[sim::gpr(i)]);
            }
            put_xmm0_to_5(page, offsetof(HvRegisterPage, xmm0), s);
        }
        page.rsp = s[Reg::rsp];
        page.rip = s[Reg::rip];
        page.rflags = s[Reg::rflags];
        page.es = segment(Seg::es);
        page.cs = segment(Seg::cs);
        page.ss = segment(Seg::ss);
        page.ds = segment(Seg::ds);
        page.fs = segment(Seg::fs);
        page.gs = segment(Seg::gs);
        page.cr0 = s[Reg::cr0];
        page.cr3 = s[Reg::cr3];
        page.cr4 = s[Reg::cr4];
        page.cr8 = s[Reg::cr8];
        page.efer = s[Reg::efer];
        page.dr7 = s[Reg::dr7];
        page.interrupt_state = s[Reg::shadow] != 0 ? 1 : 0;
    }
    board_.store(board_.page(layout::kRegisterPage), page);
    board_.emit(EventKind::regpage, Lane::hypervisor, {page.is_valid, page.rax, page.rsp});
}

void Hypervisor::io_intercept(const Exit& exit) {
    board_.emit(EventKind::exit_io, Lane::guest,
                {exit.port, exit.size, exit.in ? 0u : 1u, exit.data, exit.string ? 1u : 0u,
                 exit.rep ? 1u : 0u});
    HvIoPortIntercept p{};
    p.header = header(exit.length, exit.in ? kAccessRead : kAccessWrite);
    p.port = exit.port;
    p.access_info =
        static_cast<u8>(exit.size | (exit.string ? 1 << 3 : 0) | (exit.rep ? 1 << 4 : 0));
    set_instruction(p, exit);
    p.rax = guest(Reg::rax);
    p.ds = segment(exit.string && !exit.in ? exit.segment : Seg::ds);
    p.es = segment(Seg::es);
    p.rcx = guest(Reg::rcx);
    p.rsi = guest(Reg::rsi);
    p.rdi = guest(Reg::rdi);
    deliver_intercept(MessageType::io_port_intercept, p);
}

void Hypervisor::cpuid_intercept(const Exit& exit) {
    const u32 leaf = static_cast<u32>(guest(Reg::rax));
    const u32 subleaf = static_cast<u32>(guest(Reg::rcx));
    board_.emit(EventKind::exit_cpuid, Lane::guest, {leaf, subleaf});
    const sim::CpuidResult defaults = sim::cpuid(board_.cpu().state(), leaf, subleaf);
    HvCpuidIntercept p{};
    p.header = header(exit.length, kAccessExecute);
    p.rax = guest(Reg::rax);
    p.rcx = guest(Reg::rcx);
    p.rdx = guest(Reg::rdx);
    p.rbx = guest(Reg::rbx);
    p.default_rax = defaults.eax;
    p.default_rcx = defaults.ecx;
    p.default_rdx = defaults.edx;
    p.default_rbx = defaults.ebx;
    deliver_intercept(MessageType::cpuid_intercept, p);
}

void Hypervisor::msr_intercept(const Exit& exit) {
    const bool write = exit.kind == sim::ExitKind::wrmsr;
    board_.emit(EventKind::exit_msr, Lane::guest, {exit.msr, write ? 1u : 0u, exit.value});
    HvMsrIntercept p{};
    p.header = header(exit.length, write ? kAccessWrite : kAccessRead);
    p.msr = exit.msr;
    p.rdx = guest(Reg::rdx);
    p.rax = guest(Reg::rax);
    deliver_intercept(MessageType::msr_intercept, p);
}

void Hypervisor::hypercall_intercept(const Exit& exit) {
    const u64 rcx = guest(Reg::rcx);
    board_.emit(EventKind::exit_hypercall, Lane::guest, {rcx});
    // The control word's low half: RCX, or EAX of code that is not in long mode.
    const bool long_mode = (guest(Reg::efer) & sim::efer::lma) != 0;
    const u64 code = (long_mode ? rcx : guest(Reg::rax)) & 0xFFFF;
    // Not for user mode (TLFS: hypercall interface); and VTL0 is the lowest VTL.
    if (sim::cpl(board_.cpu().state()) != 0 || code == hv_call::kVtlReturn) {
        raise_exception(sim::Fault{.vector = sim::Vector::ud});
        return;
    }
    if (code == hv_call::kVtlCall) {
        board_.not_modelled("a VTL call");
        return;
    }
    HvHypercallIntercept p{};
    p.header = header(exit.length, kAccessExecute);
    p.rax = guest(Reg::rax);
    p.rbx = guest(Reg::rbx);
    p.rcx = rcx;
    p.rdx = guest(Reg::rdx);
    p.r8 = guest(Reg::r8);
    p.rsi = guest(Reg::rsi);
    p.rdi = guest(Reg::rdi);
    const sim::CpuState s = board_.cpu().state();
    put_xmm0_to_5(p, offsetof(HvHypercallIntercept, xmm0), s);
    deliver_intercept(MessageType::hypercall_intercept, p);
}

void Hypervisor::memory_intercept(const Exit& exit) {
    const u8 access = static_cast<u8>(exit.access);
    board_.emit(EventKind::exit_memory, Lane::guest, {exit.gpa, access, exit.size});
    HvMemoryIntercept p{};
    p.header = header(exit.length, access);
    // GVA valid; and that it is the one of the GPA, which it is not where a page table's entry is
    // what is outside of RAM.
    const sim::CpuState s = board_.cpu().state();
    bool own = true;
    if (s[Reg::identity_map] == 0) {
        const sim::Walk walk = sim::walk_tables(board_.machine, kVtl0, s, exit.gva);
        own = walk.end == sim::Walk::End::mapped && walk.physical == exit.gpa;
    }
    p.access_flags = own ? 3 : 1;
    p.gva = exit.gva;
    p.gpa = exit.gpa;
    if (exit.access != sim::Access::execute) {
        // What the processor has fetched: the instruction, and perhaps more.
        const auto bytes = board_.cpu().peek_code(board_.cpu().linear_ip(), 15);
        p.instruction_byte_count = static_cast<u8>(bytes.size());
        std::copy(bytes.begin(), bytes.end(), p.instruction_bytes.begin());
    }
    deliver_intercept(MessageType::unmapped_gpa, p);
}

void Hypervisor::on_guest_shutdown() {
    deliver_intercept(MessageType::unrecoverable_exception, header(0, kAccessExecute));
}

}  // namespace vtlsim::model
