// The part of the schema that is about KVM scenarios (docs/kvm.md).
#include "model/kvm/switches.hpp"
#include "model/log/event.hpp"
#include "runner/kvm_actions.hpp"
#include "runner/limits.hpp"
#include "runner/schema_parts.hpp"
#include "sim/state/registers.hpp"

namespace vtlsim::runner::schema {
namespace {

namespace kvm = model::kvm;

Json words(model::Format format) { return one_of(model::format_words(format)); }

// --- the guest ----------------------------------------------------------------------------------

Json registers() {
    Json properties = Json::object();
    for (const sim::RegInfo& row : sim::registers()) {
        if (row.bits > 64) continue;
        properties[std::string(row.name)] =
            with(ref("kvm_value"), fmt::format("{} bits ({}).", row.bits, row.source),
                 fmt::format("{:#x}", row.reset));
    }
    return object(std::move(properties));
}

// Those that an action sets.
Json registers_of(kvm::ActionKind action) {
    std::string settable;
    for (const sim::RegInfo& row : sim::registers()) {
        if (can_set(action, row.reg))
            settable += fmt::format("{}{}", settable.empty() ? "" : "|", row.name);
    }
    Json schema = ref("kvm_registers");
    schema["patternProperties"] = {
        {whole(settable), with(ref("kvm_value"), "A register that the call has.", "other")}};
    schema["additionalProperties"] = false;
    return schema;
}

Json guest() {
    const Json range =
        object({{"at", with(integer_to(0xFFFFFFFF), "First physical address.", "0xfffff000")},
                {"size",
                 with(integer(sim::kPageSize, kMaxKvmRam), "In bytes, a multiple of 4096.", 4096)}},
               {"at", "size"});
    const Json gate =
        object({{"vector", with(integer_to(255), "The vector.", 1)},
                {"to", with(ref("place"), "The handler: a label or an address.", "handler")}},
               {"vector", "to"});
    return object(
        {{"mode", with(one_of(kvm::kModeNames),
                       "How the vCPU starts. real16: segments with base 0; prot32: flat, CPL 0, no "
                       "paging; long64: the first GiB mapped one to one; long64_cpl3: the same at "
                       "CPL 3.",
                       "long64")},
         {"ram", with(integer(kvm::place::kLast + 1, kMaxKvmRam),
                      "Bytes of RAM from address 0, a multiple of 4096; the rest is MMIO. Default: "
                      "1 MiB.",
                      "0x100000")},
         {"more_ram", with(array(range), "Further RAM, as for a ROM below 4 GiB.",
                           Json::array({{{"at", "0xfffff000"}, {"size", 4096}}}))},
         {"code", with(image("Physical address of the first byte.", {"at"}),
                       "What the guest executes, in the assembly of its mode.",
                       {{"at", "0x1000"}, {"asm", {"access: out 0x80, al", "        hlt"}}})},
         {"entry",
          with(ref("place"), "Where the guest starts. Default: where the code starts.", "start")},
         {"registers", with(ref("kvm_registers"), "Initial registers, over what the mode gives.",
                            {{"rax", "0x41"}})},
         {"memory", with(array(image("Physical address of the first byte.", {"at"})),
                         "More code or data. What is not given is zero.",
                         Json::array({{{"at", "0x2000"}, {"bytes", "f4"}}}))},
         {"gates",
          with(array(gate), "Interrupt gates (in real16: entries of the table at 0). Not at CPL 3.",
               Json::array({{{"vector", 1}, {"to", "handler"}}}))}},
        {"mode", "code"});
}

// --- userspace ----------------------------------------------------------------------------------

Json when_exit() {
    return object(
        {{"exit", with(integer(1, 0xFFFFFFFF), "The n-th KVM_RUN of the script, from 1.", 1)},
         {"reason", with(words(model::Format::kvm_reason), "The exit reason.", "io")},
         {"access", with(boolean(), "True: an io or mmio exit.", true)},
         {"port", with(integer_to(0xFFFF), "An io exit of this port.", "0x92")},
         {"direction", with(one_of(kKvmDirections), "An io exit in this direction.", "out")},
         {"mmio", with(one_of(kKvmMmioDirections), "An mmio exit in this direction.", "read")},
         {"size",
          with({{"enum", {1, 2, 4, "1", "2", "4"}}}, "Bytes of the io exit's elements.", 1)},
         {"count", with(integer(1, 0xFFFFFFFF), "Elements of the io exit.", 3)},
         {"phys", with(integer_to(~u64{0}), "Physical address of the mmio exit.", "0xd0000")},
         {"result", with(one_of(kKvmResults), "What KVM_RUN returned. Default: ok.", "eintr")},
         {"nth", with(integer(1, 0xFFFFFFFF), "Which such exit, from 1. Default: 1.", 2)},
         {"every", with(boolean(), "True: every such exit. Default: false.", true)}});
}

Json action_key(std::string_view key, const KvmActionRow& row) {
    if (key == "registers") {
        const bool sync = row.kind == kvm::ActionKind::sync_regs;
        return with(ref(sync ? "kvm_sync_registers" : "kvm_set_registers"), "The registers to set.",
                    {{"rip", "other"}});
    }
    if (key == "vector") return with(integer_to(255), "The vector.", "0x20");
    if (key == "value") return with(integer_to(row.max_value), "The value.", 1);
    if (key == "bytes") return with(ref("bytes"), "Bytes in order of address.", "90 f4");
    if (key == "at") return with(ref("place"), "Physical address, or a label.", "access");
    if (key == "rip_minus") {
        return with(integer_to(kMaxRipMinus), "So many bytes below linear RIP.", 2);
    }
    if (key == "single_step") return with(boolean(), "KVM_GUESTDBG_SINGLESTEP.", true);
    if (key == "software_breakpoints") return with(boolean(), "KVM_GUESTDBG_USE_SW_BP.", true);
    if (key == "block_irq") return with(boolean(), "KVM_GUESTDBG_BLOCKIRQ.", true);
    Json list = array(object(
        {{"at",
          with(ref("place"), "Linear address (port of an io breakpoint), or a label.", "access")},
         {"kind", with(one_of(kKvmBreakpoints), "What it stops. Default: execute.", "write")},
         {"size", with({{"enum", {1, 2, 4, 8, "1", "2", "4", "8"}}}, "In bytes. Default: 1.", 4)}},
        {"at"}));
    list["maxItems"] = kvm::GuestDebug{}.address.size();
    return with(std::move(list), "KVM_GUESTDBG_USE_HW_BP: DR0 to DR3 and DR7.",
                Json::array({{{"at", "access"}}}));
}

Json action() {
    Json all = Json::array();
    for (const KvmActionRow& row : kvm_action_rows()) {
        Json properties = {{"do", with({{"const", row.name()}}, row.meaning, row.name())}};
        for (const auto& keys : {row.required, row.optional}) {
            for (std::string_view key : keys) properties[std::string(key)] = action_key(key, row);
        }
        Json one = object(std::move(properties));
        one["required"] = Json::array({"do"});
        for (std::string_view key : row.required) one["required"].push_back(key);
        one["description"] = row.meaning;
        if (row.kind == kvm::ActionKind::write_memory) {
            one["oneOf"] = Json::array({{{"required", {"at"}}}, {{"required", {"rip_minus"}}}});
        }
        all.push_back(std::move(one));
    }
    return {{"oneOf", std::move(all)}};
}

Json device() {
    const Json reads = with(ref("bytes"), "What reads give, in turn; FFh after the last.", "5a");
    return {{"oneOf",
             Json::array(
                 {object({{"port", with(integer_to(0xFFFF), "I/O port.", "0x80")},
                          {"reads", reads},
                          {"in_kernel",
                           with(boolean(), "True: KVM's own, which never exits. Default: false.",
                                true)}},
                         {"port"}),
                  object({{"mmio", with(integer_to(~u64{0}), "Physical address.", "0xd0000")},
                          {"reads", reads},
                          {"in_kernel", with({{"const", false}}, "Only ports have such.", false)}},
                         {"mmio"})})}};
}

Json userspace() {
    const Json rule = object(
        {{"when", with(ref("kvm_when"), "After which return of KVM_RUN.", {{"reason", "io"}})},
         {"then", with(array(ref("kvm_action")), "What userspace does, in this order.",
                       Json::array({{{"do", "rewrite-regs"}}}))}},
        {"when", "then"});
    return object(
        {{"start", with(array(ref("kvm_action")), "Before the first KVM_RUN.",
                        Json::array({{{"do", "guest-debug"}, {"single_step", true}}}))},
         {"rules", with(array(rule), "What userspace does at exits; all that match act.",
                        Json::array({{{"when", {{"reason", "io"}}},
                                      {"then", Json::array({{{"do", "get-regs"}}})}}}))},
         {"devices", with(array(device()), "Who answers reads. Without one: all ones.",
                          Json::array({{{"port", "0x80"}, {"reads", "5a"}}}))},
         {"userspace_msr",
          with(boolean(), "True: MSRs that KVM does not know exit. Default: false.", true)},
         {"max_exits", with(integer(1, kMaxKvmExits),
                            fmt::format("KVM_RUNs. Default: {}.", kvm::Script{}.max_exits), 8)},
         {"max_steps",
          with(integer(1, kMaxKvmSteps),
               fmt::format("Instructions of the guest. Default: {}.", kvm::Script{}.max_steps),
               1000)}});
}

Json kvm_part() {
    const auto several = [](std::string_view what, std::string_view example) -> Json {
        return {{"type", "object"},
                {"minProperties", 1},
                {"additionalProperties", with(ref(what), "By name.", Json::parse(example))}};
    };
    constexpr std::string_view kGuest =
        R"({"mode": "real16", "code": {"at": "0x1000", "asm": "hlt"}})";
    constexpr std::string_view kUserspace = R"({"max_exits": 8})";
    Json part = object(
        {{"switches",
          with(switches_of(switch_properties(kvm::switch_rows(), false), false),
               "Switches of the model that are not at their default.", {{"kvm", "v2"}})},
         {"guest", with(ref("kvm_guest"), "The guest.", Json::parse(kGuest))},
         {"guests", with(several("kvm_guest", kGuest),
                         "Several, by name: \"guest\" is a switch of the variants then.",
                         {{"a", Json::parse(kGuest)}})},
         {"userspace", with(ref("kvm_userspace"), "What userspace does. Default: nothing.",
                            Json::parse(kUserspace))},
         {"userspaces", with(several("kvm_userspace", kUserspace),
                             "Several, by name: \"userspace\" is a switch of the variants then.",
                             {{"a", Json::parse(kUserspace)}})}});
    const auto required = [](std::string_view key) -> Json {
        return {{"required", Json::array({key})}};
    };
    part["oneOf"] = Json::array({required("guest"), required("guests")});
    part["not"] = {{"required", {"userspace", "userspaces"}}};
    return part;
}

// --- expectations -------------------------------------------------------------------------------

std::string value_names() {
    std::string names;
    for (const sim::RegInfo& row : sim::registers()) {
        if (row.bits <= 64) names += fmt::format("{}|", row.name);
    }
    return names + "mp_state";
}

Json state() {
    const std::string exit = "exit\\.[1-9][0-9]{0,5}";
    Json patterns = Json::object();
    patterns[fmt::format("^({}\\.)?({})$", exit, value_names())] =
        with(ref("kvm_value"),
             "A register or the MP state at the n-th return of KVM_RUN, or at the last.", "access");
    patterns[fmt::format("^{}\\.needs_completion$", exit)] = with(
        integer_to(1), "Whether kvm_run says that the n-th exit needs a KVM_RUN to complete.", 1);
    patterns[fmt::format("^{}(\\.(reason|text|pending_exception))?$", exit)] =
        with(text(),
             "The n-th exit: its reason or what KVM_RUN returned; all of it; the exception "
             "that is pending.",
             "io");
    patterns["^(exits|writes)$"] =
        with({{"type", "string"}}, "All exits, by reason; what devices were written: \"41,42\".",
             "io,hlt");
    patterns["^(runs|reads)$"] = with(ref("kvm_value"), "KVM_RUNs; reads served.", 2);
    return {{"type", "object"}, {"additionalProperties", false}, {"patternProperties", patterns}};
}

Json expect() {
    Json schema = object(
        {{"end", expect_end()},
         {"state",
          with(state(), "Values of the run, by name (docs/kvm.md).", {{"exit.1.rip", "access"}})},
         {"memory", expect_memory()},
         {"log", with(array(ref("claim")),
                      "What the event log holds, in this order; other events may come between.",
                      Json::array({{{"event", "kvm-exit"}}}))}});
    schema["minProperties"] = 1;
    return schema;
}

Json axes() {
    Json properties = switch_properties(kvm::switch_rows(), true);
    for (const char* axis : {"guest", "userspace"}) {
        properties[axis] = with(one_or_several(text()), fmt::format("Names out of \"{}s\".", axis),
                                Json::array({"a"}));
    }
    return switches_of(std::move(properties), true);
}

Json variants() {
    const Json entry = object(
        {{"when", with(ref("kvm_axes"), "For which variants: those with one of the listed values.",
                       {{"kvm", {"v2", "v3"}}})},
         {"expect",
          with(ref("kvm_expect"), "What is expected of them as well.", {{"end", "guest-halted"}})}},
        {"when", "expect"});
    return object(
        {{"switches", with(ref("kvm_axes"), "Every combination of these values is a variant.",
                           {{"kvm", {"v1c", "v2"}}})},
         {"expect",
          with(array(entry), "Expectations of some variants.",
               Json::array({{{"when", {{"kvm", "v2"}}}, {"expect", {{"end", "guest-halted"}}}}}))}},
        {"switches"});
}

Json scenario() {
    Json properties = head_properties();
    properties.update(Json{
        {"evidence", with(one_of(kKvmGrades),
                          "How it is known. observed: seen on a real KVM; read: the source or "
                          "commit text says so; derived: follows from what was read.",
                          "derived")},
        {"teaches", with(text(), "One sentence.", "A write is no evidence of a change.")},
        {"kvm", kvm_key()},
        {"show",
         with(array(text()), "Names as in \"state\" whose values the table of the variants prints.",
              Json::array({"exits"}))},
        {"expect",
         with(ref("kvm_expect"), "What must hold of every variant.", {{"end", "guest-halted"}})},
        {"variants",
         with(ref("kvm_variants"), "The scenario under several combinations of switches.",
              {{"switches", {{"kvm", {"v1c", "v2"}}}}})}});
    properties["show"]["maxItems"] = kMaxShown;
    Json schema =
        object(std::move(properties), {"name", "why", "source", "evidence", "teaches", "kvm"});
    schema["anyOf"] = Json::array({{{"required", {"expect"}}}, {{"required", {"variants"}}}});
    return schema;
}

}  // namespace

Json kvm_key() {
    return with(ref("kvm_part"),
                "A guest behind KVM's ioctls, and what userspace does at its exits (docs/kvm.md).",
                {{"guest", {{"mode", "long64"}, {"code", {{"at", "0x1000"}, {"asm", "hlt"}}}}}});
}

Json kvm_definitions() {
    return {{"kvm_value",
             {{"anyOf", Json::array({{{"type", "integer"}, {"minimum", 0}},
                                     text(fmt::format("^({}|{})$", kNumber, kLabel))})}}},
            {"kvm_registers", registers()},
            {"kvm_set_registers", registers_of(kvm::ActionKind::set_regs)},
            {"kvm_sync_registers", registers_of(kvm::ActionKind::sync_regs)},
            {"kvm_guest", guest()},
            {"kvm_when", when_exit()},
            {"kvm_action", action()},
            {"kvm_userspace", userspace()},
            {"kvm_part", kvm_part()},
            {"kvm_axes", axes()},
            {"kvm_expect", expect()},
            {"kvm_variants", variants()},
            {"kvm_scenario", scenario()}};
}

}  // namespace vtlsim::runner::schema
