#include <fmt/format.h>

#include "model/log/event.hpp"
#include "runner/load_kvm_parts.hpp"

namespace vtlsim::runner {
namespace {

using namespace model::kvm;

constexpr std::string_view kReturns[] = {"ok", "eintr", "eagain", "einval"};  // as Return
constexpr std::string_view kAccess[] = {"in", "out"};
constexpr std::string_view kMmioAccess[] = {"read", "write"};

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
    if (const auto n = f.optional("direction")) p.in = n->one_of("a direction", kAccess) == 0;
    if (const auto n = f.optional("mmio")) p.write = n->one_of("a direction", kMmioAccess) == 1;
    if (const auto n = f.optional("size")) p.size = n->integer<u8>(1, 4);
    if (const auto n = f.optional("count")) p.count = n->integer<u32>(1);
    if (const auto n = f.optional("phys")) p.phys = n->integer();
    if (const auto n = f.optional("result")) {
        p.result = static_cast<Return>(n->one_of("a result of KVM_RUN", kReturns));
    }
    if (const auto n = f.optional("nth")) p.nth = n->integer<u32>(1);
    if (const auto n = f.optional("every"); n && n->boolean()) p.nth = 0;
    return p;
}

GuestDebug read_guest_debug(const Fields& f, const Labels& labels) {
    GuestDebug debug;
    if (const auto n = f.optional("single_step")) debug.single_step = n->boolean();
    if (const auto n = f.optional("block_irq")) debug.block_irq = n->boolean();
    if (const auto n = f.optional("breakpoints")) {
        std::size_t count = 0;
        for (const Node& entry : n->array()) {
            const Fields b = entry.object({"at", "kind", "size"});
            constexpr std::string_view kKinds[] = {"execute", "write", "io", "access"};
            const auto kind = b.optional("kind");
            const u64 type = kind ? kind->one_of("a breakpoint", kKinds) : 0;
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
    const Fields f = node.object({"do", "registers", "bytes", "at", "rip_minus", "value", "vector",
                                  "single_step", "block_irq", "breakpoints"});
    Action a;
    a.kind = static_cast<ActionKind>(
        f.required("do").one_of("an action", model::format_words(model::Format::kvm_action)));
    if (const auto n = f.optional("registers")) {
        for (const Node& member : n->members()) {
            if (const sim::RegInfo* row = read_kvm_register(member)) {
                a.registers.emplace_back(row->reg, read_kvm_value(member, labels));
            }
        }
    }
    if (const auto n = f.optional("bytes")) a.bytes = n->bytes();
    if (const auto n = f.optional("rip_minus")) {
        a.address = 0 - n->integer<u64>(0, 15);
        a.from_rip = true;
    }
    if (const auto n = f.optional("at")) a.address = labels.read_address(*n);
    if (const auto n = f.optional("value")) a.value = n->integer();
    if (const auto n = f.optional("vector")) a.value = n->integer<u8>();
    const auto needs = [&](std::string_view key) {
        if (!f.optional(key)) node.error(fmt::format("missing key \"{}\"", key));
    };
    switch (a.kind) {
        case ActionKind::set_regs:
        case ActionKind::sync_regs:
            needs("registers");
            break;
        case ActionKind::write_memory:
            if (!a.from_rip) needs("at");
            needs("bytes");
            break;
        case ActionKind::answer:
            needs("bytes");
            break;
        case ActionKind::init_sipi:
        case ActionKind::interrupt:
        case ActionKind::exception:
            needs("vector");
            break;
        case ActionKind::mp_state:
        case ActionKind::shadow:
        case ActionKind::immediate_exit:
        case ActionKind::irq_window:
        case ActionKind::msr_error:
            needs("value");
            break;
        default:
            break;
    }
    a.debug = read_guest_debug(f, labels);
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
    if (const auto n = f.optional("max_exits")) script.max_exits = n->integer<u32>(1, 100'000);
    if (const auto n = f.optional("max_steps")) script.max_steps = n->integer<u64>(1, 10'000'000);
    return script;
}

}  // namespace vtlsim::runner
