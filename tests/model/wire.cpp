// The wire structures against a table of their own, typed in from the reference (hyperv-vtl.md 2),
// and the names that scenarios reach them by.
#include <set>

#include "model/fields.hpp"
#include "model/vtl2/layout.hpp"
#include "model/wire/pages.hpp"
#include "tests/catch.hpp"
#include "tests/model/world_rig.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;

struct Row {
    std::string name;
    u32 offset;
    u32 size;
    friend bool operator==(const Row&, const Row&) = default;
    friend std::ostream& operator<<(std::ostream& out, const Row& r) {
        return out << r.name << " at " << std::hex << r.offset << "h, " << r.size << "h bytes";
    }
};
using Rows = std::vector<Row>;

Rows operator+(Rows left, const Rows& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}
// xmm0 to xmm5, r8 to r15: members of one size in a line.
Rows series(const std::string& name, u32 first, u32 last, u32 offset, u32 size) {
    Rows rows;
    for (u32 i = first; i <= last; ++i) {
        rows.push_back({name + std::to_string(i), offset + (i - first) * size, size});
    }
    return rows;
}

Rows actual(std::span<const WireField> fields) {
    Rows rows;
    for (const WireField& f : fields) {
        if (!f.name.starts_with("reserved"))
            rows.push_back({std::string(f.name), f.offset, f.size});
    }
    return rows;
}

// Every byte of the structure belongs to exactly one field, reserved ones included.
template <class T>
void check_cover() {
    u32 next = 0;
    for (const WireField& f : WireTraits<T>::fields()) {
        CHECK(f.offset == next);
        next = f.offset + f.size;
    }
    CHECK(next == sizeof(T));
}

template <class T>
void check(u32 size, const Rows& rows) {
    CHECK(sizeof(T) == size);
    CHECK(actual(WireTraits<T>::fields()) == rows);
    check_cover<T>();
}

}  // namespace

TEST_CASE("wire: the assist page", "[model]") {
    check<HvVpAssistPage>(0x1000, {{"apic_assist", 0x0, 4},
                                   {"entry_reason", 0x8, 4},
                                   {"vina_status", 0xC, 1},
                                   {"register_rax", 0x10, 8},
                                   {"register_rcx", 0x18, 8},
                                   {"nested_enlightenments_control", 0x20, 8},
                                   {"enlighten_vm_entry", 0x28, 1},
                                   {"current_nested_vmcs", 0x30, 8},
                                   {"synthetic_time_unhalted_timer_expired", 0x38, 1},
                                   {"virtualization_fault", 0x40, 0x28},
                                   {"message", 0x70, 0x100},
                                   {"return_actions", 0x170, 0x100}});
    // The report's offset: RAX of an I/O message as it lies in the assist page.
    CHECK(offsetof(HvVpAssistPage, message) + offsetof(HvMessage, payload) +
              offsetof(HvIoPortIntercept, rax) ==
          0xB0);
    CHECK(0x70 + 0x10 + 0x30 == 0xB0);
}

TEST_CASE("wire: message, header, segment, table register", "[model]") {
    check<HvMessage>(0x100, {{"type", 0, 4},
                             {"payload_size", 4, 1},
                             {"flags", 5, 1},
                             {"id", 8, 8},
                             {"payload", 0x10, 0xF0}});
    check<HvInterceptHeader>(0x28, {{"vp_index", 0, 4},
                                    {"length_cr8", 4, 1},
                                    {"access", 5, 1},
                                    {"execution_state", 6, 2},
                                    {"cs", 8, 0x10},
                                    {"rip", 0x18, 8},
                                    {"rflags", 0x20, 8}});
    check<HvSegment>(
        0x10, {{"base", 0, 8}, {"limit", 8, 4}, {"selector", 0xC, 2}, {"attributes", 0xE, 2}});
    check<HvTable>(0x10, {{"limit", 6, 2}, {"base", 8, 8}});
}

