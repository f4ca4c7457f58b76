#include "tests/kvm/kvm_peer.hpp"

#include <cstring>

#include <fmt/format.h>

#if defined(__linux__) && defined(__x86_64__)

#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace vtlsim::tests {
namespace {

using sim::CpuState;
using sim::Reg;
using sim::Seg;

kvm_segment segment(const CpuState& s, Reg selector) {
    const u64 attr = s[sim::offset(selector, 3)];
    kvm_segment out{};
    out.selector = static_cast<u16>(s[selector]);
    out.base = s[sim::offset(selector, 1)];
    out.limit = static_cast<u32>(s[sim::offset(selector, 2)]);
    out.type = attr & 15;
    out.s = attr >> 4 & 1;
    out.dpl = attr >> 5 & 3;
    out.present = attr >> 7 & 1;
    out.l = attr >> 13 & 1;
    out.db = attr >> 14 & 1;
    out.g = attr >> 15 & 1;
    out.unusable = (attr & sim::attr::kUnusable) != 0;
    return out;
}

struct Pair {
    Reg ours;
    __u64 kvm_regs::*theirs;
};
constexpr Pair kGprs[] = {
    {Reg::rax, &kvm_regs::rax}, {Reg::rbx, &kvm_regs::rbx}, {Reg::rcx, &kvm_regs::rcx},
    {Reg::rdx, &kvm_regs::rdx}, {Reg::rsi, &kvm_regs::rsi}, {Reg::rdi, &kvm_regs::rdi},
    {Reg::rsp, &kvm_regs::rsp}, {Reg::rbp, &kvm_regs::rbp}, {Reg::r8, &kvm_regs::r8},
    {Reg::r9, &kvm_regs::r9},   {Reg::r10, &kvm_regs::r10}, {Reg::r11, &kvm_regs::r11},
    {Reg::r12, &kvm_regs::r12}, {Reg::r13, &kvm_regs::r13}, {Reg::r14, &kvm_regs::r14},
    {Reg::r15, &kvm_regs::r15}, {Reg::rip, &kvm_regs::rip}, {Reg::rflags, &kvm_regs::rflags}};

struct SegmentPair {
    Seg ours;
    kvm_segment kvm_sregs::*theirs;
};
constexpr SegmentPair kSegments[] = {{Seg::es, &kvm_sregs::es}, {Seg::cs, &kvm_sregs::cs},
                                     {Seg::ss, &kvm_sregs::ss}, {Seg::ds, &kvm_sregs::ds},
                                     {Seg::fs, &kvm_sregs::fs}, {Seg::gs, &kvm_sregs::gs}};

}  // namespace

std::unique_ptr<KvmPeer> KvmPeer::open(std::string& reason) {
    std::unique_ptr<KvmPeer> peer(new KvmPeer);
    return peer->start(reason) ? std::move(peer) : nullptr;
}

KvmPeer::~KvmPeer() {
    if (run_ != nullptr) munmap(run_, run_size_);
    if (memory_ != nullptr) munmap(memory_, kMemory);
    for (const int fd : {vcpu_, vm_, kvm_}) {
        if (fd >= 0) close(fd);
    }
}

bool KvmPeer::start(std::string& reason) {
    const auto fail = [&](std::string_view what) {
        reason = fmt::format("{}: {}", what, std::strerror(errno));
        return false;
    };
    kvm_ = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm_ < 0) return fail("/dev/kvm");
    vm_ = ioctl(kvm_, KVM_CREATE_VM, 0);
    if (vm_ < 0) return fail("KVM_CREATE_VM");
    void* memory =
        mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fail("mmap");
    memory_ = static_cast<u8*>(memory);
    kvm_userspace_memory_region region{};
    region.memory_size = kMemory;
    region.userspace_addr = reinterpret_cast<u64>(memory_);
    if (ioctl(vm_, KVM_SET_USER_MEMORY_REGION, &region) < 0) return fail("KVM's memory");
    vcpu_ = ioctl(vm_, KVM_CREATE_VCPU, 0);
    if (vcpu_ < 0) return fail("KVM_CREATE_VCPU");
    const int size = ioctl(kvm_, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size <= 0) return fail("KVM_GET_VCPU_MMAP_SIZE");
    run_size_ = static_cast<std::size_t>(size);
    void* run = mmap(nullptr, run_size_, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_, 0);
    if (run == MAP_FAILED) return fail("mmap");
    run_ = run;
    constexpr u32 kEntries = 256;
    std::vector<u8> raw(sizeof(kvm_cpuid2) + kEntries * sizeof(kvm_cpuid_entry2));
    auto* cpuid = reinterpret_cast<kvm_cpuid2*>(raw.data());
    cpuid->nent = kEntries;
    // A KVM without this call takes all features.
    if (ioctl(kvm_, KVM_GET_SUPPORTED_CPUID, cpuid) == 0 &&
        ioctl(vcpu_, KVM_SET_CPUID2, cpuid) < 0) {
        return fail("KVM_SET_CPUID2");
    }
    return true;
}

