// A process that waits to be given code and state by ptrace, for comparisons with the CPU that runs
// the tests.
#pragma once

#include <cpuid.h>
#include <csignal>
#include <cstddef>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "sim/types.hpp"

namespace vtlsim::tests {

// Whether the comparisons hold: no other vendor's processor has been looked at, and some are known
// to differ (PUSH of a segment register, data breakpoints under REP).
inline bool host_is_amd() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0, &a, &b, &c, &d) != 0 && b == signature_AMD_ebx;
}

class TracedChild {
  public:
    struct Pages {
        u64 address, size;
    };

    // The child maps these at their addresses, writable and executable, and does what `prepare`
    // says, which is false if the machine cannot.
    template <class Prepare>
    TracedChild(const std::vector<Pages>& pages, Prepare prepare) {
        pid_ = fork();
        if (pid_ != 0) {
            wait_for_stop();
            return;
        }
        for (const Pages& p : pages) {
            void* at = reinterpret_cast<void*>(p.address);
            const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
            if (mmap(at, p.size, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0) != at) _exit(1);
        }
        if (!prepare() || ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
        raise(SIGSTOP);
        _exit(0);
    }
    TracedChild(const TracedChild&) = delete;
    TracedChild& operator=(const TracedChild&) = delete;
    ~TracedChild() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }

    // Answers of false: it failed.
    bool stopped() const { return stopped_; }
    bool go() {
        if (ptrace(PTRACE_CONT, pid_, nullptr, nullptr) != 0) return false;
        wait_for_stop();
        return stopped_;
    }
    bool signal(siginfo_t& info) const {
        return ptrace(PTRACE_GETSIGINFO, pid_, nullptr, &info) == 0;
    }
    bool get(user_regs_struct& regs) const {
        return ptrace(PTRACE_GETREGS, pid_, nullptr, &regs) == 0;
    }
    bool set(user_regs_struct regs) const {
        regs.orig_rax = ~0ULL;  // no system call to start again
        return ptrace(PTRACE_SETREGS, pid_, nullptr, &regs) == 0;
    }
    // As after FNINIT, with all exceptions masked.
    bool reset_fpu() const {
        user_fpregs_struct fpu{};
        fpu.cwd = 0x37F;
        fpu.mxcsr = 0x1F80;
        return ptrace(PTRACE_SETFPREGS, pid_, nullptr, &fpu) == 0;
    }
    // DR0 to DR7.
    u64 debug_register(u64 n) const {
        return static_cast<u64>(ptrace(PTRACE_PEEKUSER, pid_, debug_offset(n), nullptr));
    }
    bool set_debug_register(u64 n, u64 value) const {
        return ptrace(PTRACE_POKEUSER, pid_, debug_offset(n), value) == 0;
    }
    bool write(u64 address, std::vector<u8> bytes) const {
        const iovec here{bytes.data(), bytes.size()};
        const iovec there{reinterpret_cast<void*>(address), bytes.size()};
        return process_vm_writev(pid_, &here, 1, &there, 1, 0) ==
               static_cast<ssize_t>(bytes.size());
    }
    // Fewer bytes than asked where it failed.
    std::vector<u8> read(u64 address, std::size_t size) const {
        std::vector<u8> bytes(size);
        const iovec here{bytes.data(), size};
        const iovec there{reinterpret_cast<void*>(address), size};
        const ssize_t got = process_vm_readv(pid_, &here, 1, &there, 1, 0);
        bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
        return bytes;
    }

  private:
    static std::size_t debug_offset(u64 n) { return offsetof(user, u_debugreg) + 8 * n; }
    void wait_for_stop() {
        int status = 0;
        stopped_ = waitpid(pid_, &status, 0) == pid_ && WIFSTOPPED(status);
    }

    pid_t pid_ = -1;
    bool stopped_ = false;
};

}  // namespace vtlsim::tests
