#include "runner/conform/native.hpp"

#include <array>
#include <cstddef>

#if defined(__x86_64__) && defined(__linux__)

#include <cerrno>
#include <cstring>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <fmt/format.h>

namespace vtlsim::runner::conform {
namespace {

struct Shared {
    std::array<Case, Native::kBatch> cases;
    std::array<Answer, Native::kBatch> answers;
    volatile u64 at;  // the case that runs
};

}  // namespace
}  // namespace vtlsim::runner::conform

extern "C" {
#define HIDDEN __attribute__((visibility("hidden")))
HIDDEN vtlsim::runner::conform::State vtlsim_conform_out;
HIDDEN vtlsim::u64 vtlsim_conform_host_rsp;
HIDDEN vtlsim::u64 vtlsim_conform_target;
HIDDEN vtlsim::u32 vtlsim_conform_mxcsr = 0x1F80;
// Loads the state and jumps to the code; returns after vtlsim_conform_leave or _abort.
HIDDEN void vtlsim_conform_enter(const vtlsim::runner::conform::State* in, vtlsim::u64 code);
// Where the code goes after the instruction: stores the state in vtlsim_conform_out.
HIDDEN void vtlsim_conform_leave();
// The same without storing, on the host's stack.
HIDDEN void vtlsim_conform_abort();
#undef HIDDEN
}

static_assert(offsetof(vtlsim::runner::conform::State, gpr) == 512);
static_assert(offsetof(vtlsim::runner::conform::State, rflags) == 640);

// MOV, PUSH, POP and JMP leave the flags alone, so they are loaded early and stored late.
asm(R"(
    .text
    .hidden vtlsim_conform_enter, vtlsim_conform_leave, vtlsim_conform_abort
    .globl vtlsim_conform_enter
    .type vtlsim_conform_enter, @function
vtlsim_conform_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, vtlsim_conform_host_rsp(%rip)
    mov %rsi, vtlsim_conform_target(%rip)
    fxrstor64 (%rdi)
    pushq 640(%rdi)
    popfq
    mov 512(%rdi), %rax
    mov 520(%rdi), %rcx
    mov 528(%rdi), %rdx
    mov 536(%rdi), %rbx
    mov 544(%rdi), %rsp
    mov 552(%rdi), %rbp
    mov 560(%rdi), %rsi
    mov 576(%rdi), %r8
    mov 584(%rdi), %r9
    mov 592(%rdi), %r10
    mov 600(%rdi), %r11
    mov 608(%rdi), %r12
    mov 616(%rdi), %r13
    mov 624(%rdi), %r14
    mov 632(%rdi), %r15
    mov 568(%rdi), %rdi
    jmp *vtlsim_conform_target(%rip)

    .globl vtlsim_conform_leave
    .type vtlsim_conform_leave, @function
vtlsim_conform_leave:
    mov %rsp, vtlsim_conform_out+544(%rip)
    mov vtlsim_conform_host_rsp(%rip), %rsp
    mov %rax, vtlsim_conform_out+512(%rip)
    mov %rcx, vtlsim_conform_out+520(%rip)
    mov %rdx, vtlsim_conform_out+528(%rip)
    mov %rbx, vtlsim_conform_out+536(%rip)
    mov %rbp, vtlsim_conform_out+552(%rip)
    mov %rsi, vtlsim_conform_out+560(%rip)
    mov %rdi, vtlsim_conform_out+568(%rip)
    mov %r8, vtlsim_conform_out+576(%rip)
    mov %r9, vtlsim_conform_out+584(%rip)
    mov %r10, vtlsim_conform_out+592(%rip)
    mov %r11, vtlsim_conform_out+600(%rip)
    mov %r12, vtlsim_conform_out+608(%rip)
    mov %r13, vtlsim_conform_out+616(%rip)
    mov %r14, vtlsim_conform_out+624(%rip)
    mov %r15, vtlsim_conform_out+632(%rip)
    pushfq
    popq vtlsim_conform_out+640(%rip)
    fxsave64 vtlsim_conform_out(%rip)
    .globl vtlsim_conform_abort
    .type vtlsim_conform_abort, @function
vtlsim_conform_abort:
    mov vtlsim_conform_host_rsp(%rip), %rsp
    cld
    fninit
    ldmxcsr vtlsim_conform_mxcsr(%rip)
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
)");

