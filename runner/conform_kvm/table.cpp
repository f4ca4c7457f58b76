#include "runner/conform_kvm/table.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <span>

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
using model::kvm::Vendor;
using model::kvm::Version;
using sim::Reg;

constexpr u64 kAt = 0x1000, kOther = 0x1800, kHandler = 0x1600;
constexpr u64 kResetRip = 0xFFF0, kResetBase = 0xFFFF0000, kResetLinear = kResetBase + kResetRip;
constexpr u64 kTf = 0x100;
constexpr u16 kPort = 0x80, kHandlerPort = 0x77;

struct Try {
    Guest guest;
    Script script;
    bool events = false;         // with the pending events of each exit
    bool svm = false;            // of a processor whose exits save the next RIP
    bool kernel_device = false;  // the port is KVM's own
};

// Nothing: there is no such machine, and the cell stays empty.
using Run = std::function<std::optional<Transcript>(const Try&)>;

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

Action set_rip() {
    Action a = make(ActionKind::set_regs);
    a.registers = {{Reg::rip, kOther}};
    return a;
}

// OUT DX, AL or IN AL, DX (1 byte) at kAt in real mode, NOPs behind it, and what userspace does at
// its exit.
Try attempt(bool in, std::vector<Action> then) {
    Try t;
    const u8 opcode = in ? 0xEC : 0xEE;
    t.guest.memory = {{kAt, {opcode, 0x90, 0x90, 0xF4}}, {kHandler, {0xE6, kHandlerPort, 0xF4}}};
    t.guest.registers = {{Reg::rip, kAt}, {Reg::rax, 0x11223344}, {Reg::rdx, kPort}};
    t.guest.more_ram = {{0xFFFFF000, 0xFFFFFFFF}};
    t.guest.gates = {{1, kHandler}};
    t.script.devices = {{false, kPort, {0x5A, 0x5B}, false}};
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

// The access is at the reset vector.
Try at_reset_vector(bool flat) {
    Try t = completion(false, {make(ActionKind::reset_bsp)});
    t.guest.memory[0].address = kResetLinear;
    t.guest.registers[0].second = flat ? kResetLinear : kResetRip;
    if (flat) t.guest.mode = Mode::prot32;
    if (!flat)
        t.guest.registers.insert(t.guest.registers.end(),
                                 {{Reg::cs, 0xF000}, {Reg::cs_base, kResetBase}});
    return t;
}

std::string rip_text(u64 rip) {
    struct Place {
        u64 at;
        std::string_view name;
    };
    constexpr Place kPlaces[] = {{kAt, "r"},
                                 {kAt + 1, "r+n"},
                                 {kAt + 2, "r+n+next"},
                                 {kOther, "x"},
                                 {kOther + 1, "x+n"},
                                 {kResetRip, "FFF0"},
                                 {kResetRip + 1, "FFF0+n"},
                                 {kResetLinear, "FFFFFFF0"},
                                 {kResetLinear + 1, "FFFFFFF0+n"}};
    for (const Place& place : kPlaces) {
        if (place.at == rip) return std::string(place.name);
    }
    return fmt::format("{:#x}", rip);
}

std::string failure(const Transcript& t) {
    return t.problem.empty() ? "(ends early)" : "(not modelled)";
}

const Observation* seen(const Transcript& t, std::size_t exit) {
    return t.observations.size() < exit ? nullptr : &t.observations[exit - 1];
}

std::string rip_at(const Transcript& t, std::size_t exit) {
    const Observation* o = seen(t, exit);
    if (o == nullptr) return failure(t);
    const std::string where = rip_text(o->registers[Reg::rip]);
    const bool moved = o->registers[Reg::cs_base] == kResetBase && where[0] == 'r';
    return moved ? where + " in the reset CS" : where;
}

std::string after_completion(const Transcript& t) { return rip_at(t, 2); }

// Exits up to the first DEBUG, and where that is.
std::string exits_text(const Transcript& t) {
    std::string out;
    for (const Observation& o : t.observations) {
        const bool debug = o.exit.reason == ExitReason::debug;
        if (!debug && o.exit.reason != ExitReason::io) break;
        out += fmt::format("{}{}", out.empty() ? "" : ", ",
                           debug ? "DEBUG at " + rip_text(o.exit.pc) : "IO");
        if (debug) break;
    }
    return out.empty() ? failure(t) : out;
}

// Whether the handler of #DB has run with the access's end as its return address.
std::string trap_text(const Transcript& t) {
    if (!t.problem.empty()) return failure(t);
    for (const Observation& o : t.observations) {
        if (o.exit.reason != ExitReason::io || o.exit.port != kHandlerPort) continue;
        const u64 at = o.registers[Reg::rsp] & 0xFFFF;
        for (const auto& page : t.memory) {
            if (page.address != (at & ~sim::kPageMask)) continue;
            const u64 in_page = at & sim::kPageMask;
            const u64 rip = page.bytes[in_page] | u64{page.bytes[in_page + 1]} << 8;
            return rip == kAt + 1 ? "kept" : "lost";
        }
    }
    return "lost";
}

Try with_tf(Try t) {
    t.guest.registers.emplace_back(Reg::rflags, 2 | kTf);
    return t;
}

Try from_start(Action first, bool in, std::vector<Action> then) {
    Try t = attempt(in, std::move(then));
    t.script.start = {std::move(first)};
    return t;
}

enum class Of : u8 { both, out, in };

struct Row {
    std::string_view name;
    Of of;
    Try (*attempt)(bool in);
    std::string (*cell)(const Transcript&);
};

const Row kRows[] = {
    {"RIP at exit", Of::both, [](bool in) { return attempt(in, {make(ActionKind::stop)}); },
     [](const Transcript& t) { return rip_at(t, 1); }},
    {"P0", Of::both, [](bool in) { return completion(in, {}); }, after_completion},
    {"P1 report", Of::both, [](bool in) { return attempt(in, {make(ActionKind::get_regs)}); },
     [](const Transcript& t) { return std::string(rip_at(t, 1) == "r" ? "exact" : "off by n"); }},
    {"P2", Of::both, [](bool in) { return completion(in, {set_rip()}); }, after_completion},
    {"P3", Of::both, [](bool in) { return completion(in, {make(ActionKind::rewrite_regs)}); },
     after_completion},
    {"P4", Of::both, [](bool in) { return completion(in, {make(ActionKind::reset_bsp)}); },
     after_completion},
    {"P4 for IN: RAX", Of::in,
     [](bool in) { return completion(in, {make(ActionKind::reset_bsp)}); },
     [](const Transcript& t) {
         const Observation* o = seen(t, 2);
         return o == nullptr ? failure(t) : fmt::format("{:#x}", o->registers[Reg::rax]);
     }},
    {"P4 from flat 32-bit code", Of::both,
     [](bool in) {
         Try t = completion(in, {make(ActionKind::reset_bsp)});
         t.guest.mode = Mode::prot32;
         return t;
     },
     after_completion},
    {"P5", Of::both,
     [](bool in) {
         Try t = at_reset_vector(false);
         t.guest.memory[0].bytes[0] = in ? 0xEC : 0xEE;
         return t;
     },
     after_completion},
    {"P5 on SVM, flat 32-bit code", Of::out,
     [](bool) {
         Try t = at_reset_vector(true);
         t.svm = true;
         return t;
     },
     after_completion},
    {"P10 (#DB)", Of::both, [](bool in) { return with_tf(attempt(in, {})); }, trap_text},
    {"P3 + P10 (#DB)", Of::both,
     [](bool in) { return with_tf(attempt(in, {make(ActionKind::rewrite_regs)})); }, trap_text},
    {"P7", Of::both, [](bool in) { return completion(in, {}); },
     [](const Transcript& t) {
         const Observation* o = seen(t, 2);
         const bool eintr = o != nullptr && o->exit.result == Return::eintr;
         return rip_at(t, 2) + (eintr ? ", eintr" : ", 0");
     }},
    {"P8 OUT effects", Of::out, [](bool in) { return attempt(in, {make(ActionKind::move_vcpu)}); },
     [](const Transcript& t) {
         return t.problem.empty() ? fmt::format("{}", t.writes.size()) : failure(t);
     }},
    {"P8 IN: reads, RAX", Of::in,
     [](bool in) { return attempt(in, {make(ActionKind::move_vcpu)}); },
     [](const Transcript& t) {
         if (!t.problem.empty() || t.observations.empty()) return failure(t);
         return fmt::format("{}, {:#x}", t.reads, t.observations.back().registers[Reg::rax]);
     }},
    {"P9 exits seen", Of::both, [](bool in) { return from_start(step(), in, {}); }, exits_text},
    {"P9 in-kernel port", Of::both,
     [](bool in) {
         Try t = from_start(step(), in, {});
         t.kernel_device = t.script.devices[0].in_kernel = true;
         if (!in) t.script.devices[0].reads.clear();
         return t;
     },
     exits_text},
    {"P12 shadow at exit", Of::both,
     [](bool in) {
         Try t = from_start(make(ActionKind::shadow, 1), in, {make(ActionKind::stop)});
         t.events = true;
         return t;
     },
     [](const Transcript& t) {
         const Observation* o = seen(t, 1);
         if (o == nullptr) return failure(t);
         return std::string(o->events.shadow != 0 ? "kept" : "cleared");
     }},
    {"P14", Of::both, [](bool in) { return attempt(in, {step()}); }, exits_text},
};

struct Column {
    std::string name;
    Run run;
    bool in = false;
    bool both = false;  // of OUT, and of IN in the rows that are about IN
};

Run model(Version version) {
    return [version](const Try& t) -> std::optional<Transcript> {
        // Devices in the kernel came after V0.
        if (t.kernel_device && version == Version::v0) return std::nullopt;
        return run_model(t.guest, t.script, version, t.svm ? Vendor::svm : Vendor::vmx);
    };
}

std::string cell(const Row& row, const Column& column) {
    const bool in = column.both ? row.of == Of::in : column.in;
    if (row.of != Of::both && (row.of == Of::in) != in) return "-";
    const std::optional<Transcript> t = column.run(row.attempt(in));
    return t ? row.cell(*t) : "-";
}

Table table(const std::vector<Column>& columns) {
    Table out{{""}};
    for (const Column& c : columns) out[0].push_back(c.name);
    for (const Row& row : kRows) {
        std::vector<std::string> line{std::string(row.name)};
        for (const Column& c : columns) line.push_back(cell(row, c));
        out.push_back(std::move(line));
    }
    return out;
}

std::string printed(const Table& table) {
    std::vector<std::size_t> width(table[0].size());
    for (const auto& line : table) {
        for (std::size_t i = 0; i < line.size(); ++i) width[i] = std::max(width[i], line[i].size());
    }
    std::string out;
    for (const auto& line : table) {
        const bool empty = std::all_of(line.begin() + 1, line.end(),
                                       [](const std::string& text) { return text == "-"; });
        if (empty) continue;
        for (std::size_t i = 0; i < line.size(); ++i) {
            out += fmt::format("{:<{}}", line[i], i + 1 == line.size() ? 0 : width[i] + 2);
        }
        out.erase(out.find_last_not_of(' ') + 1);
        out += '\n';
    }
    return out;
}

std::vector<Column> columns_of_reference() {
    return {{"V0", model(Version::v0), false, true},   {"V1", model(Version::v1c), false, true},
            {"V2", model(Version::v2), false, true},   {"V3", model(Version::v3), false, true},
            {"slow OUT", model(Version::slow), false}, {"slow IN", model(Version::slow), true}};
}

struct Named {
    std::string_view name;
    Version version;
};
constexpr Named kFast[] = {
    {"V0", Version::v0}, {"V1", Version::v1c}, {"V2", Version::v2}, {"V3", Version::v3}};
constexpr Named kAlternatives[] = {{"A1", Version::a1}, {"A2", Version::a2}, {"A3", Version::a3},
                                   {"A4", Version::a4}, {"A5", Version::a5}, {"A6", Version::a6},
                                   {"A7", Version::a7}};
constexpr Named kOthers[] = {{"X1 Xen", Version::x1},
                             {"X2 bhyve", Version::x2},
                             {"X3 illumos", Version::x3},
                             {"X4 VirtualBox", Version::x4},
                             {"X5 Hyper-V", Version::x5}};

std::vector<Column> columns_of(std::span<const Named> versions, bool in) {
    std::vector<Column> out;
    for (const Named& v : versions) out.push_back({std::string(v.name), model(v.version), in});
    return out;
}

}  // namespace

