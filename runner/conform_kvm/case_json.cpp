#include "runner/conform_kvm/case_json.hpp"

#include <fmt/format.h>

#include "model/log/event.hpp"
#include "runner/format.hpp"

namespace vtlsim::runner::conform_kvm {
namespace {

using model::kvm::Action;
using model::kvm::ActionKind;
using model::kvm::Device;
using model::kvm::ExitPattern;
using model::kvm::Guest;
using model::kvm::Return;
using model::kvm::Script;
using nlohmann::ordered_json;
using sim::Reg;

std::string_view word(model::Format format, u64 value) {
    return model::format_words(format)[value];
}

ordered_json registers_json(const std::vector<std::pair<Reg, u64>>& registers) {
    ordered_json out = ordered_json::object();
    for (const auto& [reg, value] : registers) {
        out[std::string(sim::info(reg).name)] = hex_number(value);
    }
    return out;
}

ordered_json image_json(const model::MemoryImage& image) {
    return {{"at", hex_number(image.address)}, {"bytes", hex_bytes(image.bytes)}};
}

ordered_json guest_json(const Guest& guest) {
    ordered_json out;
    out["mode"] = model::kvm::kModeNames[static_cast<std::size_t>(guest.mode)];
    out["ram"] = hex_number(guest.ram);
    for (const sim::RamRange& r : guest.more_ram) {
        out["more_ram"].push_back(
            {{"at", hex_number(r.first)}, {"size", hex_number(r.last - r.first + 1)}});
    }
    for (std::size_t i = 0; i < guest.memory.size(); ++i) {
        if (guest.memory[i].bytes.empty()) continue;
        if (!out.contains("code")) {
            out["code"] = image_json(guest.memory[i]);
        } else {
            out["memory"].push_back(image_json(guest.memory[i]));
        }
    }
    out["registers"] = registers_json(guest.registers);
    for (const auto& gate : guest.gates) {
        out["gates"].push_back({{"vector", gate.vector}, {"to", hex_number(gate.handler)}});
    }
    return out;
}

ordered_json pattern_json(const ExitPattern& p) {
    ordered_json out = ordered_json::object();
    if (p.number) out["exit"] = *p.number;
    if (p.reason) {
        out["reason"] = word(model::Format::kvm_reason, static_cast<u64>(*p.reason));
    }
    if (p.access) out["access"] = true;
    if (p.port) out["port"] = hex_number(*p.port);
    if (p.in) out["direction"] = *p.in ? "in" : "out";
    if (p.write) out["mmio"] = *p.write ? "write" : "read";
    if (p.size) out["size"] = *p.size;
    if (p.count) out["count"] = *p.count;
    if (p.phys) out["phys"] = hex_number(*p.phys);
    if (p.result != Return::ok)
        out["result"] = word(model::Format::kvm_return, static_cast<u64>(p.result));
    if (p.nth == 0) {
        out["every"] = true;
    } else if (p.nth != 1) {
        out["nth"] = p.nth;
    }
    return out;
}

ordered_json action_json(const Action& a) {
    ordered_json out;
    out["do"] = word(model::Format::kvm_action, static_cast<u64>(a.kind));
    if (!a.registers.empty() || a.kind == ActionKind::set_regs || a.kind == ActionKind::sync_regs) {
        out["registers"] = registers_json(a.registers);
    }
    switch (a.kind) {
        case ActionKind::write_memory:
            if (a.from_rip) {
                out["rip_minus"] = 0 - a.address;
            } else {
                out["at"] = hex_number(a.address);
            }
            [[fallthrough]];
        case ActionKind::answer:
            out["bytes"] = hex_bytes(a.bytes);
            break;
        case ActionKind::init_sipi:
        case ActionKind::interrupt:
        case ActionKind::exception:
            out["vector"] = a.value;
            break;
        case ActionKind::mp_state:
        case ActionKind::shadow:
        case ActionKind::immediate_exit:
        case ActionKind::irq_window:
        case ActionKind::msr_error:
            out["value"] = a.value;
            break;
        default:
            break;
    }
    if (a.debug.single_step) out["single_step"] = true;
    if (a.debug.use_sw_bp) out["software_breakpoints"] = true;
    if (a.debug.block_irq) out["block_irq"] = true;
    for (std::size_t i = 0; a.debug.use_hw_bp && i < a.debug.address.size(); ++i) {
        constexpr std::string_view kKinds[] = {"execute", "write", "io", "access"};
        if ((a.debug.dr7 >> 2 * i & 3) == 0) continue;
        const u64 bits = a.debug.dr7 >> (16 + 4 * i);
        const u64 length = bits >> 2 & 3;
        out["breakpoints"].push_back({{"at", hex_number(a.debug.address[i])},
                                      {"kind", kKinds[bits & 3]},
                                      {"size", length == 2 ? 8 : length + 1}});
    }
    return out;
}

ordered_json actions_json(const std::vector<Action>& actions) {
    ordered_json out = ordered_json::array();
    for (const Action& a : actions) out.push_back(action_json(a));
    return out;
}

ordered_json script_json(const Script& script) {
    ordered_json out;
    if (!script.start.empty()) out["start"] = actions_json(script.start);
    for (const auto& rule : script.rules) {
        out["rules"].push_back(
            {{"when", pattern_json(rule.when)}, {"then", actions_json(rule.then)}});
    }
    for (const Device& d : script.devices) {
        ordered_json device;
        device[d.mmio ? "mmio" : "port"] = hex_number(d.address);
        if (!d.reads.empty()) device["reads"] = hex_bytes(d.reads);
        if (d.in_kernel) device["in_kernel"] = true;
        out["devices"].push_back(std::move(device));
    }
    if (script.userspace_msr) out["userspace_msr"] = true;
    out["max_exits"] = script.max_exits;
    out["max_steps"] = script.max_steps;
    return out;
}

}  // namespace

std::string hex_number(u64 value) { return fmt::format("{:#x}", value); }
std::string hex_bytes(std::span<const u8> bytes) { return bytes_text(bytes); }

ordered_json case_json(const CaseHead& head, const Guest& guest, const Script& script) {
    ordered_json out;
    out["name"] = head.name;
    out["why"] = head.why;
    out["source"] = head.source;
    out["evidence"] = "observed";
    out["teaches"] = head.why;
    out["kvm"]["guest"] = guest_json(guest);
    out["kvm"]["userspace"] = script_json(script);
    out["expect"]["state"]["runs"] = 1;
    return out;
}

}  // namespace vtlsim::runner::conform_kvm
