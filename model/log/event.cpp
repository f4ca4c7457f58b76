#include "model/log/event.hpp"

#include <algorithm>
#include <vector>

namespace vtlsim::model {
namespace {

#define ARG(name, format) \
    ArgRow { #name, Format::format }
// Every kind has at least one row, so that an empty list is an array too.
#define ARGS(...) \
    std::array { ArgRow{"", Format::hidden} __VA_OPT__(, ) __VA_ARGS__ }
#define EVENT(id, meaning, args) constexpr auto kArgs_##id = args;
#include "model/log/events.def"
#undef EVENT

// Names with '-' for '_'.
template <std::size_t N>
constexpr std::array<char, N> dashed(const char (&id)[N]) {
    std::array<char, N> out{};
    for (std::size_t i = 0; i < N; ++i) out[i] = id[i] == '_' ? '-' : id[i];
    return out;
}
#define EVENT(id, meaning, args) constexpr auto kName_##id = dashed(#id);
#include "model/log/events.def"
#undef EVENT

constexpr EventRow kRows[] = {
#define EVENT(id, meaning, args)                 \
    {EventKind::id,                              \
     {kName_##id.data(), kName_##id.size() - 1}, \
     meaning,                                    \
     std::span<const ArgRow>(kArgs_##id).subspan(1)},
#include "model/log/events.def"
#undef EVENT
#undef ARGS
#undef ARG
};

constexpr std::string_view kLanes[] = {"guest", "hypervisor", "vtl2", "vmm", "device", "driver"};
constexpr std::string_view kEndReasons[] = {
    "none",  "guest-halted", "guest-triple-fault", "vmm-panic",    "vmm-error",    "vtl2-crash",
    "stuck", "stopped",      "step-limit",         "memory-limit", "not-modelled", "removed"};
constexpr std::string_view kIoAccess[] = {"in", "out"};
constexpr std::string_view kMsrAccess[] = {"read", "write"};
constexpr std::string_view kMemoryAccess[] = {"read", "write", "execute"};
constexpr std::string_view kEntryReasons[] = {"reserved", "vtl-call", "interrupt", "intercept"};
constexpr std::string_view kCpuStatus[] = {"removed", "idle", "run", "stop", "remove"};
constexpr std::string_view kVpState[] = {"avail",          "sync",          "async",
                                         "async-stopping", "async-stopped", "async-starting"};
constexpr std::string_view kCommands[] = {"none", "run-vp", "get-vp-registers", "set-vp-registers",
                                          "translate-gva"};
// KVM's words (model/kvm): the numbers of its API, and its own enumerations.
constexpr std::string_view kKvmReturns[] = {"ok", "eintr", "eagain", "einval", "error"};
constexpr std::string_view kKvmReasons[] = {"unknown",
                                            "exception",
                                            "io",
                                            "hypercall",
                                            "debug",
                                            "hlt",
                                            "mmio",
                                            "irq-window-open",
                                            "shutdown",
                                            "fail-entry",
                                            "intr",
                                            "set-tpr",
                                            "tpr-access",
                                            "s390-sieic",
                                            "s390-reset",
                                            "dcr",
                                            "nmi",
                                            "internal-error",
                                            "osi",
                                            "papr-hcall",
                                            "s390-ucontrol",
                                            "watchdog",
                                            "s390-tsch",
                                            "epr",
                                            "system-event",
                                            "s390-stsi",
                                            "ioapic-eoi",
                                            "hyperv",
                                            "arm-nisv",
                                            "rdmsr",
                                            "wrmsr"};
constexpr std::string_view kKvmCompletions[] = {"none",     "skip",     "fast-out",   "fast-in",
                                                "zero",     "emulator", "mmio-write", "msr",
                                                "next-rip", "fulfil",   "step"};
constexpr std::string_view kKvmEvents[] = {"exception", "interrupt", "nmi"};
constexpr std::string_view kKvmActions[] = {"get-regs",        "set-regs",
                                            "rewrite-regs",    "rewrite-sregs",
                                            "sync-regs",       "bad-dirty-regs",
                                            "reset-bsp",       "reset-bsp-regs-first",
                                            "init-sipi",       "mp-state",
                                            "get-mp-state",    "move-vcpu",
                                            "restore-state",   "save-state",
                                            "guest-debug",     "irq-window",
                                            "interrupt",       "nmi",
                                            "exception",       "clear-exception",
                                            "clear-interrupt", "shadow",
                                            "write-memory",    "answer",
                                            "announce-reset",  "abandon",
                                            "msr-error",       "immediate-exit",
                                            "resume",          "stop"};

}  // namespace

std::span<const EventRow> event_rows() { return kRows; }
const EventRow& event_row(EventKind kind) { return kRows[static_cast<std::size_t>(kind)]; }
const EventRow* find_event(std::string_view name) {
    const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                   [&](const EventRow& r) { return r.name == name; });
    return row == std::end(kRows) ? nullptr : row;
}

std::string_view lane_name(Lane lane) { return kLanes[static_cast<std::size_t>(lane)]; }
std::span<const std::string_view> end_reason_names() { return kEndReasons; }
std::string_view end_reason_name(EndReason reason) {
    return kEndReasons[static_cast<std::size_t>(reason)];
}

std::span<const std::string_view> format_words(Format format) {
    switch (format) {
        case Format::io_access:
            return kIoAccess;
        case Format::msr_access:
            return kMsrAccess;
        case Format::memory_access:
            return kMemoryAccess;
        case Format::entry_reason:
            return kEntryReasons;
        case Format::vp_state:
            return kVpState;
        case Format::cpu_status:
            return kCpuStatus;
        case Format::command:
            return kCommands;
        case Format::end_reason:
            return kEndReasons;
        case Format::kvm_return:
            return kKvmReturns;
        case Format::kvm_reason:
            return kKvmReasons;
        case Format::kvm_completion:
            return kKvmCompletions;
        case Format::kvm_event:
            return kKvmEvents;
        case Format::kvm_action:
            return kKvmActions;
        default:
            return {};
    }
}

}  // namespace vtlsim::model
