#include "runner/conform/child.hpp"

#if defined(__x86_64__) && defined(__linux__)

#include <asm/ldt.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "runner/conform/child_stub.hpp"

namespace {

volatile sig_atomic_t running = 0;

}  // namespace

// No thread-local storage: the FS base may be unusual until the stub has restored it.
void vtlsim_conform_on_signal(int, siginfo_t*, void* context) {
    using namespace vtlsim;
    if (running == 0) _exit(99);
    auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
    auto& r = machine.gregs;
    constexpr std::array<int, 16> kOrder{REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                         REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                         REG_R12, REG_R13, REG_R14, REG_R15};
    runner::conform::State& out = vtlsim_conform_out;
    for (std::size_t i = 0; i < kOrder.size(); ++i) out.gpr[i] = static_cast<u64>(r[kOrder[i]]);
    const auto selectors = static_cast<u64>(r[REG_CSGSFS]);
    out.selectors[runner::conform::kCsIndex] = static_cast<u16>(selectors);
    out.selectors[runner::conform::kSsIndex] = static_cast<u16>(selectors >> 48);
    out.rflags = static_cast<u64>(r[REG_EFL]);
    out.rip = static_cast<u64>(r[REG_RIP]);
    out.vector = static_cast<u32>(r[REG_TRAPNO]);
    out.error_code = static_cast<u32>(r[REG_ERR]);
    out.cr2 = out.vector == 14 ? static_cast<u64>(r[REG_CR2]) : 0;
    std::memcpy(out.fx.data(), machine.fpregs, out.fx.size());
    r[REG_EFL] = 0x202;
    constexpr u64 kSegments = u64{runner::conform::kData} << 48 | runner::conform::kCs64;
    r[REG_CSGSFS] = static_cast<greg_t>(kSegments);
    r[REG_RSP] = static_cast<greg_t>(vtlsim_conform_host_rsp);
    r[REG_RIP] = reinterpret_cast<greg_t>(&vtlsim_conform_abort);
}

