#include "runner/conform_kvm/real_vm.hpp"

#if defined(__linux__) && defined(__x86_64__)

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "runner/conform_kvm/convert.hpp"

namespace vtlsim::runner::conform_kvm {
namespace {

using model::kvm::ActionKind;
using model::kvm::ExitReason;
using model::kvm::Return;
using model::kvm::RunExit;
using model::kvm::VcpuEvents;
using sim::CpuState;
using sim::Reg;

// Where KVM may put what VMX needs for real mode: below 4 GiB, away from RAM and the reset vector.
constexpr u64 kTssPages = 0xFFFBD000, kIdentityMap = 0xFFFBC000;
constexpr u32 kUnknownMsrs = KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL;
constexpr u64 kSynced = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
constexpr u32 kReadAhead = 1024;   // bytes of INS's buffer, x86_emulate_ctxt.io_read
constexpr int kSettleRuns = 1100;  // a REP has 1024 iterations at most before it returns

bool same(const sim::RamRange& a, const sim::RamRange& b) {
    return a.first == b.first && a.last == b.last;
}

Return result_of(int returned, int error) {
    if (returned >= 0) return Return::ok;
    switch (error) {
        case EINTR:
            return Return::eintr;
        case EAGAIN:
            return Return::eagain;
        case EINVAL:
            return Return::einval;
        default:
            return Return::other;
    }
}

bool uses_mp_state(const model::kvm::Script& script) {
    const auto uses = [](const model::kvm::Action& a) {
        return a.kind == ActionKind::init_sipi || (a.kind == ActionKind::mp_state && a.value != 0);
    };
    return std::any_of(script.start.begin(), script.start.end(), uses) ||
           std::any_of(script.rules.begin(), script.rules.end(), [&](const auto& rule) {
               return std::any_of(rule.then.begin(), rule.then.end(), uses);
           });
}

}  // namespace

bool operator==(const MachineKind& a, const MachineKind& b) {
    return a.userspace_msr == b.userspace_msr && a.irqchip == b.irqchip &&
           a.in_kernel_ports == b.in_kernel_ports &&
           std::equal(a.ram.begin(), a.ram.end(), b.ram.begin(), b.ram.end(), same);
}

MachineKind kind_of(const model::kvm::Guest& guest, const model::kvm::Script& script) {
    MachineKind kind;
    kind.ram = ram_of(guest);
    kind.userspace_msr = script.userspace_msr;
    kind.irqchip = uses_mp_state(script);
    for (const auto& device : script.devices) {
        if (device.in_kernel && !device.mmio) {
            kind.in_kernel_ports.push_back(static_cast<u16>(device.address));
        }
    }
    return kind;
}

template <typename T>
int RealVm::call(const Fd& fd, unsigned long request, const char* name, T argument) {
    if (!problem_.empty()) return -1;
    const int returned = ioctl(fd.get(), request, argument);
    if (returned < 0) fail(name);
    return returned;
}

void RealVm::fail(const char* what) {
    if (problem_.empty()) problem_ = fmt::format("{}: {}", what, std::strerror(errno));
}

RealVm::RealVm(int kvm, MachineKind kind) : kind_(std::move(kind)), kvm_(kvm) {
    vm_ = Fd(ioctl(kvm, KVM_CREATE_VM, 0));
    if (!vm_.good()) {
        fail("KVM_CREATE_VM");
        return;
    }
    // Only VMX needs these two; elsewhere they may be refused.
    u64 identity_map = kIdentityMap;
    (void)ioctl(vm_.get(), KVM_SET_TSS_ADDR, kTssPages);
    (void)ioctl(vm_.get(), KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
    if (kind_.irqchip) call(vm_, KVM_CREATE_IRQCHIP, "KVM_CREATE_IRQCHIP", 0);
    if (kind_.userspace_msr) {
        kvm_enable_cap cap{};
        cap.cap = KVM_CAP_X86_USER_SPACE_MSR;
        cap.args[0] = kUnknownMsrs;
        call(vm_, KVM_ENABLE_CAP, "KVM_CAP_X86_USER_SPACE_MSR", &cap);
    }
    for (u16 port : kind_.in_kernel_ports) {
        // Nobody reads the eventfd; KVM ends the OUT by itself. Length 0: any.
        kvm_ioeventfd device{};
        device.addr = port;
        device.flags = KVM_IOEVENTFD_FLAG_PIO;
        device.fd = new_eventfd();
        call(vm_, KVM_IOEVENTFD, "KVM_IOEVENTFD", &device);
        close(device.fd);
    }
    for (std::size_t i = 0; i < kind_.ram.size(); ++i) {
        const std::size_t size = kind_.ram[i].last - kind_.ram[i].first + 1;
        ram_.emplace_back(size, -1);
        if (!ram_.back().good()) {
            fail("memory of the guest");
            return;
        }
        kvm_userspace_memory_region region{};
        region.slot = static_cast<u32>(i);
        region.guest_phys_addr = kind_.ram[i].first;
        region.memory_size = size;
        region.userspace_addr = reinterpret_cast<u64>(ram_.back().data());
        call(vm_, KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);
    }
    // The AP of a machine whose interrupt controller is in the kernel: the BSP takes no SIPI.
    if (kind_.irqchip) next_vcpu_ = 1;
    make_vcpu();
}

void RealVm::make_vcpu() {
    const int size = ioctl(kvm_, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < 0) return fail("KVM_GET_VCPU_MMAP_SIZE");
    vcpu_ = Fd(ioctl(vm_.get(), KVM_CREATE_VCPU, next_vcpu_++));
    if (!vcpu_.good()) return fail("KVM_CREATE_VCPU");
    run_size_ = static_cast<std::size_t>(size);
    run_page_ = Mapping(run_size_, vcpu_.get());
    if (!run_page_.good()) return fail("kvm_run");
    run_ = reinterpret_cast<kvm_run*>(run_page_.data());
    run_->kvm_valid_regs = kSynced;
    static CpuidTable cpuid;
    cpuid.count = static_cast<u32>(cpuid.entries.size());
    if (ioctl(kvm_, cpuid_request(KVM_GET_SUPPORTED_CPUID), &cpuid) < 0) {
        return fail("KVM_GET_SUPPORTED_CPUID");
    }
    call(vcpu_, cpuid_request(KVM_SET_CPUID2), "KVM_SET_CPUID2", &cpuid);
    call(vcpu_, KVM_GET_SREGS, "KVM_GET_SREGS", &tables_);
}

u8* RealVm::at(u64 physical, std::size_t size) {
    for (std::size_t i = 0; i < kind_.ram.size(); ++i) {
        const sim::RamRange& range = kind_.ram[i];
        if (physical < range.first || physical > range.last) continue;
        if (size - 1 > range.last - physical) return nullptr;
        return ram_[i].data() + (physical - range.first);
    }
    return nullptr;
}

void RealVm::read_memory(u64 physical, std::span<u8> out) {
    if (out.empty()) return;
    const u8* from = at(physical, out.size());
    if (from != nullptr) std::memcpy(out.data(), from, out.size());
}

void RealVm::write_memory(u64 physical, std::span<const u8> bytes) {
    if (bytes.empty()) return;
    u8* to = at(physical, bytes.size());
    if (to != nullptr) std::memcpy(to, bytes.data(), bytes.size());
}

void RealVm::load_memory(const model::kvm::Guest& guest) {
    for (const Mapping& part : ram_) std::fill(part.bytes().begin(), part.bytes().end(), u8{0});
    for (const model::MemoryImage& image : initial_memory(guest)) {
        write_memory(image.address, image.bytes);
    }
}

bool RealVm::start(const model::kvm::Guest& guest, bool observe_events) {
    if (!problem_.empty()) return true;
    // A new AP waits for its INIT, and is never used again.
    if (!kind_.irqchip && !settle()) return false;
    observe_events_ = observe_events;
    reusable_ = !kind_.irqchip;  // an APIC's state, and a HLT that does not exit
    exhausted_ = false;
    immediate_exit_ = false;
    load_memory(guest);
    const CpuState state = initial_state(guest);
    set_sregs(state);
    set_regs(state);
    set_debug_registers(state);
    VcpuEvents events;
    events.shadow = static_cast<u8>(state[Reg::shadow]);
    set_events(events);
    if (kind_.irqchip) set_mp_state(KVM_MP_STATE_RUNNABLE);
    std::memset(run_page_.data() + offsetof(kvm_run, io), 0, sizeof(run_->padding));
    run_->exit_reason = KVM_EXIT_UNKNOWN;
    run_->request_interrupt_window = 0;
    run_->kvm_dirty_regs = 0;
    run_->immediate_exit = 0;
    return true;
}

// Ends what the last case has left undone: a completion lives in the kernel until the next KVM_RUN,
// and one of MMIO may lead to the next exit; data of a read that nobody took until the next read,
// what INS has read ahead until the next one, a halt request until the next HLT
// (docs/conform-kvm.md).
bool RealVm::settle() {
    set_guest_debug({});
    run_->request_interrupt_window = 0;
    run_->kvm_dirty_regs = 0;
    run_->immediate_exit = 1;
    int runs = 0;
    while (ioctl(vcpu_.get(), KVM_RUN, 0) >= 0) {
        if (++runs == kSettleRuns) return false;
    }
    set_events({});
    // MOV AL, [4]; REP INSB; HLT: a read that takes what is left over of another one; zeros for the
    // whole buffer that INS reads ahead into; the HLT. In real mode, which every machine has.
    constexpr std::array<u8, 6> kCode{0xA0, 0x04, 0x00, 0xF3, 0x6C, 0xF4};
    CpuState state = initial_state(model::kvm::Guest{});
    state[Reg::rip] = 0;
    state[Reg::rcx] = kReadAhead;
    state[Reg::rdi] = sim::kPageSize;
    set_sregs(state);
    set_regs(state);
    write_memory(0, kCode);
    run_->immediate_exit = 0;
    // The first HLT that is reported may be the one that was due, behind another instruction.
    constexpr int kExits = 3;
    for (int i = 0; i < kExits && ioctl(vcpu_.get(), KVM_RUN, 0) >= 0; ++i) {
        if (run_->exit_reason == KVM_EXIT_IO) {
            std::memset(run_page_.data() + run_->io.data_offset, 0, kReadAhead);
        }
        if (run_->s.regs.regs.rip == kCode.size()) return run_->exit_reason == KVM_EXIT_HLT;
    }
    return false;
}

RunExit RealVm::run() {
    RunExit out;
    if (!problem_.empty()) return out;
    if (!*expired_) run_->immediate_exit = immediate_exit_;
    // The timer may have come between the two: its signal makes KVM_RUN return all the same.
    int returned = ioctl(vcpu_.get(), KVM_RUN, 0);
    const int error = errno;
    run_->kvm_dirty_regs = 0;  // KVM leaves it on EINVAL
    if (returned < 0 && error == EINTR && *expired_) {
        reusable_ = false;
        // With the interrupt controller in the kernel a HLT is a wait.
        kvm_mp_state state{};
        if (kind_.irqchip && call(vcpu_, KVM_GET_MP_STATE, "KVM_GET_MP_STATE", &state) == 0 &&
            state.mp_state == KVM_MP_STATE_HALTED) {
            run_->exit_reason = KVM_EXIT_HLT;
            returned = 0;
        } else {
            exhausted_ = true;
        }
    }
    out = exit_of(*run_, result_of(returned, error), {run_page_.data(), run_size_});
    switch (out.reason) {
        case ExitReason::io:
        case ExitReason::mmio:
        case ExitReason::debug:
        case ExitReason::hlt:
        case ExitReason::irq_window_open:
            break;
        default:
            reusable_ = false;
    }
    return out;
}

void RealVm::get_regs(CpuState& state) {
    kvm_regs regs{};
    call(vcpu_, KVM_GET_REGS, "KVM_GET_REGS", &regs);
    from_kvm(regs, state);
}

void RealVm::set_regs(const CpuState& state) {
    kvm_regs regs{};
    to_kvm(state, regs);
    call(vcpu_, KVM_SET_REGS, "KVM_SET_REGS", &regs);
}

void RealVm::get_sregs(CpuState& state) {
    kvm_sregs sregs{};
    call(vcpu_, KVM_GET_SREGS, "KVM_GET_SREGS", &sregs);
    from_kvm(sregs, state);
}

void RealVm::set_sregs(const CpuState& state) {
    kvm_sregs sregs = tables_;  // for its APIC base
    to_kvm(state, sregs);
    call(vcpu_, KVM_SET_SREGS, "KVM_SET_SREGS", &sregs);
}

void RealVm::get_debug_registers(CpuState& state) {
    kvm_debugregs debug{};
    call(vcpu_, KVM_GET_DEBUGREGS, "KVM_GET_DEBUGREGS", &debug);
    from_kvm(debug, state);
}

void RealVm::set_debug_registers(const CpuState& state) {
    kvm_debugregs debug{};
    to_kvm(state, debug);
    call(vcpu_, KVM_SET_DEBUGREGS, "KVM_SET_DEBUGREGS", &debug);
}

VcpuEvents RealVm::get_events() {
    kvm_vcpu_events events{};
    call(vcpu_, KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", &events);
    return from_kvm(events);
}

void RealVm::set_events(const VcpuEvents& events) {
    kvm_vcpu_events out = to_kvm(events);
    call(vcpu_, KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS", &out);
}

u32 RealVm::get_mp_state() {
    kvm_mp_state state{};
    call(vcpu_, KVM_GET_MP_STATE, "KVM_GET_MP_STATE", &state);
    return state.mp_state;
}

void RealVm::set_mp_state(u32 state) {
    kvm_mp_state out{state};
    call(vcpu_, KVM_SET_MP_STATE, "KVM_SET_MP_STATE", &out);
}

void RealVm::sync_regs(const CpuState& state, bool sregs, bool known) {
    to_kvm(state, run_->s.regs.regs);
    run_->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    if (sregs) {
        run_->s.regs.sregs = tables_;  // for its APIC base
        to_kvm(state, run_->s.regs.sregs);
        run_->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
    }
    if (!known) run_->kvm_dirty_regs |= u64{1} << 63;
}

void RealVm::set_guest_debug(const model::kvm::GuestDebug& debug) {
    kvm_guest_debug out{};
    const auto add = [&](bool wanted, u32 flag) { out.control |= wanted ? flag : 0; };
    add(debug.single_step, KVM_GUESTDBG_SINGLESTEP);
    add(debug.use_hw_bp, KVM_GUESTDBG_USE_HW_BP);
    add(debug.use_sw_bp, KVM_GUESTDBG_USE_SW_BP);
    add(debug.block_irq, KVM_GUESTDBG_BLOCKIRQ);
    add(out.control != 0, KVM_GUESTDBG_ENABLE);
    std::copy(debug.address.begin(), debug.address.end(), out.arch.debugreg);
    out.arch.debugreg[7] = debug.dr7;
    call(vcpu_, KVM_SET_GUEST_DEBUG, "KVM_SET_GUEST_DEBUG", &out);
}

void RealVm::interrupt(u8 vector) {
    kvm_interrupt out{vector};
    call(vcpu_, KVM_INTERRUPT, "KVM_INTERRUPT", &out);
}

void RealVm::nmi() { call(vcpu_, KVM_NMI, "KVM_NMI", 0); }

void RealVm::set_immediate_exit(bool on) { immediate_exit_ = on; }
void RealVm::request_interrupt_window(bool on) { run_->request_interrupt_window = on; }

// Where the data of a read belong; a write's are left alone.
std::span<u8> RealVm::payload() {
    switch (run_->exit_reason) {
        case KVM_EXIT_IO:
            if (run_->io.direction != KVM_EXIT_IO_IN) return {};
            return {run_page_.data() + run_->io.data_offset,
                    std::min<std::size_t>(std::size_t{run_->io.size} * run_->io.count,
                                          run_size_ - run_->io.data_offset)};
        case KVM_EXIT_MMIO:
            if (run_->mmio.is_write != 0) return {};
            return run_->mmio.data;
        case KVM_EXIT_X86_RDMSR:
            return {reinterpret_cast<u8*>(&run_->msr.data), sizeof(run_->msr.data)};
        default:
            return {};
    }
}

void RealVm::set_read_data(std::span<const u8> data) {
    const std::span<u8> to = payload();
    if (to.empty() || data.empty()) return;
    std::memcpy(to.data(), data.data(), std::min(to.size(), data.size()));
}

void RealVm::set_msr_error(bool error) { run_->msr.error = error; }

void RealVm::replace_vcpu() {
    make_vcpu();
    immediate_exit_ = false;  // it is in the kvm_run of the vCPU that is gone
    reusable_ = false;
}

void RealVm::observe(model::kvm::Observation& observation) {
    CpuState& state = observation.registers;
    if (observation.exit.result == Return::einval) {  // nothing was synced
        get_regs(state);
        get_sregs(state);
    } else {
        from_kvm(run_->s.regs.regs, state);
        from_kvm(run_->s.regs.sregs, state);
    }
    get_debug_registers(state);
    // Asking makes a LAPIC in the kernel act on a pending INIT. Without one the state never
    // changes.
    observation.mp_state = KVM_MP_STATE_RUNNABLE;
    if (observe_events_) observation.events = get_events();
}

}  // namespace vtlsim::runner::conform_kvm

#endif
