// Runs single instructions on the CPU that executes the tests, from a chosen state.
#pragma once

#include <span>
#include <string_view>

#include "sim/state/cpu_state.hpp"

namespace vtlsim::tests {

// What an instruction under test may read and write: RAX RCX RDX RBX RSI RDI, status flags, x87,
// MMX, XMM, MXCSR, and 64 bytes of memory to which the caller's RBX and RDI point.
inline constexpr u64 kNativeMemory = 0x2000;  // where that memory is in the simulated machine
inline constexpr sim::Reg kNativeGprs[] = {sim::Reg::rax, sim::Reg::rcx, sim::Reg::rdx,
                                           sim::Reg::rbx, sim::Reg::rsi, sim::Reg::rdi};

struct NativeRun {
    sim::CpuState state;          // in and out; other registers are left alone
    std::array<u8, 64> memory{};  // in and out
    bool trapped = false;         // an unmasked SIMD floating-point exception (SIGFPE)
};

class NativeCpu {
  public:
    NativeCpu();
    NativeCpu(const NativeCpu&) = delete;
    NativeCpu& operator=(const NativeCpu&) = delete;
    ~NativeCpu();

    // False where the host is not x86-64 Linux or refuses executable memory.
    bool usable() const { return page_ != nullptr; }
    void set_code(std::span<const u8> instruction);
    // RBX and RDI, near kNativeMemory, are moved to the memory for the run.
    void run(NativeRun& run);

  private:
    struct Page;
    Page* page_ = nullptr;
};

// Whether the host has the feature, by its name in GCC's __builtin_cpu_supports.
bool host_has(std::string_view feature);

}  // namespace vtlsim::tests
