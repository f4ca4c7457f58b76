#include "tests/sim/sse_native.hpp"

#if defined(__x86_64__) && defined(__linux__)

#include <cstring>
#include <new>
#include <signal.h>
#include <stdexcept>
#include <sys/mman.h>
#include <ucontext.h>

#include "sim/asm/assembler.hpp"
#include "sim/state/bits.hpp"

namespace vtlsim::tests {

using namespace vtlsim::sim;

namespace {

// FXSAVE64's image (SDM 1 table 10-2).
struct alignas(16) FxImage {
    u16 fcw = 0x37F;
    u16 fsw = 0;
    u16 ftw = 0;
    u16 fop = 0;
    u64 fip = 0;
    u64 fdp = 0;
    u32 mxcsr = 0x1F80;
    u32 mxcsr_mask = 0;
    Vec128 st[8];
    Vec128 xmm[16];
    u8 unused[96] = {};
};
static_assert(sizeof(FxImage) == 512);

// What the stub loads and stores, with R15 pointing to it.
struct alignas(64) Frame {
    FxImage guest;
    FxImage host;
    u64 gpr[6] = {};
    u64 rflags = 0;
    u64 unused = 0;
    u8 memory[64] = {};
};

std::vector<u8> stub(std::string_view text) {
    AsmResult result = assemble(text, {});
    if (!result.ok()) throw std::runtime_error(result.errors.front().message);
    return result.bytes;
}

const std::vector<u8>& prologue() {
    static const std::vector<u8> bytes = stub(R"(
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov r15, rdi
        fxsave64 [r15 + 512]
        fxrstor64 [r15]
        push qword [r15 + 1072]
        popfq
        mov rax, [r15 + 1024]
        mov rcx, [r15 + 1032]
        mov rdx, [r15 + 1040]
        mov rbx, [r15 + 1048]
        mov rsi, [r15 + 1056]
        mov rdi, [r15 + 1064]
    )");
    return bytes;
}
const std::vector<u8>& epilogue() {
    static const std::vector<u8> bytes = stub(R"(
        mov [r15 + 1024], rax
        mov [r15 + 1032], rcx
        mov [r15 + 1040], rdx
        mov [r15 + 1048], rbx
        mov [r15 + 1056], rsi
        mov [r15 + 1064], rdi
        pushfq
        pop qword [r15 + 1072]
        fxsave64 [r15]
        fxrstor64 [r15 + 512]
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    )");
    return bytes;
}

// For the signal handler: where to go on, and whether it was called.
u64 g_resume = 0;
volatile sig_atomic_t g_trapped = 0;

void on_fpe(int, siginfo_t*, void* context) {
    g_trapped = 1;
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(g_resume);
}

bool is_pointer(Reg reg) { return reg == Reg::rbx || reg == Reg::rdi; }

unsigned physical(u64 fsw, unsigned st) { return (static_cast<unsigned>(fsw >> 11) + st) & 7; }

}  // namespace

struct NativeCpu::Page {
    Frame frame;
    alignas(64) u8 code[1024];
    struct sigaction before;
};

NativeCpu::NativeCpu() {
    void* memory = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    page_ = new (memory) Page{};
    struct sigaction action {};
    action.sa_sigaction = on_fpe;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGFPE, &action, &page_->before);
}

NativeCpu::~NativeCpu() {
    if (page_ == nullptr) return;
    sigaction(SIGFPE, &page_->before, nullptr);
    munmap(page_, sizeof(Page));
}

void NativeCpu::set_code(std::span<const u8> instruction) {
    u8* at = page_->code;
    for (const std::span<const u8> part :
         {std::span<const u8>(prologue()), instruction, std::span<const u8>(epilogue())}) {
        if (part.data() == epilogue().data()) g_resume = reinterpret_cast<u64>(at);
        std::memcpy(at, part.data(), part.size());
        at += part.size();
    }
}

void NativeCpu::run(NativeRun& run) {
    Frame& f = page_->frame;
    CpuState& s = run.state;
    const u64 memory = reinterpret_cast<u64>(f.memory);
    f.guest.fcw = static_cast<u16>(s[Reg::fcw]);
    f.guest.fsw = static_cast<u16>(s[Reg::fsw]);
    f.guest.ftw = static_cast<u16>(s[Reg::ftw]);
    f.guest.mxcsr = static_cast<u32>(s[Reg::mxcsr]);
    for (unsigned i = 0; i < 8; ++i) {
        f.guest.st[i] = s.vec(offset(Reg::fpr0, physical(s[Reg::fsw], i)));
    }
    for (unsigned i = 0; i < 16; ++i) f.guest.xmm[i] = s.vec(offset(Reg::xmm0, i));
    for (std::size_t i = 0; i < std::size(kNativeGprs); ++i) {
        const Reg reg = kNativeGprs[i];
        f.gpr[i] = is_pointer(reg) ? s[reg] - kNativeMemory + memory : s[reg];
    }
    f.rflags = s[Reg::rflags] | flag::if_;
    std::memcpy(f.memory, run.memory.data(), run.memory.size());

    g_trapped = 0;
    reinterpret_cast<void (*)(Frame*)>(page_->code)(&f);

    run.trapped = g_trapped != 0;
    s[Reg::fcw] = f.guest.fcw;
    s[Reg::fsw] = f.guest.fsw;
    s[Reg::ftw] = f.guest.ftw & 0xFF;
    s[Reg::mxcsr] = f.guest.mxcsr;
    for (unsigned i = 0; i < 8; ++i) {
        s.set(offset(Reg::fpr0, physical(s[Reg::fsw], i)), f.guest.st[i]);
    }
    for (unsigned i = 0; i < 16; ++i) s.vec(offset(Reg::xmm0, i)) = f.guest.xmm[i];
    for (std::size_t i = 0; i < std::size(kNativeGprs); ++i) {
        const Reg reg = kNativeGprs[i];
        s[reg] = is_pointer(reg) ? f.gpr[i] - memory + kNativeMemory : f.gpr[i];
    }
    s[Reg::rflags] = (s[Reg::rflags] & ~flag::kStatus) | (f.rflags & flag::kStatus);
    std::memcpy(run.memory.data(), f.memory, run.memory.size());
}

bool host_has(std::string_view feature) {
    struct Feature {
        std::string_view name;
        bool present;
    };
    __builtin_cpu_init();
    const Feature features[] = {
        {"sse2", __builtin_cpu_supports("sse2") != 0},
        {"sse3", __builtin_cpu_supports("sse3") != 0},
        {"ssse3", __builtin_cpu_supports("ssse3") != 0},
        {"sse4.1", __builtin_cpu_supports("sse4.1") != 0},
        {"sse4.2", __builtin_cpu_supports("sse4.2") != 0},
        {"bmi", __builtin_cpu_supports("bmi") != 0},
        {"bmi2", __builtin_cpu_supports("bmi2") != 0},
    };
    for (const Feature& f : features) {
        if (f.name == feature) return f.present;
    }
    return false;
}

}  // namespace vtlsim::tests

#else

namespace vtlsim::tests {

struct NativeCpu::Page {};
NativeCpu::NativeCpu() = default;
NativeCpu::~NativeCpu() = default;
void NativeCpu::set_code(std::span<const u8>) {}
void NativeCpu::run(NativeRun&) {}
bool host_has(std::string_view) { return false; }

}  // namespace vtlsim::tests

#endif
