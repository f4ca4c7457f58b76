#include "runner/conform_kvm/recording.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "model/log/event.hpp"
#include "runner/conform_kvm/case_json.hpp"
#include "runner/json/reader.hpp"
#include "runner/load.hpp"
#include "runner/load_kvm.hpp"
#include "runner/read_switch.hpp"

namespace vtlsim::runner::conform_kvm {
namespace {

using model::MemoryImage;
using model::kvm::ExitReason;
using model::kvm::Guest;
using model::kvm::Observation;
using model::kvm::Return;
using model::kvm::RunExit;
using model::kvm::ScriptEnd;
using model::kvm::Transcript;
using nlohmann::ordered_json;
using sim::Reg;

constexpr std::string_view kFormat = "vtlsim-kvm-recording";
constexpr u32 kVersion = 1;
constexpr ScriptEnd kEnds[] = {ScriptEnd::exit, ScriptEnd::stop, ScriptEnd::exits,
                               ScriptEnd::steps};

std::vector<std::string_view> end_names() {
    std::vector<std::string_view> out;
    for (ScriptEnd end : kEnds) out.push_back(script_end_name(end));
    return out;
}
std::span<const std::string_view> reason_names() {
    return model::format_words(model::Format::kvm_reason);
}
std::span<const std::string_view> return_names() {
    return model::format_words(model::Format::kvm_return);
}
std::vector<std::string_view> version_names() {
    return value_names(*model::find_switch(model::kvm::switch_rows(), "kvm"));
}

// --- out ---

ordered_json exit_json(const RunExit& e) {
    ordered_json out;
    if (e.result != Return::ok) out["result"] = return_names()[static_cast<std::size_t>(e.result)];
    out["reason"] = reason_names()[static_cast<std::size_t>(e.reason)];
    switch (e.reason) {
        case ExitReason::io:
            out["direction"] = e.in ? "in" : "out";
            out["port"] = hex_number(e.port);
            out["size"] = e.size;
            out["count"] = e.count;
            break;
        case ExitReason::mmio:
            out["mmio"] = e.write ? "write" : "read";
            out["phys"] = hex_number(e.phys);
            out["size"] = e.length;
            break;
        case ExitReason::debug:
            out["exception"] = e.exception;
            out["pc"] = hex_number(e.pc);
            out["dr6"] = hex_number(e.dr6);
            break;
        case ExitReason::rdmsr:
        case ExitReason::wrmsr:
            out["msr"] = hex_number(e.msr);
            out["value"] = hex_number(e.msr_value);
            break;
        case ExitReason::internal_error:
            out["suberror"] = e.suberror;
            break;
        default:
            break;
    }
    if (!e.data.empty()) out["data"] = hex_bytes(e.data);
    return out;
}

// Guest memory as it is before the first KVM_RUN, by page.
std::map<u64, std::vector<u8>> initial_pages(const Guest& guest) {
    std::map<u64, std::vector<u8>> pages;
    for (const MemoryImage& image : initial_memory(guest)) {
        for (std::size_t i = 0; i < image.bytes.size(); ++i) {
            std::vector<u8>& page = pages[(image.address + i) & ~sim::kPageMask];
            page.resize(sim::kPageSize);
            page[(image.address + i) & sim::kPageMask] = image.bytes[i];
        }
    }
    return pages;
}

// The bytes that have changed, in runs.
ordered_json memory_json(const Guest& guest, const std::vector<MemoryImage>& pages) {
    ordered_json out = ordered_json::array();
    auto before = initial_pages(guest);
    for (const MemoryImage& page : pages) {
        std::vector<u8>& was = before[page.address];
        was.resize(sim::kPageSize);
        for (std::size_t i = 0; i < page.bytes.size(); ++i) {
            if (page.bytes[i] == was[i]) continue;
            std::size_t end = i;
            while (end < page.bytes.size() && page.bytes[end] != was[end]) ++end;
            out.push_back({{"at", hex_number(page.address + i)},
                           {"bytes", hex_bytes(std::span(page.bytes).subspan(i, end - i))}});
            i = end;
        }
    }
    return out;
}

ordered_json transcript_json(const Guest& guest, const Transcript& t) {
    ordered_json out;
    sim::CpuState last = initial_state(guest);
    for (const Observation& o : t.observations) {
        ordered_json exit = exit_json(o.exit);
        ordered_json changed = ordered_json::object();
        for (Reg reg : model::kvm::compared_registers()) {
            if (o.registers[reg] == last[reg]) continue;
            changed[std::string(sim::info(reg).name)] = hex_number(o.registers[reg]);
        }
        exit["registers"] = std::move(changed);
        if (o.mp_state != 0) exit["mp_state"] = o.mp_state;
        last = o.registers;
        out["exits"].push_back(std::move(exit));
    }
    for (const auto& w : t.writes) {
        out["writes"].push_back({{w.mmio ? "mmio" : "port", hex_number(w.address)},
                                 {"size", w.size},
                                 {"data", hex_bytes(w.data)}});
    }
    out["reads"] = t.reads;
    out["end"] = script_end_name(t.end);
    out["memory"] = memory_json(guest, t.memory);
    return out;
}

// --- in ---

class Reader {
  public:
    Reader(const JsonDocument& document, const std::string& file, Diagnostics& diagnostics)
        : root_(document, diagnostics), file_(file), diagnostics_(diagnostics) {}

