// What became of a run, as values. A guest's fault, an exit to whoever surrounds the machine, and
// a gap of this model are different types: nothing can mistake one for another.
#pragma once

#include <string>
#include <variant>

#include "sim/state/bits.hpp"
#include "sim/state/registers.hpp"

namespace vtlsim::sim {

enum class Access : u8 { read, write, execute };

// An exception. RIP is on the instruction for faults, after it for traps (SDM 3A 6.5).
struct Fault {
    Vector vector = Vector::ud;
    bool has_error_code = false;
    u32 error_code = 0;
    u64 cr2 = 0;            // page faults only: the linear address
    bool software = false;  // INT n, INT3, INTO
    u8 length = 0;  // INT n, INT3, INTO, INT1: of the instruction, which delivery returns past
    bool general_detect =
        false;  // #DB of DR7.GD: the only one that is a fault with RF in its image
    friend bool operator==(const Fault&, const Fault&) = default;
};

enum class ExitKind : u8 { io, cpuid, rdmsr, wrmsr, hypercall, memory };

// The machine met something that is decided outside. The instruction has had no effect and RIP is
// on it; whoever handles the exit writes the results and advances RIP by `length`.
struct Exit {
    ExitKind kind = ExitKind::io;
    u8 length = 0;               // of the instruction, bytes
    std::array<u8, 15> bytes{};  // of the instruction; zero after `length`
    u8 breakpoints = 0;          // B0-B3 of DR6: hit, and a #DB once the instruction is complete
    // io
    bool in = false;
    bool string = false;  // INS or OUTS
    bool rep = false;
    u16 port = 0;
    u8 size = 0;            // io and memory: access size, bytes
    u8 address_size = 8;    // string io: bytes
    Seg segment = Seg::ds;  // string io: the memory operand's segment
    u32 data = 0;           // OUT, not string: the value, zero-extended
    // rdmsr, wrmsr: RCX, EDX:EAX
    u32 msr = 0;
    u64 value = 0;
    // hypercall
    bool vmmcall = false;  // VMMCALL rather than VMCALL
    // memory: an access outside the RAM that this processor may use
    u64 gpa = 0;
    u64 gva = 0;
    Access access = Access::read;
};

struct StepsDone {};        // the asked number of instructions has retired
struct Paused {};           // the observer asked to stop before this instruction
struct InterruptWindow {};  // the interrupt line is up and IF and the shadow allow it
struct Halted {};           // HLT has retired
struct Shutdown {};         // triple fault (SDM 3A 6.15, interrupt 8)
struct OutOfMemory {};      // the page budget of Memory is used up
struct OutOfWork {};        // one instruction (REP) needs more iterations than allowed
struct NotModelled {        // a gap of the simulator; never a pass
    std::string what;
};

using Outcome = std::variant<StepsDone, Paused, InterruptWindow, Halted, Fault, Exit, Shutdown,
                             OutOfMemory, OutOfWork, NotModelled>;

}  // namespace vtlsim::sim
