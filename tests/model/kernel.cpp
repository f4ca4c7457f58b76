// The VTL2 kernels' text and code, the switches, the event table, the log's hash.
#include <set>

#include "model/hyperv/names.hpp"
#include "model/log/event_log.hpp"
#include "model/vtl2/layout.hpp"
#include "model/vtl2/vtl2_kernel.hpp"
#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

namespace vtlsim::tests {

using namespace model;

// --- VTL2 kernels --------------------------------------------------------------------------------

namespace {

// Those that the kernels' texts name; that no other one matters is a test of its own.
const std::set<std::string_view> kNamed{"vp_runner", "fx_cr2_restore", "vmm_fix",
                                        "intercept_delivery", "dr6_shared"};

// Every combination of the named switches.
template <class Check>
void for_named_switches(Check check) {
    std::vector<SwitchRow> rows;
    for (const SwitchRow& row : switch_rows()) {
        if (kNamed.count(row.name) != 0) rows.push_back(row);
    }
    REQUIRE(rows.size() == kNamed.size());
    std::vector<u8> at(rows.size(), 0);
    for (;;) {
        Switches s;
        for (std::size_t i = 0; i < rows.size(); ++i) rows[i].set(s, at[i]);
        check(s);
        std::size_t i = 0;
        while (i < rows.size() && ++at[i] == rows[i].values.size()) at[i++] = 0;
        if (i == rows.size()) return;
    }
}

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t n = 0;
    for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++n;
    return n;
}

}  // namespace

TEST_CASE("kernel: every combination of the switches that it names assembles", "[model]") {
    std::set<std::string> texts;
    std::size_t combinations = 0;
    for_named_switches([&](const Switches& s) {
        ++combinations;
        std::string text = vtl2_kernel_text(s);
        if (!texts.insert(text).second) return;
        const sim::AsmResult kernel = assemble_vtl2_kernel(s);
        for (const sim::AsmError& e : kernel.errors) {
            FAIL_CHECK("line " << e.line << ": " << e.message << " in\n" << text);
        }
        REQUIRE(kernel.ok());
        CHECK(kernel.origin == layout::kVtl2Code);
        CHECK(kernel.bytes.size() < layout::kHypercallPage - layout::kVtl2Code);
        CHECK(kernel.origin + kernel.bytes.size() < layout::kVtl2StackTop - 0x8000);
        for (const char* label : {"ap_start", "gdt", "gdt_end", "idt", "idt_end"}) {
            CHECK(kernel.find(label) != nullptr);
        }
        // The table of gates is complete.
        CHECK(kernel.find("idt_end")->value - kernel.find("idt")->value == 256 * 16);
        CHECK(kernel.find("gdt_end")->value - kernel.find("gdt")->value == 3 * 8);
        CHECK(count(text, "\n;@") == 0);
    });
    CHECK(combinations == 2 * 2 * 6 * 2 * 2);
    // Sidecar: with or without FXRSTOR, times no sync, sync, sync of all. The driver: one. Each
    // with and without SINT0 and DR6.
    CHECK(texts.size() == (2 * 3 + 1) * 2 * 2);
}

TEST_CASE("kernel: the switches choose the lines of run_vp_once", "[model]") {
    for_named_switches([](const Switches& s) {
        const std::string text = vtl2_kernel_text(s);
        const bool sidecar = s.vp_runner == VpRunner::sidecar;
        const bool head = s.fx_cr2_restore == FxCr2Restore::head || !sidecar;
        CHECK(count(text, "\n        fxrstor ") == (head ? 1 : 0));
        CHECK(count(text, "\n        mov cr2, ") == (head ? 1 : 0));
        CHECK(count(text, "\n        fxsave ") == 1);
        const bool all = s.vmm_fix == VmmFix::V1_all_gps;
        const bool v1 = all || s.vmm_fix == VmmFix::V1 || s.vmm_fix == VmmFix::V1V2;
        CHECK(count(text, "call sync_from_register_page") == (v1 && sidecar ? 1 : 0));
        CHECK(count(text, "\nsync_from_register_page:") == (v1 && sidecar ? 1 : 0));
        CHECK(count(text, "cmp ecx, 4 ") == (v1 && !all && sidecar ? 1 : 0));
        CHECK((count(text, "[abs HCL_RUN") != 0) == !sidecar);
    });
}

