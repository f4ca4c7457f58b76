#include "model/fields.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "model/vtl2/layout.hpp"
#include "model/world.hpp"
#include "sim/nearest.hpp"

namespace vtlsim::model {
namespace {

struct Place {
    std::string_view name;
    std::span<const WireField> fields;
    u64 address;  // 0: depends on the switches (context, message)
};

// Longest first where one page holds another: a store is named by the first place that contains it.
constexpr Place kPlaces[] = {
    {"context", WireTraits<CpuContext>::fields(), 0},
    {"message", WireTraits<HvMessage>::fields(), 0},
    {"assist", WireTraits<HvVpAssistPage>::fields(), layout::kAssistPage},
    {"simp", WireTraits<HvMessage>::fields(), layout::kSimpPage},
    {"regpage", WireTraits<HvRegisterPage>::fields(), layout::kRegisterPage},
    {"command", WireTraits<CommandPage>::fields(), layout::kCommandPage},
    {"control", WireTraits<ControlPage>::fields(), layout::kControlPage},
    {"hcl_run", WireTraits<HclRun>::fields(), layout::kHclRun},
    {"driver", WireTraits<DriverPage>::fields(), layout::kDriverPage},
};

// "vp1.context.rax": VP 1 and the rest. Without the prefix it is VP 0.
std::pair<unsigned, std::string_view> split_vp(std::string_view path) {
    if (path.size() > 4 && path.starts_with("vp") && path[2] >= '0' && path[2] <= '9' &&
        path[3] == '.') {
        return {static_cast<unsigned>(path[2] - '0'), path.substr(4)};
    }
    return {0, path};
}

const Place* find_place(std::string_view name) {
    const auto* p = std::find_if(std::begin(kPlaces), std::end(kPlaces),
                                 [&](const Place& place) { return place.name == name; });
    return p == std::end(kPlaces) ? nullptr : p;
}

constexpr std::string_view kPortCounters[] = {"reads", "writes", "last_written"};

std::pair<std::string_view, std::string_view> split(std::string_view path) {
    const std::size_t dot = path.find('.');
    if (dot == std::string_view::npos) return {path, {}};
    return {path.substr(0, dot), path.substr(dot + 1)};
}

bool reserved(const WireField& f) { return f.name.starts_with("reserved"); }

const WireField* find_field(std::span<const WireField> fields, std::string_view name) {
    const auto f = std::find_if(fields.begin(), fields.end(), [&](const WireField& row) {
        return row.name == name && !reserved(row);
    });
    return f == fields.end() ? nullptr : &*f;
}

// Where a path leads from a structure: the byte offset and the field, which is never a structure
// itself. Members that are structures are entered by name; the FXSAVE area of a context and the
// header of a payload also without.
struct Target {
    u64 offset;
    const WireField* field;
};
std::optional<Target> follow(std::span<const WireField> fields, std::string_view path) {
    const auto [first, rest] = split(path);
    if (const WireField* f = find_field(fields, first)) {
        if (rest.empty() && f->nested.empty()) return Target{f->offset, f};
        if (auto inner = follow(f->nested, rest)) {
            return Target{f->offset + inner->offset, inner->field};
        }
        return std::nullopt;
    }
    for (const WireField& f : fields) {
        if (f.name != "fx" && f.name != "header") continue;
        if (auto inner = follow(f.nested, path)) {
            return Target{f.offset + inner->offset, inner->field};
        }
    }
    return std::nullopt;
}

// A message's fields: its own, then those of the payload of its type.
std::optional<Target> follow_message(std::string_view path, u32 type) {
    if (auto own = follow(WireTraits<HvMessage>::fields(), path)) return own;
    auto inner = follow(payload_fields(type), path);
    if (!inner) return std::nullopt;
    return Target{kMessagePayload + inner->offset, inner->field};
}

std::vector<std::string> all_names(std::span<const WireField> fields, bool skip_members) {
    std::vector<std::string> names;
    for (const WireField& f : fields) {
        if (reserved(f)) continue;
        if (f.nested.empty()) {
            names.emplace_back(f.name);
            continue;
        }
        const bool transparent = f.name == "fx" || f.name == "header";
        if (skip_members && !transparent) continue;
        for (const std::string& inner : all_names(f.nested, false)) {
            names.push_back(transparent ? inner : fmt::format("{}.{}", f.name, inner));
        }
    }
    return names;
}

std::string nearest(std::string_view wanted, const std::vector<std::string>& names) {
    const std::vector<std::string_view> views(names.begin(), names.end());
    const std::string_view near = sim::nearest_name(wanted, views);
    return near.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", near);
}

std::vector<u32> message_types() {
    std::vector<u32> types;
    for (u32 i = 0; i < 0x100; ++i) {
        for (u32 base : {0x80000000u, 0x80010000u}) {
            if (message_type_name(base + i) != "unknown") types.push_back(base + i);
        }
    }
    return types;
}

std::optional<u16> port_number(std::string_view text) {
    const bool hex = text.starts_with("0x");
    if (hex) text.remove_prefix(2);
    u16 port = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), port, hex ? 16 : 10);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
        return std::nullopt;
    }
    return port;
}

}  // namespace