    std::optional<Recording> read() {
        const Fields f = root_.object({"format", "version", "kvm", "cases"});
        if (f.required("format").string() != kFormat) {
            root_.error(fmt::format("not a recording (\"format\" is not \"{}\")", kFormat));
        }
        f.required("version").integer<u32>(kVersion, kVersion);
        read_kvm(f.required("kvm"));
        for (const Node& c : f.required("cases").array()) read_case(c);
        if (!diagnostics_.empty()) return std::nullopt;
        return std::move(out_);
    }

  private:
    void read_kvm(const Node& node) {
        const Fields f = node.object({"kernel", "modules", "processor", "modes"});
        out_.facts.kernel = f.required("kernel").string();
        out_.facts.modules = f.required("modules").string();
        out_.facts.processor = f.required("processor").string();
        const Fields modes = f.required("modes").object(model::kvm::kModeNames);
        for (std::size_t i = 0; i < kModes; ++i) {
            const auto mode = modes.optional(model::kvm::kModeNames[i]);
            if (!mode) continue;
            const Fields m = mode->object({"version", "native", "why"});
            ModeFacts& facts = out_.facts.modes[i];
            if (const auto why = m.optional("why")) facts.why = why->string();
            if (const auto v = m.optional("version")) {
                facts.version =
                    static_cast<model::kvm::Version>(v->one_of("a version", version_names()));
            }
            if (const auto native = m.optional("native")) facts.native = native->boolean();
        }
    }

    void read_case(const Node& node) {
        const Fields f = node.object({"scenario", "transcript"});
        // The scenario is a document of its own: what its loader says about it has no place here.
        Diagnostics own;
        const auto scenario = parse_scenario(f.required("scenario").string(), file_, own);
        if (!scenario || !scenario->kvm) {
            node.error(fmt::format("not a KVM scenario: {}", own.to_string()));
            return;
        }
        RecordedCase c;
        c.name = scenario->name;
        const KvmCase kvm_case = scenario->kvm->case_of(scenario->kvm->variants[0]);
        c.guest = kvm_case.guest;
        c.script = kvm_case.script;
        read_transcript(f.required("transcript"), c);
        out_.cases.push_back(std::move(c));
    }

    void read_transcript(const Node& node, RecordedCase& c) {
        const Fields f = node.object({"exits", "writes", "reads", "end", "memory"});
        sim::CpuState last = initial_state(c.guest);
        if (const auto exits = f.optional("exits")) {
            for (const Node& exit : exits->array()) {
                Observation o;
                read_exit(exit, last, o);
                last = o.registers;
                c.transcript.observations.push_back(std::move(o));
            }
        }
        if (const auto writes = f.optional("writes")) {
            for (const Node& entry : writes->array()) {
                const Fields w = entry.object({"mmio", "port", "size", "data"});
                const auto mmio = w.optional("mmio");
                c.transcript.writes.push_back(
                    {mmio.has_value(), mmio ? mmio->integer() : w.required("port").integer(),
                     w.required("size").integer<u8>(), w.required("data").bytes()});
            }
        }
        c.transcript.reads = f.required("reads").integer();
        c.transcript.end = kEnds[f.required("end").one_of("an end", end_names())];
        auto pages = initial_pages(c.guest);
        std::map<u64, bool> changed;
        for (const Node& entry : f.required("memory").array()) {
            const Fields m = entry.object({"at", "bytes"});
            const u64 at = m.required("at").integer();
            const std::vector<u8> bytes = m.required("bytes").bytes();
            if (at / sim::kPageSize != (at + bytes.size() - 1) / sim::kPageSize || bytes.empty()) {
                entry.error("not within a page");
                continue;
            }
            std::vector<u8>& page = pages[at & ~sim::kPageMask];
            page.resize(sim::kPageSize);
            std::copy(bytes.begin(), bytes.end(),
                      page.begin() + static_cast<std::ptrdiff_t>(at & sim::kPageMask));
            changed[at & ~sim::kPageMask] = true;
        }
        for (const auto& [at, yes] : changed) c.transcript.memory.push_back({at, pages[at]});
    }