namespace vtlsim::runner::conform {
namespace {

volatile sig_atomic_t running = 0;

void on_signal(int, siginfo_t*, void* context) {
    if (running == 0) _exit(99);
    auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
    auto& r = machine.gregs;
    constexpr std::array<int, 16> kOrder{REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                         REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                         REG_R12, REG_R13, REG_R14, REG_R15};
    State& out = vtlsim_conform_out;
    for (std::size_t i = 0; i < kOrder.size(); ++i) out.gpr[i] = static_cast<u64>(r[kOrder[i]]);
    out.rflags = static_cast<u64>(r[REG_EFL]);
    out.rip = static_cast<u64>(r[REG_RIP]);
    out.vector = static_cast<u32>(r[REG_TRAPNO]);
    out.error_code = static_cast<u32>(r[REG_ERR]);
    out.cr2 = out.vector == 14 ? static_cast<u64>(r[REG_CR2]) : 0;
    std::memcpy(out.fx.data(), machine.fpregs, out.fx.size());
    constexpr greg_t kTfDfAc = 0x40500;
    r[REG_EFL] &= ~kTfDfAc;
    r[REG_RSP] = static_cast<greg_t>(vtlsim_conform_host_rsp);
    r[REG_RIP] = reinterpret_cast<greg_t>(&vtlsim_conform_abort);
}

void* map_page(u64 address, int protection) {
    void* wanted = reinterpret_cast<void*>(address);
    void* got =
        mmap(wanted, kPage, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == wanted) return got;
    if (got != MAP_FAILED) munmap(got, kPage);
    return nullptr;
}

void run_case(const Case& c, Answer& answer, u8* code, u8* scratch) {
    std::memcpy(scratch, scratch_pattern().data(), kPage);
    std::memcpy(scratch + c.data_offset, c.data.data(), c.data.size());
    std::memcpy(code, c.code.data(), c.length);
    // jmp [rip + 0], and the address.
    constexpr std::array<u8, 6> kJump{0xFF, 0x25, 0, 0, 0, 0};
    std::memcpy(code + c.length, kJump.data(), kJump.size());
    const auto leave = reinterpret_cast<u64>(&vtlsim_conform_leave);
    std::memcpy(code + c.length + kJump.size(), &leave, sizeof(leave));
    State& out = vtlsim_conform_out;
    out.vector = kNoVector;
    out.error_code = 0;
    out.cr2 = 0;
    out.rip = kCodePage + c.length;
    running = 1;
    vtlsim_conform_enter(&c.in, kCodePage);
    running = 0;
    answer.out = out;
    std::memcpy(answer.scratch.data(), scratch, kPage);
}

// The child's life. Its first byte says whether it can work.
[[noreturn]] void child(Shared& shared, int requests, int replies) {
    auto* code = static_cast<u8*>(map_page(kCodePage, PROT_READ | PROT_WRITE | PROT_EXEC));
    auto* scratch = static_cast<u8*>(map_page(kScratchPage, PROT_READ | PROT_WRITE));
    const char able = code != nullptr && scratch != nullptr ? 1 : 0;
    static std::array<u8, 65536> stack;
    stack_t alternate{};
    alternate.ss_sp = stack.data();
    alternate.ss_size = stack.size();
    sigaltstack(&alternate, nullptr);
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (const int s : {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGTRAP}) sigaction(s, &action, nullptr);
    if (write(replies, &able, 1) != 1 || able == 0) _exit(0);
    u32 count = 0;
    while (read(requests, &count, sizeof(count)) == sizeof(count)) {
        for (u32 i = 0; i < count; ++i) {
            shared.at = i;
            run_case(shared.cases[i], shared.answers[i], code, scratch);
        }
        if (write(replies, &able, 1) != 1) break;
    }
    _exit(0);
}

class Child final : public Native {
  public:
    Child(Shared* shared, pid_t pid, int requests, int replies)
        : shared_(shared), pid_(pid), requests_(requests), replies_(replies) {}
    ~Child() override {
        close(requests_);
        close(replies_);
        waitpid(pid_, nullptr, 0);
        munmap(shared_, sizeof(Shared));
    }

    std::span<Case> cases() override { return shared_->cases; }
    void submit(std::size_t count) override {
        const auto n = static_cast<u32>(count);
        count_ = write(requests_, &n, sizeof(n)) == sizeof(n) ? count : 0;
    }
    std::span<const Answer> answers(std::string& reason) override {
        if (ready()) return std::span(shared_->answers).first(count_);
        reason = fmt::format("the child process died at case {} of the batch", u64{shared_->at});
        return {};
    }
    bool ready() {
        char byte = 0;
        ssize_t got = 0;
        do {
            got = read(replies_, &byte, 1);
        } while (got < 0 && errno == EINTR);
        return got == 1 && byte == 1;
    }

  private:
    Shared* shared_;
    pid_t pid_;
    int requests_;
    int replies_;
    std::size_t count_ = 0;
};

}  // namespace

std::unique_ptr<Native> Native::start(std::string& reason) {
    void* memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    std::array<int, 2> requests{};
    std::array<int, 2> replies{};
    if (memory == MAP_FAILED || pipe(requests.data()) != 0 || pipe(replies.data()) != 0) {
        reason = fmt::format("no shared memory or pipes: {}", std::strerror(errno));
        return nullptr;
    }
    auto* shared = new (memory) Shared;
    scratch_pattern();  // made before the fork
    const pid_t pid = fork();
    if (pid == 0) {
        close(requests[1]);
        close(replies[0]);
        child(*shared, requests[0], replies[1]);
    }
    close(requests[0]);
    close(replies[1]);
    if (pid < 0) {
        reason = fmt::format("no child process: {}", std::strerror(errno));
        return nullptr;
    }
    auto out = std::make_unique<Child>(shared, pid, requests[1], replies[0]);
    if (!out->ready()) {
        reason = fmt::format("no executable memory at {:#x}", kCodePage);
        return nullptr;
    }
    return out;
}

}  // namespace vtlsim::runner::conform

#else

namespace vtlsim::runner::conform {

std::unique_ptr<Native> Native::start(std::string& reason) {
    reason = "this is not 64-bit x86 Linux";
    return nullptr;
}

}  // namespace vtlsim::runner::conform

#endif
