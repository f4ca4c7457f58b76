#include "runner/load_world.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/vtl2/layout.hpp"
#include "model/vtl2/vtl2_kernel.hpp"
#include "sim/asm/assembler.hpp"
#include "sim/memory/memory.hpp"

namespace vtlsim::runner {
namespace {

constexpr u64 kDefaultCode = 0x1000;
constexpr u64 kDefaultStack = 0x10000;
constexpr u64 kMaxSteps = 1'000'000'000;
constexpr u64 kMaxMemory = u64{1} << 30;

std::vector<std::string_view> register_names() {
    std::vector<std::string_view> names;
    for (const sim::RegInfo& row : sim::registers()) names.push_back(row.name);
    return names;
}

}  // namespace

const model::SwitchRow* read_switch_name(const Node& member) {
    const model::SwitchRow* row = model::find_switch(member.key());
    if (row == nullptr) {
        std::vector<std::string_view> names;
        for (const model::SwitchRow& r : model::switch_rows()) names.push_back(r.name);
        member.error_at_key(fmt::format("unknown switch {}{}", in_quotes(member.key()),
                                        did_you_mean(member.key(), names)));
    }
    return row;
}

u8 read_switch_value(const Node& node, const model::SwitchRow& row) {
    std::vector<std::string_view> names;
    for (const model::SwitchValue& v : row.values) names.push_back(v.name);
    return static_cast<u8>(node.one_of(fmt::format("switch {}", row.name), names));
}

// --- labels
// ------------------------------------------------------------------------------------------

std::vector<std::pair<u64, std::string>> Labels::guest_by_address() const {
    std::vector<std::pair<u64, std::string>> out;
    for (const auto& [name, address] : guest_) out.emplace_back(address, name);
    std::sort(out.begin(), out.end());
    return out;
}

Labels::Place Labels::read(const Node& node) const {
    if (!node.is_string()) return {.vtl = 0, .address = node.integer(), .vtl2_label = {}};
    const std::string& text = node.string();
    if (!text.empty() && text[0] >= '0' && text[0] <= '9') {
        const u64 address = node.integer();
        return {.vtl = address >= model::layout::kVtl2Base ? u8{2} : u8{0},
                .address = address,
                .vtl2_label = {}};
    }
    constexpr std::string_view kVtl2Prefix = "vtl2:";
    std::vector<std::string_view> names;
    if (text.starts_with(kVtl2Prefix)) {
        const std::string label = text.substr(kVtl2Prefix.size());
        // A label of either kernel will do here; the variant's own kernel decides later.
        static const auto kernels = [] {
            std::vector<sim::AsmResult> all;
            for (auto runner : {model::VpRunner::sidecar, model::VpRunner::kernel_driver}) {
                model::Switches s;
                s.vp_runner = runner;
                s.vmm_fix = model::VmmFix::V1;
                all.push_back(model::assemble_vtl2_kernel(s));
            }
            return all;
        }();
        for (const sim::AsmResult& kernel : kernels) {
            for (const sim::AsmSymbol& s : kernel.symbols) {
                if (s.is_label && s.name == label)
                    return {.vtl = 2, .address = 0, .vtl2_label = label};
                if (s.is_label) names.push_back(s.name);
            }
        }
        node.error(fmt::format("the VTL2 kernel has no label {}{}", in_quotes(label),
                               did_you_mean(label, names)));
        return {};
    }
    const auto it = guest_.find(text);
    if (it != guest_.end()) return {.vtl = 0, .address = it->second, .vtl2_label = {}};
    for (const auto& [name, address] : guest_) names.push_back(name);
    node.error(fmt::format("unknown label {}{}", in_quotes(text), did_you_mean(text, names)));
    return {};
}

// --- the world
// ---------------------------------------------------------------------------------------

WorldReader::WorldReader(const Fields& root) {
    config_.vtl0_registers.emplace_back(sim::Reg::rip, Vec128{kDefaultCode, 0});
    config_.vtl0_registers.emplace_back(sim::Reg::rsp, Vec128{kDefaultStack, 0});
    if (const auto node = root.optional("switches")) read_switches(*node);
    if (const auto node = root.optional("limits")) read_limits(*node);
    read_guest(root.required("guest"));
    if (const auto node = root.optional("vtl2")) read_vtl2(*node);
    read_devices(root);
    if (const auto node = root.optional("events")) read_events(*node);
}

void WorldReader::read_switches(const Node& node) {
    for (const Node& member : node.members()) {
        if (const model::SwitchRow* row = read_switch_name(member)) {
            row->set(config_.switches, read_switch_value(member, *row));
        }
    }
}

void WorldReader::read_limits(const Node& node) {
    const Fields f = node.object({"steps", "memory"});
    if (const auto steps = f.optional("steps")) {
        config_.limits.steps = steps->integer<u64>(1, kMaxSteps);
    }
    if (const auto memory = f.optional("memory")) {
        config_.limits.pages = memory->integer<u64>(sim::kPageSize, kMaxMemory) / sim::kPageSize;
    }
}

void WorldReader::read_guest(const Node& node) {
    const Fields f = node.object({"ram", "code", "entry", "registers", "memory"});
    if (const auto ram = f.optional("ram")) {
        config_.guest_ram = ram->integer<u64>(sim::kPageSize, model::layout::kMaxGuestRam);
        if (config_.guest_ram % sim::kPageSize != 0) ram->error("not a multiple of 4096");
    }
    const Node code = f.required("code");
    if (!code.is_missing()) {
        const Fields c = code.object({"at", "asm", "bytes"});
        if (const auto at = c.optional("at")) {
            config_.vtl0_registers[0].second.lo = at->integer<u64>();
        }
        read_image(c, true);
    }
    if (const auto memory = f.optional("memory")) read_memory(*memory, true);
    if (const auto entry = f.optional("entry")) {
        config_.vtl0_registers[0].second.lo = labels_.read(*entry).address;
    }
    if (const auto regs = f.optional("registers")) read_registers(*regs, config_.vtl0_registers);
}

void WorldReader::read_vtl2(const Node& node) {
    const Fields f = node.object({"registers", "memory"});
    if (const auto regs = f.optional("registers")) read_registers(*regs, config_.vtl2_registers);
    if (const auto memory = f.optional("memory")) read_memory(*memory, false);
}

void WorldReader::read_registers(const Node& node, std::vector<model::RegisterValue>& out) {
    static const std::vector<std::string_view> names = register_names();
    for (const Node& member : node.members()) {
        const sim::RegInfo* row = sim::find_register(member.key());
        if (row == nullptr) {
            member.error_at_key(fmt::format("unknown register {}{}", in_quotes(member.key()),
                                            did_you_mean(member.key(), names)));
            continue;
        }
        if (row->bits > 64) {
            out.emplace_back(row->reg, member.hex(row->bits / 4));
        } else {
            const u64 max = row->bits == 64 ? ~u64{0} : (u64{1} << row->bits) - 1;
            out.emplace_back(row->reg, Vec128{member.integer<u64>(0, max), 0});
        }
    }
}

void WorldReader::read_memory(const Node& node, bool guest) {
    for (const Node& entry : node.array()) {
        const Fields f = entry.object({"at", "asm", "bytes"});
        if (!f.required("at").is_missing()) read_image(f, guest);
    }
}

void WorldReader::read_image(const Fields& fields, bool guest) {
    u64 address = kDefaultCode;
    if (const auto at = fields.optional("at")) address = at->integer<u64>();
    const auto text = fields.optional("asm");
    const auto bytes = fields.optional("bytes");
    if (text.has_value() == bytes.has_value()) {
        fields.node().error("exactly one of \"asm\" and \"bytes\" is needed");
        return;
    }
    if (bytes) {
        add_image(*bytes, address, bytes->bytes());
        return;
    }
    const JsonText source = text->text();
    sim::AsmOptions options;
    options.origin = address;
    const sim::AsmResult result = sim::assemble(source.text(), options);
    for (const sim::AsmError& e : result.errors) {
        text->error_at(source.position(e.line, e.column), e.message);
    }
    if (!result.ok()) return;
    if (guest) {
        for (const sim::AsmSymbol& s : result.symbols) {
            if (!s.is_label) continue;
            if (labels_.has_guest(s.name)) {
                text->error(fmt::format("label {} is defined in another part of the guest too",
                                        in_quotes(s.name)));
            }
            labels_.add_guest(s.name, s.value);
        }
    }
    add_image(*text, result.origin, result.bytes);
}

void WorldReader::add_image(const Node& node, u64 address, std::vector<u8> bytes) {
    if (bytes.empty()) {
        node.error("nothing to put into memory");
        return;
    }
    const u64 last = address + bytes.size() - 1;
    for (const model::MemoryImage& other : config_.memory) {
        const u64 other_last = other.address + other.bytes.size() - 1;
        if (address <= other_last && other.address <= last) {
            node.error(fmt::format("memory {:#x} to {:#x} is given twice",
                                   std::max(address, other.address), std::min(last, other_last)));
        }
    }
    const bool vtl0 = address <= last && last < config_.guest_ram;
    const bool vtl2 =
        address <= last && address >= model::layout::kVtl2Base && last < model::layout::kVtl2End;
    if (!vtl0 && !vtl2) {
        node.error(fmt::format("{:#x} to {:#x} is neither guest RAM (below {:#x}) nor VTL2's",
                               address, last, config_.guest_ram));
        return;
    }
    config_.memory.push_back({address, std::move(bytes)});
}

void WorldReader::read_devices(const Fields& root) {
    if (const auto list = root.optional("devices")) {
        for (const Node& entry : list->array()) {
            const Fields f = entry.object({"port", "size", "reads"});
            model::PortScript script;
            script.port = f.required("port").integer<u16>();
            if (const auto size = f.optional("size")) {
                script.size = size->integer<u8>(1, 4);
                if (script.size == 3) size->error("a port access has 1, 2 or 4 bytes");
            }
            const u32 max = script.size >= 4 ? 0xFFFFFFFF : (u32{1} << script.size * 8) - 1;
            if (const auto reads = f.optional("reads")) {
                for (const Node& value : reads->array()) {
                    script.reads.push_back(value.integer<u32>(0, max));
                }
            }
            for (const model::PortScript& other : config_.ports) {
                if (other.port == script.port && other.size == script.size) {
                    entry.error(
                        fmt::format("port {:#x} has a device of this size already", script.port));
                }
            }
            config_.ports.push_back(std::move(script));
        }
    }
    if (const auto list = root.optional("cpuid")) {
        for (const Node& entry : list->array()) {
            const Fields f = entry.object({"leaf", "eax", "ebx", "ecx", "edx"});
            const auto value = [&](std::string_view key) {
                const auto node = f.optional(key);
                return node ? node->integer<u32>() : 0;
            };
            config_.cpuid.push_back({f.required("leaf").integer<u32>(), value("eax"), value("ebx"),
                                     value("ecx"), value("edx")});
        }
    }
    if (const auto list = root.optional("msrs")) {
        for (const Node& entry : list->array()) {
            const Fields f = entry.object({"msr", "value"});
            config_.msrs.push_back(
                {f.required("msr").integer<u32>(), f.required("value").integer<u64>()});
        }
    }
    if (const auto list = root.optional("hypercalls")) {
        for (const Node& entry : list->array()) {
            const Fields f = entry.object({"code", "status"});
            config_.hypercalls.push_back(
                {f.required("code").integer<u16>(), f.required("status").integer<u64>()});
        }
    }
}

void WorldReader::read_events(const Node& node) {
    constexpr std::string_view kActions[] = {"interrupt", "stop"};
    for (const Node& entry : node.array()) {
        const Fields f =
            entry.object({"do", "vtl", "vector", "transient", "before", "nth", "may_not_happen"});
        model::PinnedEvent event;
        event.action = static_cast<model::PinnedAction>(
            f.required("do").one_of("an event's action", kActions));
        const Labels::Place place = labels_.read(f.required("before"));
        event.vtl = place.vtl;
        event.address = place.address;
        if (const auto nth = f.optional("nth")) event.nth = nth->integer<u64>(1, kMaxSteps);
        if (event.action == model::PinnedAction::interrupt) {
            if (const auto vtl = f.optional("vtl")) {
                event.for_vtl = vtl->integer<u8>(0, 2);
                if (event.for_vtl == 1) vtl->error("there is no VTL1 in this world (0 or 2)");
            }
            if (const auto vector = f.optional("vector")) {
                event.vector = vector->integer<u8>(16);
            }
            if (const auto transient = f.optional("transient")) {
                event.transient = transient->boolean();
                if (event.transient && event.for_vtl != 2) {
                    transient->error("only an interrupt for VTL2 can be transient");
                }
            }
        } else {
            for (std::string_view key : {"vtl", "vector", "transient"}) {
                if (const auto extra = f.optional(key)) {
                    extra->error_at_key(fmt::format("\"{}\" is about interrupts", key));
                }
            }
        }
        const auto optional = f.optional("may_not_happen");
        config_.events.push_back(event);
        event_optional_.push_back(optional && optional->boolean());
        event_vtl2_label_.push_back(place.vtl2_label);
    }
}

void WorldReader::resolve_events(model::WorldConfig& config) const {
    if (std::all_of(event_vtl2_label_.begin(), event_vtl2_label_.end(),
                    [](const std::string& l) { return l.empty(); })) {
        return;
    }
    const sim::AsmResult kernel = model::assemble_vtl2_kernel(config.switches);
    for (std::size_t i = 0; i < config.events.size(); ++i) {
        if (event_vtl2_label_[i].empty()) continue;
        // A label that this variant's kernel lacks is never reached: the run says so.
        const sim::AsmSymbol* symbol = kernel.find(event_vtl2_label_[i]);
        config.events[i].address = symbol != nullptr ? symbol->value : ~u64{0};
    }
}

}  // namespace vtlsim::runner