    void read_exit(const Node& node, const sim::CpuState& last, Observation& o) {
        const Fields f = node.object({"result", "reason", "direction", "port", "size", "count",
                                      "mmio", "phys", "exception", "pc", "dr6", "msr", "value",
                                      "suberror", "data", "registers", "mp_state"});
        RunExit& e = o.exit;
        if (const auto n = f.optional("result")) {
            e.result = static_cast<Return>(n->one_of("a result of KVM_RUN", return_names()));
        }
        e.reason =
            static_cast<ExitReason>(f.required("reason").one_of("an exit reason", reason_names()));
        if (const auto n = f.optional("direction")) e.in = n->string() == "in";
        if (const auto n = f.optional("port")) e.port = n->integer<u16>();
        if (const auto n = f.optional("count")) e.count = n->integer<u32>();
        if (const auto n = f.optional("mmio")) e.write = n->string() == "write";
        if (const auto n = f.optional("phys")) e.phys = n->integer();
        if (const auto n = f.optional("size")) {
            (e.reason == ExitReason::mmio ? e.length : e.size) = n->integer<u8>();
        }
        if (const auto n = f.optional("exception")) e.exception = n->integer<u32>();
        if (const auto n = f.optional("pc")) e.pc = n->integer();
        if (const auto n = f.optional("dr6")) e.dr6 = n->integer();
        if (const auto n = f.optional("msr")) e.msr = n->integer<u32>();
        if (const auto n = f.optional("value")) e.msr_value = n->integer();
        if (const auto n = f.optional("suberror")) e.suberror = n->integer<u32>();
        if (const auto n = f.optional("data")) e.data = n->bytes();
        if (const auto n = f.optional("mp_state")) o.mp_state = n->integer<u32>();
        o.registers = last;
        for (const Node& member : f.required("registers").members()) {
            const sim::RegInfo* row = sim::find_register(member.key());
            if (row == nullptr) {
                member.error_at_key("unknown register " + in_quotes(member.key()));
                continue;
            }
            o.registers[row->reg] = member.integer();
        }
    }

    Node root_;
    const std::string& file_;
    Diagnostics& diagnostics_;
    Recording out_;
};

std::optional<Recording> read(const std::unique_ptr<const JsonDocument>& document,
                              const std::string& file, Diagnostics& diagnostics) {
    return document ? Reader(*document, file, diagnostics).read() : std::nullopt;
}

}  // namespace

// One line a case: a file that is compared as text, and not too long.
std::string recording_text(const Recording& recording) {
    ordered_json kvm;
    kvm["kernel"] = recording.facts.kernel;
    kvm["modules"] = recording.facts.modules;
    kvm["processor"] = recording.facts.processor;
    for (std::size_t i = 0; i < kModes; ++i) {
        const ModeFacts& m = recording.facts.modes[i];
        ordered_json& mode = kvm["modes"][std::string(model::kvm::kModeNames[i])];
        if (m.version) {
            mode["version"] = version_names()[static_cast<std::size_t>(*m.version)];
            mode["native"] = m.native;
        } else {
            mode["why"] = m.why;
        }
    }
    std::string out =
        fmt::format("{{\n\"format\": \"{}\",\n\"version\": {},\n\"kvm\": {},\n\"cases\": [",
                    kFormat, kVersion, kvm.dump());
    bool first = true;
    for (const RecordedCase& c : recording.cases) {
        const CaseHead head{c.name, "recorded on a real KVM", recording.facts.kernel};
        ordered_json entry;
        entry["scenario"] = case_json(head, c.guest, c.script).dump();
        entry["transcript"] = transcript_json(c.guest, c.transcript);
        out += first ? "\n" : ",\n";
        out += entry.dump();
        first = false;
    }
    return out + "\n]\n}\n";
}

std::optional<Recording> parse_recording(const std::string& text, const std::string& file,
                                         Diagnostics& diagnostics) {
    return read(JsonDocument::parse(text, file, diagnostics), file, diagnostics);
}

std::optional<Recording> load_recording(const std::string& path, Diagnostics& diagnostics) {
    return read(JsonDocument::load(path, diagnostics), path, diagnostics);
}

}  // namespace vtlsim::runner::conform_kvm
