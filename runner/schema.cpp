#include "runner/schema.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/invariants/invariants.hpp"
#include "model/log/event.hpp"
#include "model/switches.hpp"
#include "model/vtl2/layout.hpp"
#include "runner/limits.hpp"
#include "runner/load_expect.hpp"
#include "runner/schema_parts.hpp"
#include "sim/state/registers.hpp"

namespace vtlsim::runner {
namespace {

using namespace schema;

// --- switches -----------------------------------------------------------------------------------

Json switches(bool several) {
    return switches_of(switch_properties(model::switch_rows(), several), several);
}

// --- the world ----------------------------------------------------------------------------------

Json registers() {
    Json properties = Json::object();
    for (const sim::RegInfo& row : sim::registers()) {
        const bool wide = row.bits > 64;
        const u64 max = wide ? 0 : ~u64{0} >> (64 - row.bits);
        properties[std::string(row.name)] =
            with(wide ? hex(row.bits / 4) : integer_to(max),
                 fmt::format("{} bits ({}).", row.bits, row.source),
                 wide ? "0x" + std::string(row.bits / 4, '0') : fmt::format("{:#x}", row.reset));
    }
    return object(std::move(properties));
}

Json guest() {
    return object(
        {{"ram", with(integer(sim::kPageSize, model::layout::kMaxGuestRam),
                      "Size of guest RAM in bytes, from address 0; a multiple of 4096. Default: "
                      "16 MiB.",
                      "0x1000000")},
         {"code",
          with(image(fmt::format("Guest physical address of the first byte. Default: {:#x}.",
                                 kDefaultCode),
                     {}),
               "What the guest executes.", {{"asm", "hlt"}})},
         {"entry",
          with(ref("place"), "Where the guest starts. Default: where the code starts.", "start")},
         {"registers",
          with(
              ref("registers"),
              fmt::format("Initial registers of VTL0, on top of flat 64-bit mode at CPL 0 with RSP "
                          "= {:#x}.",
                          kDefaultStack),
              {{"rax", "0x1"}})},
         {"memory", with(array(image("Guest physical address of the first byte.", {"at"})),
                         "More code or data in guest RAM. What is not given is zero.",
                         Json::array({{{"at", "0x2000"}, {"bytes", "90 f4"}}}))}},
        {"code"});
}

Json vtl2() {
    return object(
        {{"registers", with(ref("registers"),
                            "Registers that the VTL2 kernel starts with, instead of its "
                            "own.",
                            {{"rbx", "0x5a"}})},
         {"memory", with(array(image("Physical address of the first byte.", {"at"})),
                         fmt::format("Bytes in VTL2's memory ({:#x} to {:#x}), over what "
                                     "is there.",
                                     model::layout::kVtl2Base, model::layout::kVtl2End - 1),
                         Json::array({{{"at", "0x8034100"}, {"bytes", "01"}}}))}});
}

Json devices() {
    const auto device = [](std::string_view kind, std::string_view what, Json more,
                           std::initializer_list<std::string_view> required) {
        Json properties = {{"kind", with({{"const", kind}}, what, kind)},
                           {"port", with(integer_to(0xFFFF), "I/O port.", "0x3f8")}};
        properties.update(more);
        return object(std::move(properties), required);
    };
    const Json size = with(ref("port_size"),
                           "Bytes of an access that the device answers: 1, 2 or 4. Default: 1.", 1);
    return array(
        {{"oneOf",
          Json::array(
              {device("script", "Scripted values. The default.",
                      {{"size", size},
                       {"reads", with(array(integer_to(0xFFFFFFFF)),
                                      "What reads give, in turn; the last one for ever "
                                      "after. Without any: all ones.",
                                      Json::array({"0xb0"}))}},
                      {"port"}),
               device(
                   "counter", "A counter.",
                   {{"size", size},
                    {"start",
                     with(integer_to(0xFFFFFFFF), "What the first read gives. Default: 0.", 1000)},
                    {"step", with(integer_to(0xFFFFFFFF),
                                  "How much more each further read gives. Default: 1.", "0xb0")}},
                   {"kind", "port"}),
               device("16550", "A 16550 at this port and the seven after it, without interrupts.",
                      {{"connected", with(boolean(),
                                          "Whether a peer is there: it raises DCD, DSR "
                                          "and CTS. Default: true.",
                                          false)}},
                      {"kind", "port"}),
               object({{"kind", with({{"const", "8259"}}, "An 8259 that holds one vector for VP 0.",
                                     "8259")},
                       {"vector", with(integer(16, 255),
                                       "The VMM hands it over (PendingEvent0) when the hypervisor "
                                       "says that an interrupt can be delivered.",
                                       "0x30")}},
                      {"kind", "vector"})})}});
}

Json cpuid() {
    const auto part = [](std::string_view name) {
        return with(integer_to(0xFFFFFFFF), fmt::format("{} of the answer. Default: 0.", name),
                    "0x0");
    };
    return array(
        object({{"leaf", with(integer_to(0xFFFFFFFF), "EAX of the question.", "0x40000000")},
                {"eax", part("EAX")},
                {"ebx", part("EBX")},
                {"ecx", part("ECX")},
                {"edx", part("EDX")}},
               {"leaf"}));
}

Json msrs() {
    Json schema = array(
        object({{"msr", with(integer_to(0xFFFFFFFF), "Number of the MSR.", "0x40000000")},
                {"value", with(integer_to(~u64{0}), "What RDMSR gives, until it is written.", 0)},
                {"invalid", with(boolean(),
                                 "True: the VMM refuses both accesses, and the guest gets #GP(0); "
                                 "then without a value. Default: false.",
                                 true)}},
               {"msr"}));
    schema["items"]["anyOf"] =
        Json::array({{{"required", Json::array({"value"})}},
                     {{"required", Json::array({"invalid"})},
                      {"properties",
                       {{"invalid", with({{"const", true}}, "An MSR without a value.", true)}}}}});
    return schema;
}

Json hypercalls() {
    return array(object(
        {{"code", with(integer_to(0xFFFF), "Call code: the low 16 bits of RCX.", "0x5c")},
         {"status", with(integer_to(~u64{0}), "What the guest gets in RAX.", 0)},
         {"input", with(integer(0, model::kFastWords),
                        "Words of 64 bits that the VMM takes from RDX, R8, XMM0-5 of a fast "
                        "call; the log has them. Default: 0.",
                        4)},
         {"output", with(array(integer_to(~u64{0})),
                         "Words that it gives back: of a fast call in the registers behind "
                         "the input, from an even word on; else at the address in R8.",
                         Json::array({"0x1"}))},
         {"repetitions", with(integer(1, 0xFFF),
                              "Of a repeating call: how many it does at an exit; then the "
                              "guest calls again for the rest, from the number in its control "
                              "word on. Without it none are counted.",
                              2)}},
        {"code", "status"}));
}

// --- pinned events ------------------------------------------------------------------------------

Json events() {
    const auto event = [](std::string_view action, Json more) {
        Json properties = {
            {"do", with({{"const", action}}, "What happens.", action)},
            {"before",
             with(ref("place"),
                  "The instruction before which it happens: a label of the guest, "
                  "\"vtl2:\" and a label of the VTL2 kernel, or a linear address. Without "
                  "it the event is free: it comes once, where a schedule or the explorer "
                  "puts it.",
                  "again")},
            {"vp", with(integer(0, model::layout::kMaxVps - 1), "Which VP's. Default: 0.", 1)},
            {"nth", with(integer(1, kMaxSteps),
                         "At which start of that instruction, from 1. Default: 1.", 2)},
            {"may_not_happen",
             with(boolean(),
                  "True: no failure if the instruction does not start that often. Default: false.",
                  true)}};
        properties.update(more);
        return object(std::move(properties), {"do"});
    };
    Json interrupt = event(
        "interrupt",
        {{"vtl",
          with({{"enum", {0, 2, "0", "2"}}}, "Whose interrupt it is: 0 or 2. Default: 2.", 2)},
         {"vector", with(integer(16, 255), "Vector. Default: 0x20.", "0x30")},
         {"transient",
          with(boolean(),
               "True: it makes the hypervisor enter VTL2 and is gone; false: it stays in the APIC "
               "until it is taken. Only for VTL2. Default: false.",
               true)},
         {"with_exit",
          with(boolean(),
               "True: it comes together with the exit of that instruction, and first (switch "
               "reason_merge). Only for VTL2, before an instruction of the guest. Default: false.",
               true)}});
    interrupt["description"] = "An interrupt becomes pending.";
    Json stop = event("stop", Json::object());
    stop["description"] = "The VMM asks the VTL2 kernel to stop the run.";
    Json signal = event("signal", Json::object());
    signal["description"] =
        "A signal for the VMM's thread: it ends the wait of a synchronous command.";
    Json intercept = event(
        "intercept",
        {{"type", with({{"enum",
                         {"gpa_intercept", "unaccepted_gpa", "exception_intercept", "apic_eoi",
                          "synic_sint_deliverable", "interruption_deliverable", "halt"}}},
                       "Of the message.", "apic_eoi")},
         {"value", with(integer_to(~u64{0}),
                        "What the message is about: a vector, SINTs, the kind of interrupt, a "
                        "guest-physical address. Default: 0.",
                        "0x31")},
         {"interruption_pending",
          with(boolean(),
               "True: the message says that an event's delivery was going on, and the VMM's "
               "emulator refuses. Default: false.",
               true)}});
    intercept["description"] = "The hypervisor delivers an intercept that no instruction asks for.";
    Json schema = array({{"oneOf", Json::array({interrupt, stop, intercept, signal})}});
    schema["maxItems"] = kMaxEvents;
    return schema;
}

// --- who acts when ------------------------------------------------------------------------------

Json vps() {
    Json schema = array(object(
        {{"entry", with(ref("place"), "Where this VP's guest starts.", "second")},
         {"registers",
          with(ref("registers"),
               fmt::format("Its initial registers of VTL0. RSP of VP n is {:#x} * (n + 1) by "
                           "default.",
                           kDefaultStack),
               {{"rax", "0x1"}})}},
        {"entry"}));
    schema["maxItems"] = model::layout::kMaxVps - 1;
    return schema;
}

Json invariants() {
    return array({{"enum", names(model::invariant_rows(),
                                 [](const model::InvariantRow& row) { return row.name; })}});
}

Json schedule() {
    Json schema = array(object(
        {{"turn", with(integer_to(~u64{0}),
                       "The turn, from 0, as in the schedules that `vtlsim explore` prints; what "
                       "else is given must be right there.",
                       41)},
         {"instead_of", with(text(), "The actor that the default order would let go.", "vmm0")},
         {"step", with(text(), "The step that it would make.", "status RUN")},
         {"nth", with(integer(1, kMaxSteps),
                      "Which time the actor comes to that step, from 1. Default: 1.", 2)},
         {"run", with(text(), "The actor that goes.", "ipi-base")},
         {"does", with(text(), "The step that it then makes: checked.", "lands")},
         {"may_not_happen",
          with(boolean(), "True: no failure if the place is never met. Default: false.", true)}},
        {"run"}));
    schema["maxItems"] = kMaxSchedule;
    return schema;
}

Json limits() {
    return object(
        {{"steps",
          with(integer(1, kMaxSteps),
               fmt::format("Atomic steps of all actors. Default: {}.", model::Limits{}.steps),
               1000)},
         {"memory", with(integer(kMinMemory, kMaxMemory),
                         fmt::format("Bytes that guest and VTL2 may touch, in whole pages of 4096. "
                                     "Default: {}.",
                                     model::Limits{}.pages * sim::kPageSize),
                         "0x100000")}});
}

// --- expectations -------------------------------------------------------------------------------

Json argument(const model::ArgRow& arg) {
    using model::Format;
    const auto words = model::format_words(arg.format);
    if (!words.empty()) {
        return {{"anyOf", Json::array({{{"enum", names(words, [](auto w) { return w; })}},
                                       integer_to(~u64{0})})}};
    }
    switch (arg.format) {
        case Format::flag:
            return boolean();
        case Format::reg:
            return {{"enum", names(sim::registers(), [](const auto& r) { return r.name; })}};
        case Format::message_type:
            return {
                {"anyOf",
                 Json::array({{{"enum", names(message_types(), [](auto t) { return t.first; })}},
                              integer_to(0xFFFFFFFF)})}};
        case Format::gpa:
            return ref("field");
        default:
            return integer_to(~u64{0});
    }
}

Json argument_example(const model::ArgRow& arg) {
    using model::Format;
    const auto words = model::format_words(arg.format);
    if (!words.empty()) return words.back();
    if (arg.format == Format::flag) return true;
    if (arg.format == Format::reg) return "rax";
    if (arg.format == Format::message_type) return message_types().back().first;
    if (arg.format == Format::gpa) return "context.rax";
    return "0x1";
}

Json pattern() {
    Json kinds = Json::array();
    for (const model::EventRow& row : model::event_rows()) {
        Json properties = {
            {"event", with({{"const", row.name}}, fmt::format("{}.", row.meaning), row.name)},
            {"vtl", with(integer_to(2), "The VTL that was active.", 2)},
            {"at", with(ref("place"), "RIP when it happened: an address or a label.", "again")}};
        for (const model::ArgRow& arg : row.args) {
            if (!can_be_expected(arg.format)) continue;
            properties[std::string(arg.name)] = with(
                argument(arg), fmt::format("Argument of {}.", row.name), argument_example(arg));
        }
        kinds.push_back(object(std::move(properties), {"event"}));
    }
    return {{"oneOf", kinds}};
}

Json claim() {
    const Json pattern = {{"$ref", "#/definitions/pattern"}};
    const Json example = {{"event", "vmm-assert"}};
    Json several = array(ref("pattern"));
    several["minItems"] = 1;
    several["maxItems"] = kMaxAnyOrder;
    Json count = {{"anyOf", Json::array({integer_to(~u64{0}),
                                         object({{"min", with(integer_to(~u64{0}),
                                                              "At least so often. Default: 0.", 1)},
                                                 {"max", with(integer_to(~u64{0}),
                                                              "At most so often. Default: any "
                                                              "number.",
                                                              3)}})})}};
    return {{"anyOf",
             Json::array(
                 {pattern,
                  object({{"next", with(ref("pattern"),
                                        "The next event after the last match. Starts of "
                                        "instructions (insn) are passed over unless asked for.",
                                        example)}},
                         {"next"}),
                  object({{"never", with(ref("pattern"),
                                         "No such event between the matches before and after this "
                                         "line, or to the end of the log.",
                                         example)}},
                         {"never"}),
                  object({{"any_order",
                           with(std::move(several),
                                "Events that come after the last match in any order, each by an "
                                "event of its own. The list goes on behind the last of them.",
                                Json::array({example, {{"event", "vmm-exit"}}}))}},
                         {"any_order"}),
                  object({{"count", with(std::move(count),
                                         "How often such an event comes between the matches before "
                                         "and after this line, or to the end of the log.",
                                         2)},
                          {"of", with(ref("pattern"), "Which event.", example)}},
                         {"count", "of"})})}};
}

Json state() {
    std::string registers;
    for (const sim::RegInfo& row : sim::registers()) {
        registers += fmt::format("{}{}", registers.empty() ? "" : "|", row.name);
    }
    Json patterns = Json::object();
    const auto add = [&](const std::string& pattern, std::string_view description, Json example) {
        patterns["^" + pattern + "$"] = with(ref("value"), description, std::move(example));
    };
    add("(vp[0-7]\\.)?vtl[02]\\.(" + registers + ")", "A register as that VTL sees it.", "0x1");
    add("port\\.(0x[0-9a-fA-F]{1,4}|[0-9]{1,5})\\.(reads|writes|last_written)",
        "How often a port was read or written, and the last value written.", 1);
    add("(vp[0-7]\\.)?(vmm\\.exits|hypervisor\\.messages)",
        "Intercepts handled, and messages written.", 1);
    add("(vp[0-7]\\.)?(context|message|assist|simp|regpage|command|control|hcl_run|driver)\\.[a-z0-"
        "9_."
        "\\[\\]]+",
        "A field of the VMM's picture of the guest, of the intercept message, or of a page that "
        "VTL2 shares (docs/scenarios.md).",
        "0x12");
    return {{"type", "object"}, {"additionalProperties", false}, {"patternProperties", patterns}};
}

Json expect() {
    Json schema = object(
        {{"end", expect_end()},
         {"state", with(state(), "Values after the run, by name.", {{"vtl0.rax", "0x1"}})},
         {"memory", expect_memory()},
         {"log", with(array(ref("claim")),
                      "What the event log holds, in this order; other events may come between.",
                      Json::array({{{"event", "vmm-assert"}}}))},
         {"relations",
          with(array(text()),
               "Relations between values after the run: names as in \"state\" and numbers, joined "
               "by + - & (64 bits), and compared by == != < <= > >=.",
               Json::array({"context.rax == message.rax", "vtl0.rip == message.rip + 1"}))},
         {"unlisted",
          with({{"enum", {"unchanged"}}},
               "What \"state\", \"memory\" and \"relations\" do not name is as at the start: "
               "registers of VTL0, RIP apart, and guest RAM.",
               "unchanged")}});
    schema["minProperties"] = 1;
    return schema;
}

Json variants() {
    return object(
        {{"switches", with(switches(true),
                           fmt::format("The scenario runs with every combination of these values, "
                                       "at most {}; the last switch varies fastest.",
                                       kMaxVariants),
                           {{"vmm_fix", {"V0", "V1"}}})},
         {"exclude",
          with(array(ref("when")),
               "Combinations that are left out: those whose switches have one of the listed values "
               "each.",
               Json::array({{{"vmm_fix", "V1"}}}))},
         {"expect",
          with(
              array(object({{"when", with(ref("when"),
                                          "For which variants: those whose switches "
                                          "have one of the listed values.",
                                          {{"vmm_fix", {"V1", "V1V2"}}})},
                            {"expect", with(ref("expect"), "What is expected of them as well.",
                                            {{"end", "guest-halted"}})}},
                           {"when", "expect"})),
              "Expectations of some variants, on top of the scenario's own; of several ends the "
              "last one counts.",
              Json::array({{{"when", {{"vmm_fix", "V0"}}}, {"expect", {{"end", "vmm-panic"}}}}}))}},
        {"switches"});
}

// --- what the runner reads ----------------------------------------------------------------------

Json xfail() {
    const auto reason = [] {
        return with(text(), "Why it fails. An unexpected pass is a failure.",
                    "openvmm #3360 is not fixed here");
    };
    Json list =
        array(object({{"reason", reason()},
                      {"when", with(ref("when"), "For which variants.", {{"vmm_fix", "V0"}})}},
                     {"reason", "when"}));
    return {{"anyOf", Json::array({reason(), list})}};
}

Json golden() {
    const Json kinds = {
        {"enum", names(model::event_rows(), [](const model::EventRow& row) { return row.name; })}};
    return object({{"hide", with(array(kinds), "Kinds of events that the trace leaves out.",
                                 Json::array({"insn", "store"}))}});
}

// --- theory x fix x evidence --------------------------------------------------------------------

// The schema of a key of the scenario itself.
Json like(std::string_view key) {
    return {
        {"allOf",
         Json::array({{{"$ref", fmt::format("#/definitions/vtl_scenario/properties/{}", key)}}})}};
}

Json settings(std::string_view what) {
    Json schema = array(object(
        {{"name", with(text(), "What the table calls it.", "V0")},
         {"why", with({{"type", "string"}}, fmt::format("What the {} says.", what), "none")},
         {"switches", with(like("switches"), "The switches that it sets.", {{"vmm_fix", "V1"}})}},
        {"name"}));
    schema["minItems"] = 1;
    return schema;
}

Json predicate() {
    const Json relation =
        object({{"value", with(text(), "A name as in \"state\".", "context.rax")},
                {"is", with(text(), "Another, which the first is equal to.", "message.rax")},
                {"plus", with(integer_to(~u64{0}), "Added to the second. Default: 0.", "0xb0")},
                {"bits", with(integer(1, 64), "How many low bits count. Default: 64.", 32)}},
               {"value", "is"});
    return object(
        {{"name", with(text(), "What the table calls it.", "e1")},
         {"why", with({{"type", "string"}}, "What was seen.", "the assert fired")},
         {"run",
          with({{"enum", {"violation", "default"}}},
               "Which run it is about: the smallest that breaks what is observed (for facts: "
               "anything), up to there, or the one that no schedule disturbs. Default: violation.",
               "default")},
         {"expect", with(ref("expect"), "What holds of that run.", {{"end", "vmm-panic"}})},
         {"relations", with(array(relation), "Values that are related.",
                            Json::array({{{"value", "context.rax"}, {"is", "message.rax"}}}))},
         {"not_with",
          with(like("switches"),
               "Instead: with these switches over the cell's, what is observed cannot be reached.",
               {{"vp_runner", "kernel_driver"}})}},
        {"name"});
}

Json matrix() {
    Json some = array(text());
    Json guests = array(object(
        {{"name", with(text(), "What the table calls it.", "in")},
         {"why", with({{"type", "string"}}, "What it is for.", "IN AL, DX")},
         {"theories", with(some, "The theories to try it with. Default: all.", {"A"})},
         {"fixes", with(some, "The fixes to try it with. Default: all.", {"V0"})},
         {"facts",
          with(array(ref("predicate")),
               "What else is asked of the smallest violation of each cell.", Json::array())},
         {"expect", with({{"type", "object"},
                          {"additionalProperties",
                           {{"type", "object"},
                            {"additionalProperties", text("^(nothing|other|observed: .+)$")}}}},
                         "What the table has to say, by theory and fix: exit status 1 if it "
                         "does not.",
                         {{"A", {{"V0", "nothing"}}}})},
         {"guest",
          with(like("guest"), "Instead of the scenario's own.", {{"code", {{"asm", "hlt"}}}})},
         {"devices", with(like("devices"), "Likewise.", Json::array())},
         {"cpuid", with(like("cpuid"), "Likewise.", Json::array())},
         {"msrs", with(like("msrs"), "Likewise.", Json::array())},
         {"hypercalls", with(like("hypercalls"), "Likewise.", Json::array())},
         {"events", with(like("events"), "Likewise.", Json::array())}},
        {"name"}));
    return object(
        {{"observed",
          with({{"enum", names(model::invariant_rows(), [](const auto& row) { return row.name; })}},
               "The invariant that was seen broken.", "no-vmm-panic")},
         {"theories", with(settings("theory"), "What may be the cause.",
                           Json::array({{{"name", "A"}, {"switches", Json::object()}}}))},
         {"fixes", with(settings("fix"), "What may help; its switches go over a theory's.",
                        Json::array({{{"name", "V0"}}}))},
         {"evidence", with(array(ref("predicate")), "What was seen of it.", Json::array())},
         {"guests", with(guests, "The guests to try.", Json::array({{{"name", "in"}}}))},
         {"preemptions", with(integer_to(0xFFFFFFFF),
                              "Bound of each search, unless `--preemptions` gives another.", 1)}},
        {"observed", "theories", "fixes", "guests"});
}

Json definitions() {
    return {
        {"address", integer_to(~u64{0})},
        {"place",
         {{"anyOf", Json::array({{{"type", "integer"}, {"minimum", 0}},
                                 text(fmt::format("^({}|{})$", kNumber, kLabel))})}}},
        {"field",
         {{"anyOf", Json::array({{{"type", "integer"}, {"minimum", 0}},
                                 text(fmt::format("^({}|[a-z_]+(\\.[a-z0-9_]+)*)$", kNumber))})}}},
        {"asm", {{"anyOf", Json::array({{{"type", "string"}}, array({{"type", "string"}})})}}},
        {"bytes", {{"type", "string"}, {"pattern", kBytes}}},
        {"some_bytes", {{"type", "string"}, {"pattern", kBytes}, {"minLength", 2}}},
        {"port_size", {{"enum", {1, 2, 4, "1", "2", "4"}}}},
        {"value", {{"anyOf", Json::array({integer_to(~u64{0}), hex(20), hex(32)})}}},
        {"registers", registers()},
        {"when", switches(true)},
        {"pattern", pattern()},
        {"claim", claim()},
        {"expect", expect()},
        {"predicate", predicate()},
    };
}

}  // namespace

Json schema::image(std::string_view at, std::initializer_list<std::string_view> required) {
    Json schema = object(
        {{"at", with(ref("address"), at, "0x2000")},
         {"asm", with(ref("asm"),
                      "Intel-syntax assembly (docs/assembly.md): one string, or one string a line.",
                      Json::array({"again:  nop", "        jmp again"}))},
         {"bytes",
          with(ref("bytes"), "Bytes in order of address, two hexadecimal digits each.", "90 f4")}},
        required);
    schema["oneOf"] = Json::array({{{"required", {"asm"}}}, {{"required", {"bytes"}}}});
    return schema;
}

Json schema::expect_end() {
    return with(one_of(model::end_reason_names().subspan(1)), "How the run ends.", "guest-halted");
}

Json schema::expect_memory() {
    const Json claim =
        object({{"at", with(ref("place"), "Physical address, or a label.", "0x2000")},
                {"bytes", with(ref("some_bytes"), "What lies there.", "90 f4")}},
               {"at", "bytes"});
    return with(array(claim), "Memory after the run.",
                Json::array({{{"at", "0x2000"}, {"bytes", "90 f4"}}}));
}

Json schema::head_properties() {
    Json properties = {
        {"$schema", with({{"type", "string"}}, "This schema, for editors.",
                         "../../docs/scenario.schema.json")},
        {"name", with(text("^[A-Za-z0-9._-]+$"), "What reports call it.", "crash-shadow")},
        {"why",
         with(text(), "What it shows, and why that matters.", "The crash as the report tells it.")},
        {"source", with(text(), "Where the facts come from.", "hyperv-vtl.md 1.6")},
        {"tags", with(array(text("^[^ \\t\\n,]+$")), "Words by which `vtlsim run --tag` chooses.",
                      Json::array({"slow"}))}};
    properties["name"]["maxLength"] = kMaxName;
    return properties;
}

namespace {

Json vtl_scenario() {
    Json include = array(text());
    include["maxItems"] = kMaxIncludes;
    Json properties = head_properties();
    properties.update(Json{
        {"switches", with(switches(false), "The model switches that are not at their default.",
                          {{"gpr_model", "shadow"}})},
        {"guest", with(guest(), "The guest: VTL0.", {{"code", {{"asm", "hlt"}}}})},
        {"vtl2", with(vtl2(), "Changes to what VTL2 starts with.", Json::object())},
        {"devices", with(devices(), "Devices at I/O ports. A port without one reads as all ones.",
                         Json::array({{{"port", "0x3fe"}, {"reads", {"0xb0"}}}}))},
        {"cpuid", with(cpuid(), "The VMM's answers to CPUID.",
                       Json::array({{{"leaf", "0x40000000"}, {"eax", 1}}}))},
        {"msrs", with(msrs(), "MSRs that the VMM has.",
                      Json::array({{{"msr", "0x40000000"}, {"value", 0}}}))},
        {"hypercalls", with(hypercalls(), "Hypercalls that the VMM serves.",
                            Json::array({{{"code", "0x5c"}, {"status", 0}}}))},
        {"events", with(events(), "What happens at a chosen point of the run.",
                        Json::array({{{"do", "interrupt"}, {"before", "again"}}}))},
        {"vps",
         with(vps(), "VPs beside VP 0, which \"guest\" is about, in the order of their numbers.",
              Json::array({{{"entry", "second"}}}))},
        {"hotplug",
         with(boolean(),
              "True: the VMM takes each VP off the sidecar after its first exit. Default: false.",
              true)},
        {"attention_delay",
         with(integer_to(0xFFFF),
              "Turns of other actors that an AP's attention IPI takes at least, while others can "
              "act. Default: 0.",
              5)},
        {"fine_steps",
         with(boolean(),
              "True: the VTL2 kernel stops for others after each access to its command page too, "
              "not only to what several write. Default: false.",
              true)},
        {"guest_steps", with(boolean(),
                             "True: the guest stops for others after each instruction, not only "
                             "where an interrupt may land. Default: false.",
                             true)},
        {"invariants", with(invariants(), "What must hold in every run (docs/explore.md).",
                            Json::array({"no-vmm-panic"}))},
        {"schedule", with(schedule(),
                          "Where the run leaves the default order: each entry waits for the one "
                          "before.",
                          Json::array({{{"instead_of", "vmm0"},
                                        {"step", "status RUN"},
                                        {"nth", 2},
                                        {"run", "ipi-base"}}}))},
        {"include",
         with(std::move(include),
              "Fragments that are put together with this file: members of objects come "
              "together, arrays one behind the other (this file's last), of other values "
              "this file's holds. Paths are relative to this file's folder or to one of "
              "--include, and lie below it.",
              Json::array({"com1.part.json"}))},
        {"xfail", with(xfail(),
                       "Known to fail: the reason, or a list of reasons for some variants. An "
                       "unexpected pass is a failure.",
                       "openvmm #3360 is not fixed here")},
        {"golden", with(golden(),
                        "The trace of each variant has to be the file beside this one, with "
                        "\".trace\" for \".json\"; `vtlsim run --bless` writes it.",
                        {{"hide", {"insn"}}})},
        {"limits", with(limits(), "Where a run that does not end is cut off: exit status 3.",
                        {{"steps", 1000}})},
        {"expect", with(ref("expect"), "What must hold after the run, of every variant.",
                        {{"end", "guest-halted"}})},
        {"variants", with(variants(), "The scenario under several combinations of switches.",
                          {{"switches", {{"vmm_fix", {"V0", "V1"}}}}})},
        {"matrix", with(matrix(), "The table of `vtlsim explore --matrix`.",
                        {{"observed", "no-vmm-panic"},
                         {"theories", Json::array({{{"name", "A"}}})},
                         {"fixes", Json::array({{{"name", "V0"}}})},
                         {"guests", Json::array({{{"name", "in"}}})}})},
        {"show",
         with(array(text()), "Names as in \"state\" whose values the table of the variants prints.",
              Json::array({"vtl0.rax"}))}});
    properties["show"]["maxItems"] = kMaxShown;
    properties["kvm"] = kvm_key();
    Json schema = object(std::move(properties), {"name", "why", "source"});
    // A fragment may have the rest.
    const auto required = [](std::string_view key) -> Json {
        return {{"required", Json::array({key})}};
    };
    schema["allOf"] = Json::array(
        {{{"anyOf", Json::array({required("guest"), required("include")})}},
         {{"anyOf",
           Json::array({required("expect"), required("variants"), required("include")})}}});
    return schema;
}

}  // namespace

std::string scenario_schema() {
    Json schema = {{"$schema", "http://json-schema.org/draft-07/schema#"},
                   {"title", "vtlsim scenario"},
                   {"description",
                    "A scenario of vtlsim (docs/scenarios.md, docs/kvm.md). Made by `vtlsim "
                    "schema`; do not edit."},
                   {"type", "object"},
                   {"if", {{"required", Json::array({"kvm"})}}},
                   {"then", {{"$ref", "#/definitions/kvm_scenario"}}},
                   {"else", {{"$ref", "#/definitions/vtl_scenario"}}}};
    schema["definitions"] = definitions();
    schema["definitions"]["vtl_scenario"] = vtl_scenario();
    schema["definitions"].update(kvm_definitions());
    return schema.dump(2) + "\n";
}

}  // namespace vtlsim::runner
