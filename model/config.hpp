// Everything a world is made of: what a scenario says, with all text already assembled.
#pragma once

#include <utility>
#include <vector>

#include "model/switches.hpp"
#include "sim/state/registers.hpp"

namespace vtlsim::model {

struct MemoryImage {
    u64 address = 0;  // guest physical
    std::vector<u8> bytes;
};

// A scripted device at one port: reads give the values in turn, the last one for ever after.
struct PortScript {
    u16 port = 0;
    u8 size = 1;  // bytes; accesses of another size do not reach it
    std::vector<u32> reads;
};

// The VMM's answers, beyond what the hypervisor proposes.
struct CpuidAnswer {
    u32 leaf = 0;
    u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};
struct MsrAnswer {
    u32 msr = 0;
    u64 value = 0;
};
struct HypercallAnswer {
    u16 code = 0;
    u64 status = 0;  // what the caller gets in RAX
};

enum class PinnedAction : u8 {
    interrupt,  // an interrupt for a VTL
    stop,       // the VMM asks the VTL2 kernel to stop the run
};

// An event fixed to a point of the run: before the n-th execution of the instruction at an address.
struct PinnedEvent {
    u8 vtl = 0;       // whose code `address` lies in
    u64 address = 0;  // linear
    u64 nth = 1;      // 1 is the first execution
    PinnedAction action = PinnedAction::interrupt;
    u8 for_vtl = 2;
    u8 vector = 0x20;
    // A transient interrupt makes the hypervisor enter VTL2 with reason INTERRUPT and is gone; any
    // other stays in the APIC until VTL2 takes it.
    bool transient = false;
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
    std::vector<CpuidAnswer> cpuid;
    std::vector<MsrAnswer> msrs;
    std::vector<HypercallAnswer> hypercalls;
    std::vector<PinnedEvent> events;
    Limits limits;
};

}  // namespace vtlsim::model