TEST_CASE("kernel: a switch that the text does not name leaves the code alone", "[model]") {
    const std::set<std::string_view> in_the_vmm{"V2", "VH"};
    const std::vector<u8> plain = assemble_vtl2_kernel({}).bytes;
    for (const SwitchRow& row : switch_rows()) {
        for (u8 i = 1; i < row.values.size(); ++i) {
            CAPTURE(row.name, row.values[i].name);
            Switches one;
            row.set(one, i);
            const bool same_text =
                kNamed.count(row.name) == 0 ||
                (row.name == "vmm_fix" && in_the_vmm.count(row.values[i].name) != 0);
            CHECK((assemble_vtl2_kernel(one).bytes == plain) == same_text);
            if (kNamed.count(row.name) != 0) continue;
            for_named_switches([&](Switches s) {
                const std::string text = vtl2_kernel_text(s);
                row.set(s, i);
                CHECK(vtl2_kernel_text(s) == text);
            });
        }
    }
}

TEST_CASE("kernel: the hypercall page's stubs", "[model]") {
    const std::vector<u8> page = hypercall_page(StubBytes::copies);
    const auto at = [&](std::size_t offset, std::size_t size) {
        REQUIRE(page.size() >= offset + size);
        const auto first = page.begin() + static_cast<std::ptrdiff_t>(offset);
        return std::vector<u8>(first, first + static_cast<std::ptrdiff_t>(size));
    };
    CHECK(at(0, 4) == std::vector<u8>{0x0F, 0x01, 0xC1, 0xC3});  // vmcall; ret
    // mov rax, rcx (either encoding); mov ecx, 12h; vmcall; ret
    CHECK(layout::kVtlReturnOffset == 0x10);
    const std::vector<u8> mov = at(0x10, 3);
    const bool known =
        mov == std::vector<u8>{0x48, 0x89, 0xC8} || mov == std::vector<u8>{0x48, 0x8B, 0xC1};
    CHECK(known);
    CHECK(at(0x13, 9) == std::vector<u8>{0xB9, 0x12, 0x00, 0x00, 0x00, 0x0F, 0x01, 0xC1, 0xC3});
    CHECK(page.size() == 0x1C);
    // Without the copy RAX is still the stub's address (hyperv-vtl.md 1.2).
    const std::vector<u8> plain = hypercall_page(StubBytes::plain);
    REQUIRE(plain.size() == 0x19);
    CHECK(std::equal(page.begin(), page.begin() + 0x10, plain.begin()));
    CHECK(std::equal(page.begin() + 0x13, page.end(), plain.begin() + 0x10));
}

TEST_CASE("kernel: the symbols of wire fields are their offsets", "[model]") {
    std::set<std::string> names;
    for (const auto& [name, value] : vtl2_symbols()) CHECK(names.insert(name).second);
    const auto symbol = [](std::string_view name) {
        for (const auto& [n, value] : vtl2_symbols()) {
            if (n == name) return value;
        }
        FAIL("no symbol " << name);
        return u64{0};
    };
    CHECK(symbol("ctx_rbx") == 0x18);
    CHECK(symbol("ctx_cr2") == 0x20);
    CHECK(symbol("ctx_fx") == 0x80);
    CHECK(symbol("assist_register_rax") == 0x10);
    CHECK(symbol("assist_entry_reason") == 0x8);
    CHECK(symbol("cmd_cpu_context") == 0x10);
    CHECK(symbol("cmd_intercept_message") == 0x410);
    CHECK(symbol("page_rax") == 0x8);
    CHECK(symbol("page_xmm0") == 0xA0);
    CHECK(symbol("MSR_VP_ASSIST_PAGE") == 0x40000073);
    CHECK(symbol("HV_REGISTER_REG_PAGE") == 0x9001C);
    CHECK(symbol("HVCALL_SET_VP_REGISTERS") == 0x51);
}

namespace {

struct Until : sim::Observer {
    u64 at = 0;
    bool before_instruction(const sim::Cpu&, u64 rip) override { return rip == at; }
};

struct Named {
    u32 name;
    u64 value;
    sim::Reg reg = sim::Reg::rax;
};

constexpr u64 kRequest = layout::kCommandPage + offsetof(CommandPage, request_data);
constexpr u64 association_at(std::size_t i) {
    return kRequest + sizeof(RegisterRequest) + i * sizeof(RegisterAssociation);
}

// The kernel serves the request from one of its labels on; what ends that.
sim::Outcome serve(Rig& rig, const char* label, std::span<const Named> registers,
                   const Switches& switches) {
    const sim::AsmResult kernel = assemble_vtl2_kernel(switches);
    rig.bytes(layout::kVtl2Code, kernel.bytes);
    rig.bytes(layout::kHypercallPage, hypercall_page(StubBytes::copies));
    rig.put(kRequest, registers.size());
    for (std::size_t i = 0; i < registers.size(); ++i) {
        rig.put(association_at(i) + offsetof(RegisterAssociation, name), registers[i].name);
        rig.put(association_at(i) + offsetof(RegisterAssociation, value), registers[i].value);
    }
    rig.set(sim::Reg::rsp, layout::kVtl2StackTop);
    rig.jump(kernel.find(label)->value);
    Until until;
    until.at = kernel.find("finish")->value;
    return rig.finish(&until);
}

}  // namespace