bool known_path(std::string_view full_path, std::string& why) {
    const auto [vp, path] = split_vp(full_path);
    if (vp >= layout::kMaxVps) {
        why = fmt::format("VPs are numbered 0 to {}", layout::kMaxVps - 1);
        return false;
    }
    const auto [first, rest] = split(path);
    if (first == "vtl0" || first == "vtl2") {
        if (sim::find_register(rest) != nullptr) return true;
        std::vector<std::string> names;
        for (const sim::RegInfo& r : sim::registers()) names.emplace_back(r.name);
        why = fmt::format("unknown register \"{}\"{}", rest, nearest(rest, names));
        return false;
    }
    if (first == "port") {
        const auto [port, counter] = split(rest);
        if (!port_number(port)) {
            why = fmt::format("\"{}\" is not a port number", port);
            return false;
        }
        if (std::find(std::begin(kPortCounters), std::end(kPortCounters), counter) !=
            std::end(kPortCounters)) {
            return true;
        }
        why = fmt::format("unknown port counter \"{}\" (reads, writes, last_written)", counter);
        return false;
    }
    if (path == "vmm.exits" || path == "hypervisor.messages") return true;
    const Place* place = find_place(first);
    if (place == nullptr) {
        std::vector<std::string> names{"vtl0", "vtl2", "port", "vmm.exits", "hypervisor.messages"};
        for (const Place& p : kPlaces) names.emplace_back(p.name);
        const bool counter = first == "vmm" || first == "hypervisor";
        why = fmt::format("unknown name \"{}\"{}", path, nearest(counter ? path : first, names));
        return false;
    }
    std::vector<std::string> names = all_names(place->fields, false);
    std::string_view inner = rest;
    bool message = place->name == "message" || place->name == "simp";
    if (place->name == "assist" && rest.starts_with("message.")) {
        message = true;
        inner = rest.substr(8);
    }
    if (message) {
        names = all_names(WireTraits<HvMessage>::fields(), false);
        for (u32 type : message_types()) {
            if (follow_message(inner, type)) return true;
            for (std::string& n : all_names(payload_fields(type), false))
                names.push_back(std::move(n));
        }
    } else if (follow(place->fields, rest)) {
        return true;
    }
    why = message ? "no message has a" : fmt::format("{} has no", place->name);
    why += fmt::format(" field \"{}\"{}", inner, nearest(inner, names));
    return false;
}

std::optional<Vec128> World::value(std::string_view path) const {
    const auto [vp, rest] = split_vp(path);
    if (vp >= board_.vps.size()) return std::nullopt;
    return vp_value(rest, vp);
}

