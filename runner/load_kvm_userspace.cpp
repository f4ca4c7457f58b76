#include <algorithm>

#include <fmt/format.h>

#include "model/log/event.hpp"
#include "runner/kvm_actions.hpp"
#include "runner/load_kvm_parts.hpp"

namespace vtlsim::runner {
namespace {

using namespace model::kvm;

ExitPattern read_pattern(const Node& node) {
    const Fields f = node.object({"exit", "reason", "access", "port", "direction", "mmio", "size",
                                  "count", "phys", "result", "nth", "every"});
    ExitPattern p;
    if (const auto n = f.optional("exit")) p.number = n->integer<u32>(1);
    if (const auto n = f.optional("reason")) {
        p.reason = static_cast<ExitReason>(
            n->one_of("an exit reason", model::format_words(model::Format::kvm_reason)));
    }
    if (const auto n = f.optional("access")) p.access = n->boolean();
    if (const auto n = f.optional("port")) p.port = n->integer<u16>();
    if (const auto n = f.optional("direction"))
        p.in = n->one_of("a direction", kKvmDirections) == 0;
    if (const auto n = f.optional("mmio"))
        p.write = n->one_of("a direction", kKvmMmioDirections) == 1;
    if (const auto n = f.optional("size")) {
        p.size = n->integer<u8>(1, 4);
        if (p.size == 3) n->error("1, 2 or 4");
    }
    if (const auto n = f.optional("count")) p.count = n->integer<u32>(1);
    if (const auto n = f.optional("phys")) p.phys = n->integer();
    if (const auto n = f.optional("result")) {
        p.result = static_cast<Return>(n->one_of("a result of KVM_RUN", kKvmResults));
    }
    if (const auto n = f.optional("nth")) p.nth = n->integer<u32>(1);
    if (const auto n = f.optional("every"); n && n->boolean()) p.nth = 0;
    return p;
}

GuestDebug read_guest_debug(const Fields& f, const Labels& labels) {
    GuestDebug debug;
    if (const auto n = f.optional("single_step")) debug.single_step = n->boolean();
    if (const auto n = f.optional("software_breakpoints")) debug.use_sw_bp = n->boolean();
    if (const auto n = f.optional("block_irq")) debug.block_irq = n->boolean();
    if (const auto n = f.optional("breakpoints")) {
        std::size_t count = 0;
        for (const Node& entry : n->array()) {
            const Fields b = entry.object({"at", "kind", "size"});
            const auto kind = b.optional("kind");
            const u64 type = kind ? kind->one_of("a breakpoint", kKvmBreakpoints) : 0;
            u64 length = 0;
            if (const auto size = b.optional("size")) {
                const u64 bytes = size->integer<u64>(1, 8);
                length = bytes == 8 ? 2 : bytes - 1;
                if (bytes == 3 || (bytes > 4 && bytes < 8)) size->error("1, 2, 4 or 8");
            }
            if (count == debug.address.size()) {
                entry.error("a CPU has four breakpoints");
                break;
            }
            debug.use_hw_bp = true;
            debug.address[count] = labels.read_address(b.required("at"));
            debug.dr7 |= u64{2} << 2 * count | (type | length << 2) << (16 + 4 * count);
            ++count;
        }
        if (debug.use_hw_bp) debug.dr7 |= 0x400;
    }
    return debug;
}

Action read_action(const Node& node, const Labels& labels) {
    const auto rows = kvm_action_rows();
    std::vector<std::string_view> names, keys{"do"};
    for (const KvmActionRow& row : rows) names.push_back(row.name());
    Action a;
    // What it is decides which keys there are.
    std::optional<std::size_t> kind;
    if (node.is_object()) {
        const std::size_t errors = node.diagnostics().count();
        for (const Node& member : node.members()) {
            if (member.key() == "do") kind = member.one_of("an action", names);
        }
        if (node.diagnostics().count() != errors) return a;
    }
    const KvmActionRow& row = rows[kind.value_or(0)];
    keys.insert(keys.end(), row.required.begin(), row.required.end());
    keys.insert(keys.end(), row.optional.begin(), row.optional.end());
    const Fields f = node.object(keys);
    f.required("do");
    a.kind = row.kind;
    const auto has = [&](std::string_view key) {
        return std::find(keys.begin(), keys.end(), key) != keys.end();
    };
    for (std::string_view key : row.required) f.required(key);
    if (!kind) return a;
    if (has("registers")) {
        if (const auto n = f.optional("registers")) {
            for (const Node& member : n->members()) {
                const sim::RegInfo* reg = read_kvm_register(member);
                if (reg == nullptr) continue;
                if (!can_set(a.kind, reg->reg)) {
                    member.error_at_key(fmt::format("{} cannot set {}", row.name(), reg->name));
                }
                a.registers.emplace_back(reg->reg, read_kvm_value(member, labels));
            }
        }
    }
    if (has("bytes")) {
        if (const auto n = f.optional("bytes")) a.bytes = n->bytes();
    }
    if (has("value")) {
        if (const auto n = f.optional("value")) a.value = n->integer<u64>(0, row.max_value);
    }
    if (has("vector")) {
        if (const auto n = f.optional("vector")) a.value = n->integer<u8>();
    }
    if (a.kind == ActionKind::write_memory) {
        const auto at = f.optional("at"), minus = f.optional("rip_minus");
        if (at.has_value() == minus.has_value()) {
            node.error("exactly one of \"at\" and \"rip_minus\" is needed");
        }
        if (minus) a.address = 0 - minus->integer<u64>(0, kMaxRipMinus);
        if (at) a.address = labels.read_address(*at);
        a.from_rip = minus.has_value();
    }
    if (a.kind == ActionKind::guest_debug) a.debug = read_guest_debug(f, labels);
    return a;
}

std::vector<Action> read_actions(const Node& node, const Labels& labels) {
    std::vector<Action> out;
    for (const Node& entry : node.array()) out.push_back(read_action(entry, labels));
    return out;
}

Device read_device(const Node& node) {
    const Fields f = node.object({"port", "mmio", "reads", "in_kernel"});
    Device d;
    const auto port = f.optional("port");
    const auto mmio = f.optional("mmio");
    if (port.has_value() == mmio.has_value()) {
        node.error("exactly one of \"port\" and \"mmio\" is needed");
    }
    d.mmio = mmio.has_value();
    if (port) d.address = port->integer<u16>();
    if (mmio) d.address = mmio->integer();
    if (const auto n = f.optional("reads")) d.reads = n->bytes();
    if (const auto n = f.optional("in_kernel")) {
        d.in_kernel = n->boolean();
        if (d.in_kernel && d.mmio) n->error("only a port can have a device in the kernel");
    }
    return d;
}

}  // namespace

Script read_kvm_userspace(const Node& node, const Labels& labels) {
    const Fields f =
        node.object({"start", "rules", "devices", "userspace_msr", "max_exits", "max_steps"});
    Script script;
    if (const auto n = f.optional("start")) script.start = read_actions(*n, labels);
    if (const auto n = f.optional("rules")) {
        for (const Node& entry : n->array()) {
            const Fields r = entry.object({"when", "then"});
            Rule rule;
            if (const Node when = r.required("when"); !when.is_missing()) {
                rule.when = read_pattern(when);
            }
            rule.then = read_actions(r.required("then"), labels);
            script.rules.push_back(std::move(rule));
        }
    }
    if (const auto n = f.optional("devices")) {
        for (const Node& entry : n->array()) script.devices.push_back(read_device(entry));
    }
    if (const auto n = f.optional("userspace_msr")) script.userspace_msr = n->boolean();
    if (const auto n = f.optional("max_exits")) script.max_exits = n->integer<u32>(1, kMaxKvmExits);
    if (const auto n = f.optional("max_steps")) script.max_steps = n->integer<u64>(1, kMaxKvmSteps);
    return script;
}

}  // namespace vtlsim::runner
