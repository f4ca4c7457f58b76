#include "runner/conform_kvm/table.hpp"

#include <functional>

#include <fmt/format.h>

#include "runner/conform_kvm/compare.hpp"

namespace vtlsim::runner::conform_kvm {
namespace {

using model::kvm::Action;
using model::kvm::ActionKind;
using model::kvm::ExitReason;
using model::kvm::Guest;
using model::kvm::Mode;
using model::kvm::Observation;
using model::kvm::Return;
using model::kvm::Rule;
using model::kvm::Script;
using model::kvm::Transcript;
using model::kvm::Version;
using sim::Reg;

constexpr u64 kAt = 0x1000, kOther = 0x1800, kHandler = 0x1600, kRom = 0xFFFFF000;
constexpr u64 kResetRip = 0xFFF0, kResetLinear = 0xFFFFFFF0;
constexpr u8 kLength = 2;
constexpr u16 kPort = 0x80, kHandlerPort = 0x77;
constexpr u8 kDatum = 0x5A;

// One transcript of a guest and a script; `events`: with the pending events of each exit.
using Run = std::function<Transcript(const Guest&, const Script&, bool events)>;

Action make(ActionKind kind, u64 value = 0) {
    Action a;
    a.kind = kind;
    a.value = value;
    return a;
}

Action step() {
    Action a = make(ActionKind::guest_debug);
    a.debug.single_step = true;
    return a;
}

struct Try {
    Guest guest;
    Script script;
};

// An OUT or IN at kAt in flat 32-bit code, NOPs behind it, and what userspace does at its exit.
Try attempt(bool in, std::vector<Action> then) {
    Try t;
    t.guest.mode = Mode::prot32;
    const u8 opcode = in ? 0xE4 : 0xE6;
    t.guest.memory = {{kAt, {opcode, kPort, 0x90, 0x90, 0xF4}},
                      {kHandler, {0xE6, kHandlerPort, 0xF4}}};
    t.guest.registers = {{Reg::rip, kAt}, {Reg::rax, 0x11223344}};
    t.guest.gates = {{1, kHandler}};
    t.script.devices = {{false, kPort, {kDatum, kDatum}, false}};
    Rule rule;
    rule.when.access = true;
    rule.then = std::move(then);
    t.script.rules.push_back(std::move(rule));
    t.script.max_exits = 8;
    return t;
}

// KVM_RUN that completes and does not enter the guest shows what the completion does.
Try completion(bool in, std::vector<Action> then) {
    then.push_back(make(ActionKind::immediate_exit, 1));
    return attempt(in, std::move(then));
}

std::string rip_text(u64 rip) {
    if (rip == kAt) return "r";
    if (rip == kAt + kLength) return "r+n";
    if (rip == kAt + kLength + 1) return "r+n+next";
    if (rip == kOther) return "x";
    if (rip == kOther + kLength) return "x+n";
    if (rip == kResetRip) return "FFF0";
    if (rip == kResetRip + kLength) return "FFF0+n";
    if (rip == kResetLinear) return "FFFFFFF0";
    if (rip == kResetLinear + kLength) return "FFFFFFF0+n";
    return fmt::format("{:x}", rip);
}

std::string failure(const Transcript& t) {
    return t.problem.empty() ? "(ends early)" : "(not modelled)";
}

u64 rip_of(const Observation& o) { return o.registers[Reg::rip]; }

std::string after_completion(const Transcript& t) {
    return t.observations.size() < 2 ? failure(t) : rip_text(rip_of(t.observations[1]));
}

std::string exits_text(const Transcript& t) {
    std::string out;
    for (const Observation& o : t.observations) {
        const bool debug = o.exit.reason == ExitReason::debug;
        if (!debug && o.exit.reason != ExitReason::io) break;
        out += fmt::format("{}{}@{}", out.empty() ? "" : " ", debug ? "DEBUG" : "IO",
                           rip_text(rip_of(o)));
        if (debug) break;
    }
    return out.empty() ? failure(t) : out;
}

// The return address of the #DB whose handler has run.
std::string debug_frame(const Transcript& t) {
    for (const Observation& o : t.observations) {
        if (o.exit.reason != ExitReason::io || o.exit.port != kHandlerPort) continue;
        const u64 at = o.registers[Reg::rsp];
        for (const auto& page : t.memory) {
            if (page.address != (at & ~sim::kPageMask)) continue;
            u32 rip = 0;
            for (u32 i = 0; i < 4; ++i) rip |= u32{page.bytes[(at & sim::kPageMask) + i]} << 8 * i;
            return "#DB@" + rip_text(rip);
        }
    }
    return t.problem.empty() ? "no #DB" : failure(t);
}

struct Row {
    std::string_view name;
    std::string (*cell)(const Run& run, bool in);
};

std::string plain(const Run& run, bool in, std::vector<Action> then) {
    const Try t = completion(in, std::move(then));
    return after_completion(run(t.guest, t.script, false));
}

constexpr u64 kTf = 0x100;

std::string with_tf(const Run& run, bool in, std::vector<Action> then) {
    Try t = attempt(in, std::move(then));
    t.guest.registers.emplace_back(Reg::rflags, 2 | kTf);
    return debug_frame(run(t.guest, t.script, false));
}

const Row kRows[] = {
    {"RIP at exit",
     [](const Run& run, bool in) {
         const Try t = attempt(in, {make(ActionKind::stop)});
         const Transcript r = run(t.guest, t.script, false);
         return r.observations.empty() ? failure(r) : rip_text(rip_of(r.observations[0]));
     }},
    {"P0 nothing", [](const Run& run, bool in) { return plain(run, in, {}); }},
    {"P1 GET_REGS",
     [](const Run& run, bool in) { return plain(run, in, {make(ActionKind::get_regs)}); }},
    {"P2 RIP:=x",
     [](const Run& run, bool in) {
         Action a = make(ActionKind::set_regs);
         a.registers = {{Reg::rip, kOther}};
         return plain(run, in, {a});
     }},
    {"P3 rewrite same",
     [](const Run& run, bool in) { return plain(run, in, {make(ActionKind::rewrite_regs)}); }},
    {"P10 TF", [](const Run& run, bool in) { return with_tf(run, in, {}); }},
    {"P3 + P10",
     [](const Run& run, bool in) { return with_tf(run, in, {make(ActionKind::rewrite_regs)}); }},
    {"P4 BSP reset",
     [](const Run& run, bool in) { return plain(run, in, {make(ActionKind::reset_bsp)}); }},
    {"P4 RAX then",
     [](const Run& run, bool in) {
         const Try t = completion(in, {make(ActionKind::reset_bsp)});
         const Transcript r = run(t.guest, t.script, false);
         if (r.observations.size() < 2) return failure(r);
         return fmt::format("{:x}", r.observations[1].registers[Reg::rax]);
     }},
    {"P5 at FFFFFFF0",
     [](const Run& run, bool in) {
         Try t = completion(in, {make(ActionKind::reset_bsp)});
         t.guest.more_ram = {{kRom, kRom + 0xFFF}};
         t.guest.memory[0].address = kResetLinear;
         t.guest.registers[0].second = kResetLinear;
         return after_completion(run(t.guest, t.script, false));
     }},
    {"P7 immediate_exit",
     [](const Run& run, bool in) {
         const Try t = completion(in, {});
         const Transcript r = run(t.guest, t.script, false);
         if (r.observations.size() < 2) return failure(r);
         const bool eintr = r.observations[1].exit.result == Return::eintr;
         return rip_text(rip_of(r.observations[1])) + (eintr ? ", EINTR" : ", 0");
     }},
    {"P8 accesses",
     [](const Run& run, bool in) {
         const Try t = attempt(in, {make(ActionKind::move_vcpu)});
         const Transcript r = run(t.guest, t.script, false);
         if (!r.problem.empty()) return failure(r);
         return fmt::format("{}", in ? r.reads : r.writes.size());
     }},
    {"P9 single step",
     [](const Run& run, bool in) {
         Try t = attempt(in, {});
         t.script.start = {step()};
         return exits_text(run(t.guest, t.script, false));
     }},
    {"P9 port in KVM",
     [](const Run& run, bool in) {
         if (in) return std::string("-");
         Try t = attempt(in, {});
         t.script.devices = {{false, kPort, {}, true}};
         t.script.start = {step()};
         return exits_text(run(t.guest, t.script, false));
     }},
    {"P12 shadow at exit",
     [](const Run& run, bool in) {
         Try t = attempt(in, {make(ActionKind::stop)});
         t.script.start = {make(ActionKind::shadow, 1)};
         const Transcript r = run(t.guest, t.script, true);
         if (r.observations.empty()) return failure(r);
         return std::string(r.observations[0].events.shadow != 0 ? "kept" : "cleared");
     }},
    {"P14 step from exit",
     [](const Run& run, bool in) {
         const Try t = attempt(in, {step()});
         return exits_text(run(t.guest, t.script, false));
     }},
};

}  // namespace

std::string table_text(RealKvm& kvm, const KvmFacts& facts, u64& cells_differ) {
    const ModeFacts& mode = facts.of(Mode::prot32);
    if (!mode.version) return "no table: this KVM does not run flat 32-bit code\n";
    const Run real = [&](const Guest& guest, const Script& script, bool events) {
        RealOptions options;
        options.events = events;
        return kvm.run(guest, script, options);
    };
    const auto of = [](Version version) -> Run {
        return [version](const Guest& guest, const Script& script, bool) {
            return run_model(guest, script, version);
        };
    };
    struct Column {
        std::string_view name;
        Run run;
    };
    const Column columns[] = {{"this KVM", real},
                              {"model slow", of(Version::slow)},
                              {"model v0", of(Version::v0)},
                              {"model v1c", of(Version::v1c)},
                              {"model v2", of(Version::v2)},
                              {"model v3", of(Version::v3)}};
    const Run own = of(*mode.version);
    std::string out =
        "kvm-pio.md 1.11, flat 32-bit code: RIP after the KVM_RUN that completes, or what is "
        "named.\n"
        "r: of the access, n: its length (2), next: of the NOP behind it. *: not as the model that "
        "should match.\n";
    for (bool in : {false, true}) {
        out += fmt::format("\n{:<19}", in ? "IN" : "OUT");
        for (const Column& c : columns) out += fmt::format("{:<16}", c.name);
        out += '\n';
        for (const Row& row : kRows) {
            out += fmt::format("{:<19}", row.name);
            const std::string expected = row.cell(own, in);
            for (const Column& c : columns) {
                std::string cell = row.cell(c.run, in);
                if (&c == columns && cell != expected) {
                    cell += '*';
                    ++cells_differ;
                }
                out += fmt::format("{:<15} ", cell);
            }
            while (out.back() == ' ') out.pop_back();
            out += '\n';
        }
    }
    return out + fmt::format("\n{} cells differ from the model that should match\n", cells_differ);
}

}  // namespace vtlsim::runner::conform_kvm