TEST_CASE("kernel: DR0 to DR3, a shared DR6 and MTRRs are moved by instructions", "[model]") {
    constexpr Named kShared[] = {{0x50000, 0x1110, sim::Reg::dr0},
                                 {0x50001, 0x2220, sim::Reg::dr1},
                                 {0x50002, 0x3330, sim::Reg::dr2},
                                 {0x50003, 0x4440, sim::Reg::dr3},
                                 {0x8000E, 0xC06, sim::Reg::mtrr_def_type},
                                 {0x80010, 0x80000006, sim::Reg::mtrr_base0},
                                 {0x80017, 0x90000005, sim::Reg::mtrr_base7},
                                 {0x80040, 0xF80000800, sim::Reg::mtrr_mask0},
                                 {0x80047, 0xFC0000800, sim::Reg::mtrr_mask7},
                                 {0x80070, 0x0606060606060606, sim::Reg::mtrr_fix64k_00000},
                                 {0x8007A, 0x0505050505050505, sim::Reg::mtrr_fix4k_f8000},
                                 {0x50004, 0xFFFF0FF5, sim::Reg::dr6}};
    const auto shared = GENERATE(Dr6Shared::no, Dr6Shared::yes);
    Switches switches;
    switches.dr6_shared = shared;
    const std::span<const Named> own(kShared, shared == Dr6Shared::yes ? 12 : 11);
    {
        Rig rig;
        CHECK(is<sim::Paused>(serve(rig, "set_vp_registers", own, switches)));
        for (const Named& r : own) {
            CAPTURE(r.name);
            CHECK(rig.get(r.reg) == r.value);
        }
    }
    {
        Rig rig;
        std::vector<Named> asked(own.begin(), own.end());
        for (Named& r : asked) {
            rig.set(r.reg, r.value);
            r.value = ~u64{0};
        }
        asked.push_back({0x8000D, 0});  // the capabilities: eight ranges
        CHECK(is<sim::Paused>(serve(rig, "get_vp_registers", asked, switches)));
        for (std::size_t i = 0; i < asked.size(); ++i) {
            CAPTURE(asked[i].name);
            const u64 value = rig.word(association_at(i) + offsetof(RegisterAssociation, value));
            if (i < own.size()) {
                CHECK(value == own[i].value);
            } else {
                CHECK((value & 0xFF) == 8);
            }
        }
    }
    // All else is the hypervisor's: below, between and behind their names.
    const u32 name = GENERATE(0x20010u, 0x50005u, 0x60000u, 0x80001u, 0x8000Fu, 0x80018u, 0x8003Fu,
                              0x80048u, 0x8006Fu, 0x8007Bu, 0x9001Cu);
    const Named other[] = {{name, 0}};
    for (const char* label : {"get_vp_registers", "set_vp_registers"}) {
        CAPTURE(label, name);
        Rig rig;
        const auto exit = expect<sim::Exit>(serve(rig, label, other, switches));
        CHECK(exit.kind == sim::ExitKind::hypercall);
        CHECK(static_cast<u32>(rig.word(layout::kHypercallInput + 0x10)) == name);
    }
}