std::optional<Vec128> World::vp_value(std::string_view path, unsigned vp) const {
    const auto [first, rest] = split(path);
    if (first == "vtl0" || first == "vtl2") {
        const sim::RegInfo* reg = sim::find_register(rest);
        if (reg == nullptr) return std::nullopt;
        return register_of(first == "vtl0" ? kVtl0 : kVtl2, reg->reg, vp);
    }
    if (first == "port") {
        const auto [text, counter] = split(rest);
        const auto port = port_number(text);
        if (!port) return std::nullopt;
        const Devices::Counts counts = devices_.counts(*port);
        if (counter == "reads") return Vec128{counts.reads, 0};
        if (counter == "writes") return Vec128{counts.writes, 0};
        if (counter == "last_written") return Vec128{counts.last_written, 0};
        return std::nullopt;
    }
    if (path == "vmm.exits") return Vec128{vmms_[vp]->state().exits, 0};
    if (path == "hypervisor.messages") return Vec128{hypervisors_[vp]->state().messages, 0};
    const Place* place = find_place(first);
    if (place == nullptr) return std::nullopt;
    const bool sidecar = board_.switches().vp_runner == VpRunner::sidecar;
    const u64 up = vp * layout::kVpStride;
    u64 address = place->address + up;
    std::optional<Target> target;
    if (place->name == "context") {
        address = up + (sidecar ? layout::kCommandPage + offsetof(CommandPage, cpu_context)
                                : layout::kHclRun + offsetof(HclRun, context));
    }
    if (place->name == "message") {
        address = up + (sidecar ? layout::kCommandPage + offsetof(CommandPage, intercept_message)
                                : layout::kHclRun + offsetof(HclRun, exit_message));
        target = follow_message(rest, board_.load<u32>(address));
    } else if (place->name == "simp") {
        target = follow_message(rest, board_.load<u32>(address));
    } else if (place->name == "assist" && rest.starts_with("message.")) {
        address += offsetof(HvVpAssistPage, message);
        target = follow_message(rest.substr(8), board_.load<u32>(address));
    } else {
        target = follow(place->fields, rest);
    }
    if (!target) return std::nullopt;
    Vec128 value{};
    // Arrays of bytes (cpu_status, vp_state, request_data) give one byte: of the first two, this
    // VP's.
    const bool of_node = place->name == "control" || place->name == "driver";
    const bool array = target->field->size > sizeof(Vec128);
    if (of_node) address = place->address + (array ? vp : 0);
    board_.machine.read(address + target->offset,
                        {reinterpret_cast<u8*>(&value), array ? 1 : target->field->size});
    return value;
}

std::string name_of_address(u64 full_address) {
    u64 address = full_address;
    std::string vp;
    if (address >= layout::kVtl2Base + layout::kVpStride && address < layout::kVtl2End) {
        vp = fmt::format("vp{}.", (address - layout::kVtl2Base) / layout::kVpStride);
        address = layout::kVtl2Base + (address - layout::kVtl2Base) % layout::kVpStride;
    }
    const auto name_in = [&](std::string_view prefix, std::span<const WireField> fields, u64 base,
                             u64 size, auto&& self) -> std::string {
        if (address < base || address >= base + size) return {};
        for (const WireField& f : fields) {
            const u64 at = base + f.offset;
            if (address < at || address >= at + f.size) continue;
            const bool transparent = f.name == "fx" || f.name == "header";
            const std::string name =
                transparent ? std::string(prefix) : fmt::format("{}.{}", prefix, f.name);
            if (!f.nested.empty() && (address != at || transparent)) {
                return self(name, f.nested, at, f.size, self);
            }
            return address == at ? name : fmt::format("{}+{:#x}", name, address - at);
        }
        return {};
    };
    struct Named {
        std::string_view name;
        std::span<const WireField> fields;
        u64 base, size;
    };
    const Named kNamed[] = {
        {"context", WireTraits<CpuContext>::fields(),
         layout::kCommandPage + offsetof(CommandPage, cpu_context), sizeof(CpuContext)},
        {"context", WireTraits<CpuContext>::fields(), layout::kHclRun + offsetof(HclRun, context),
         sizeof(CpuContext)},
        {"message", WireTraits<HvMessage>::fields(),
         layout::kCommandPage + offsetof(CommandPage, intercept_message), sizeof(HvMessage)},
        {"message", WireTraits<HvMessage>::fields(),
         layout::kHclRun + offsetof(HclRun, exit_message), sizeof(HvMessage)},
        {"assist", WireTraits<HvVpAssistPage>::fields(), layout::kAssistPage, kWirePageSize},
        {"simp", WireTraits<HvMessage>::fields(), layout::kSimpPage, sizeof(HvMessage)},
        {"regpage", WireTraits<HvRegisterPage>::fields(), layout::kRegisterPage, kWirePageSize},
        {"command", WireTraits<CommandPage>::fields(), layout::kCommandPage, kWirePageSize},
        {"control", WireTraits<ControlPage>::fields(), layout::kControlPage, kWirePageSize},
        {"hcl_run", WireTraits<HclRun>::fields(), layout::kHclRun, sizeof(HclRun)},
        {"driver", WireTraits<DriverPage>::fields(), layout::kDriverPage, kWirePageSize},
    };
    for (const Named& n : kNamed) {
        const std::string name = name_in(n.name, n.fields, n.base, n.size, name_in);
        if (!name.empty()) return vp + name;
    }
    return fmt::format("{:#x}", full_address);
}

}  // namespace vtlsim::model
