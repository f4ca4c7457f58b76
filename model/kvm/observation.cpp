#include "model/kvm/observation.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace vtlsim::model::kvm {
namespace {

std::string hex(std::span<const u8> bytes) {
    std::string out;
    for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 16); ++i) {
        out += fmt::format("{:02x}", bytes[i]);
    }
    return bytes.size() > 16 ? out + ".." : out;
}

template <typename T>
std::optional<std::string> differ(std::string_view what, const T& a, const T& b) {
    if (a == b) return std::nullopt;
    return fmt::format("{} {:#x}, the other has {:#x}", what, u64{a}, u64{b});
}

std::optional<std::string> first_difference(const VcpuEvents& a, const VcpuEvents& b) {
    const std::pair<std::string_view, u64 (*)(const VcpuEvents&)> fields[] = {
        {"exception_injected", [](const VcpuEvents& e) { return u64{e.exception_injected}; }},
        {"exception_pending", [](const VcpuEvents& e) { return u64{e.exception_pending}; }},
        {"exception", [](const VcpuEvents& e) { return u64{e.exception}; }},
        {"has_error_code", [](const VcpuEvents& e) { return u64{e.has_error_code}; }},
        {"error_code", [](const VcpuEvents& e) { return u64{e.error_code}; }},
        {"interrupt_injected", [](const VcpuEvents& e) { return u64{e.interrupt_injected}; }},
        {"interrupt", [](const VcpuEvents& e) { return u64{e.interrupt}; }},
        {"shadow", [](const VcpuEvents& e) { return u64{e.shadow}; }},
        {"nmi_injected", [](const VcpuEvents& e) { return u64{e.nmi_injected}; }},
        {"nmi_pending", [](const VcpuEvents& e) { return u64{e.nmi_pending}; }},
        {"nmi_masked", [](const VcpuEvents& e) { return u64{e.nmi_masked}; }},
    };
    for (const auto& [name, get] : fields) {
        if (auto d = differ(name, get(a), get(b))) return d;
    }
    return std::nullopt;
}

constexpr std::string_view kReturns[] = {"ok", "EINTR", "EAGAIN", "EINVAL", "error"};

}  // namespace

std::span<const sim::Reg> compared_registers() {
    using sim::Reg;
    static const std::vector<Reg> all = [] {
        std::vector<Reg> out;
        for (std::size_t i = 0; i < 16; ++i) out.push_back(sim::gpr(i));
        out.insert(out.end(), {Reg::rip, Reg::rflags});
        for (u8 seg = 0; seg < 6; ++seg) {
            out.push_back(selector_of(static_cast<sim::Seg>(seg)));
            out.push_back(base_of(static_cast<sim::Seg>(seg)));
        }
        out.insert(out.end(), {Reg::cr0, Reg::cr3, Reg::cr4, Reg::efer, Reg::dr6, Reg::dr7});
        return out;
    }();
    return all;
}

std::string_view script_end_name(ScriptEnd end) {
    constexpr std::string_view kNames[] = {"exit", "stop", "exits", "steps", "not-modelled"};
    return kNames[static_cast<std::size_t>(end)];
}

std::string exit_text(const RunExit& exit) {
    if (exit.result != Return::ok) {
        return std::string(kReturns[static_cast<std::size_t>(exit.result)]);
    }
    switch (exit.reason) {
        case ExitReason::io:
            return fmt::format("io {} port={:#x} size={} count={}{}{}", exit.in ? "in" : "out",
                               exit.port, exit.size, exit.count,
                               exit.data.empty() ? "" : " data=", hex(exit.data));
        case ExitReason::mmio:
            return fmt::format("mmio {} phys={:#x} length={}{}{}", exit.write ? "write" : "read",
                               exit.phys, exit.length,
                               exit.data.empty() ? "" : " data=", hex(exit.data));
        case ExitReason::debug:
            return fmt::format("debug pc={:#x} dr6={:#x} exception={}", exit.pc, exit.dr6,
                               exit.exception);
        case ExitReason::rdmsr:
            return fmt::format("rdmsr msr={:#x}", exit.msr);
        case ExitReason::wrmsr:
            return fmt::format("wrmsr msr={:#x} value={:#x}", exit.msr, exit.msr_value);
        case ExitReason::internal_error:
            return fmt::format("internal-error suberror={}", exit.suberror);
        case ExitReason::hlt:
            return "hlt";
        case ExitReason::shutdown:
            return "shutdown";
        case ExitReason::irq_window_open:
            return "irq-window-open";
        default:
            return fmt::format("reason {}", static_cast<u32>(exit.reason));
    }
}

std::optional<std::string> first_difference(const Observation& a, const Observation& b,
                                            bool events) {
    if (a.exit != b.exit) {
        std::string left = exit_text(a.exit), right = exit_text(b.exit);
        if (left == right) left += " (payload beyond what is shown)";
        return fmt::format("exit {}, the other has {}", left, right);
    }
    for (sim::Reg reg : compared_registers()) {
        if (auto d = differ(sim::info(reg).name, a.registers[reg], b.registers[reg])) return d;
    }
    if (auto d = differ("mp_state", a.mp_state, b.mp_state)) return d;
    return events ? first_difference(a.events, b.events) : std::nullopt;
}

std::optional<std::string> first_difference(const Transcript& a, const Transcript& b, bool events) {
    const std::size_t both = std::min(a.observations.size(), b.observations.size());
    for (std::size_t i = 0; i < both; ++i) {
        if (auto d = first_difference(a.observations[i], b.observations[i], events)) {
            return fmt::format("exit {}: {}", i + 1, *d);
        }
    }
    if (a.observations.size() != b.observations.size()) {
        const bool more = a.observations.size() > both;
        const Observation& next = (more ? a : b).observations[both];
        return fmt::format("exit {}: {} {}, the other has none", both + 1,
                           more ? "there is" : "there is none; the other has",
                           exit_text(next.exit));
    }
    if (a.end != b.end) {
        return fmt::format("end: {}, the other has {}", script_end_name(a.end),
                           script_end_name(b.end));
    }
    if (a.writes != b.writes) return "the devices saw different writes";
    if (auto d = differ("reads of devices", a.reads, b.reads)) return d;
    const std::size_t pages = std::min(a.memory.size(), b.memory.size());
    for (std::size_t i = 0; i < pages; ++i) {
        if (a.memory[i].address != b.memory[i].address) {
            return fmt::format("the page at {:#x} has changed in one only",
                               std::min(a.memory[i].address, b.memory[i].address));
        }
        const auto [x, y] = std::mismatch(a.memory[i].bytes.begin(), a.memory[i].bytes.end(),
                                          b.memory[i].bytes.begin(), b.memory[i].bytes.end());
        if (x == a.memory[i].bytes.end()) continue;
        return fmt::format("memory at {:#x}: {:02x}, the other has {:02x}",
                           a.memory[i].address + static_cast<u64>(x - a.memory[i].bytes.begin()),
                           *x, *y);
    }
    if (a.memory.size() != b.memory.size()) {
        const auto& more = a.memory.size() > pages ? a.memory : b.memory;
        return fmt::format("the page at {:#x} has changed in one only", more[pages].address);
    }
    return std::nullopt;
}

}  // namespace vtlsim::model::kvm