Table model_outcomes() { return table(columns_of_reference()); }

Table differences_from_v2() {
    Table out;
    for (const std::span<const Named> versions :
         {std::span<const Named>(kAlternatives), {kOthers}}) {
        std::vector<std::vector<std::string>> lines(versions.size());
        for (bool in : {false, true}) {
            const Table is = table(columns_of(versions, in));
            const Table v2 = table({{"", model(Version::v2), in}});
            for (std::size_t v = 0; v < versions.size(); ++v) {
                std::string cell;
                for (std::size_t row = 1; row < is.size(); ++row) {
                    if (is[row][v + 1] == v2[row][1]) continue;
                    cell += fmt::format("{}{}: {}", cell.empty() ? "" : "; ", is[row][0],
                                        is[row][v + 1]);
                }
                lines[v].push_back(cell.empty() ? "nothing" : cell);
            }
        }
        for (std::size_t v = 0; v < versions.size(); ++v) {
            lines[v].insert(lines[v].begin(), std::string(versions[v].name));
            out.push_back(std::move(lines[v]));
        }
    }
    return out;
}

std::string table_text(RealKvm* kvm, const KvmFacts* facts, u64& cells_differ) {
    std::vector<Column> columns = columns_of_reference();
    std::string out =
        "kvm-pio.md 1.11. Real mode: RIP after the KVM_RUN that completes, or what is named. V1 is "
        "V1c.\n"
        "r: of the access, n: its length (1), next: that of the NOP behind it, x: where userspace "
        "sets RIP.\n";
    const bool measured = kvm != nullptr && facts != nullptr && facts->of(Mode::real16).version;
    if (!measured) {
        out += "The models alone: no KVM here runs real mode.\n\n" + printed(table(columns));
    } else {
        out += "*: this KVM is not as the model that should match it.\n\n";
        const Run real = [&](const Try& t) -> std::optional<Transcript> {
            const bool reads_kernel = t.kernel_device && !t.script.devices[0].reads.empty();
            if (t.svm || reads_kernel || !facts->of(t.guest.mode).version) return std::nullopt;
            RealOptions options;
            options.events = t.events;
            return kvm->run(t.guest, t.script, options);
        };
        const Run own = model(*facts->of(Mode::real16).version);
        const std::size_t first = columns.size() + 1;
        columns.push_back({"this KVM OUT", real, false});
        columns.push_back({"this KVM IN", real, true});
        const Table should = table({{"", own, false}, {"", own, true}});
        Table is = table(columns);
        for (std::size_t row = 1; row < is.size(); ++row) {
            for (std::size_t i = 0; i < 2; ++i) {
                std::string& text = is[row][first + i];
                if (text == "-" || text == should[row][1 + i]) continue;
                text += '*';
                ++cells_differ;
            }
        }
        out += printed(is);
        out += fmt::format("\n{} cells differ from the model that should match\n", cells_differ);
    }
    const auto more = [&](std::string_view what, std::span<const Named> versions, bool in) {
        out += fmt::format("\n{} of {}\n\n", in ? "IN" : "OUT", what);
        out += printed(table(columns_of(versions, in)));
    };
    more("the fast versions", kFast, true);
    for (bool in : {false, true}) more("the alternatives (1.8)", kAlternatives, in);
    for (bool in : {false, true}) more("other hypervisors (1.10)", kOthers, in);
    return out;
}

}  // namespace vtlsim::runner::conform_kvm
