// The VMM's instruction emulator: string I/O, and accesses to memory that is not RAM
// (hyperv-vtl.md 4). What it writes of RIP, RFLAGS and RSP goes back by one SET.
#include <algorithm>

#include "model/hyperv/names.hpp"
#include "model/vmm/vmm.hpp"
#include "sim/decode/memory_operands.hpp"

namespace vtlsim::model {

using sim::Reg;

namespace {

constexpr u8 kRepPrefix = 1 << 4;  // of access_info

constexpr std::size_t xmm_offset(unsigned i) {
    return offsetof(CpuContext, fx) + offsetof(Fxsave, xmm0) + i * sizeof(Vec128);
}

bool is_write(const HvIoPortIntercept& message) {
    constexpr u8 kWrite = 1;
    return message.header.access == kWrite;
}

bool has_address32(const HvIoPortIntercept& message) {
    const auto* bytes = message.instruction_bytes.data();
    return std::find(bytes, bytes + message.instruction_byte_count, 0x67) !=
           bytes + message.instruction_byte_count;
}

}  // namespace

// An intercept in the middle of an event's delivery: the emulator refuses, and the VP with it
// (4.5).
bool Vmm::emulation_fails(const HvInterceptHeader& header) {
    constexpr u16 kInterruptionPending = 1 << 6;
    if ((header.execution_state & kInterruptionPending) == 0) return false;
    board_.emit(EventKind::vmm_error, Lane::vmm,
                {board_.log.add_text("emulation failed: an interruption is pending")});
    conclude(EndReason::vmm_error);
    return true;
}

// The guest's own page fault: its kernel maps the page, and the instruction comes again.
void Vmm::page_fault(const HvIoPortIntercept& message, u32 translation) {
    constexpr u32 kPresent = 1, kWrite = 2, kUser = 4, kReserved = 8;
    u32 error = is_write(message) ? 0 : kWrite;  // INS writes memory
    if (translation != hv_translate::kPageNotPresent) error |= kPresent;
    if (translation == hv_translate::kInvalidPageTableFlags) error |= kReserved;
    if ((message.header.execution_state & 3) == 3) error |= kUser;
    inject(
        pending_event::exception(static_cast<u8>(sim::Vector::pf), error, string_address(message)));
}

// The register page has them; without one, and on the sidecar always, a GET command brings them
// (3.4, 4.7). Of these the model uses RSP; segments are the message's.
void Vmm::begin_emulation(const HvInterceptHeader& header) {
    if (emulation_fails(header)) return;
    const u64 page = board_.page(layout::kRegisterPage);
    if (sidecar() || board_.read<u8>(page + offsetof(HvRegisterPage, is_valid)) == 0) {
        state_.sync = Sync::cache;
        return;
    }
    state_.next_rsp = board_.read<u64>(page + offsetof(HvRegisterPage, rsp));
    emulate();
}

void Vmm::emulate() {
    state_.sync = Sync::set_rip;
    state_.phase = Phase::request;
    const auto message = board_.read<HvMessage>(message_address());
    const u64 payload = message_address() + kMessagePayload;
    if (message.type == static_cast<u32>(MessageType::io_port_intercept)) {
        begin_string_io(board_.read<HvIoPortIntercept>(payload));
    } else {
        emulate_mmio(board_.read<HvMemoryIntercept>(payload));
    }
}

void Vmm::begin_string_io(const HvIoPortIntercept& message) {
    const bool paging = hypervisor_.banks().saved(kVtl0)[sim::Reg::identity_map] == 0;
    if (paging) {
        state_.sync = Sync::translate;  // finish_translation() goes on
    } else {
        emulate_string_io(message, std::nullopt);
    }
}

// The linear address of the first element.
u64 Vmm::string_address(const HvIoPortIntercept& message) {
    const CpuContext c = context();
    const u64 address_mask = has_address32(message) ? 0xFFFFFFFF : ~u64{0};
    return is_write(message) ? message.ds.base + (c.rsi & address_mask) : c.rdi & address_mask;
}

// String I/O: addresses and counts come from the context, RIP and flags from the message (4.4). The
// real one also fetches segments, CR0 and EFER by GET commands; the message holds the segments, and
// nothing else of them is used here. Under paging an exit does the elements of one page; the guest
// executes the instruction again for the rest.
void Vmm::emulate_string_io(const HvIoPortIntercept& message, std::optional<u64> mapped) {
    board_.touch(Object::devices, 0, true);  // in whichever step that is
    board_.touch(Object::guest_ram, 0, true);
    const u8 size = message.access_info & 7;
    const bool rep = (message.access_info & kRepPrefix) != 0;
    const bool out = is_write(message);
    const bool address32 = has_address32(message);
    const u64 address_mask = address32 ? 0xFFFFFFFF : ~u64{0};
    const auto with_low = [&](u64 old, u64 value) {
        // 32-bit address size: the registers are ESI, EDI, ECX, and writing them clears the rest.
        return address32 ? value & address_mask : (old & ~address_mask) | value;
    };

    const CpuContext before = context();
    u64 index = out ? before.rsi : before.rdi;
    u64 count = rep ? before.rcx & address_mask : 1;
    const u64 step = (message.header.rflags & sim::flag::df) != 0 ? u64{0} - size : size;
    const u64 base = out ? message.ds.base : 0;
    const u64 first_page = (base + (index & address_mask)) & ~(sim::kPageSize - 1);
    constexpr u64 kMaxIterations = 1024;  // per exit; then the guest executes the rest again
    for (u64 i = 0; i < kMaxIterations && count != 0; ++i, --count) {
        u64 address = base + (index & address_mask);
        if (mapped) {
            const u64 in_page = address % sim::kPageSize;
            if (in_page + size > sim::kPageSize) {
                board_.not_modelled("an element of string I/O that crosses a page");
                return;
            }
            if (address - in_page != first_page) break;
            address = *mapped + in_page;
        }
        if (!board_.machine.is_ram(kVtl0, address, size)) {
            board_.not_modelled("string I/O on memory that is not the guest's");
            return;
        }
        u32 data = 0;
        if (out) {
            board_.machine.read(address, {reinterpret_cast<u8*>(&data), size});
            devices_.write(message.port, size, data);
        } else {
            data = devices_.read(message.port, size);
            if (!board_.machine.write(address, {reinterpret_cast<const u8*>(&data), size})) {
                board_.finish(EndReason::memory_limit);
                return;
            }
        }
        index = with_low(index, (index + step) & address_mask);
    }
    write_gp(out ? offsetof(CpuContext, rsi) : offsetof(CpuContext, rdi), index);
    if (rep) write_gp(offsetof(CpuContext, rcx), with_low(before.rcx, count));
    state_.emulated = true;
    state_.next_rflags = message.header.rflags;
    if (count != 0) state_.next_rip = message.header.rip;
}

// Any instruction, executed by a processor of its own that has the context's registers and no
// memory but the instruction's and the page that it accesses, which reads as all ones and drops
// writes, as OpenVMM's chipset does where no device is.
void Vmm::emulate_mmio(const HvMemoryIntercept& message) {
    const sim::CpuState& vtl0 = hypervisor_.banks().saved(kVtl0);
    const auto page_of = [](u64 address) { return address & ~(sim::kPageSize - 1); };
    // The processor below has no tables: what it calls physical is the guest's linear address.
    const u64 data = page_of(message.gva);
    const u64 code = page_of(message.header.rip);
    const u64 code_end =
        page_of(message.header.rip + message.instruction_byte_count) + sim::kPageSize;
    const bool vtl2 = message.gpa >= layout::kVtl2Base &&
                      message.gpa < layout::vtl2_end(board_.config.vp_count());
    const bool has_gva = (message.access_flags & 1) != 0;
    if (vtl2 || !has_gva || message.instruction_byte_count == 0 ||
        (data >= code && data < code_end)) {
        board_.not_modelled(vtl2 ? "the guest touches VTL2's memory"
                                 : "an MMIO access of this kind");
        return;
    }
    sim::Machine machine;
    sim::Cpu& cpu = machine.add_cpu();
    const Bytes<sim::kPageSize> ones = [] {
        Bytes<sim::kPageSize> page;
        page.fill(0xFF);
        return page;
    }();
    const std::span insn(message.instruction_bytes.data(), message.instruction_byte_count);
    if (!machine.write(data, ones) || !machine.write(message.header.rip, insn)) return;
    std::vector<sim::RamRange> ram{{code, code_end - 1}, {data, data + sim::kPageSize - 1}};
    if (data < code) std::swap(ram[0], ram[1]);
    machine.set_ram(0, ram);

    // The registers that the emulator takes from the context, by its field names.
    const CpuContext was = context();
    sim::CpuState s = vtl0;
    const auto each_gp = [](auto&& act) {
        for (const WireField& field : WireTraits<CpuContext>::fields()) {
            const sim::RegInfo* reg = sim::find_register(field.name);
            if (reg != nullptr && reg->reg != Reg::cr2) act(reg->reg, field.offset);
        }
    };
    each_gp([&](Reg reg, std::size_t offset) {
        std::memcpy(&s[reg], reinterpret_cast<const u8*>(&was) + offset, sizeof(u64));
    });
    for (unsigned i = 0; i < 16; ++i) {
        Vec128 value;
        std::memcpy(&value, reinterpret_cast<const u8*>(&was) + xmm_offset(i), sizeof(value));
        s.set(sim::offset(Reg::xmm0, i), value);
    }
    s[Reg::mxcsr] = was.fx.mxcsr;
    // What takes or gives an x87 or MMX register leaves a trace in one of these.
    constexpr Reg kX87[] = {Reg::fcw, Reg::fsw, Reg::ftw, Reg::fip};
    s[Reg::fcw] = was.fx.fcw;
    s[Reg::fsw] = was.fx.fsw;
    s[Reg::ftw] = s[Reg::fip] = 0;
    s[Reg::rip] = message.header.rip;
    s[Reg::rflags] = message.header.rflags;
    s[Reg::activity] = 0;
    s[Reg::identity_map] = 1;
    cpu.set_state(s);
    cpu.set_deliver_faults(false);
    sim::InsnMemoryDecoder decoder;
    const sim::InsnMemory accesses = decoder.look(s, insn);
    if (!std::holds_alternative<sim::StepsDone>(cpu.run({.steps = 1}))) {
        board_.not_modelled("an MMIO access by an instruction that needs more than that page");
        return;
    }
    for (std::size_t i = 0; i < accesses.count; ++i) {
        const sim::MemoryOperand& operand = accesses.operands[i];
        if (operand.size > sizeof(Vec128)) {
            board_.not_modelled("an MMIO access of more than 16 bytes");
            return;
        }
        u64 value = 0;
        const std::size_t size = std::min<std::size_t>(operand.size, sizeof(value));
        machine.read(operand.address, {reinterpret_cast<u8*>(&value), size});
        const auto access = operand.write ? sim::Access::write : sim::Access::read;
        const u64 gpa = page_of(message.gpa) + operand.address % sim::kPageSize;
        board_.emit(EventKind::mmio, Lane::device,
                    {gpa, static_cast<u64>(access), operand.size, value});
    }
    const sim::CpuState is = cpu.state();
    if (std::any_of(std::begin(kX87), std::end(kX87), [&](Reg reg) { return is[reg] != s[reg]; })) {
        board_.not_modelled("an MMIO access by an x87 or MMX instruction");
        return;
    }
    if (is[Reg::mxcsr] != s[Reg::mxcsr]) {
        board_.not_modelled("an MMIO access that raises flags of MXCSR");
        return;
    }
    if (is[Reg::rsp] != s[Reg::rsp]) {
        board_.not_modelled("an MMIO access by a stack instruction");
        return;
    }
    each_gp([&](Reg reg, std::size_t offset) {
        if (is[reg] != s[reg]) write_gp(offset, is[reg]);
    });
    for (unsigned i = 0; i < 16; ++i) {
        const Vec128 value = is.vec(sim::offset(Reg::xmm0, i));
        if (value == s.vec(sim::offset(Reg::xmm0, i))) continue;
        write_wire(context_address() + xmm_offset(i), value);
    }
    state_.next_rip = is[Reg::rip];
    state_.next_rflags = is[Reg::rflags];
    state_.emulated = true;
}

}  // namespace vtlsim::model