TEST_CASE("wire: intercept payloads", "[model]") {
    const Rows header{{"header", 0, 0x28}};
    check<HvIoPortIntercept>(0x80, header + Rows{{"port", 0x28, 2},
                                                 {"access_info", 0x2A, 1},
                                                 {"instruction_byte_count", 0x2B, 1},
                                                 {"rax", 0x30, 8},
                                                 {"instruction_bytes", 0x38, 16},
                                                 {"ds", 0x48, 16},
                                                 {"es", 0x58, 16},
                                                 {"rcx", 0x68, 8},
                                                 {"rsi", 0x70, 8},
                                                 {"rdi", 0x78, 8}});
    check<HvMemoryIntercept>(0x50, header + Rows{{"cache_type", 0x28, 4},
                                                 {"instruction_byte_count", 0x2C, 1},
                                                 {"access_flags", 0x2D, 1},
                                                 {"tpr_priority", 0x2E, 1},
                                                 {"gva", 0x30, 8},
                                                 {"gpa", 0x38, 8},
                                                 {"instruction_bytes", 0x40, 16}});
    check<HvMsrIntercept>(0x40,
                          header + Rows{{"msr", 0x28, 4}, {"rdx", 0x30, 8}, {"rax", 0x38, 8}});
    check<HvCpuidIntercept>(0x68, header + Rows{{"rax", 0x28, 8},
                                                {"rcx", 0x30, 8},
                                                {"rdx", 0x38, 8},
                                                {"rbx", 0x40, 8},
                                                {"default_rax", 0x48, 8},
                                                {"default_rcx", 0x50, 8},
                                                {"default_rdx", 0x58, 8},
                                                {"default_rbx", 0x60, 8}});
    check<HvHypercallIntercept>(0xD0, header +
                                          Rows{{"rax", 0x28, 8},
                                               {"rbx", 0x30, 8},
                                               {"rcx", 0x38, 8},
                                               {"rdx", 0x40, 8},
                                               {"r8", 0x48, 8},
                                               {"rsi", 0x50, 8},
                                               {"rdi", 0x58, 8}} +
                                          series("xmm", 0, 5, 0x60, 16) + Rows{{"flags", 0xC0, 8}});
    check<HvExceptionIntercept>(0xF0, header +
                                          Rows{{"vector", 0x28, 2},
                                               {"exception_info", 0x2A, 1},
                                               {"instruction_byte_count", 0x2B, 1},
                                               {"error_code", 0x2C, 4},
                                               {"parameter", 0x30, 8},
                                               {"instruction_bytes", 0x40, 16},
                                               {"ds", 0x50, 16},
                                               {"ss", 0x60, 16},
                                               {"rax", 0x70, 8},
                                               {"rcx", 0x78, 8},
                                               {"rdx", 0x80, 8},
                                               {"rbx", 0x88, 8},
                                               {"rsp", 0x90, 8},
                                               {"rbp", 0x98, 8},
                                               {"rsi", 0xA0, 8},
                                               {"rdi", 0xA8, 8}} +
                                          series("r", 8, 15, 0xB0, 8));
    check<HvInterruptionDeliverable>(0x30, header + Rows{{"interrupt_type", 0x28, 1}});
    check<HvSintDeliverable>(0x30, header + Rows{{"deliverable_sints", 0x28, 2}});
    check<HvRegisterIntercept>(
        0x40, header + Rows{{"flags", 0x28, 4}, {"register_name", 0x2C, 4}, {"value", 0x30, 16}});
    check<HvApicEoi>(8, {{"vp_index", 0, 4}, {"vector", 4, 4}});
}

