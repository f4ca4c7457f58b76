// The text trace: the golden one of the crash, and docs/trace.md.
// Run: build/<preset>/vtlsim_tests "[trace]"; VTLSIM_BLESS=1 writes the golden files anew.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/vtl2/layout.hpp"
#include "model/wire/pages.hpp"
#include "model/world.hpp"
#include "runner/trace/formats.hpp"
#include "runner/trace/world_recorder.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

trace::Recording recorded(const Scenario& scenario, std::size_t variant = 0, bool values = true) {
    Diagnostics diagnostics;
    trace::RecordOptions options;
    options.values = values;
    auto recording = trace::record(scenario, scenario.variants.at(variant), options, diagnostics);
    REQUIRE(recording);
    return std::move(*recording);
}

std::string trace_of(const Scenario& scenario, const trace::TextOptions& options = {},
                     std::size_t variant = 0) {
    return text_trace(recorded(scenario, variant, false), options);
}

TEST_CASE("The trace of the crash is the golden one", "[trace][golden]") {
    const Scenario crash = loaded(tests::source_file("tests/golden/crash.json"));
    const std::string diff = tests::golden_diff("tests/golden/crash.trace", trace_of(crash));
    INFO(diff);
    CHECK(diff.empty());
    CHECK(run_variant(crash, crash.variants[0]).failures.empty());
}

TEST_CASE("A trace has a head, one line an event, and a foot", "[trace]") {
    const Scenario halts = loaded(
        scenario(R"("variants":{"switches":{"gpr_model":["shared"],"vmm_fix":["V0","V2"]}})"));
    const std::string all = trace_of(halts, {}, 1);
    CHECK(all.starts_with(
        "# n gpr_model=shared,vmm_fix=V2\n"
        "    step  vp  vtl  rip                 lane        event               detail\n"
        "       1   0    2  0x8000000           vtl2        insn                ap_start: "));
    std::vector<model::EventKind> rest;
    for (const model::EventRow& row : model::event_rows()) {
        if (row.kind != model::EventKind::end) rest.push_back(row.kind);
    }
    const Result result = run_variant(halts, halts.variants[1]);
    CHECK(trace_of(halts, {rest}, 1) ==
          fmt::format(
              "# n gpr_model=shared,vmm_fix=V2\n"
              "    step  vp  vtl  rip                 lane        event               detail\n"
              "{:>8}   0    0  0x1001              hypervisor  end                 "
              "reason=guest-halted\n"
              "# end=guest-halted steps={} hash={}\n",
              result.steps, result.steps, result.hash));
}

// The state at the end of a recording is the world's: nothing that changes is missed.
TEST_CASE("A recording's writes lead to the final state", "[trace]") {
    for (const char* file : {"tests/golden/crash.json", "scenarios/race/golden-g2.json",
                             "scenarios/race/two-vps.json", "scenarios/sidecar/golden-g18.json"}) {
        INFO(file);
        const Scenario s = loaded(tests::source_file(file));
        const trace::Recording r = recorded(s);
        const model::WorldConfig config = s.config(s.variants[0]);
        model::World world(config);
        world.run();
        CHECK(r.result.hash == world.hash());
        std::vector<Vec128> cells;
        std::map<u64, u8> memory;
        const auto put = [&](const trace::Write& w) {
            for (std::size_t i = 0; i < w.bytes.size() / 2; ++i) {
                memory[w.where + i] =
                    static_cast<u8>(std::stoul(w.bytes.substr(2 * i, 2), nullptr, 16));
            }
        };
        for (const trace::Cell& c : r.cells) cells.push_back(c.initial);
        for (const trace::Write& w : r.initial_memory) put(w);
        for (const trace::Write& w : r.writes) {
            if (w.memory) {
                put(w);
            } else {
                cells[w.where] = w.value;
            }
        }
        for (std::size_t i = 0; i < cells.size(); ++i) {
            if (r.banks[r.cells[i].bank].name != "cpu") continue;
            const auto vp = static_cast<unsigned>(r.banks[r.cells[i].bank].vp);
            INFO(r.cells[i].name);
            const sim::Reg reg = sim::find_register(r.cells[i].name)->reg;
            CHECK(cells[i] == world.register_of(world.active_vtl(vp), reg, vp));
        }
        for (const trace::Region& region : r.regions) {
            std::vector<u8> now(region.size);
            world.read_memory(region.address, now);
            std::vector<u8> shown(region.size);
            for (u64 i = 0; i < region.size; ++i) {
                const auto byte = memory.find(region.address + i);
                if (byte != memory.end()) shown[i] = byte->second;
            }
            INFO(region.name);
            CHECK(shown == now);
        }
    }
}

TEST_CASE("The JSON trace is the same each time, and has a version", "[trace]") {
    const Scenario crash = loaded(tests::source_file("tests/golden/crash.json"));
    const std::string text = json_trace(recorded(crash));
    CHECK(text == json_trace(recorded(crash)));
    const auto doc = nlohmann::json::parse(text);
    CHECK(doc["format"] == "vtlsim-trace");
    CHECK(doc["version"] == trace::kJsonVersion);
    CHECK(doc["items"].size() > doc["turns"].size());
}

