// What the VMM does for each intercept: what it reads from the message and what from the context
// decides who is hurt by a stale context (hyperv-vtl.md 4).
#include "model/hyperv/names.hpp"
#include "model/vmm/vmm.hpp"

namespace vtlsim::model {

namespace {

constexpr u64 low_bits(unsigned bytes) { return bytes >= 8 ? ~u64{0} : (u64{1} << bytes * 8) - 1; }

constexpr u8 kStringOp = 1 << 3;
constexpr u8 kRepPrefix = 1 << 4;

// emulate_io for IN (4.3).
u64 merge_in(u64 rax, u32 data, unsigned size, EmulateIoWidth width) {
    const u64 mask = low_bits(size);
    if (width == EmulateIoWidth::openvmm || size == 4) {
        return (rax & 0xFFFFFFFF & ~mask) | data;
    }
    return (rax & ~mask) | data;
}

}  // namespace

void Vmm::handle_io_port_exit(const HvIoPortIntercept& message) {
    const VmmFix fix = board_.switches().vmm_fix;
    if (fix == VmmFix::V2 || fix == VmmFix::V1V2) {
        write_gp(offsetof(CpuContext, rax), message.rax);
    } else if (const u64 rax = context().rax; message.rax != rax) {
        board_.emit(EventKind::vmm_assert, Lane::vmm, {message.rax, rax});
        board_.finish(EndReason::vmm_panic);
        return;
    }
    if ((message.access_info & (kStringOp | kRepPrefix)) != 0) {
        emulate_string_io(message);
        return;
    }
    const u8 size = message.access_info & 7;
    const u64 rax = context().rax;
    constexpr u8 kWrite = 1;
    if (message.header.access == kWrite) {
        devices_.write(message.port, size, static_cast<u32>(rax & low_bits(size)));
    } else {
        const u32 data = devices_.read(message.port, size);
        write_gp(offsetof(CpuContext, rax),
                 merge_in(rax, data, size, board_.switches().emulate_io_width));
    }
}

// The emulator's string I/O: addresses and counts come from the context, RIP and flags from the
// message (4.4). The real one also fetches segments, CR0 and EFER by GET commands; the message
// holds the segments, and nothing else of them is used here.
void Vmm::emulate_string_io(const HvIoPortIntercept& message) {
    const sim::CpuState& vtl0 = hypervisor_.banks().saved(kVtl0);
    if (vtl0[sim::Reg::identity_map] == 0) {
        board_.not_modelled("string I/O of a guest with page tables");
        return;
    }
    const u8 size = message.access_info & 7;
    const bool rep = (message.access_info & kRepPrefix) != 0;
    constexpr u8 kWrite = 1;
    const bool out = message.header.access == kWrite;
    bool address32 = false;
    for (std::size_t i = 0; i < message.instruction_byte_count; ++i) {
        address32 = address32 || message.instruction_bytes[i] == 0x67;
    }
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
    constexpr u64 kMaxIterations = 1024;  // per exit; then the guest executes the rest again
    for (u64 i = 0; i < kMaxIterations && count != 0; ++i, --count) {
        const u64 address = base + (index & address_mask);
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
    if (count != 0) state_.next_rip = message.header.rip;
}

void Vmm::handle_cpuid(const HvCpuidIntercept& message) {
    u64 a = message.default_rax;
    u64 b = message.default_rbx;
    u64 c = message.default_rcx;
    u64 d = message.default_rdx;
    for (const CpuidAnswer& answer : board_.config.cpuid) {
        if (answer.leaf != (message.rax & 0xFFFFFFFF)) continue;
        a = answer.eax;
        b = answer.ebx;
        c = answer.ecx;
        d = answer.edx;
    }
    write_gp(offsetof(CpuContext, rax), a & 0xFFFFFFFF);
    write_gp(offsetof(CpuContext, rbx), b & 0xFFFFFFFF);
    write_gp(offsetof(CpuContext, rcx), c & 0xFFFFFFFF);
    write_gp(offsetof(CpuContext, rdx), d & 0xFFFFFFFF);
}

// An MSR that the VMM does not know reads as zero and ignores writes (4).
void Vmm::handle_msr(const HvMsrIntercept& message) {
    const MsrAnswer* known = nullptr;
    for (const MsrAnswer& answer : board_.config.msrs) {
        if (answer.msr == message.msr) known = &answer;
    }
    constexpr u8 kWrite = 1;
    const bool write = message.header.access == kWrite;
    const u64 value = write              ? message.rdx << 32 | (message.rax & 0xFFFFFFFF)
                      : known != nullptr ? known->value
                                         : 0;
    board_.emit(EventKind::vmm_msr, Lane::vmm,
                {message.msr, write ? 1u : 0u, value, known != nullptr ? 1u : 0u});
    if (write) return;
    write_gp(offsetof(CpuContext, rax), value & 0xFFFFFFFF);
    write_gp(offsetof(CpuContext, rdx), value >> 32);
}

// The handler takes its input from the context, not from the message's copies (4).
void Vmm::handle_hypercall(const HvHypercallIntercept& message) {
    const u64 control = context().rcx;
    const u64 code = control & 0xFFFF;
    u64 status = hv_status::kInvalidHypercallCode;
    for (const HypercallAnswer& answer : board_.config.hypercalls) {
        if (answer.code == code) status = answer.status;
    }
    board_.emit(EventKind::vmm_hypercall, Lane::vmm, {control, code, status});
    write_gp(offsetof(CpuContext, rax), status);
    state_.next_rip = message.header.rip + 3;  // VMCALL
}

}  // namespace vtlsim::model