TEST_CASE("wire: message types have their numbers and payloads", "[model]") {
    struct TypeRow {
        u32 type;
        std::string_view name;
        std::size_t payload_size;  // of the structure; 0: none
    };
    constexpr TypeRow kTypes[] = {
        {0, "none", 0},
        {0x80000000, "unmapped_gpa", 0x50},
        {0x80000001, "gpa_intercept", 0x50},
        {0x80000003, "unaccepted_gpa", 0x50},
        {0x80000021, "unrecoverable_exception", 0x28},
        {0x80000050, "hypercall_intercept", 0xD0},
        {0x80000062, "synic_sint_deliverable", 0x30},
        {0x80010000, "io_port_intercept", 0x80},
        {0x80010001, "msr_intercept", 0x40},
        {0x80010002, "cpuid_intercept", 0x68},
        {0x80010003, "exception_intercept", 0xF0},
        {0x80010004, "apic_eoi", 0x8},
        {0x80010006, "register_intercept", 0x40},
        {0x80010007, "halt", 0x28},
        {0x80010008, "interruption_deliverable", 0x30},
    };
    for (const TypeRow& row : kTypes) {
        CAPTURE(row.name);
        CHECK(message_type_name(row.type) == row.name);
        const auto fields = payload_fields(row.type);
        CHECK((fields.empty() ? 0 : fields.back().offset + fields.back().size) == row.payload_size);
    }
    CHECK(message_type_name(0x80010005) == "unknown");
    CHECK(payload_fields(0x80010005).empty());
}

TEST_CASE("wire: the register page", "[model]") {
    check<HvRegisterPage>(0x1000, Rows{{"version", 0, 2},
                                       {"is_valid", 2, 1},
                                       {"vtl", 3, 1},
                                       {"dirty", 4, 4},
                                       {"rax", 0x8, 8},
                                       {"rcx", 0x10, 8},
                                       {"rdx", 0x18, 8},
                                       {"rbx", 0x20, 8},
                                       {"rsp", 0x28, 8},
                                       {"rbp", 0x30, 8},
                                       {"rsi", 0x38, 8},
                                       {"rdi", 0x40, 8}} +
                                      series("r", 8, 15, 0x48, 8) +
                                      Rows{{"rip", 0x88, 8}, {"rflags", 0x90, 8}} +
                                      series("xmm", 0, 5, 0xA0, 16) +
                                      Rows{{"es", 0x100, 16},
                                           {"cs", 0x110, 16},
                                           {"ss", 0x120, 16},
                                           {"ds", 0x130, 16},
                                           {"fs", 0x140, 16},
                                           {"gs", 0x150, 16},
                                           {"cr0", 0x160, 8},
                                           {"cr3", 0x168, 8},
                                           {"cr4", 0x170, 8},
                                           {"cr8", 0x178, 8},
                                           {"efer", 0x180, 8},
                                           {"dr7", 0x188, 8},
                                           {"pending_interruption", 0x190, 8},
                                           {"interrupt_state", 0x198, 8},
                                           {"emulation_hints", 0x1A0, 8}});
    CHECK(dirty::general_purpose == 1u << 0);
    CHECK(dirty::rip == 1u << 1);
    CHECK(dirty::xmm == 1u << 2);
    CHECK(dirty::segments == 1u << 3);
    CHECK(dirty::flags == 1u << 4);
}