TEST_CASE("kernel: hypervisor register names", "[model]") {
    using sim::Reg;
    const std::pair<u32, Reg> kNames[] = {
        {0x20000, Reg::rax},  {0x20001, Reg::rcx},   {0x20002, Reg::rdx}, {0x20003, Reg::rbx},
        {0x20004, Reg::rsp},  {0x20005, Reg::rbp},   {0x20006, Reg::rsi}, {0x20007, Reg::rdi},
        {0x20008, Reg::r8},   {0x2000F, Reg::r15},   {0x20010, Reg::rip}, {0x20011, Reg::rflags},
        {0x30000, Reg::xmm0}, {0x3000F, Reg::xmm15}, {0x40000, Reg::cr0}, {0x40001, Reg::cr2},
        {0x40002, Reg::cr3},  {0x40003, Reg::cr4},   {0x40004, Reg::cr8}, {0x40005, Reg::xcr0},
        {0x50000, Reg::dr0},  {0x50003, Reg::dr3},   {0x50004, Reg::dr6}, {0x50005, Reg::dr7},
        {0x80001, Reg::efer}};
    for (const auto& [name, reg] : kNames) {
        CAPTURE(name);
        CHECK(register_of_hv_name(name) == reg);
    }
    for (u32 name : {0u, 0x1FFFFu, 0x20012u, 0x30010u, 0x40006u, 0x50006u, 0x80000u, 0x9001Cu}) {
        CHECK_FALSE(register_of_hv_name(name));
    }
}

// --- switches ------------------------------------------------------------------------------------

TEST_CASE("switches: names are unique, defaults come first, values round-trip", "[model]") {
    std::set<std::string_view> names;
    for (const SwitchRow& row : switch_rows()) {
        CAPTURE(row.name);
        CHECK(names.insert(row.name).second);
        CHECK(find_switch(switch_rows(), row.name) == &row);
        CHECK_FALSE(row.meaning.empty());
        CHECK_FALSE(row.source.empty());
        CHECK(row.values.size() >= 2);
        CHECK(row.get(Switches{}) == 0);
        std::set<std::string_view> values;
        for (u8 i = 0; i < row.values.size(); ++i) {
            CHECK(values.insert(row.values[i].name).second);
            CHECK_FALSE(row.values[i].meaning.empty());
            CHECK(find_value(row, row.values[i].name) == i);
            Switches s;
            row.set(s, i);
            CHECK(row.get(s) == i);
            // No other switch has moved.
            row.set(s, 0);
            CHECK(s == Switches{});
        }
        CHECK_FALSE(find_value(row, ""));
        CHECK_FALSE(find_value(row, "no_such_value"));
    }
    CHECK(find_switch(switch_rows(), "no_such_switch") == nullptr);
    CHECK(find_switch(switch_rows(), "") == nullptr);
}

TEST_CASE("switches: the defaults of the reference", "[model]") {
    const std::pair<std::string_view, std::string_view> kDefaults[] = {
        {"gpr_model", "shared"},
        {"cr2_model", "shared"},
        {"dr6_shared", "no"},
        {"vp_runner", "sidecar"},
        {"fx_cr2_restore", "head"},
        {"pending_on_return", "restore_then_bounce"},
        {"regpage_fill", "all16"},
        {"set_rip_path", "ap_command"},
        {"vmm_fix", "V0"},
        {"emulate_io_width", "openvmm"},
        {"stub_bytes", "copies"},
        {"driver", "racy"},
        {"memory_order", "sc"},
        {"icr_write", "drains"},
        {"reason_merge", "first_wins"},
        {"intercept_delivery", "intercept_page"},
        {"removal_wait", "removed"},
        {"emulator_set_rsp", "head"},
    };
    CHECK(switch_rows().size() == std::size(kDefaults));
    for (const auto& [name, value] : kDefaults) {
        CAPTURE(name);
        const SwitchRow* row = find_switch(switch_rows(), name);
        REQUIRE(row != nullptr);
        CHECK(row->values.front().name == value);
    }
}

// --- events --------------------------------------------------------------------------------------

TEST_CASE("events: row i is kind i, names are unique, at most six arguments", "[model]") {
    std::set<std::string_view> names;
    std::size_t i = 0;
    for (const EventRow& row : event_rows()) {
        CAPTURE(row.name);
        CHECK(static_cast<std::size_t>(row.kind) == i++);
        CHECK(&event_row(row.kind) == &row);
        CHECK(find_event(row.name) == &row);
        CHECK(names.insert(row.name).second);
        CHECK(row.name.find('_') == std::string_view::npos);
        CHECK_FALSE(row.meaning.empty());
        CHECK(row.args.size() <= Event::kMaxArgs);
        std::set<std::string_view> args;
        for (const ArgRow& arg : row.args) {
            CHECK_FALSE(arg.name.empty());
            CHECK(args.insert(arg.name).second);
        }
    }
    CHECK(find_event("vtl-enter") == &event_row(EventKind::vtl_enter));
    CHECK(find_event("vtl_enter") == nullptr);
    CHECK(find_event("") == nullptr);
}

