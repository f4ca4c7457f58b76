// Everything a world is made of: what a scenario says, with all text already assembled.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/switches.hpp"
#include "sim/state/registers.hpp"

namespace vtlsim::model {

struct Plugins;  // model/plugins.hpp

struct MemoryImage {
    u64 address = 0;  // guest physical
    std::vector<u8> bytes;
};

// A scripted device at one port: reads give the values in turn, the last one for ever after; or,
// with a step, a counter: the first value, and so much more at each read.
struct PortScript {
    u16 port = 0;
    u8 size = 1;  // bytes; accesses of another size do not reach it
    std::vector<u32> reads;
    std::optional<u32> step = {};
};

// A 16550 at eight ports (model/devices/uart16550.hpp).
struct UartConfig {
    u16 port = 0;
    bool connected = true;  // to a peer
};

// The VMM's answers, beyond what the hypervisor proposes.
struct CpuidAnswer {
    u32 leaf = 0;
    u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};
struct MsrAnswer {
    u32 msr = 0;
    u64 value = 0;
    bool invalid = false;  // access to it is refused: #GP(0)
};
struct HypercallAnswer {
    u16 code = 0;
    u64 status = 0;  // what the caller gets in RAX
    // Words of 64 bits that the VMM takes from registers, of a fast call, and gives back: in the
    // registers behind the input, from an even word on; of another call at the output's address.
    u8 input = 0;
    std::vector<u64> output = {};
    // Of a repeating call: how many repetitions it does at an exit; 0: none is counted.
    u16 repetitions = 0;
};
inline constexpr u8 kFastWords = 14;  // RDX, R8 and XMM0-5

// One way to leave the default order: where the default policy would let `instead_of` do `step` for
// the nth time, or at a turn, `run` goes.
struct ScheduleEntry {
    std::optional<u64> turn;  // counted from 0; what else is given must be right there
    std::string instead_of;   // an actor; empty: whichever it is
    std::string step;         // of that actor; empty: whichever it is
    u64 nth = 1;              // 1 is the first time that the actor does the step; without `turn`
    std::string run;
    std::string does = {};        // the step that `run` then makes; empty: whichever it is
    bool may_not_happen = false;  // no failure if the place is never met
};

enum class PinnedAction : u8 {
    interrupt,  // an interrupt for a VTL
    stop,       // the VMM asks the VTL2 kernel to stop the run
    intercept,  // the hypervisor has something to tell that no instruction asks for
    signal,     // a signal for the VMM's thread while it waits in the RUN ioctl
};

// An event fixed to a point of the run: before the n-th execution of the instruction at an address.
// Without a place it is free: it may happen once, at any turn, if a schedule says so.
struct PinnedEvent {
    bool free = false;
    u8 vp = 0;
    u8 vtl = 0;       // whose code `address` lies in
    u64 address = 0;  // linear
    u64 nth = 1;      // 1 is the first execution
    PinnedAction action = PinnedAction::interrupt;
    u8 for_vtl = 2;
    u8 vector = 0x20;
    // A transient interrupt makes the hypervisor enter VTL2 with reason INTERRUPT and is gone; any
    // other stays in the APIC until VTL2 takes it.
    bool transient = false;
    // An interrupt that comes together with the exit of the guest's instruction: which of them is
    // the reason of the entry is reason_merge's to say.
    bool with_exit = false;
    // Of an intercept: the type of its message, and the value that it is about (a vector, SINTs, a
    // guest-physical address).
    u32 message_type = 0;
    u64 value = 0;
    bool interruption_pending = false;  // so says the message's header
};

enum class Invariant : u8 {
#define INVARIANT(id, meaning) id,
#include "model/invariants/invariants.def"
#undef INVARIANT
};

struct Limits {
    u64 steps = 100'000;  // atomic steps of all actors
    u64 pages = 4096;     // 4 KiB each: what guest and VTL2 may touch
};

using RegisterValue = std::pair<sim::Reg, Vec128>;

struct WorldConfig {
    Switches switches;
    u64 guest_ram = u64{16} << 20;  // bytes from address 0, at most layout::kMaxGuestRam
    std::vector<MemoryImage> memory;
    // Initial registers, on top of 64-bit mode, flat, CPL 0. VTL0's shared ones go into the VMM's
    // CPU context, as they do in the real system; VTL2's are what its kernel starts with.
    std::vector<RegisterValue> vtl0_registers;
    std::vector<RegisterValue> vtl2_registers;
    std::vector<PortScript> ports;
    std::vector<UartConfig> uarts;
    // What an 8259 of the VMM's holds for VP 0: handed over when the hypervisor says that an
    // interrupt can be delivered (hyperv-vtl.md 4). Nothing else of an 8259 is there.
    std::optional<u8> ext_int;
    std::vector<CpuidAnswer> cpuid;
    std::vector<MsrAnswer> msrs;
    std::vector<HypercallAnswer> hypercalls;
    std::vector<PinnedEvent> events;
    // VPs beside VP 0, which vtl0_registers is about: their initial VTL0 registers.
    std::vector<std::vector<RegisterValue>> other_vps;
    unsigned vp_count() const { return static_cast<unsigned>(1 + other_vps.size()); }
    // The VMM takes each VP off the sidecar after its first exit (hyperv-vtl.md 3.5).
    bool hotplug = false;
    // Turns of other actors that the AP's attention IPI takes at least, while others can act.
    u16 attention_delay = 0;
    // VTL2 code of the VPs stops for others after each access to the VP's own pages too, not only
    // to those that several write.
    bool fine_steps = false;
    // Guest code stops for others after each instruction, not only where something may land.
    bool guest_steps = false;
    std::vector<ScheduleEntry> schedule;
    std::vector<Invariant> invariants;
    Limits limits;
    std::shared_ptr<const Plugins> plugins;  // of a user of the library; null without any
};

}  // namespace vtlsim::model