TEST_CASE("wire: the sidecar's and the driver's pages", "[model]") {
    check<Fxsave>(0x200, Rows{{"fcw", 0, 2},
                              {"fsw", 2, 2},
                              {"ftw", 4, 1},
                              {"fop", 6, 2},
                              {"fip", 8, 8},
                              {"fdp", 0x10, 8},
                              {"mxcsr", 0x18, 4},
                              {"mxcsr_mask", 0x1C, 4}} +
                             series("st", 0, 7, 0x20, 16) + series("xmm", 0, 15, 0xA0, 16));
    check<CpuContext>(0x400, Rows{{"rax", 0x0, 8},
                                  {"rcx", 0x8, 8},
                                  {"rdx", 0x10, 8},
                                  {"rbx", 0x18, 8},
                                  {"cr2", 0x20, 8},
                                  {"rbp", 0x28, 8},
                                  {"rsi", 0x30, 8},
                                  {"rdi", 0x38, 8}} +
                                 series("r", 8, 15, 0x40, 8) + Rows{{"fx", 0x80, 0x200}});
    check<CommandPage>(0x1000, {{"command", 0, 4},
                                {"has_error", 4, 1},
                                {"cpu_context", 0x10, 0x400},
                                {"intercept_message", 0x410, 0x100},
                                {"error", 0x510, 0x100},
                                {"request_data", 0x610, 0x400}});
    check<SidecarError>(0x100, {{"length", 0, 1}, {"text", 1, 255}});
    check<ControlPage>(0x1000, {{"index", 0, 4},
                                {"base_cpu", 4, 4},
                                {"cpu_count", 8, 4},
                                {"request_vector", 0xC, 4},
                                {"response_cpu", 0x10, 4},
                                {"response_vector", 0x14, 4},
                                {"needs_attention", 0x18, 4},
                                {"cpu_status", 0x40, 4032}});
    check<RegisterRequest>(0x10, {{"count", 0, 2}, {"target_vtl", 2, 1}, {"status", 4, 2}});
    check<RegisterAssociation>(0x20, {{"name", 0, 4}, {"value", 0x10, 16}});
    check<VpRegistersInput>(0x10,
                            {{"partition_id", 0, 8}, {"vp_index", 8, 4}, {"input_vtl", 0xC, 1}});
    // 674h bytes are used; the alignment of the context makes it 680h.
    check<HclRun>(0x680, {{"cancel", 0, 4},
                          {"vtl_ret_action_size", 4, 4},
                          {"flags", 8, 4},
                          {"scan_proxy_irr", 0xC, 1},
                          {"offload_flags", 0xD, 1},
                          {"mode", 0xF, 1},
                          {"exit_message", 0x10, 0x100},
                          {"context", 0x110, 0x400},
                          {"vtl_ret_actions", 0x510, 0x100},
                          {"proxy_irr", 0x610, 0x20},
                          {"target_vtl", 0x630, 1},
                          {"proxy_irr_blocked", 0x634, 0x20},
                          {"proxy_irr_exit_mask", 0x654, 0x20}});
    CHECK(static_cast<u32>(SidecarCommand::run_vp) == 1);
    CHECK(static_cast<u32>(SidecarCommand::get_vp_registers) == 2);
    CHECK(static_cast<u32>(SidecarCommand::set_vp_registers) == 3);
    CHECK(static_cast<u32>(SidecarCommand::translate_gva) == 4);
    CHECK(static_cast<u32>(CpuStatus::removed) == 0);
    CHECK(static_cast<u32>(CpuStatus::idle) == 1);
    CHECK(static_cast<u32>(CpuStatus::run) == 2);
    CHECK(static_cast<u32>(CpuStatus::stop) == 3);
    CHECK(static_cast<u32>(CpuStatus::remove) == 4);
    CHECK(static_cast<u32>(EntryReason::vtl_call) == 1);
    CHECK(static_cast<u32>(EntryReason::interrupt) == 2);
    CHECK(static_cast<u32>(EntryReason::intercept) == 3);
}

// --- names ---------------------------------------------------------------------------------------

namespace {

struct Page {
    std::string name;
    std::span<const WireField> fields;
    u64 address;
};
const std::vector<Page>& pages() {
    static const std::vector<Page> all{
        {"assist", WireTraits<HvVpAssistPage>::fields(), layout::kAssistPage},
        {"regpage", WireTraits<HvRegisterPage>::fields(), layout::kRegisterPage},
        {"command", WireTraits<CommandPage>::fields(), layout::kCommandPage},
        {"control", WireTraits<ControlPage>::fields(), layout::kControlPage},
        {"hcl_run", WireTraits<HclRun>::fields(), layout::kHclRun},
        {"context", WireTraits<CpuContext>::fields(), layout::kCommandPage + 0x10},
        {"message", WireTraits<HvMessage>::fields(), layout::kCommandPage + 0x410},
    };
    return all;
}

struct Leaf {
    std::string path;  // fx and header are entered without their name
    u64 address;
    u32 size;
};
void leaves(const std::string& prefix, std::span<const WireField> fields, u64 address,
            std::vector<Leaf>& out) {
    for (const WireField& f : fields) {
        if (f.name.starts_with("reserved")) continue;
        const bool through = f.name == "fx" || f.name == "header";
        const std::string path = through ? prefix : prefix + "." + std::string(f.name);
        if (f.nested.empty()) {
            out.push_back({path, address + f.offset, f.size});
        } else {
            leaves(path, f.nested, address + f.offset, out);
        }
    }
}
std::vector<Leaf> all_leaves() {
    std::vector<Leaf> out;
    for (const Page& p : pages()) leaves(p.name, p.fields, p.address, out);
    return out;
}

}  // namespace