namespace vtlsim::runner::conform {
namespace {

// An indirect jump to vtlsim_conform_leave, and its target 16 bytes behind it.
constexpr u64 kThunkPage = 0x21000000;
constexpr u8 kInt3 = 0xCC;
constexpr std::size_t kCodeEnd = 32;  // of the instruction and the jump behind it
constexpr auto kInt3s = [] {
    std::array<u8, kPage - kCodeEnd> bytes{};
    bytes.fill(kInt3);
    return bytes;
}();

u8* map_page(u64 address, int protection) {
    void* wanted = reinterpret_cast<void*>(address);
    void* got =
        mmap(wanted, kPage, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == wanted) return static_cast<u8*>(got);
    if (got != MAP_FAILED) munmap(got, kPage);
    return nullptr;
}

// Writable data segments of 4 GiB, in the LDT.
bool make_segment(unsigned entry, u64 base) {
    user_desc d{};
    d.entry_number = entry;
    d.base_addr = static_cast<unsigned>(base);
    d.limit = 0xFFFFF;
    d.seg_32bit = 1;
    d.limit_in_pages = 1;
    d.useable = 1;
    constexpr int kWriteLdt = 0x11;
    return syscall(SYS_modify_ldt, kWriteLdt, &d, sizeof(d)) == 0;
}

struct Pages {
    u8* code;
    u8* scratch;
};

void run_case(const Case& c, Answer& answer, const Pages& pages) {
    std::memcpy(pages.scratch, scratch_background(c).data(), kPage);
    std::memcpy(pages.scratch + c.data_offset, c.data.data(), c.data.size());
    std::memset(pages.code, kInt3, kCodeEnd);
    // A case that wrote to its own page must not leave another instruction to later ones.
    if (std::memcmp(pages.code + kCodeEnd, kInt3s.data(), kInt3s.size()) != 0) {
        std::memcpy(pages.code + kCodeEnd, kInt3s.data(), kInt3s.size());
    }
    std::memcpy(pages.code, c.code.data(), c.length);
    u8* jump = pages.code + c.length;
    if (c.transfer) {
    } else if (c.mode == Mode::long64) {
        const auto distance = static_cast<u32>(kThunkPage - (kCodePage + c.length + 5u));
        *jump = 0xE9;
        std::memcpy(jump + 1, &distance, sizeof(distance));
    } else {
        const FarPointer thunk{static_cast<u32>(kThunkPage), kCs64};
        *jump = 0xEA;
        std::memcpy(jump + 1, &thunk, sizeof(thunk));
    }
    State& out = vtlsim_conform_out;
    out.vector = kNoVector;
    out.error_code = 0;
    out.cr2 = 0;
    out.rip = kCodePage + c.length;
    out.selectors[kCsIndex] = c.mode == Mode::long64 ? kCs64 : kCs32;
    vtlsim_conform_target = kCodePage;
    vtlsim_conform_go =
        reinterpret_cast<u64>(c.mode == Mode::long64 ? vtlsim_conform_go64 : vtlsim_conform_go32);
    running = 1;
    vtlsim_conform_enter(&c.in);
    running = 0;
    answer.out = out;
    std::memcpy(answer.scratch.data(), pages.scratch, kPage);
}

void catch_signals() {
    static std::array<u8, 65536> stack;
    stack_t alternate{};
    alternate.ss_sp = stack.data();
    alternate.ss_size = stack.size();
    sigaltstack(&alternate, nullptr);
    struct sigaction action {};
    action.sa_sigaction = vtlsim_conform_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (const int s : {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGTRAP}) sigaction(s, &action, nullptr);
}

// NOPs come back in both modes.
Ability able(const Pages& pages) {
    Case nop;
    nop.in.gpr[4] = kScratchPage + kPage / 2;
    put(nop.in.fx, kFcw, u16{0x37F});
    put(nop.in.fx, kMxcsr, u32{0x1F80});
    nop.code = {0x90};
    nop.length = 1;
    static Answer answer;
    run_case(nop, answer, pages);
    if (answer.out.vector != kNoVector) return Ability::none;
    nop.mode = Mode::compat32;
    run_case(nop, answer, pages);
    return answer.out.vector == kNoVector ? Ability::both : Ability::only64;
}

Ability prepare(Pages& pages) {
    constexpr unsigned long kHwcap2FsGsBase = 2;  // linux/arch/x86/include/uapi/asm/hwcap2.h
    if ((getauxval(AT_HWCAP2) & kHwcap2FsGsBase) == 0) return Ability::no_fsgsbase;
    if (!make_segment(0, kFsBase) || !make_segment(1, kGsBase)) return Ability::no_ldt;
    pages.code = map_page(kCodePage, PROT_READ | PROT_WRITE | PROT_EXEC);
    pages.scratch = map_page(kScratchPage, PROT_READ | PROT_WRITE);
    u8* thunk = map_page(kThunkPage, PROT_READ | PROT_WRITE | PROT_EXEC);
    if (pages.code == nullptr || pages.scratch == nullptr || thunk == nullptr) {
        return Ability::none;
    }
    std::memset(pages.code, kInt3, kPage);
    constexpr std::array<u8, 6> kJump{0xFF, 0x25, 10, 0, 0, 0};  // jmp [rip + 10]
    std::memcpy(thunk, kJump.data(), kJump.size());
    const auto leave = reinterpret_cast<u64>(&vtlsim_conform_leave);
    std::memcpy(thunk + 16, &leave, sizeof(leave));
    asm("rdfsbase %0" : "=r"(vtlsim_conform_host_fs));
    catch_signals();
    return able(pages);
}

}  // namespace

void live_as_child(Shared& shared, int requests, int replies) {
    // Children hold each other's pipes open, so the end of a pipe may not come.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Pages pages{};
    const char ability = static_cast<char>(prepare(pages));
    if (write(replies, &ability, 1) != 1) _exit(0);
    Batch batch{};
    while (read(requests, &batch, sizeof(batch)) == sizeof(batch)) {
        for (u32 i = batch.first; i < batch.end; ++i) {
            shared.at = i;
            run_case(shared.cases[i], shared.answers[i], pages);
        }
        if (write(replies, &ability, 1) != 1) break;
    }
    _exit(0);
}

}  // namespace vtlsim::runner::conform

#endif
