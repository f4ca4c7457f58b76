// What userspace sees of a vCPU at each return of KVM_RUN, as a value that can be compared.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/kvm/script.hpp"

namespace vtlsim::model::kvm {

// kvm_run after KVM_RUN. Of the payload only the fields of `reason` are filled, the rest is zero.
// With a Return other than ok the kernel leaves reason and payload as they were; they are reported
// so.
struct RunExit {
    Return result = Return::ok;
    ExitReason reason = ExitReason::unknown;
    // io: an IN has no data yet, an OUT has count * size bytes
    bool in = false;
    u8 size = 0;
    u16 port = 0;
    u32 count = 0;
    std::vector<u8> data;  // of OUT, and of an MMIO write
    // mmio: 1 to 8 bytes
    u64 phys = 0;
    u8 length = 0;
    bool write = false;
    // debug; dr7 is not here: KVM does not fill it on every path
    u32 exception = 0;
    u64 pc = 0;
    u64 dr6 = 0;
    // rdmsr, wrmsr
    u32 msr = 0;
    u64 msr_value = 0;
    // internal_error
    u32 suberror = 0;
    friend bool operator==(const RunExit&, const RunExit&) = default;
};

// KVM_GET_VCPU_EVENTS, as far as it is modelled.
struct VcpuEvents {
    bool exception_injected = false;
    bool exception_pending = false;
    u8 exception = 0;
    bool has_error_code = false;
    u32 error_code = 0;
    bool has_payload = false;
    u64 payload = 0;
    bool interrupt_injected = false;
    u8 interrupt = 0;
    bool interrupt_soft = false;
    u8 shadow = 0;  // 0, 1 STI, 2 MOV SS
    bool nmi_injected = false;
    bool nmi_pending = false;
    bool nmi_masked = false;
    friend bool operator==(const VcpuEvents&, const VcpuEvents&) = default;
};

struct Observation {
    RunExit exit;
    bool needs_completion = false;  // a6: the flag in kvm_run
    // What KVM_GET_REGS, _SREGS and _DEBUGREGS would give: TF is hidden under single-step. Compared
    // are the registers of compared_registers().
    sim::CpuState registers;
    VcpuEvents events;
    u32 mp_state = 0;
};

// GPRs, RIP, RFLAGS, selectors and bases of the six segments, CR0, CR3, CR4, EFER, DR6, DR7.
std::span<const sim::Reg> compared_registers();

enum class ScriptEnd : u8 {
    exit,         // an exit that ends every script: HLT, SHUTDOWN ...
    stop,         // the action
    exits,        // max_exits
    steps,        // max_steps, or the time limit of a real run
    not_modelled  // the model lacks something: `problem` says what
};
std::string_view script_end_name(ScriptEnd end);

// A write that reached a device.
struct DeviceWrite {
    bool mmio = false;
    u64 address = 0;
    u8 size = 0;  // of one element
    std::vector<u8> data;
    friend bool operator==(const DeviceWrite&, const DeviceWrite&) = default;
};

struct Transcript {
    std::vector<Observation> observations;
    std::vector<DeviceWrite> writes;
    u64 reads = 0;  // answered by devices: exits, not elements
    ScriptEnd end = ScriptEnd::exit;
    std::string problem;
    // Guest memory at the end where it differs from initial_memory(): whole pages, by address.
    // Pages of place:: are left out.
    std::vector<MemoryImage> memory;
    // Why a real KVM may go otherwise from one run to the next; empty: no reason is known.
    std::string undetermined;
};

// The first difference in words ("exit 2: rip 0x1004, the other has 0x1002"), or nothing. `events`
// off: pending events are not compared (asking for them has side effects on a real KVM).
std::optional<std::string> first_difference(const Observation& a, const Observation& b,
                                            bool events = true);
std::optional<std::string> first_difference(const Transcript& a, const Transcript& b,
                                            bool events = true);

// One line: "io out port=0x80 size=1 count=1 data=41 rip=0x1002".
std::string exit_text(const RunExit& exit);

}  // namespace vtlsim::model::kvm