TEST_CASE("names: every wire field is known and gives the bytes at its address", "[model]") {
    WorldConfig config;
    // Each page filled so that every byte tells where it is.
    for (u64 page : {layout::kAssistPage, layout::kRegisterPage, layout::kCommandPage,
                     layout::kControlPage, layout::kHclRun}) {
        MemoryImage image{.address = page, .bytes = {}};
        for (u64 i = 0; i < kWirePageSize; ++i) {
            image.bytes.push_back(static_cast<u8>((page >> 12) * 31 + i * 7 + (i >> 8) * 3 + 1));
        }
        config.memory.push_back(image);
    }
    const World world(config);
    std::string why;
    std::size_t count = 0;
    for (const Leaf& leaf : all_leaves()) {
        CAPTURE(leaf.path);
        CHECK(known_path(leaf.path, why));
        const auto value = world.value(leaf.path);
        REQUIRE(value);
        // Byte arrays give their first byte.
        Vec128 wanted{};
        world.read_memory(leaf.address,
                          {reinterpret_cast<u8*>(&wanted), leaf.size > 16 ? 1 : leaf.size});
        CHECK(*value == wanted);
        ++count;
    }
    CHECK(count > 200);
}

TEST_CASE("names: an address has the name of the field that starts there", "[model]") {
    std::set<u64> members;  // structures whose own name comes before their first field's
    const auto collect = [&](const auto& self, std::span<const WireField> fields,
                             u64 address) -> void {
        for (const WireField& f : fields) {
            if (f.nested.empty()) continue;
            if (f.name != "fx" && f.name != "header") members.insert(address + f.offset);
            self(self, f.nested, address + f.offset);
        }
    };
    for (const Page& p : pages()) collect(collect, p.fields, p.address);
    // The VMM's picture is named as such, not as a part of its page.
    const auto canonical = [](std::string path) {
        for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
                 {"command.cpu_context.", "context."},
                 {"command.intercept_message.", "message."},
                 {"hcl_run.context.", "context."},
                 {"hcl_run.exit_message.", "message."}}) {
            if (path.starts_with(from)) return to + path.substr(from.size());
        }
        return path;
    };
    for (const Leaf& leaf : all_leaves()) {
        CAPTURE(leaf.path);
        const std::string wanted = canonical(leaf.path);
        const std::string name = name_of_address(leaf.address);
        const bool first_of_member =
            members.count(leaf.address) != 0 && wanted.find('.') != wanted.rfind('.');
        if (first_of_member) {
            CHECK(name == wanted.substr(0, wanted.rfind('.')));
        } else {
            CHECK(name == wanted);
        }
        if (leaf.size > 1) CHECK(name_of_address(leaf.address + 1) == wanted + "+0x1");
    }
    CHECK(name_of_address(layout::kHclRun + 0x110 + 0x18) == "context.rbx");
    CHECK(name_of_address(layout::kCommandPage + 0x10 + 0x20) == "context.cr2");
    CHECK(name_of_address(layout::kCommandPage + 0x10 + 0x80 + 0x100) == "context.xmm6");
    CHECK(name_of_address(layout::kAssistPage + 0xB0) == "assist.message.payload+0x30");
    CHECK(name_of_address(layout::kControlPage + 0x40) == "control.cpu_status");
    CHECK(name_of_address(layout::kHclRun + 0x800) == "0x8033800");  // after the structure
    CHECK(name_of_address(0x1234) == "0x1234");
}

