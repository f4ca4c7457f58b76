// What a KVM scenario is made of: the guest as userspace sets it up through /dev/kvm, and the
// script of what userspace does at the exits. The model (model_vm.hpp) and a real /dev/kvm run the
// same value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/config.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::model::kvm {

// --- the guest ----------------------------------------------------------------------------------

// How the vCPU starts. Segments are flat (base 0, limit FFFFFFFFh) but in real16, where all have
// selector 0, base 0 and limit FFFFh.
enum class Mode : u8 {
    real16,
    prot32,      // CPL 0, no paging
    long64,      // CPL 0; the first GiB identity-mapped by 2-MiB pages
    long64_cpl3  // the same at CPL 3, with a TSS whose I/O bitmap allows every port
};

// As scenarios call them.
inline constexpr std::string_view kModeNames[] = {"real16", "prot32", "long64", "long64_cpl3"};

// Where initial_memory() puts what the modes need. Guests leave these pages alone; a real KVM and
// the model set accessed bits there at different times, so that final memory is not compared there.
namespace place {
inline constexpr u64 kPml4 = 0x70000, kPdpt = 0x71000, kDirectory = 0x72000;
inline constexpr u64 kTss = 0x73000;  // long64_cpl3: 68h bytes, I/O bitmap of 2000h bytes, FFh
inline constexpr u64 kGdt = 0x78000, kIdt = 0x79000;
inline constexpr u64 kFirst = kPml4, kLast = 0x7AFFF;
inline constexpr u64 kDefaultStack = 0x60000;  // RSP of prot32 and long64; real16 has 7000h
}  // namespace place

// One gate: in real16 a vector of the table at 0, else an interrupt gate (DPL 3) of an IDT at
// place::kIdt. Guests at CPL 3 can have none.
struct Gate {
    u8 vector = 0;
    u64 handler = 0;
};

struct Guest {
    Mode mode = Mode::real16;
    // Bytes of RAM from physical 0, a multiple of 4096. What is neither RAM nor `more_ram` is MMIO.
    u64 ram = 0x100000;
    std::vector<sim::RamRange> more_ram;  // page-aligned; for a ROM below 4 GiB
    std::vector<MemoryImage> memory;      // code and data
    std::vector<Gate> gates;
    // Over what the mode gives: any GPR, rip, rflags, segment (also _base, _limit, _attr), dr0-dr7,
    // cr2, shadow. `rip` is always there.
    std::vector<std::pair<sim::Reg, u64>> registers;
};

// What KVM_CREATE_VCPU makes: RESET, but x87 as FNINIT leaves it (observed).
sim::CpuState new_vcpu_state();
// The registers as KVM_SET_SREGS, _REGS and _DEBUGREGS give them before the first KVM_RUN.
// Attributes are in VMX layout (state/registers.def), bit 16 for an unusable segment.
sim::CpuState initial_state(const Guest& guest);
// All of guest memory that is not zero: Guest::memory, and the tables that the mode needs.
std::vector<MemoryImage> initial_memory(const Guest& guest);
// Sorted and disjoint.
std::vector<sim::RamRange> ram_of(const Guest& guest);

// --- userspace ----------------------------------------------------------------------------------

// As in KVM's API (kvm-pio.md 5).
enum class ExitReason : u32 {
    unknown = 0,
    io = 2,
    hypercall = 3,
    debug = 4,
    hlt = 5,
    mmio = 6,
    irq_window_open = 7,
    shutdown = 8,
    fail_entry = 9,
    intr = 10,
    internal_error = 17,
    rdmsr = 29,
    wrmsr = 30,
};

// What the ioctl KVM_RUN returned.
enum class Return : u8 { ok, eintr, eagain, einval, other };

// What a KVM_RUN has to have returned for a rule to act. Everything that is given must hold.
struct ExitPattern {
    Return result = Return::ok;
    bool access = false;        // io or mmio
    std::optional<u32> number;  // the n-th KVM_RUN of the script, the first is 1
    std::optional<ExitReason> reason;
    std::optional<u16> port;
    std::optional<bool> in;     // io: direction
    std::optional<bool> write;  // mmio: direction
    std::optional<u8> size;     // io: bytes
    std::optional<u32> count;   // io
    std::optional<u64> phys;    // mmio
    u32 nth = 1;                // which match; 0: every one
};