bool KvmPeer::write_state(const CpuState& s) {
    kvm_sregs sregs{};
    if (ioctl(vcpu_, KVM_GET_SREGS, &sregs) < 0) return false;
    for (const SegmentPair& pair : kSegments) {
        sregs.*pair.theirs = segment(s, sim::selector_of(pair.ours));
    }
    sregs.tr = segment(s, Reg::tr);
    if (sregs.tr.type == 0) sregs.tr.type = 11, sregs.tr.present = 1;
    sregs.gdt = {s[Reg::gdtr_base], static_cast<u16>(s[Reg::gdtr_limit]), {}};
    sregs.idt = {s[Reg::idtr_base], static_cast<u16>(s[Reg::idtr_limit]), {}};
    sregs.cr0 = s[Reg::cr0];
    sregs.cr2 = s[Reg::cr2];
    sregs.cr3 = s[Reg::cr3];
    sregs.cr4 = s[Reg::cr4];
    sregs.efer = s[Reg::efer];
    kvm_regs regs{};
    for (const Pair& pair : kGprs) regs.*pair.theirs = s[pair.ours];
    kvm_debugregs debug{};
    for (std::size_t i = 0; i < 4; ++i) debug.db[i] = s[sim::offset(Reg::dr0, i)];
    debug.dr6 = s[Reg::dr6];
    debug.dr7 = s[Reg::dr7];
    return ioctl(vcpu_, KVM_SET_SREGS, &sregs) == 0 && ioctl(vcpu_, KVM_SET_REGS, &regs) == 0 &&
           ioctl(vcpu_, KVM_SET_DEBUGREGS, &debug) == 0;
}

void KvmPeer::read_state(CpuState& s) {
    kvm_sregs sregs{};
    kvm_regs regs{};
    kvm_debugregs debug{};
    ioctl(vcpu_, KVM_GET_SREGS, &sregs);
    ioctl(vcpu_, KVM_GET_REGS, &regs);
    ioctl(vcpu_, KVM_GET_DEBUGREGS, &debug);
    for (const Pair& pair : kGprs) s[pair.ours] = regs.*pair.theirs;
    for (const SegmentPair& pair : kSegments) {
        s[sim::selector_of(pair.ours)] = (sregs.*pair.theirs).selector;
    }
    s[Reg::cr2] = sregs.cr2;
    s[Reg::dr6] = debug.dr6;
    s[Reg::dr7] = debug.dr7;
}

std::string KvmPeer::run(CpuState& state, std::vector<u8>& memory) {
    std::memcpy(memory_, memory.data(), kMemory);
    if (!write_state(state)) {
        return fmt::format("KVM does not take the state: {}\n", std::strerror(errno));
    }
    // A signal ends KVM_RUN if the guest does not halt.
    struct sigaction action {};
    action.sa_handler = [](int) {};
    struct sigaction before {};
    sigaction(SIGALRM, &action, &before);
    alarm(1);
    const int result = ioctl(vcpu_, KVM_RUN, 0);
    alarm(0);
    sigaction(SIGALRM, &before, nullptr);
    const u32 exit = static_cast<kvm_run*>(run_)->exit_reason;
    read_state(state);
    std::memcpy(memory.data(), memory_, kMemory);
    if (result == 0 && exit == KVM_EXIT_HLT) return "";
    return fmt::format("KVM does not halt: result {}, exit {}\n", result, exit);
}

}  // namespace vtlsim::tests

#else

namespace vtlsim::tests {

std::unique_ptr<KvmPeer> KvmPeer::open(std::string& reason) {
    reason = "this is not 64-bit x86 Linux";
    return nullptr;
}
KvmPeer::~KvmPeer() = default;
std::string KvmPeer::run(sim::CpuState&, std::vector<u8>&) { return ""; }

}  // namespace vtlsim::tests

#endif
