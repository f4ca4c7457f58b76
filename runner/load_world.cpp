#include "runner/load_world.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/vtl2/layout.hpp"
#include "model/wire/message.hpp"
#include "runner/limits.hpp"
#include "runner/read_switch.hpp"
#include "runner/trace/listing.hpp"
#include "sim/asm/assembler.hpp"

namespace vtlsim::runner {
namespace {

std::vector<std::string_view> register_names() {
    std::vector<std::string_view> names;
    for (const sim::RegInfo& row : sim::registers()) names.push_back(row.name);
    return names;
}

}  // namespace

WorldReader::WorldReader(const Fields& root) {
    config_.vtl0_registers.emplace_back(sim::Reg::rip, Vec128{kDefaultCode, 0});
    config_.vtl0_registers.emplace_back(sim::Reg::rsp, Vec128{kDefaultStack, 0});
    if (const auto node = root.optional("switches")) read_switches(*node);
    if (const auto node = root.optional("limits")) read_limits(*node);
    read_guest(root.required("guest"));
    if (const auto node = root.optional("vps")) read_vps(*node);  // VTL2's memory grows with them
    if (const auto node = root.optional("vtl2")) read_vtl2(*node);
    if (const auto node = root.optional("devices")) read_devices(*node);
    read_answers(root);
    read_concurrency(root);
    if (const auto node = root.optional("events")) read_events(*node);
}

void WorldReader::read_switches(const Node& node) {
    for (const Node& member : node.members()) {
        if (const model::SwitchRow* row = read_switch_name(member, model::switch_rows())) {
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
        config_.limits.pages = memory->integer<u64>(kMinMemory, kMaxMemory) / sim::kPageSize;
    }
}

// --- memory and registers -----------------------------------------------------------------------

void WorldReader::read_guest(const Node& node) {
    const Fields f = node.object({"ram", "code", "entry", "registers", "memory"});
    if (const auto ram = f.optional("ram")) {
        config_.guest_ram = ram->integer<u64>(sim::kPageSize, model::layout::kMaxGuestRam);
        if (config_.guest_ram % sim::kPageSize != 0) ram->error("not a multiple of 4096");
    }
    u64& rip = config_.vtl0_registers[0].second.lo;
    if (const Node code = f.required("code"); !code.is_missing()) {
        const Fields c = code.object({"at", "asm", "bytes"});
        const auto at = c.optional("at");
        rip = read_image(c, at ? at->integer() : kDefaultCode, 0);
    }
    if (const auto memory = f.optional("memory")) read_memory(*memory, 0);
    const auto entry = f.optional("entry");
    if (entry) {
        const std::size_t errors = entry->diagnostics().count();
        rip = labels_.read_address(*entry);
        if (entry->diagnostics().count() == errors) check_start(*entry, rip);
    }
    if (const auto registers = f.optional("registers")) {
        read_registers(*registers, config_.vtl0_registers);
        bool own_addresses = false;
        for (const Node& member : registers->members())
            own_addresses = own_addresses || member.key() == "cr3" || member.key() == "cs" ||
                            member.key() == "cs_base";
        for (const Node& member : registers->members()) {
            if (member.key() != "rip") continue;
            if (entry) {
                member.error_at_key("\"entry\" says already where the guest starts");
            } else if (!own_addresses) {
                check_start(member, member.integer());
            }
        }
    }
}

void WorldReader::check_start(const Node& node, u64 address) {
    const auto after = images_.upper_bound(address);
    if (images_.empty() || (after != images_.begin() && std::prev(after)->second.last >= address))
        return;
    node.error(
        fmt::format("the guest would start at {:#x}, where the scenario puts nothing", address));
}

void WorldReader::read_vtl2(const Node& node) {
    const Fields f = node.object({"registers", "memory"});
    if (const auto regs = f.optional("registers")) read_registers(*regs, config_.vtl2_registers);
    if (const auto memory = f.optional("memory")) read_memory(*memory, 2);
}

void WorldReader::read_registers(const Node& node, std::vector<model::RegisterValue>& out) {
    static const std::vector<std::string_view> names = register_names();
    for (const Node& member : node.members()) {
        const sim::RegInfo* row = sim::find_register(member.key());
        if (row == nullptr) {
            member.error_at_key(fmt::format("unknown register {}{}", in_quotes(member.key()),
                                            did_you_mean(member.key(), names)));
        } else if (row->bits > 64) {
            out.emplace_back(row->reg, member.hex(row->bits / 4));
        } else {
            const u64 max = ~u64{0} >> (64 - row->bits);
            out.emplace_back(row->reg, Vec128{member.integer<u64>(0, max), 0});
        }
    }
}

void WorldReader::read_memory(const Node& node, u8 vtl) {
    for (const Node& entry : node.array()) {
        const Fields f = entry.object({"at", "asm", "bytes"});
        read_image(f, f.required("at").integer(), vtl);
    }
}

u64 WorldReader::read_image(const Fields& fields, u64 at, u8 vtl) {
    const auto text = fields.optional("asm");
    const auto bytes = fields.optional("bytes");
    if (text.has_value() == bytes.has_value()) {
        fields.node().error("exactly one of \"asm\" and \"bytes\" is needed");
        return at;
    }
    const Node place = fields.optional("at").value_or(text ? *text : *bytes);
    const std::size_t errors = fields.node().diagnostics().count();
    if (bytes) {
        std::vector<u8> content = bytes->bytes();
        if (bytes->diagnostics().count() == errors) add_image(place, at, std::move(content), vtl);
        return at;
    }
    if (image_bytes_ > kMaxImages) return at;  // reported
    const JsonText source = text->text();
    sim::AsmOptions options;
    options.origin = at;
    const sim::AsmResult result = sim::assemble(source.text(), options);
    for (const sim::AsmError& e : result.errors) {
        text->error_at(source.position(e.line, e.column), e.message);
    }
    if (vtl == 0) {
        for (const sim::AsmSymbol& s : result.symbols) {
            if (s.is_label && !labels_.add_guest(s.name, s.value)) {
                text->error_at(source.position(s.line, 1),
                               fmt::format("label {} is defined in another part of the guest too",
                                           in_quotes(s.name)));
            }
        }
    }
    if (text->diagnostics().count() != errors) return at;
    add_image(place, result.origin, result.bytes, vtl);
    append_listing(listing_, source.text(), result, vtl);
    if (vtl == 0) {
        for (const sim::AsmLine& line : result.lines) asm_lines_.emplace(line.address, line.length);
    }
    return result.origin;
}

void WorldReader::add_image(const Node& node, u64 address, std::vector<u8> bytes, u8 vtl) {
    if (bytes.empty()) {
        node.error("nothing to put into memory");
        return;
    }
    if (image_bytes_ > kMaxImages) return;  // reported
    image_bytes_ += bytes.size();
    if (image_bytes_ > kMaxImages) {
        node.error(fmt::format("code and data are more than {} MiB", kMaxImages >> 20));
        return;
    }
    const u64 last = address + bytes.size() - 1;
    const u64 low = vtl == 0 ? 0 : model::layout::kVtl2Base;
    const u64 high = vtl == 0 ? config_.guest_ram : model::layout::vtl2_end(config_.vp_count());
    if (address < low || last < address || last >= high) {
        node.error(fmt::format("{} bytes at {:#x} do not lie in {} ({:#x} to {:#x})", bytes.size(),
                               address, vtl == 0 ? "guest RAM" : "VTL2's memory", low, high - 1));
        return;
    }
    const auto after = images_.upper_bound(last);
    if (after != images_.begin() && std::prev(after)->second.last >= address) {
        const auto& [other, image] = *std::prev(after);
        node.error(fmt::format("{:#x} to {:#x} is given twice, first at {}:{}",
                               std::max(address, other), std::min(last, image.last),
                               image.position.line, image.position.column));
        return;
    }
    images_.emplace(address, Image{last, node.position()});
    config_.memory.push_back({address, std::move(bytes)});
}

// --- what answers the guest ---------------------------------------------------------------------

void WorldReader::read_devices(const Node& node) {
    std::set<std::pair<u16, u8>> known;
    constexpr std::string_view kKinds[] = {"script", "counter", "16550", "8259"};
    enum Kind : std::size_t { kScript, kCounter, kUart, kPic };
    for (const Node& entry : node.array()) {
        const Fields f =
            entry.object({"kind", "port", "size", "reads", "start", "step", "connected", "vector"});
        const auto kind_node = f.optional("kind");
        const std::size_t kind = kind_node ? kind_node->one_of("a device", kKinds) : kScript;
        const auto only = [&](std::string_view key, Kind of) {
            if (kind == of) return f.optional(key);
            if (const auto other = f.optional(key)) {
                other->error_at_key(fmt::format("\"{}\" is about a {}", key, kKinds[of]));
            }
            return std::optional<Node>();
        };
        const auto reads = only("reads", kScript);
        const auto start = only("start", kCounter);
        const auto step = only("step", kCounter);
        const auto connected = only("connected", kUart);
        only("vector", kPic);
        if (kind == kPic) {
            for (std::string_view key : {"port", "size"}) {
                if (const auto extra = f.optional(key)) {
                    extra->error_at_key("of an 8259 only the vector that it holds is there");
                }
            }
            if (config_.ext_int) entry.error("there is one 8259");
            config_.ext_int = f.required("vector").integer<u8>(16);
            continue;
        }
        if (kind == kUart) {
            model::UartConfig uart;
            uart.port = f.required("port").integer<u16>();
            if (connected) uart.connected = connected->boolean();
            if (const auto size = f.optional("size"))
                size->error_at_key("a 16550's ports are bytes");
            config_.uarts.push_back(uart);
            continue;
        }
        model::PortScript script;
        script.port = f.required("port").integer<u16>();
        if (const auto size = f.optional("size")) {
            script.size = size->integer<u8>(1, 4);
            if (script.size == 3) size->error("a port access has 1, 2 or 4 bytes");
        }
        const u32 max = ~u32{0} >> (32 - 8 * script.size);
        if (kind == kCounter) {
            script.reads.push_back(start ? start->integer<u32>(0, max) : 0);
            script.step = step ? step->integer<u32>(0, max) : 1;
        }
        if (reads) {
            for (const Node& value : reads->array()) {
                script.reads.push_back(value.integer<u32>(0, max));
            }
        }
        if (!known.emplace(script.port, script.size).second) {
            entry.error(fmt::format("port {:#x} has a device of this size already", script.port));
        }
        config_.ports.push_back(std::move(script));
    }
}

void WorldReader::read_answers(const Fields& root) {
    // Each list answers to one key, which must not come twice.
    const auto read = [&](std::string_view list, std::string_view key,
                          std::initializer_list<std::string_view> keys, u64 max, const auto& add) {
        const auto node = root.optional(list);
        if (!node) return;
        std::set<u64> known;
        for (const Node& entry : node->array()) {
            const Fields f = entry.object(keys);
            const u64 value = f.required(key).integer<u64>(0, max);
            if (!known.insert(value).second) {
                entry.error(fmt::format("{} {:#x} has an answer already", key, value));
            }
            add(f, value);
        }
    };
    read("cpuid", "leaf", {"leaf", "eax", "ebx", "ecx", "edx"}, ~u32{0},
         [&](const Fields& f, u64 leaf) {
             const auto value = [&](std::string_view key) {
                 const auto node = f.optional(key);
                 return node ? node->integer<u32>() : 0;
             };
             config_.cpuid.push_back(
                 {static_cast<u32>(leaf), value("eax"), value("ebx"), value("ecx"), value("edx")});
         });
    read("msrs", "msr", {"msr", "value", "invalid"}, ~u32{0}, [&](const Fields& f, u64 msr) {
        const auto invalid = f.optional("invalid");
        model::MsrAnswer answer{.msr = static_cast<u32>(msr)};
        answer.invalid = invalid && invalid->boolean();
        const auto value = answer.invalid ? f.optional("value") : f.required("value");
        if (value) answer.value = value->integer();
        if (value && answer.invalid) value->error_at_key("an invalid MSR has no value");
        config_.msrs.push_back(answer);
    });
    read("hypercalls", "code", {"code", "status", "input", "output", "repetitions"}, 0xFFFF,
         [&](const Fields& f, u64 code) {
             model::HypercallAnswer answer;
             answer.code = static_cast<u16>(code);
             answer.status = f.required("status").integer();
             if (const auto input = f.optional("input")) {
                 answer.input = input->integer<u8>(0, model::kFastWords);
             }
             if (const auto output = f.optional("output")) {
                 for (const Node& word : output->array()) answer.output.push_back(word.integer());
             }
             if (const auto count = f.optional("repetitions")) {
                 answer.repetitions = count->integer<u16>(1, 0xFFF);
             }
             if ((answer.input + 1u) / 2 * 2 + answer.output.size() > model::kFastWords) {
                 f.node().error(
                     fmt::format("input and output have {} words at most, the output from an even "
                                 "one on",
                                 model::kFastWords));
             }
             config_.hypercalls.push_back(std::move(answer));
         });
}

// --- pinned events ------------------------------------------------------------------------------

void WorldReader::read_events(const Node& node) {
    // As model::PinnedAction.
    constexpr std::string_view kActions[] = {"interrupt", "stop", "intercept", "signal"};
    const std::vector<Node> entries = node.array();
    if (entries.size() > kMaxEvents) {
        node.error(fmt::format("more than {} events", kMaxEvents));
        return;
    }
    for (const Node& entry : entries) {
        const Fields f =
            entry.object({"do", "vp", "vtl", "vector", "transient", "with_exit", "type", "value",
                          "interruption_pending", "before", "nth", "may_not_happen"});
        model::PinnedEvent event;
        const Node action = f.required("do");
        const std::size_t index = action.one_of("an event's action", kActions);
        event.action = static_cast<model::PinnedAction>(index);
        if (const auto vp = f.optional("vp")) {
            event.vp = vp->integer<u8>(0, static_cast<u8>(config_.vp_count() - 1));
        }
        const auto before = f.optional("before");
        const Labels::Place place = before ? labels_.read(*before) : Labels::Place{};
        event.free = !before;
        event.vtl = place.vtl;
        event.address = place.address;
        if (!before && f.optional("nth")) {
            f.optional("nth")->error_at_key("\"nth\" counts starts of the instruction \"before\"");
        }
        if (const auto nth = f.optional("nth")) event.nth = nth->integer<u64>(1, kMaxSteps);
        if (event.action == model::PinnedAction::interrupt) {
            read_interrupt(f, event);
        } else {
            for (std::string_view key : {"vtl", "vector", "transient", "with_exit"}) {
                if (const auto extra = f.optional(key)) {
                    extra->error_at_key(fmt::format("\"{}\" is about interrupts", key));
                }
            }
        }
        read_intercept(f, event);
        const auto optional = f.optional("may_not_happen");
        if (!optional || !optional->boolean()) check_can_happen(f, event, place);
        config_.events.push_back(event);
        event_notes_.push_back(
            {.text = before ? fmt::format("{} before {}", kActions[index],
                                          before->is_string() ? before->string()
                                                              : fmt::format("{:#x}", place.address))
                            : std::string(kActions[index]),
             .vtl2_label = place.vtl2_label,
             .may_not_happen = !before || (optional && optional->boolean())});
    }
}

// What the hypervisor may have to tell without the guest asking for it.
void WorldReader::read_intercept(const Fields& fields, model::PinnedEvent& event) {
    using model::MessageType;
    constexpr MessageType kTypes[] = {MessageType::gpa_intercept,
                                      MessageType::unaccepted_gpa,
                                      MessageType::exception_intercept,
                                      MessageType::apic_eoi,
                                      MessageType::synic_sint_deliverable,
                                      MessageType::interruption_deliverable,
                                      MessageType::halt};
    if (event.action != model::PinnedAction::intercept) {
        for (std::string_view key : {"type", "value", "interruption_pending"}) {
            if (const auto extra = fields.optional(key)) {
                extra->error_at_key(fmt::format("\"{}\" is about intercepts", key));
            }
        }
        return;
    }
    std::vector<std::string_view> names;
    for (MessageType type : kTypes) {
        names.push_back(model::message_type_name(static_cast<u32>(type)));
    }
    const std::size_t type = fields.required("type").one_of("an intercept", names);
    event.message_type = static_cast<u32>(kTypes[type]);
    if (const auto value = fields.optional("value")) event.value = value->integer();
    if (const auto pending = fields.optional("interruption_pending")) {
        event.interruption_pending = pending->boolean();
    }
}

// What can be said of an event without a run. Its instruction may be made by the guest itself.
void WorldReader::check_can_happen(const Fields& fields, const model::PinnedEvent& event,
                                   const Labels::Place& place) {
    const auto nth = fields.optional("nth");
    if (nth && event.nth > config_.limits.steps) {
        nth->error(fmt::format("this can never happen: the run has {} steps at most",
                               config_.limits.steps));
    }
    const auto before = fields.optional("before");
    if (!before || place.vtl != 0) return;
    if (place.address < config_.guest_ram) return check_not_inside(*before, place.address);
    const bool paged = std::any_of(config_.vtl0_registers.begin(), config_.vtl0_registers.end(),
                                   [](const auto& row) { return row.first == sim::Reg::cr3; });
    if (paged) return;  // a linear address says nothing then
    before->error(fmt::format(
        "this can never happen: no instruction starts at {:#x}, behind the guest's RAM and outside "
        "of VTL2's memory",
        place.address));
}

void WorldReader::check_not_inside(const Node& before, u64 address) {
    const auto after = asm_lines_.upper_bound(address);
    if (after == asm_lines_.begin()) return;
    const auto [start, length] = *std::prev(after);
    if (address == start || address - start >= length) return;
    before.error(
        fmt::format("this can hardly happen: {:#x} is inside of the instruction at {:#x}; "
                    "\"may_not_happen\" if "
                    "something jumps there",
                    address, start));
}

void WorldReader::read_interrupt(const Fields& fields, model::PinnedEvent& event) {
    if (const auto vtl = fields.optional("vtl")) {
        event.for_vtl = vtl->integer<u8>(0, 2);
        if (event.for_vtl == 1) vtl->error("there is no VTL1 in this world, only 0 and 2");
    }
    if (const auto vector = fields.optional("vector")) {
        event.vector = vector->integer<u8>(16);  // SDM 3A 11.5.2: below is illegal
    }
    if (const auto transient = fields.optional("transient")) {
        event.transient = transient->boolean();
        if (event.transient && event.for_vtl != 2) {
            transient->error("only an interrupt for VTL2 can be transient");
        }
    }
    if (const auto with_exit = fields.optional("with_exit")) {
        event.with_exit = with_exit->boolean();
    }
}

}  // namespace vtlsim::runner
