// The assembly through which the child enters and leaves the instruction under test.
#pragma once

#if defined(__x86_64__) && defined(__linux__)

#include <signal.h>

#include "runner/conform/case.hpp"

namespace vtlsim::runner::conform {
struct [[gnu::packed]] FarPointer {
    u32 offset;
    u16 selector;
};
}  // namespace vtlsim::runner::conform

extern "C" {
#define HIDDEN __attribute__((visibility("hidden")))
extern HIDDEN vtlsim::runner::conform::State vtlsim_conform_out;
extern HIDDEN vtlsim::u64 vtlsim_conform_host_rsp;
extern HIDDEN vtlsim::u64 vtlsim_conform_host_fs;
extern HIDDEN vtlsim::u64 vtlsim_conform_target;
// vtlsim_conform_go64 or _go32.
extern HIDDEN vtlsim::u64 vtlsim_conform_go;
// Loads the state and goes to the code; returns after vtlsim_conform_leave or _abort.
HIDDEN void vtlsim_conform_enter(const vtlsim::runner::conform::State* in);
// On to vtlsim_conform_target, or to kCodePage as 32-bit code.
HIDDEN void vtlsim_conform_go64();
HIDDEN void vtlsim_conform_go32();
// Where the code goes after the instruction: stores the state in vtlsim_conform_out.
HIDDEN void vtlsim_conform_leave();
// The same without storing, on the host's stack.
HIDDEN void vtlsim_conform_abort();
// The signal handler: stores the segments, restores what C++ needs of them, and goes to on_signal.
HIDDEN void vtlsim_conform_signal(int, siginfo_t*, void*);
HIDDEN void vtlsim_conform_on_signal(int, siginfo_t*, void*);
}

#endif