TEST_CASE("events: the words of lanes, ends and formats", "[model]") {
    CHECK(lane_name(Lane::guest) == "guest");
    CHECK(lane_name(Lane::device) == "device");
    CHECK(end_reason_name(EndReason::none) == "none");
    CHECK(end_reason_name(EndReason::guest_halted) == "guest-halted");
    CHECK(end_reason_name(EndReason::vmm_panic) == "vmm-panic");
    CHECK(end_reason_name(EndReason::stopped) == "stopped");
    CHECK(end_reason_name(EndReason::step_limit) == "step-limit");
    CHECK(end_reason_name(EndReason::not_modelled) == "not-modelled");
    CHECK(end_reason_name(EndReason::removed) == "removed");
    CHECK(end_reason_names().size() == static_cast<std::size_t>(EndReason::removed) + 1);
    CHECK(format_words(Format::io_access)[1] == "out");
    CHECK(format_words(Format::msr_access)[1] == "write");
    CHECK(format_words(Format::memory_access)[2] == "execute");
    CHECK(format_words(Format::entry_reason)[2] == "interrupt");
    CHECK(format_words(Format::entry_reason)[3] == "intercept");
    CHECK(format_words(Format::command)[1] == "run-vp");
    CHECK(format_words(Format::command)[3] == "set-vp-registers");
    CHECK(format_words(Format::hex).empty());
}

// --- the log's hash ------------------------------------------------------------------------------

namespace {

Event sample() {
    return {.step = 7,
            .kind = EventKind::exit_io,
            .lane = Lane::guest,
            .vp = 0,
            .vtl = 0,
            .rip = 0x1000,
            .args = {0x3FE, 1, 0, 0, 0, 0}};
}

}  // namespace

TEST_CASE("log: the hash of a small log is pinned", "[model]") {
    EventLog log;
    CHECK(log.hash() == 0x2D06800538D394C2);  // XXH3-64 of nothing
    log.add(sample());
    log.add({.step = 8,
             .kind = EventKind::message,
             .lane = Lane::hypervisor,
             .vp = 0,
             .vtl = 2,
             .rip = 0xFFFFFFFF81234500,
             .args = {0x80010000, 1, 0x812345B0, 0, 0, kNone}});
    const u64 text = log.add_text("unexpected entry reason");
    CHECK(text == 0);
    log.add({.step = 9, .kind = EventKind::vmm_error, .lane = Lane::vmm, .args = {text}});
    // Computed from the bytes by hand, with the xxhash library's one-shot function.
    CHECK(log.hash() == 0x2873B80425D5F80A);
    CHECK(log.events().size() == 3);
    CHECK(log.text(0) == "unexpected entry reason");
    CHECK(log.text(1).empty());
}

TEST_CASE("log: every member of an event, the order and the texts reach the hash", "[model]") {
    std::set<u64> hashes;
    const auto add = [&](auto change) {
        Event e = sample();
        change(e);
        EventLog log;
        log.add(e);
        CHECK(hashes.insert(log.hash()).second);
    };
    add([](Event&) {});
    add([](Event& e) { e.step = 8; });
    add([](Event& e) { e.kind = EventKind::exit_msr; });
    add([](Event& e) { e.lane = Lane::vmm; });
    add([](Event& e) { e.vp = 1; });
    add([](Event& e) { e.vtl = 2; });
    add([](Event& e) { e.rip = 0x1001; });
    for (std::size_t i = 0; i < Event::kMaxArgs; ++i)
        add([&](Event& e) { e.args[i] ^= 1ull << 63; });
    EventLog a;
    a.add_text("ab");
    EventLog b;
    b.add_text("a");
    b.add_text("b");
    CHECK(a.hash() != b.hash());
    EventLog c;
    c.add(sample());
    c.add_text("ab");
    EventLog d;
    d.add_text("ab");
    d.add(sample());
    CHECK(c.hash() != d.hash());
}

TEST_CASE("log: a copy goes on by itself, from the same hash", "[model]") {
    EventLog log;
    log.add(sample());
    EventLog copy = log;
    CHECK(copy.hash() == log.hash());
    copy.add(sample());
    CHECK(copy.hash() != log.hash());
    CHECK(log.events().size() == 1);
    log.add(sample());
    CHECK(copy.hash() == log.hash());
    EventLog assigned;
    assigned.add_text("x");
    assigned = log;
    CHECK(assigned.hash() == log.hash());
    CHECK(assigned.text(0).empty());
}

}  // namespace vtlsim::tests
