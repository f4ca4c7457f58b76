// Events and their kinds (from events.def).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/types.hpp"

namespace vtlsim::model {

// Who acts. The swim lanes of a timeline.
enum class Lane : u8 { guest, hypervisor, vtl2, vmm, device, driver };

enum class EventKind : u8 {
#define EVENT(id, meaning, args) id,
#include "model/log/events.def"
#undef EVENT
};

// How an argument reads in text. Every argument is a number in the log.
enum class Format : u8 {
    hex,
    dec,
    flag,      // printed as the name alone when 1
    optional,  // hex, or nothing for kNone
    hidden,
    code_lo,  // with code_hi: 16 instruction bytes, printed as disassembly
    code_hi,
    reg,            // sim::Reg
    gpa,            // printed as the name of the wire field there
    io_access,      // 0 in, 1 out
    msr_access,     // 0 read, 1 write
    memory_access,  // 0 read, 1 write, 2 execute
    message_type,
    entry_reason,
    command,  // SidecarCommand
    end_reason,
    vp_state,    // VpState
    cpu_status,  // CpuStatus
    text,        // index of a text in the log
    kvm_return,  // kvm::Return
    kvm_reason,  // kvm::ExitReason
    kvm_completion,
    kvm_event,   // 0 exception, 1 interrupt, 2 NMI
    kvm_action,  // kvm::ActionKind
};

inline constexpr u64 kNone = ~u64{0};

// Why a run is over.
enum class EndReason : u8 {
    none,
    guest_halted,  // VTL0 executed HLT and nothing can wake it
    guest_triple_fault,
    vmm_panic,   // an assert of the VMM failed
    vmm_error,   // the VMM gave up: the VTL2 kernel reported an error, or an exit without handler
    vtl2_crash,  // VTL2's kernel met a triple fault
    stuck,       // nothing can act: a wake-up was lost
    stopped,     // as a stop asked: without an intercept, or after the one that came first
    step_limit,
    memory_limit,
    not_modelled,
    removed,  // the VP has left the sidecar
};

struct Event {
    static constexpr std::size_t kMaxArgs = 6;
    u64 step = 0;  // atomic steps of all actors so far; the first event's is 1
    EventKind kind = EventKind::insn;
    Lane lane = Lane::guest;
    u8 vp = 0;
    u8 vtl = 0;   // active when it happened
    u64 rip = 0;  // of the processor when it happened
    std::array<u64, kMaxArgs> args{};

    friend bool operator==(const Event&, const Event&) = default;
};

struct ArgRow {
    std::string_view name;
    Format format;
};

struct EventRow {
    EventKind kind;
    std::string_view name;  // as scenarios write it: "vtl-enter"
    std::string_view meaning;
    std::span<const ArgRow> args;
};

std::span<const EventRow> event_rows();
const EventRow& event_row(EventKind kind);
const EventRow* find_event(std::string_view name);

std::string_view lane_name(Lane lane);
std::span<const std::string_view> end_reason_names();
std::string_view end_reason_name(EndReason reason);

// What a format's words are ("in", "out"); empty for formats that print numbers.
std::span<const std::string_view> format_words(Format format);

}  // namespace vtlsim::model