// The texts of the items that wrote a place in memory, and what they wrote it from, latest first.
std::vector<std::string> chain_to(const trace::Recording& r, u64 address) {
    std::vector<std::string> chain;
    bool memory = true;
    u64 where = address;
    auto before = static_cast<u32>(r.items.size());
    while (chain.size() < 20) {
        const trace::Write* last = nullptr;
        for (const trace::Write& w : r.writes) {
            if (w.item < before && w.memory == memory && w.where == where) last = &w;
        }
        if (last == nullptr) break;
        chain.push_back(r.items[last->item].text);
        if (last->sources.empty()) break;
        memory = last->sources[0].kind == trace::Source::Kind::memory;
        where = last->sources[0].where;
        before = last->item;
    }
    return chain;
}

// From the assert back: the context's RAX is what VTL2 had at VMCALL, a constant of run_vp_once.
TEST_CASE("Sources lead from the stale value to the instruction that made it", "[trace]") {
    const Scenario crash = loaded(tests::source_file("scenarios/sidecar/crash-shadow.json"));
    CHECK(chain_to(recorded(crash),
                   model::layout::kCommandPage + offsetof(model::CommandPage, cpu_context)) ==
          std::vector<std::string>{"mov qword ptr fs:[0x0], rax", "to=2 reason=intercept",
                                   "to=0 rax=0x0 rcx=0x12", "mov rax, rcx", "xor ecx, ecx"});
}

TEST_CASE("Sources lead through the x87 stack", "[trace]") {
    const Scenario guest = loaded(with_guest(R"({"code": {"asm": [
        "mov rax, 5", "mov [0x2000], rax", "fild qword [0x2000]", "fldpi", "fxch st0, st1",
        "fld st0", "fstp qword [0x2008]", "hlt"]}})"));
    CHECK(chain_to(recorded(guest), 0x2008) ==
          std::vector<std::string>{"fstp qword ptr [0x2008]", "fld st0", "fxch st1",
                                   "fild qword ptr [0x2000]", "mov qword ptr [0x2000], rax",
                                   "mov rax, 0x5"});
}

// The store crosses a page: 200FFCh lies at 7FFCh, the bytes from 201000h on at 9000h.
TEST_CASE("Sources lead through memory behind the guest's own page tables", "[trace]") {
    const trace::Recording r = recorded(loaded(with_guest(R"({
        "code": {"asm": ["mov rbx, [0x201010]", "mov [0x200FFC], rbx", "mov eax, [0x201000]",
                         "mov [0x201008], eax", "hlt"]},
        "registers": {"identity_map": 0, "cr3": "0xA000"},
        "memory": [{"at": "0xA000", "asm": "dq 0xB003"}, {"at": "0xB000", "asm": "dq 0xC003"},
                   {"at": "0xC000", "asm": "dq 0x83, 0xD003"},
                   {"at": "0xD000", "asm": "dq 0x7003, 0x9003"},
                   {"at": "0x9010", "asm": "dq 0x1122334455667788"}]})")));
    const std::vector<std::string> expected{
        "mov dword ptr [0x201008], eax", "mov eax, dword ptr [0x201000]",
        "mov qword ptr [0x200ffc], rbx", "mov rbx, qword ptr [0x201010]"};
    CHECK(chain_to(r, 0x9008) == expected);
    CHECK(chain_to(r, 0x7FFC) == std::vector(expected.end() - 2, expected.end()));
    CHECK(chain_to(r, 0x200FFC).empty());
}

TEST_CASE("Every name fits its column", "[trace]") {
    for (const model::EventRow& row : model::event_rows()) CHECK(row.name.size() <= 18);
    for (const model::Lane lane : {model::Lane::guest, model::Lane::hypervisor, model::Lane::vtl2,
                                   model::Lane::vmm, model::Lane::device}) {
        CHECK(model::lane_name(lane).size() <= 10);
    }
}

std::string format_meaning(model::Format format) {
    using model::Format;
    std::string words;
    for (std::string_view word : model::format_words(format)) {
        words += fmt::format("{}{}", words.empty() ? "" : ", ", word);
    }
    if (!words.empty()) return words;
    switch (format) {
        case Format::hex:
            return "hexadecimal";
        case Format::dec:
            return "decimal";
        case Format::flag:
            return "the name alone, if set";
        case Format::optional:
            return "hexadecimal, or none";
        case Format::code_lo:
            return "disassembly";
        case Format::reg:
            return "a register";
        case Format::gpa:
            return "the wire field at this address, or the address";
        case Format::message_type:
            return "a message type";
        case Format::text:
            return "text";
        default:
            return {};
    }
}

TEST_CASE("docs/trace.md has the event kinds and ends of the program", "[trace][golden]") {
    std::string kinds = "| event | when | detail |\n|---|---|---|\n";
    for (const model::EventRow& row : model::event_rows()) {
        std::string args;
        for (const model::ArgRow& arg : row.args) {
            const std::string meaning = format_meaning(arg.format);
            if (meaning.empty()) continue;
            const bool code = arg.format == model::Format::code_lo;
            args += fmt::format("{}{}", args.empty() ? "" : "; ",
                                code ? meaning : fmt::format("`{}`: {}", arg.name, meaning));
        }
        kinds += fmt::format("| `{}` | {} | {} |\n", row.name, row.meaning, args);
    }
    const std::string diff = tests::golden_part_diff("docs/trace.md", "event kinds", kinds);
    INFO(diff);
    CHECK(diff.empty());
    const std::string page = tests::source_file("docs/trace.md");
    for (std::string_view end : model::end_reason_names().subspan(1)) {
        INFO(end);
        CHECK(page.find(fmt::format("| `{}` |", end)) != std::string::npos);
    }
}

}  // namespace
}  // namespace vtlsim::runner
