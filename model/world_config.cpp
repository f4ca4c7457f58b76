#include <algorithm>
#include <set>
#include <type_traits>

#include <fmt/format.h>

#include "model/world.hpp"

namespace vtlsim::model {

using sim::Reg;
namespace {

void check_registers(std::span<const RegisterValue> registers, std::vector<std::string>& problems) {
    for (const auto& [reg, value] : registers) {
        if (reg == Reg::activity && value.lo != 0) {
            problems.emplace_back("a processor cannot start halted: the VTL2 kernel runs first");
        }
    }
}

void check_events(std::span<const PinnedEvent> events, const Switches& switches,
                  std::vector<std::string>& problems) {
    for (const PinnedEvent& e : events) {
        if (e.action == PinnedAction::signal && switches.vp_runner != VpRunner::sidecar) {
            problems.emplace_back("a signal ends the sidecar driver's wait: not kernel_driver");
        }
        if (e.free && (e.action == PinnedAction::stop || e.action == PinnedAction::signal))
            continue;
        const auto bad = [&](std::string_view what) {
            problems.push_back(fmt::format("event at {:#x}: {}", e.address, what));
        };
        if (e.vtl != kVtl0 && e.vtl != kVtl2) bad("the code is VTL 0's or 2's");
        if (e.nth == 0) bad("the first execution is number 1");
        if (e.action == PinnedAction::intercept && !e.free && e.vtl != kVtl0) {
            bad("an intercept comes while VTL0's code runs");
        }
        if (e.action != PinnedAction::interrupt) continue;
        if (e.with_exit && (e.vtl != kVtl0 || e.for_vtl != kVtl2)) {
            bad("an interrupt that comes with an exit is for VTL2, before an instruction of VTL0");
        }
        if (e.for_vtl != kVtl0 && e.for_vtl != kVtl2) bad("an interrupt is for VTL 0 or 2");
        if (e.vector < 0x10) bad("interrupt vectors below 10h are illegal in an APIC");
        if (e.transient && (e.vtl != kVtl0 || e.for_vtl != kVtl2)) {
            bad("a transient interrupt only makes VTL0's code enter VTL2");
        }
    }
}

// No two rows may answer the same question.
template <class Rows, class Key>
void check_unique(std::string_view what, const Rows& rows, Key key,
                  std::vector<std::string>& problems) {
    std::set<std::invoke_result_t<Key, decltype(rows.front())>> seen;
    for (const auto& row : rows) {
        if (!seen.insert(key(row)).second) {
            problems.push_back(fmt::format("{} is given twice", what));
        }
    }
}

void check_answers(const WorldConfig& config, std::vector<std::string>& problems) {
    for (const PortScript& p : config.ports) {
        if (p.size != 1 && p.size != 2 && p.size != 4) {
            problems.push_back(fmt::format("port {:#x}: accesses are of 1, 2 or 4 bytes", p.port));
        }
    }
    for (const PortScript& p : config.ports) {
        if (p.step && p.reads.empty()) {
            problems.push_back(fmt::format("port {:#x}: a counter starts somewhere", p.port));
        }
    }
    for (const UartConfig& u : config.uarts) {
        if (u.port > 0x10000 - uart::kPorts) {
            problems.push_back(fmt::format("a 16550 at {:#x} does not fit", u.port));
        }
        for (const UartConfig& other : config.uarts) {
            const u16 apart =
                static_cast<u16>(u.port > other.port ? u.port - other.port : other.port - u.port);
            if (&other != &u && apart < uart::kPorts) {
                problems.push_back(fmt::format("two 16550s at {:#x}", u.port));
            }
        }
        for (const PortScript& p : config.ports) {
            if (p.size == 1 && p.port >= u.port && p.port - u.port < uart::kPorts) {
                problems.push_back(fmt::format("port {:#x} is the 16550's already", p.port));
            }
        }
    }
    const auto port = [](const PortScript& p) { return std::pair(p.port, p.size); };
    check_unique("a port with the same size", config.ports, port, problems);
    check_unique(
        "a CPUID leaf", config.cpuid, [](const CpuidAnswer& a) { return a.leaf; }, problems);
    check_unique(
        "an MSR", config.msrs, [](const MsrAnswer& a) { return a.msr; }, problems);
    for (const HypercallAnswer& a : config.hypercalls) {
        if ((a.input + 1u) / 2 * 2 + a.output.size() > kFastWords) {
            problems.push_back(
                fmt::format("hypercall {:#x}: {} words fit into RDX, R8 and XMM0-5, the output "
                            "from an even one on",
                            a.code, kFastWords));
        }
    }
    if (config.ext_int && *config.ext_int < 0x10) {
        problems.emplace_back("an 8259's vector is 10h at least");
    }
    check_unique(
        "a hypercall", config.hypercalls, [](const HypercallAnswer& a) { return a.code; },
        problems);
}

}  // namespace

std::vector<std::string> check_config(const WorldConfig& config) {
    std::vector<std::string> problems;
    const Switches& s = config.switches;
    if (s.vp_runner == VpRunner::kernel_driver) {
        // These are about the sidecar's run_vp_once only.
        if (s.vmm_fix != VmmFix::V0 && s.vmm_fix != VmmFix::V2) {
            problems.emplace_back(
                "vmm_fix V1 is a change of the sidecar kernel: it does not apply to vp_runner "
                "kernel_driver");
        }
        const bool about_sidecar =
            std::any_of(config.invariants.begin(), config.invariants.end(),
                        [](Invariant id) { return id != Invariant::no_vmm_panic; });
        if (about_sidecar || config.hotplug || !config.other_vps.empty() ||
            s.driver != Driver::racy || s.memory_order != MemoryOrder::sc) {
            problems.emplace_back(
                "invariants but no-vmm-panic, hotplug, more VPs, driver and memory_order are about "
                "the sidecar: they do not apply to vp_runner kernel_driver");
        }
        if (s.fx_cr2_restore != FxCr2Restore::head) {
            problems.emplace_back(
                "fx_cr2_restore is about the sidecar kernel: it does not apply to vp_runner "
                "kernel_driver");
        }
    }
    if (config.vp_count() > layout::kMaxVps) {
        problems.push_back(fmt::format("at most {} VPs", layout::kMaxVps));
    }
    if (config.guest_ram == 0 || config.guest_ram > layout::kMaxGuestRam ||
        config.guest_ram % sim::kPageSize != 0) {
        problems.push_back(fmt::format("guest RAM must be a multiple of 4 KiB up to {:#x} bytes",
                                       layout::kMaxGuestRam));
    }
    check_registers(config.vtl0_registers, problems);
    check_registers(config.vtl2_registers, problems);
    check_events(config.events, config.switches, problems);
    check_answers(config, problems);
    for (const MemoryImage& image : config.memory) {
        const u64 last = image.address + (image.bytes.empty() ? 0 : image.bytes.size() - 1);
        const bool vtl0 = last < config.guest_ram && image.address <= last;
        const bool vtl2 = image.address >= layout::kVtl2Base && image.address <= last &&
                          last < layout::vtl2_end(config.vp_count());
        if (!vtl0 && !vtl2) {
            problems.push_back(
                fmt::format("memory at {:#x} is neither guest RAM nor VTL2's", image.address));
        }
    }
    return problems;
}

}  // namespace vtlsim::model