enum class ActionKind : u8 {
    get_regs,  // KVM_GET_REGS and _GET_SREGS
    set_regs,  // those of `registers` that are GPRs, rip, rflags by GET_REGS, SET_REGS; segments,
               // control registers and efer by GET_SREGS, SET_SREGS; dr0-7 by SET_DEBUGREGS
    rewrite_regs,   // KVM_GET_REGS, then KVM_SET_REGS of the same values
    rewrite_sregs,  // the same with SREGS
    sync_regs,  // those of `registers` that KVM_SET_REGS and _SREGS have, through kvm_run.s.regs
                // and kvm_dirty_regs
    bad_dirty_regs,  // a bit in kvm_dirty_regs that KVM does not know, for the next KVM_RUN only
    reset_bsp,       // SET_SREGS, then SET_REGS, with the state after RESET#
    reset_bsp_regs_first,  // the other order
    init_sipi,      // an INIT and a SIPI with vector `value` arrive from another vCPU's LAPIC
    mp_state,       // KVM_SET_MP_STATE `value`
    get_mp_state,   // KVM_GET_MP_STATE
    move_vcpu,      // save regs, sregs, debugregs, events, mp_state; restore into a new vCPU
    restore_state,  // set what the last save_state got, into the same vCPU
    save_state,
    guest_debug,      // KVM_SET_GUEST_DEBUG with `debug`
    irq_window,       // kvm_run.request_interrupt_window := value
    interrupt,        // KVM_INTERRUPT `value` (userspace PIC)
    nmi,              // KVM_NMI
    exception,        // SET_VCPU_EVENTS: exception `value` pending, without error code or payload
    clear_exception,  // GET and SET_VCPU_EVENTS: nothing injected, nothing pending
    clear_interrupt,  // GET and SET_VCPU_EVENTS: no interrupt is injected
    shadow,           // SET_VCPU_EVENTS: the interrupt shadow becomes `value` (0, 1 STI, 2 MOV SS)
    write_memory,     // `bytes` at physical `address`
    answer,           // data for the read at hand, instead of the device's: `bytes`
    announce_reset,   // tells KVM that the vCPU has been reset: a5, x3
    abandon,          // the device model of the access at hand has died, its answer is lost
    msr_error,        // rdmsr, wrmsr: msr.error := value (0 or 1)
    immediate_exit,   // kvm_run.immediate_exit := value; it stays until set again
    resume,           // go on where the script would end (an exit that is its end otherwise)
    stop,             // end here
};

// Which of KVM's calls have a register.
enum class RegisterCall : u8 { regs, sregs, debugregs, none };
RegisterCall call_of(sim::Reg reg);

// KVM_SET_GUEST_DEBUG. Nothing set switches it off.
struct GuestDebug {
    bool single_step = false;
    bool use_hw_bp = false;
    bool use_sw_bp = false;  // INT3 is userspace's
    bool block_irq = false;
    std::array<u64, 4> address{};  // DR0 to DR3
    u64 dr7 = 0;
    friend bool operator==(const GuestDebug&, const GuestDebug&) = default;
};

struct Action {
    ActionKind kind = ActionKind::get_regs;
    std::vector<std::pair<sim::Reg, u64>> registers;
    std::vector<u8> bytes;
    u64 address = 0;
    bool from_rip = false;  // write_memory: `address` is added to linear RIP at the exit, mod 2^64
    u64 value = 0;
    GuestDebug debug;
};

struct Rule {
    ExitPattern when;
    std::vector<Action> then;
};

// A device at one port or at one MMIO address. Reads take its bytes in order; when they are used
// up, and where there is no device, every byte is FFh. A device that gives none only records
// writes.
struct Device {
    bool mmio = false;
    u64 address = 0;
    std::vector<u8> reads;
    bool in_kernel = false;  // port: KVM's own device, which never exits to userspace
};

// What userspace does. At each return of KVM_RUN: the observation is taken; the device behind an IO
// or MMIO exit is asked, unless KVM_RUN did not return 0; the rules that match act in order; then
// KVM_RUN again. The script ends at HLT, SHUTDOWN, FAIL_ENTRY, INTERNAL_ERROR, EAGAIN, EINVAL and
// EINTR (no action then said resume), at a stop, and at the limits.
struct Script {
    std::vector<Action> start;  // before the first KVM_RUN
    std::vector<Rule> rules;
    std::vector<Device> devices;
    bool userspace_msr = false;  // KVM_CAP_X86_USER_SPACE_MSR for MSRs that KVM does not know
    u32 max_exits = 64;          // KVM_RUNs
    u64 max_steps = 100'000;     // instructions of the model; a real run has a time limit instead
};

}  // namespace vtlsim::model::kvm