TEST_CASE("names: payload fields by message type", "[model]") {
    std::string why;
    for (const char* path : {"message.port", "message.access_info", "message.rax", "message.rip",
                             "message.cs.base", "message.es.selector", "message.gpa", "message.msr",
                             "message.default_rbx", "message.vector", "message.interrupt_type",
                             "assist.message.type", "assist.message.port", "assist.message.rip"}) {
        CAPTURE(path);
        CHECK(known_path(path, why));
    }
    // A payload field has a value while the message is of a type that has it.
    Run run("in al, dx\nhlt", {{sim::Reg::rdx, 0x3FE}});
    World& world = run.until_event(EventKind::vmm_exit);
    CHECK(world.value("message.type")->lo == 0x80010000);
    CHECK(world.value("message.port")->lo == 0x3FE);
    CHECK(world.value("message.rip")->lo == kGuestCode);
    CHECK(world.value("assist.message.port")->lo == 0x3FE);
    CHECK_FALSE(world.value("message.msr"));
    CHECK_FALSE(world.value("message.gpa"));
}

TEST_CASE("names: counters and registers", "[model]") {
    std::string why;
    for (const char* path : {"vmm.exits", "hypervisor.messages", "port.0x3fe.reads",
                             "port.1022.writes", "port.0xffff.last_written", "vtl0.rax", "vtl2.rip",
                             "vtl0.xmm15", "vtl0.fs_base", "vtl2.cr8"}) {
        CAPTURE(path);
        CHECK(known_path(path, why));
    }
    for (const sim::RegInfo& r : sim::registers()) {
        CHECK(known_path("vtl0." + std::string(r.name), why));
        CHECK(known_path("vtl2." + std::string(r.name), why));
    }
}

TEST_CASE("names: a wrong name gets the nearest right one", "[model]") {
    struct Wrong {
        const char* path;
        const char* why;
    };
    const Wrong kWrong[] = {
        {"vtl0.raxx", "unknown register \"raxx\"; did you mean \"rax\"?"},
        {"vtl0", "unknown register \"\""},
        {"vtl1.rax", "unknown name \"vtl1.rax\"; did you mean \"vtl0\"?"},
        {"contxt.rax", "unknown name \"contxt.rax\"; did you mean \"context\"?"},
        {"context.xmm16", "context has no field \"xmm16\"; did you mean \"xmm1\"?"},
        {"context.rsp", "context has no field \"rsp\"; did you mean \"rbp\"?"},
        {"context.reserved0", "context has no field \"reserved0\""},
        {"context.rax.low", "context has no field \"rax.low\""},
        {"context", "context has no field \"\""},
        {"message.prot", "no message has a field \"prot\"; did you mean \"port\"?"},
        {"assist.message.gp", "no message has a field \"gp\"; did you mean \"gpa\"?"},
        {"assist.entry_raeson",
         "assist has no field \"entry_raeson\"; did you mean \"entry_reason\"?"},
        {"regpage.cs.bsae", "regpage has no field \"cs.bsae\"; did you mean \"cs.base\"?"},
        {"control.cpu_sttus", "control has no field \"cpu_sttus\"; did you mean \"cpu_status\"?"},
        {"vmm.exit", "unknown name \"vmm.exit\"; did you mean \"vmm.exits\"?"},
        {"hypervisor.message",
         "unknown name \"hypervisor.message\"; did you mean \"hypervisor.messages\"?"},
        {"port.0x3fe.read", "unknown port counter \"read\" (reads, writes, last_written)"},
        {"port.0x10000.reads", "\"0x10000\" is not a port number"},
        {"port.0x.reads", "\"0x\" is not a port number"},
        {"port.-1.reads", "\"-1\" is not a port number"},
        {"port..reads", "\"\" is not a port number"},
        {"", "unknown name \"\""},
    };
    const WorldConfig config;
    const World world(config);
    for (const Wrong& w : kWrong) {
        CAPTURE(w.path);
        std::string why;
        CHECK_FALSE(known_path(w.path, why));
        CHECK(why == w.why);
        CHECK_FALSE(world.value(w.path));
    }
}

// What known_path() promises, value() keeps: no name is "known" that can never have a value.
TEST_CASE("names: structures have no value of their own", "[model]") {
    const WorldConfig config;
    const World world(config);
    for (const char* path : {"context.fx", "command.cpu_context", "assist.message",
                             "message.header", "message.cs", "regpage.cs", "command.error"}) {
        CAPTURE(path);
        std::string why;
        CHECK_FALSE(known_path(path, why));
        CHECK_FALSE(world.value(path));
    }
}

}  // namespace vtlsim::tests
