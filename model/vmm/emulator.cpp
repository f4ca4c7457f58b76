// The VMM's instruction emulator: string I/O, and accesses to memory that is not RAM (hyperv-vtl.md
// 4; openvmm: vmm_core/virt_support_x86emu, vm/x86/x86emu). Registers come from the context and go
// back to it; RIP, RFLAGS and RSP go back by one SET.
#include <algorithm>

#include <fmt/format.h>

#include "model/hyperv/names.hpp"
#include "model/vmm/vmm.hpp"
#include "model/vmm/x86emu.hpp"

namespace vtlsim::model {

using sim::Reg;

namespace {

constexpr std::size_t xmm_offset(unsigned i) {
    return offsetof(CpuContext, fx) + offsetof(Fxsave, xmm0) + i * sizeof(Vec128);
}

bool is_io(const HvMessage& message) {
    return message.type == static_cast<u32>(MessageType::io_port_intercept);
}

// The GPRs of the context, by its field names; RSP is not among them.
template <class Act>
void each_context_gp(Act act) {
    for (const WireField& field : WireTraits<CpuContext>::fields()) {
        const sim::RegInfo* reg = sim::find_register(field.name);
        if (reg != nullptr && reg->reg != Reg::cr2) act(reg->reg, field.offset);
    }
}

}  // namespace

// An intercept in the middle of an event's delivery: the emulator refuses, and the VP with it
// (4.5).
bool Vmm::emulation_fails(const HvInterceptHeader& header) {
    constexpr u16 kInterruptionPending = 1 << 6;
    if ((header.execution_state & kInterruptionPending) == 0) return false;
    emulation_fault("an interruption is pending");
    return true;
}

void Vmm::emulation_fault(const std::string& why) {
    board_.emit(EventKind::vmm_error, Lane::vmm, {board_.log.add_text("emulation failed: " + why)});
    conclude(EndReason::vmm_error);
}

// What has been done of the instruction stays; RIP, RFLAGS and RSP go back first.
void Vmm::emulation_event(sim::Vector vector, std::optional<u32> error_code, u64 parameter) {
    state_.event = pending_event::exception(static_cast<u8>(vector), error_code, parameter);
    state_.emulation.event_follows = true;
    state_.sync = Sync::set_rip;
    state_.phase = Phase::request;
}

// The register page has them; without one, and on the sidecar always, a GET command brings them
// (3.4, 4.7). Of these the model uses RSP; segments, CR0 and EFER have not changed since the exit.
void Vmm::begin_emulation(const HvInterceptHeader& header) {
    if (emulation_fails(header)) return;
    state_.emulation = {};
    const auto message = board_.read<HvMessage>(message_address());
    if (!is_io(message)) {
        const auto memory = board_.read<HvMemoryIntercept>(message_address() + kMessagePayload);
        constexpr u8 kGvaGpaValid = 1 << 1;
        if ((memory.access_flags & kGvaGpaValid) != 0) {
            state_.emulation.gva_page = page_base(memory.gva);
            state_.emulation.gpa_page = page_base(memory.gpa);
            state_.emulation.known = static_cast<GvaMode>(memory.header.access + 1);
        }
    }
    const u64 page = board_.page(layout::kRegisterPage);
    if (sidecar() || board_.read<u8>(page + offsetof(HvRegisterPage, is_valid)) == 0) {
        state_.sync = Sync::cache;
        return;
    }
    state_.next_rsp = board_.read<u64>(page + offsetof(HvRegisterPage, rsp));
    emulate();
}

// The guest as the emulator sees it.
sim::CpuState Vmm::emulated_state(const HvInterceptHeader& header) {
    sim::CpuState s = hypervisor_.banks().saved(kVtl0);
    const CpuContext c = context();
    each_context_gp([&](Reg reg, std::size_t offset) {
        std::memcpy(&s[reg], reinterpret_cast<const u8*>(&c) + offset, sizeof(u64));
    });
    for (unsigned i = 0; i < 16; ++i) {
        Vec128 value;
        std::memcpy(&value, reinterpret_cast<const u8*>(&c) + xmm_offset(i), sizeof(value));
        s.set(sim::offset(Reg::xmm0, i), value);
    }
    s[Reg::mxcsr] = c.fx.mxcsr;
    s[Reg::rsp] = state_.next_rsp;
    s[Reg::rip] = header.rip;
    s[Reg::rflags] = header.rflags;
    return s;
}

void Vmm::commit_registers(const sim::CpuState& from, const sim::CpuState& to) {
    each_context_gp([&](Reg reg, std::size_t offset) {
        if (to[reg] != from[reg]) write_gp(offset, to[reg]);
    });
    for (unsigned i = 0; i < 16; ++i) {
        const Reg xmm = sim::offset(Reg::xmm0, i);
        if (to.vec(xmm) != from.vec(xmm))
            write_wire(context_address() + xmm_offset(i), to.vec(xmm));
    }
    if (to[Reg::rsp] == from[Reg::rsp]) return;
    state_.next_rsp = to[Reg::rsp];
    if (board_.switches().emulator_set_rsp == EmulatorSetRsp::pre3282) {
        write_gp(offsetof(CpuContext, cr2), to[Reg::rsp]);
    }
}

void Vmm::emulate() {
    state_.sync = Sync::set_rip;
    state_.phase = Phase::request;
    state_.emulated = true;
    board_.touch(Object::devices, 0, true);  // in whichever step that is
    board_.touch(Object::guest_ram, 0, true);
    const auto message = board_.read<HvMessage>(message_address());
    const u64 payload = message_address() + kMessagePayload;
    const auto header = board_.read<HvInterceptHeader>(payload);
    state_.next_rip = header.rip;
    state_.next_rflags = header.rflags;
    const sim::CpuState s = emulated_state(header);

    Bytes<16> code{};
    std::size_t size = 0;
    if (is_io(message)) {
        const auto io = board_.read<HvIoPortIntercept>(payload);
        code = io.instruction_bytes;
        size = io.instruction_byte_count;
    } else {
        const auto memory = board_.read<HvMemoryIntercept>(payload);
        code = memory.instruction_bytes;
        size = memory.instruction_byte_count;
    }
    if (size == 0) {
        if (!fetch(header.rip)) return;
        std::memcpy(code.data(), &state_.emulation.code, sizeof(state_.emulation.code));
        size = state_.emulation.code_size;
    }
    const std::span bytes(code.data(), std::min<std::size_t>(size, 15));
    const auto insn = sim::view_insn(s, bytes);
    if (!insn) {
        board_.not_modelled("an instruction whose end the emulator has not got");
        return;
    }
    switch (x86emu::verdict(*insn)) {
        case x86emu::Verdict::unsupported:
            emulation_event(sim::Vector::ud, std::nullopt);
            break;
        case x86emu::Verdict::not_for_it:
            emulation_fault(fmt::format("{} has no operand in memory or I/O", insn->mnemonic));
            break;
        case x86emu::Verdict::emulates:
            if (insn->string) {
                emulate_string(*insn, s);
            } else {
                emulate_operand(*insn, s, bytes.first(insn->length));
            }
            break;
    }
}

// The instruction is read where the message does not have it. Code that is not in RAM: #GP(0), and
// nothing goes back before it.
bool Vmm::fetch(u64 address) {
    Emulation& e = state_.emulation;
    if (e.code_size != 0) return true;
    const auto gpa = translate(address, GvaMode::execute);
    if (!gpa) return false;
    const auto ram = meets_ram(*gpa, 1);
    if (!ram) return false;
    if (!*ram) {
        inject(pending_event::exception(static_cast<u8>(sim::Vector::gp), 0, 0));
        return false;
    }
    e.code_size = static_cast<u8>(std::min(sizeof(e.code), sim::kPageSize - *gpa % sim::kPageSize));
    board_.machine.read(*gpa, {reinterpret_cast<u8*>(&e.code), e.code_size});
    return true;
}

void Vmm::emulate_operand(const sim::InsnView& insn, const sim::CpuState& s,
                          std::span<const u8> bytes) {
    const sim::InsnView::Memory& operand = *insn.memory;
    if (operand.size > sizeof(Vec128)) {
        board_.not_modelled("an emulated access of more than 16 bytes");
        return;
    }
    const auto gva = linear_address(s, operand.segment, operand.offset, operand.size);
    if (!gva) return;
    unsigned taken = 0;
    Vec128 value{};
    if (x86emu::reads(insn, s[Reg::rflags])) {
        const auto read = emulated_read(taken, *gva, operand.size);
        if (!read) return;
        value = *read;
    }
    const auto outcome = x86emu::execute(s, bytes, *gva, operand.size, value);
    if (const auto* fault = std::get_if<sim::Fault>(&outcome)) {
        const bool code = fault->has_error_code && fault->vector != sim::Vector::ac;
        emulation_event(fault->vector, code ? std::optional(fault->error_code) : std::nullopt);
        return;
    }
    const auto* done = std::get_if<x86emu::Executed>(&outcome);
    if (done == nullptr) {
        board_.not_modelled(fmt::format("{} in the emulator", insn.mnemonic));
        return;
    }
    const bool equal = (done->state[Reg::rflags] & sim::flag::zf) != 0;
    if (x86emu::writes(insn) && (equal || !x86emu::writes_if_equal(insn)) &&
        !emulated_write(*gva, operand.size, done->operand)) {
        return;
    }
    commit_registers(s, done->state);
    const u64 flags = x86emu::flags_written(insn);
    state_.next_rflags = (s[Reg::rflags] & ~flags) | (done->state[Reg::rflags] & flags);
    finish_emulation(done->state[Reg::rip]);
}

// RIP moves; under TF the emulator raises #DB, and takes TF away.
void Vmm::finish_emulation(u64 rip) {
    state_.next_rip = rip;
    if ((state_.next_rflags & sim::flag::tf) == 0) return;
    state_.next_rflags &= ~sim::flag::tf;
    emulation_event(sim::Vector::db, std::nullopt);
}

// At most 1024 elements at an exit; then the guest executes the instruction again for the rest
// (4.4).
void Vmm::emulate_string(const sim::InsnView& insn, const sim::CpuState& s) {
    constexpr u16 kMaxElements = 1024;
    Emulation& e = state_.emulation;
    const u8 size = insn.memory->size;
    const bool rep = insn.rep || insn.repne;
    const u64 mask = insn.address_size == 8 ? ~u64{0} : (u64{1} << insn.address_size * 8) - 1;
    const auto with_low = [&](u64 old, u64 value) {  // writing a 32-bit register clears the rest
        return insn.address_size == 2 ? (old & ~mask) | (value & mask) : value & mask;
    };
    const u64 step = (s[Reg::rflags] & sim::flag::df) != 0 ? u64{0} - size : u64{size};
    const auto is = [&](std::string_view name) { return insn.mnemonic.starts_with(name); };
    const bool compares = is("cmps") || is("scas");
    const bool from_si = is("movs") || is("lods") || is("cmps") || is("outs");
    const bool uses_di = is("movs") || is("stos") || is("cmps") || is("scas") || is("ins");

    sim::CpuState now = s;
    const u64 requested = rep ? s[Reg::rcx] & mask : 1;
    u64 left = requested;
    u64 flags = 0;
    bool found = false;
    const auto put_registers = [&] {
        if (from_si) write_gp(offsetof(CpuContext, rsi), now[Reg::rsi]);
        if (uses_di) write_gp(offsetof(CpuContext, rdi), now[Reg::rdi]);
        if (is("lods")) write_gp(offsetof(CpuContext, rax), now[Reg::rax]);
        if (rep) write_gp(offsetof(CpuContext, rcx), with_low(s[Reg::rcx], left));
    };
    // One element. False: the emulation waits or has ended.
    const auto element = [&] {
        unsigned taken = 0;
        const u64 si = now[Reg::rsi] & mask;
        const u64 di = now[Reg::rdi] & mask;
        const u64 port = now[Reg::rdx] & 0xFFFF;
        u64 value = now[Reg::rax] & low_bits(size);
        if (from_si) {
            const auto at = linear_address(s, insn.memory->segment, si, size);
            const auto read = at ? emulated_read(taken, *at, size) : std::nullopt;
            if (!read) return false;
            value = read->lo;
        }
        if (is("ins")) {
            const auto in = emulated_in(taken, static_cast<u16>(port), size);
            if (!in) return false;
            value = *in;
        }
        if (uses_di) {
            const auto at = linear_address(s, sim::Seg::es, di, size);
            if (!at) return false;
            if (compares) {
                const auto read = emulated_read(taken, *at, size);
                if (!read) return false;
                flags = x86emu::compare_flags(value, read->lo, size);
                found = (value == read->lo) == insn.repne;
            } else if (!emulated_write(*at, size, {value, 0})) {
                return false;
            }
        }
        if (is("outs")) {
            if (!may_access_port()) return false;
            devices_.write(static_cast<u16>(port), size, static_cast<u32>(value));
        }
        if (is("lods")) {
            const u64 rest = size == 4 ? 0 : now[Reg::rax] & ~low_bits(size);
            now[Reg::rax] = rest | value;
        }
        if (from_si) now[Reg::rsi] = with_low(now[Reg::rsi], si + step);
        if (uses_di) now[Reg::rdi] = with_low(now[Reg::rdi], di + step);
        return true;
    };
    while (left != 0 && e.elements < kMaxElements && !(rep && compares && found)) {
        if (!element()) {
            if (left != requested) put_registers();
            return;
        }
        e.reads = 0;
        ++e.elements;
        --left;
    }
    put_registers();
    if (left != 0 && !(rep && compares && found)) return;  // RIP stays
    if (compares && requested != 0) {
        state_.next_rflags = (state_.next_rflags & ~sim::flag::kStatus) | flags;
    }
    finish_emulation(s[Reg::rip] + insn.length);
}

}  // namespace vtlsim::model
