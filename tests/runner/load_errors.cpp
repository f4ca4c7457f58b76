// What the scenario loader says, to the letter, about everything that can be wrong with a file.
// Run: build/<preset>/vtlsim_tests "[load]"
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "runner/limits.hpp"
#include "tests/catch.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

struct Bad {
    std::string text;
    std::string errors;
};

void check(const std::vector<Bad>& cases) {
    for (const Bad& bad : cases) {
        INFO(bad.text.substr(0, 500));
        CHECK(errors_of(bad.text) == bad.errors);
    }
}

TEST_CASE("The texts that the errors are made from load", "[load]") {
    CHECK(errors_of(scenario(R"("show":[])")).empty());
    CHECK(errors_of(with_guest(R"({"code":{"asm":"hlt"}})")).empty());
    CHECK(errors_of(with_expect(R"({"end":"guest-halted"})")).empty());
}

TEST_CASE("What is no JSON has its place", "[load]") {
    check({
        {"", "f:1:1: the file is empty"},
        {"{\n  \"name\": \"x\",\n  oops\n}", "f:3:3: syntax error: invalid literal at \"oops\""},
        {scenario(R"("show":[],)"), "f:2:10: syntax error: no comma may stand before '}'"},
        {scenario("\"show\":[\xFF]"), "f:2:9: invalid UTF-8 at byte 0xFF"},
        {scenario(R"("show":[],"show":[])"),
         "f:2:11: /show: duplicate key \"show\"; the first one is at 2:1"},
        {scenario(R"("limits":{"steps":99999999999999999999})"),
         "f:2:19: /limits/steps: integer 99999999999999999999 does not fit into 64 bits"},
        {"[]", "f:1:1: expected an object, got an array"},
    });
}

TEST_CASE("Keys of a scenario that are missing, unknown or of another type", "[load]") {
    check({
        {"{}",
         "f:1:1: missing key \"name\"\n"
         "f:1:1: missing key \"why\"\n"
         "f:1:1: missing key \"source\"\n"
         "f:1:1: missing key \"guest\"\n"
         "f:1:1: nothing is expected: \"expect\" is missing"},
        {scenario(R"("swiches":{})"),
         "f:2:1: /swiches: unknown key \"swiches\"; did you mean \"switches\"?"},
        {scenario(R"("frobnicate":{})"),
         "f:2:1: /frobnicate: unknown key \"frobnicate\" ($schema, name, why, source, switches, "
         "guest, vtl2, devices, cpuid, msrs, hypercalls, events, limits, expect, variants, show, "
         "vps, hotplug, attention_delay, fine_steps, guest_steps, invariants, schedule, tags, "
         "xfail, "
         "golden, matrix, include)"},
        {scenario(R"("$schema":7)"), "f:2:11: /$schema: expected a string, got a number"},
        {R"({"name":"","why":"","source":"","guest":{"code":{"asm":"hlt"}},"expect":{"end":"stuck"}})",
         "f:1:9: /name: \"name\" is empty\n"
         "f:1:18: /why: \"why\" is empty\n"
         "f:1:30: /source: \"source\" is empty"},
        {R"({"name":"two words","why":"w","source":"s","guest":{"code":{"asm":"hlt"}},"expect":{"end":"stuck"}})",
         "f:1:9: /name: a name is made of letters, digits, '-', '_' and '.'"},
        {R"({"name":")" + std::string(101, 'x') +
             R"(","why":"w","source":"s","guest":{"code":{"asm":"hlt"}},"expect":{"end":"stuck"}})",
         "f:1:9: /name: a name has at most 100 characters"},
        {R"({"name":7,"why":null,"source":[],"guest":"hlt","expect":true})",
         "f:1:9: /name: expected a string, got a number\n"
         "f:1:17: /why: expected a string, got null\n"
         "f:1:31: /source: expected a string, got an array\n"
         "f:1:42: /guest: expected an object, got a string\n"
         "f:1:57: /expect: expected an object, got a boolean"},
        {R"({"name":"n","why":"w","source":"s","guest":{"code":{"asm":"hlt"}}})",
         "f:1:1: nothing is expected: \"expect\" is missing"},
    });
}

TEST_CASE("Switches and limits", "[load]") {
    check({
        {scenario(R"("switches":{"gpr_modl":"shadow"})"),
         "f:2:13: /switches/gpr_modl: unknown switch \"gpr_modl\"; did you mean \"gpr_model\"?"},
        {scenario(R"("switches":{"gpr_model":"shadw"})"),
         "f:2:25: /switches/gpr_model: unknown value \"shadw\" for switch gpr_model; did you mean "
         "\"shadow\"? (shared, shadow, shadow_on_second_reentry)"},
        {scenario(R"("switches":{"gpr_model":["shadow"]})"),
         "f:2:25: /switches/gpr_model: expected a string, got an array"},
        {scenario(R"("switches":[])"), "f:2:12: /switches: expected an object, got an array"},
        {scenario(R"("switches":{"vp_runner":"kernel_driver","vmm_fix":"V1"})"),
         "f:2:51: /switches/vmm_fix: vmm_fix V1 is a change of the sidecar kernel: it does not "
         "apply to "
         "vp_runner kernel_driver"},
        {scenario(R"("limits":{"steps":0,"memory":4095})"),
         "f:2:19: /limits/steps: expected an integer from 1 to 10000000, got 0\n"
         "f:2:30: /limits/memory: expected an integer from 4096 to 0x40000000, got 4095"},
        {scenario(R"("limits":{"steps":"0x8000000000000000","memory":"0x8000000000000000"})"),
         "f:2:19: /limits/steps: expected an integer from 1 to 10000000, got "
         "\"0x8000000000000000\"\n"
         "f:2:49: /limits/memory: expected an integer from 4096 to 0x40000000, got "
         "\"0x8000000000000000\""},
        {scenario(R"("limits":{"seconds":1})"),
         "f:2:11: /limits/seconds: unknown key \"seconds\" (steps, memory)"},
    });
}

TEST_CASE("The guest's registers and memory", "[load]") {
    check({
        {with_guest(R"({})"), "f:2:1: /guest: missing key \"code\""},
        {with_guest(R"({"code":{}})"),
         "f:2:9: /guest/code: exactly one of \"asm\" and \"bytes\" is needed"},
        {with_guest(R"({"code":{"asm":"hlt","bytes":"f4"}})"),
         "f:2:9: /guest/code: exactly one of \"asm\" and \"bytes\" is needed"},
        {with_guest(R"({"code":{"bytes":"f"}})"),
         "f:2:19: /guest/code/bytes: \"f\" at offset 0 is half a byte: a second hexadecimal digit "
         "is missing"},
        {with_guest(R"({"code":{"bytes":"zz"}})"),
         "f:2:19: /guest/code/bytes: \"z\" at offset 0 is not a hexadecimal digit"},
        {with_guest(R"({"code":{"bytes":" "}})"),
         "f:2:18: /guest/code/bytes: nothing to put into memory"},
        {with_guest(R"({"code":{"asm":7}})"),
         "f:2:16: /guest/code/asm: expected a string or an array of strings, got a number"},
        {with_guest(R"({"code":{"asm":["hlt",7]}})"),
         "f:2:23: /guest/code/asm/1: expected a string, got a number"},
        {with_guest(R"({"code":{"asm":[]}})"),
         "f:2:16: /guest/code/asm: nothing to put into memory"},
        {with_guest(R"({"code":{"asm":"hlt"},"registers":{"rxa":1}})"),
         "f:2:36: /guest/registers/rxa: unknown register \"rxa\"; did you mean \"rax\"?"},
        {with_guest(R"({"code":{"asm":"hlt"},"registers":{"rax":"0x10000000000000000"}})"),
         "f:2:42: /guest/registers/rax: expected an unsigned integer, got \"0x10000000000000000\""},
        {with_guest(R"({"code":{"asm":"hlt"},"registers":{"cs":"0x10000"}})"),
         "f:2:41: /guest/registers/cs: expected an integer from 0 to 65535, got \"0x10000\""},
        {with_guest(R"({"code":{"asm":"hlt"},"registers":{"xmm0":"0x1"}})"),
         "f:2:43: /guest/registers/xmm0: expected \"0x\" and 32 hexadecimal digits, got 1"},
        {with_guest(R"({"code":{"asm":"hlt"},"registers":{"fpr0":"0x00"}})"),
         "f:2:43: /guest/registers/fpr0: expected \"0x\" and 20 hexadecimal digits, got 2"},
        {with_guest(R"({"code":{"asm":"a: hlt"},"entry":"a","registers":{"rip":"0x1000"}})"),
         "f:2:51: /guest/registers/rip: \"entry\" says already where the guest starts"},
        {with_guest(R"({"code":{"asm":"hlt"},"ram":"0x8000000000000000"})"),
         "f:2:16: /guest/code/asm: 1 bytes at 0x1000 do not lie in guest RAM (0x0 to 0xfff)\n"
         "f:2:29: /guest/ram: expected an integer from 4096 to 0x8000000, got "
         "\"0x8000000000000000\""},
        {with_guest(R"({"code":{"asm":"hlt"},"ram":4097})"),
         "f:2:29: /guest/ram: not a multiple of 4096"},
        {with_guest(R"({"code":{"asm":"hlt"},"memory":[{"bytes":"00"}]})"),
         "f:2:33: /guest/memory/0: missing key \"at\""},
        {with_guest(R"({"code":{"asm":"hlt"},"memory":{"at":1}})"),
         "f:2:32: /guest/memory: expected an array, got an object"},
        {with_guest(R"({"code":{"asm":"hlt"},"entry":"start"})"),
         "f:2:31: /guest/entry: unknown label \"start\""},
        {with_guest(R"({"code":{"asm":"begin: hlt"},"entry":"begni"})"),
         "f:2:38: /guest/entry: unknown label \"begni\"; did you mean \"begin\"?"},
        {with_guest(R"({"code":{"asm":"hlt"},"entry":"vtl2:park"})"),
         "f:2:31: /guest/entry: a label of the VTL2 kernel cannot stand here: only the guest's, or "
         "a number"},
        {with_guest(R"({"code":{"asm":"hlt"},"entry":"-5"})"),
         "f:2:31: /guest/entry: unknown label \"-5\""},
    });
}

TEST_CASE("Memory that lies outside, wraps around or is given twice", "[load]") {
    check({
        {with_guest(R"({"code":{"at":"0x8000000000000000","bytes":"90 f4"}})"),
         "f:2:15: /guest/code/at: 2 bytes at 0x8000000000000000 do not lie in guest RAM (0x0 to "
         "0xffffff)"},
        {with_guest(R"({"code":{"at":"0xffffffffffffffff","bytes":"90 f4"}})"),
         "f:2:15: /guest/code/at: 2 bytes at 0xffffffffffffffff do not lie in guest RAM (0x0 to "
         "0xffffff)"},
        {with_guest(R"({"code":{"at":"0x1000000","asm":"hlt"}})"),
         "f:2:15: /guest/code/at: 1 bytes at 0x1000000 do not lie in guest RAM (0x0 to 0xffffff)"},
        {with_guest(R"({"code":{"at":"0xffffff","asm":"nop\nhlt"}})"),
         "f:2:15: /guest/code/at: 2 bytes at 0xffffff do not lie in guest RAM (0x0 to 0xffffff)"},
        {with_guest(R"({"code":{"asm":"org 0xfffffffffffffff0\nhlt"}})"),
         "f:2:16: /guest/code/asm: 1 bytes at 0xfffffffffffffff0 do not lie in guest RAM (0x0 to "
         "0xffffff)"},
        {with_guest(R"({"ram":4096,"code":{"asm":"hlt"}})"),
         "f:2:27: /guest/code/asm: 1 bytes at 0x1000 do not lie in guest RAM (0x0 to 0xfff)"},
        {with_guest(R"({"code":{"asm":"hlt"},"memory":[{"at":"0x8000000","bytes":"00"}]})"),
         "f:2:39: /guest/memory/0/at: 1 bytes at 0x8000000 do not lie in guest RAM (0x0 to "
         "0xffffff)"},
        {scenario(R"("vtl2":{"memory":[{"at":"0x1000","bytes":"00"}]})"),
         "f:2:25: /vtl2/memory/0/at: 1 bytes at 0x1000 do not lie in VTL2's memory (0x8000000 to "
         "0x803ffff)"},
        {scenario(R"("vtl2":{"memory":[{"at":"0x803ffff","bytes":"00 00"}]})"),
         "f:2:25: /vtl2/memory/0/at: 2 bytes at 0x803ffff do not lie in VTL2's memory (0x8000000 "
         "to 0x803ffff)"},
        {scenario(R"("vtl2":{"ram":1})"),
         "f:2:9: /vtl2/ram: unknown key \"ram\" (registers, memory)"},
        {with_guest(R"({"code":{"asm":"hlt"},"memory":[{"at":"0xfff","bytes":"00 01"}]})"),
         "f:2:39: /guest/memory/0/at: 0x1000 to 0x1000 is given twice, first at 2:16"},
        {with_guest(R"({"code":{"asm":"hlt"},"memory":[{"at":"0x3000","bytes":"00 01 02 03"},
 {"at":"0x2ffe","bytes":"00 01"}, {"at":"0x3003","bytes":"00"}, {"at":"0x3004","bytes":"00"}]})"),
         "f:3:41: /guest/memory/2/at: 0x3003 to 0x3003 is given twice, first at 2:39"},
    });
}

TEST_CASE("Assembly errors have the line and column of the JSON string", "[load]") {
    check({
        {with_guest(R"({"code":{"asm":"mov rax, rbq"}})"),
         "f:2:26: /guest/code/asm: undefined symbol 'rbq'; did you mean 'rbp'?"},
        {with_guest(R"({"code":{"asm":"nop\n\tmvo eax, 1\nhlt"}})"),
         "f:2:24: /guest/code/asm: unknown instruction 'mvo'; did you mean 'mov'?"},
        {with_guest("{\"code\":{\"asm\":[\"nop\",\n   \"  jmp agian\",\n   \"again: hlt\"]}}"),
         "f:3:11: /guest/code/asm: undefined symbol 'agian'; did you mean 'again'?"},
        {with_guest(R"({"code":{"asm":["hlt", "frob", "\u0062arf 7"]}})"),
         "f:2:25: /guest/code/asm: unknown instruction 'frob'\n"
         "f:2:33: /guest/code/asm: unknown instruction 'barf'"},
        {with_guest(R"({"code":{"asm":"a: nop\na: hlt"}})"),
         "f:2:25: /guest/code/asm: 'a' is already defined in line 1"},
        {with_guest(R"({"code":{"asm":"times 1000000000000 nop"}})"),
         "f:2:23: /guest/code/asm: the text assembles to more than 1048576 bytes"},
        {with_guest(R"({"code":{"asm":"resb 0x8000000000000000"}})"),
         "f:2:22: /guest/code/asm: the text assembles to more than 1048576 bytes"},
        {with_guest(R"({"code":{"asm":"a: hlt"},"memory":[{"at":"0x2000","asm":"nop\na: nop"}]})"),
         "f:2:63: /guest/memory/0/asm: label \"a\" is defined in another part of the guest too"},
    });
}

TEST_CASE("Devices and answers", "[load]") {
    check({
        {scenario(R"("devices":[{"reads":[1]}])"), "f:2:12: /devices/0: missing key \"port\""},
        {scenario(R"("devices":[{"port":"0x10000"}])"),
         "f:2:20: /devices/0/port: expected an integer from 0 to 65535, got \"0x10000\""},
        {scenario(R"("devices":[{"port":1,"size":3},{"port":2,"size":8}])"),
         "f:2:29: /devices/0/size: a port access has 1, 2 or 4 bytes\n"
         "f:2:49: /devices/1/size: expected an integer from 1 to 4, got 8"},
        {scenario(R"("devices":[{"port":1,"reads":[256]},{"port":2,"reads":7}])"),
         "f:2:31: /devices/0/reads/0: expected an integer from 0 to 255, got 256\n"
         "f:2:55: /devices/1/reads: expected an array, got a number"},
        {scenario(R"("devices":[{"port":1},{"port":1,"size":2},{"port":"0x1"}])"),
         "f:2:43: /devices/2: port 0x1 has a device of this size already"},
        {scenario(R"("cpuid":[{"eax":1}],"msrs":[{"msr":1}],"hypercalls":[{"code":1}])"),
         "f:2:10: /cpuid/0: missing key \"leaf\"\n"
         "f:2:29: /msrs/0: missing key \"value\"\n"
         "f:2:54: /hypercalls/0: missing key \"status\""},
        {scenario(
             R"("cpuid":[{"leaf":1},{"leaf":1}],"msrs":[{"msr":1,"value":0},{"msr":1,"value":0}])"),
         "f:2:21: /cpuid/1: leaf 0x1 has an answer already\n"
         "f:2:61: /msrs/1: msr 0x1 has an answer already"},
        {scenario(R"("hypercalls":[{"code":1,"status":0},{"code":"0x1","status":1}])"),
         "f:2:37: /hypercalls/1: code 0x1 has an answer already"},
        {scenario(R"("cpuid":[{"leaf":1,"eax":"0x100000000","esi":1}])"),
         "f:2:26: /cpuid/0/eax: expected an integer from 0 to 0xffffffff, got \"0x100000000\"\n"
         "f:2:40: /cpuid/0/esi: unknown key \"esi\" (leaf, eax, ebx, ecx, edx)"},
    });
}

TEST_CASE("Pinned events", "[load]") {
    check({
        {scenario(R"("events":[{}])"), "f:2:11: /events/0: missing key \"do\""},
        {scenario(R"("events":[{"do":"interupt","before":"0x1000"}])"),
         "f:2:17: /events/0/do: unknown value \"interupt\" for an event's action; did you mean "
         "\"interrupt\"? (interrupt, stop, intercept, signal)"},
        {scenario(R"("events":[{"do":"interrupt","before":"there"}])"),
         "f:2:38: /events/0/before: unknown label \"there\""},
        {scenario(R"("events":[{"do":"interrupt","before":"vtl2:prak"}])"),
         "f:2:38: /events/0/before: the VTL2 kernel has no label \"prak\"; did you mean \"park\"?"},
        {scenario(R"("events":[{"do":"interrupt","before":"0x1000","nth":0}])"),
         "f:2:53: /events/0/nth: expected an integer from 1 to 10000000, got 0"},
        {scenario(R"("events":[{"do":"interrupt","before":"0x1000","vtl":1,"vector":15}])"),
         "f:2:53: /events/0/vtl: there is no VTL1 in this world, only 0 and 2\n"
         "f:2:64: /events/0/vector: expected an integer from 16 to 255, got 15"},
        {scenario(R"("events":[{"do":"interrupt","before":"0x1000","vtl":0,"transient":true}])"),
         "f:2:67: /events/0/transient: only an interrupt for VTL2 can be transient"},
        {scenario(
             R"("events":[{"do":"stop","before":"0x1000","vtl":2,"vector":32,"transient":true}])"),
         "f:2:42: /events/0/vtl: \"vtl\" is about interrupts\n"
         "f:2:50: /events/0/vector: \"vector\" is about interrupts\n"
         "f:2:62: /events/0/transient: \"transient\" is about interrupts"},
        {scenario(R"("events":[{"do":"stop","before":"0x1000","may_not_happen":"yes"}])"),
         "f:2:59: /events/0/may_not_happen: expected a boolean, got a string"},
    });
    std::string many = "\"events\":[";
    for (std::size_t i = 0; i <= kMaxEvents; ++i) {
        many += R"({"do":"stop","before":1},)";
    }
    many.back() = ']';
    CHECK(errors_of(scenario(many)) == "f:2:10: /events: more than 1000 events");
}

TEST_CASE("Expectations", "[load]") {
    check({
        {with_expect("{}"), "f:2:1: /expect: nothing is expected here"},
        {with_expect(R"({"state":{},"memory":[],"log":[]})"),
         "f:2:1: /expect: nothing is expected here"},
        {with_expect(R"({"end":"guest-halt"})"),
         "f:2:8: /expect/end: unknown value \"guest-halt\" for an end; did you mean "
         "\"guest-halted\"? (guest-halted, guest-triple-fault, vmm-panic, vmm-error, vtl2-crash, "
         "stuck, stopped, step-limit, memory-limit, not-modelled, removed)"},
        {with_expect(R"({"end":"none"})"),
         "f:2:8: /expect/end: unknown value \"none\" for an end (guest-halted, guest-triple-fault, "
         "vmm-panic, vmm-error, vtl2-crash, stuck, stopped, step-limit, memory-limit, "
         "not-modelled, removed)"},
        {with_expect(R"({"state":{"vtl0.rxa":1}})"),
         "f:2:11: /expect/state/vtl0.rxa: unknown register \"rxa\"; did you mean \"rax\"?"},
        {with_expect(R"({"state":{"vtl1.rax":1,"contxt.rax":1,"context.raxx":1}})"),
         "f:2:11: /expect/state/vtl1.rax: unknown name \"vtl1.rax\"; did you mean \"vtl0\"?\n"
         "f:2:24: /expect/state/contxt.rax: unknown name \"contxt.rax\"; did you mean "
         "\"context\"?\n"
         "f:2:39: /expect/state/context.raxx: context has no field \"raxx\"; did you mean "
         "\"rax\"?"},
        {with_expect(R"({"state":{"message.rap":1,"port.foo.reads":1,"port.1.read":1}})"),
         "f:2:11: /expect/state/message.rap: no message has a field \"rap\"; did you mean "
         "\"rip\"?\n"
         "f:2:27: /expect/state/port.foo.reads: \"foo\" is not a port number\n"
         "f:2:46: /expect/state/port.1.read: unknown port counter \"read\" (reads, writes, "
         "last_written)"},
        {with_expect(
             R"({"state":{"vtl0.rax":"0x1g","vtl0.xmm0":"0x00000000000000000000000000000"}})"),
         "f:2:26: /expect/state/vtl0.rax: \"g\" at offset 3 is not a hexadecimal digit\n"
         "f:2:41: /expect/state/vtl0.xmm0: expected \"0x\" and 32 hexadecimal digits, got 29"},
        {with_expect(
             R"({"memory":[{"at":"hree","bytes":"00"},{"at":"here"},{"at":"vtl2:park","bytes":""}]})"),
         "f:2:18: /expect/memory/0/at: unknown label \"hree\"; did you mean \"here\"?\n"
         "f:2:39: /expect/memory/1: missing key \"bytes\"\n"
         "f:2:59: /expect/memory/2/at: a label of the VTL2 kernel cannot stand here: only the "
         "guest's, or a number\n"
         "f:2:79: /expect/memory/2/bytes: no bytes are expected"},
        {with_expect(R"({"log":[{"evnt":"halt"}]})"),
         "f:2:9: /expect/log/0: missing key \"event\""},
        {with_expect(R"({"log":[{"event":"hlat"}]})"),
         "f:2:18: /expect/log/0/event: unknown value \"hlat\" for an event; did you mean \"halt\"? "
         "(insn, fault, interrupt-pending, interrupt-accepted, exit-io, exit-cpuid, exit-msr, "
         "exit-hypercall, exit-memory, halt, message, regpage, regpage-flush, vtl-enter, "
         "vtl-return, bounce, shadow, hypercall, msr, store, vmm-write, vmm-run, vmm-exit, "
         "vmm-no-intercept, vmm-assert, vmm-hypercall, vmm-msr, vmm-error, device-read, "
         "device-write, end, not-modelled, driver-state, driver-busy, driver-write, "
         "driver-warning, driver-sleep, poll-finished, ipi-sent, ipi-landed, drain, vmm-removed, "
         "kvm-run, kvm-exit, kvm-complete, kvm-skip, kvm-inject, kvm-device, kvm-reset, userspace, "
         "mmio-read, mmio-write, vmm-notice, "
         "intercept-lost, mmio, message-queued, hypercall-input, hypercall-retry, driver-signal)"},
        {with_expect(R"({"log":["halt"]})"),
         "f:2:9: /expect/log/0: expected an object, got a string"},
        {with_expect(R"({"log":[{"event":"exit-io","prot":1}]})"),
         "f:2:28: /expect/log/0/prot: event exit-io has no argument \"prot\"; did you mean "
         "\"port\"?"},
        {with_expect(R"({"log":[{"event":"exit-io","access":"inn"}]})"),
         "f:2:37: /expect/log/0/access: unknown value \"inn\" for access; did you mean \"in\"? "
         "(in, out)"},
        {with_expect(R"({"log":[{"event":"exit-io","string":1}]})"),
         "f:2:37: /expect/log/0/string: expected a boolean, got a number"},
        {with_expect(R"({"log":[{"event":"shadow","reg":"rxa"},{"event":"shadow","reg":7}]})"),
         "f:2:33: /expect/log/0/reg: unknown register \"rxa\"; did you mean \"rax\"?\n"
         "f:2:64: /expect/log/1/reg: expected a string, got a number"},
        {with_expect(R"({"log":[{"event":"message","type":"io_prot_intercept"}]})"),
         "f:2:35: /expect/log/0/type: unknown value \"io_prot_intercept\" for a message's type; "
         "did you mean \"io_port_intercept\"? (none, unmapped_gpa, gpa_intercept, unaccepted_gpa, "
         "unrecoverable_exception, hypercall_intercept, synic_sint_deliverable, io_port_intercept, "
         "msr_intercept, cpuid_intercept, exception_intercept, apic_eoi, register_intercept, halt, "
         "interruption_deliverable)"},
        {with_expect(R"({"log":[{"event":"store","field":"context.rxa"}]})"),
         "f:2:34: /expect/log/0/field: no field of the shared pages is called \"context.rxa\"; did "
         "you mean \"context.rax\"?"},
        {with_expect(R"({"log":[{"event":"halt","vtl":3,"at":"hree"}]})"),
         "f:2:31: /expect/log/0/vtl: expected an integer from 0 to 2, got 3\n"
         "f:2:38: /expect/log/0/at: unknown label \"hree\"; did you mean \"here\"?"},
        {with_expect(R"({"log":[{"next":{"event":"halt"},"never":{"event":"halt"}}]})"),
         "f:2:34: /expect/log/0/never: nothing can stand beside \"next\""},
        {with_expect(R"({"log":[{"next":{"event":"halt"},"event":"halt"}]})"),
         "f:2:34: /expect/log/0/event: nothing can stand beside \"next\""},
        {with_expect(R"({"log":[{"never":[]}]})"),
         "f:2:18: /expect/log/0/never: expected an object, got an array"},
        {with_expect(R"({"log":[{"event":"vmm-error","text":"x"}]})"),
         "f:2:30: /expect/log/0/text: event vmm-error has no argument \"text\""},
    });
}

TEST_CASE("Variants", "[load]") {
    check({
        {scenario(R"("variants":{})"), "f:2:12: /variants: missing key \"switches\""},
        {scenario(R"("variants":{"switches":{}})"),
         "f:2:24: /variants/switches: no switch is listed"},
        {scenario(R"("variants":{"switches":{"gpr_model":[]}})"),
         "f:2:37: /variants/switches/gpr_model: no value is listed"},
        {scenario(R"("variants":{"switches":{"gpr_model":["shared","shared"]}})"),
         "f:2:47: /variants/switches/gpr_model/1: this value is listed twice"},
        {scenario(R"("variants":{"switches":{"gpr_model":["shared",7],"vmm_fx":["V0"]}})"),
         "f:2:47: /variants/switches/gpr_model/1: expected a string, got a number\n"
         "f:2:50: /variants/switches/vmm_fx: unknown switch \"vmm_fx\"; did you mean \"vmm_fix\"?"},
        {scenario(R"("switches":{"vmm_fix":"V0"},"variants":{"switches":{"vmm_fix":["V1"]}})"),
         "f:2:53: /variants/switches/vmm_fix: this switch has a fixed value in \"switches\""},
        {scenario(
             R"("variants":{"switches":{"vp_runner":["sidecar","kernel_driver"],"vmm_fix":["V0","V1"]}})"),
         "f:2:12: /variants: variant vp_runner=kernel_driver,vmm_fix=V1: vmm_fix V1 is a change of "
         "the sidecar kernel: it does not apply to vp_runner kernel_driver"},
        {scenario(
             R"("variants":{"switches":{"gpr_model":["shared"]},"expect":[{"when":{"gpr_model":"shadow"},"expect":{"end":"stuck"}}]})"),
         "f:2:59: /variants/expect/0: no variant has these switches"},
        {scenario(
             R"("variants":{"switches":{"gpr_model":["shared"]},"expect":[{"expect":{}},{"when":{}}]})"),
         "f:2:59: /variants/expect/0: missing key \"when\"\n"
         "f:2:69: /variants/expect/0/expect: nothing is expected here\n"
         "f:2:73: /variants/expect/1: missing key \"expect\"\n"
         "f:2:81: /variants/expect/1/when: no switch is listed"},
        {R"({"name":"n","why":"w","source":"s","guest":{"code":{"asm":"hlt"}},)"
         "\n"
         R"("variants":{"switches":{"gpr_model":["shared","shadow"]},)"
         R"("expect":[{"when":{"gpr_model":"shared"},"expect":{"end":"guest-halted"}}]}})",
         "f:2:12: /variants: nothing is expected of variant gpr_model=shadow"},
        {scenario(
             R"("variants":{"switches":{"gpr_model":["shared","shadow","shadow_on_second_reentry"],)"
             R"("cr2_model":["shared","shadow"],"dr6_shared":["no","yes"],"fx_cr2_restore":["head","pre3584"],)"
             R"("pending_on_return":["restore_then_bounce","bounce_then_keep"],)"
             R"("regpage_fill":["all16","rsp_only","invalid","unmapped"],"set_rip_path":["ap_command","register_page"],)"
             R"("vmm_fix":["V0","V1","V2","V1V2"]}})"),
         "f:2:12: /variants: 1536 variants are more than 1024"},
        {scenario(R"("schedule":[{"run":"vp0"},{"turn":1,"nth":2,"run":"vp0"}])"),
         "f:2:13: /schedule/0: where? \"instead_of\" and \"step\" are needed, or \"turn\"\n"
         "f:2:37: /schedule/1/nth: \"nth\" counts steps; \"turn\" says it all"},
        {scenario(R"("invariants":["no-vmm-panik","no-vmm-panic","no-vmm-panic"])"),
         "f:2:15: /invariants/0: unknown value \"no-vmm-panik\" for invariant; did you mean "
         "\"no-vmm-panic\"? (no-vmm-panic, no-lost-wakeup, exits-are-messages, "
         "no-handler-while-ap-runs, message-once, context-is-guest, device-once, "
         "command-page-owner, no-endless-bounce)\n"
         "f:2:45: /invariants/2: this invariant is listed twice"},
        {scenario(R"("events":[{"do":"stop","nth":2}])"),
         "f:2:24: /events/0/nth: \"nth\" counts starts of the instruction \"before\""},
        {scenario(R"("show":["vtl0.rax","vtl0.rxa",7])"),
         "f:2:20: /show/1: unknown register \"rxa\"; did you mean \"rax\"?\n"
         "f:2:31: /show/2: expected a string, got a number"},
    });
}

TEST_CASE("Of too many errors a hundred are told, and the file takes no more work", "[load]") {
    std::string text = "\"events\":[";
    for (int i = 0; i < 200; ++i) text += "{},";
    text.back() = ']';
    const std::string errors = errors_of(scenario(text));
    CHECK(errors.find(": /events/99: missing key \"do\"\n") != std::string::npos);
    CHECK(errors.find("/events/100") == std::string::npos);
    CHECK(errors.find("\nand ") != std::string::npos);
}

using Clock = std::chrono::steady_clock;

// Far more than any of these takes with sanitizers on a slow machine, far less than what a
// quadratic loop or 100 MB on the stack would.
void check_quick(const std::string& text, const std::string& first_line) {
    const auto start = Clock::now();
    const std::string errors = errors_of(text);
    CHECK(Clock::now() - start < std::chrono::seconds(60));
    CHECK(errors.substr(0, errors.find('\n')) == first_line);
}

std::string repeated(std::string_view part, std::size_t count) {
    std::string text;
    text.reserve(part.size() * count);
    for (std::size_t i = 0; i < count; ++i) text += part;
    return text;
}

TEST_CASE("Huge files are refused in bounded time and memory", "[load]") {
    check_quick(std::string(100'000'000, '['),
                "f:1:1: the file is larger than the limit of 16777216 bytes");
    check_quick(std::string(16'000'000, '['),
                "f:1:65: arrays and objects are nested deeper than the limit of 64");
    check_quick(scenario("\"show\":[" + repeated("1,", 1'000'000) + "1]"),
                "f:2:1999971: more values than the limit of 1000000");
    check_quick(with_expect(R"({"state":{"message.nothing":0)" +
                            [] {
                                std::string more;
                                for (int i = 0; i < 200'000; ++i)
                                    more += fmt::format(",\"message.n{}\":0", i);
                                return more;
                            }() +
                            "}}"),
                "f:2:11: /expect/state/message.nothing: no message has a field \"nothing\"");
    check_quick(with_guest(R"({"code":{"asm":")" + repeated("l: nop\\n", 100'000) + "\"}}"),
                "f:2:25: /guest/code/asm: 'l' is already defined in line 1");
    // Many images of the largest size, all in one place.
    check_quick(with_guest(R"({"code":{"asm":"hlt"},"memory":[)" +
                           repeated(R"({"at":4096,"asm":"resb 1048576"},)", 20'000) +
                           R"({"at":4096,"asm":"hlt"}]})"),
                "f:2:39: /guest/memory/0/at: 0x1000 to 0x1000 is given twice, first at 2:16");
    // A guest with very many labels, and events at labels that do not exist.
    std::string labels, events;
    for (int i = 0; i < 50'000; ++i) labels += fmt::format("label{}:\\n", i);
    for (int i = 0; i < 1000; ++i)
        events += fmt::format(R"({{"do":"stop","before":"labe{}"}},)", i);
    events.back() = ']';
    check_quick(
        R"({"name":"n","why":"w","source":"s","expect":{"end":"stuck"},"guest":{"code":{"asm":")" +
            labels + "hlt\"}},\"events\":[" + events + "}",
        "f:1:639014: /events/0/before: unknown label \"labe0\"; did you mean \"label0\"?");
}

TEST_CASE("All errors of a file come in one go, in the order of their places", "[load]") {
    check({
        {R"({
  "name": "bad name",
  "why": 7,
  "switches": { "gpr_model": "shadw" },
  "guest": {
    "code": { "asm": [ "mov rax, rbq", "hlt" ] },
    "registers": { "rxa": 1, "rbx": "0xzz" }
  },
  "events": [ { "do": "interrupt", "before": "nowhere" } ],
  "expect": { "end": "halted", "log": [ { "event": "hlat" } ] },
  "oops": 1
})",
         "f:1:1: missing key \"source\"\n"
         "f:2:11: /name: a name is made of letters, digits, '-', '_' and '.'\n"
         "f:3:10: /why: expected a string, got a number\n"
         "f:4:30: /switches/gpr_model: unknown value \"shadw\" for switch gpr_model; did you mean "
         "\"shadow\"? (shared, shadow, shadow_on_second_reentry)\n"
         "f:6:34: /guest/code/asm: undefined symbol 'rbq'; did you mean 'rbp'?\n"
         "f:7:20: /guest/registers/rxa: unknown register \"rxa\"; did you mean \"rax\"?\n"
         "f:7:40: /guest/registers/rbx: \"z\" at offset 2 is not a hexadecimal digit\n"
         "f:9:46: /events/0/before: unknown label \"nowhere\"\n"
         "f:10:22: /expect/end: unknown value \"halted\" for an end (guest-halted, "
         "guest-triple-fault, vmm-panic, vmm-error, vtl2-crash, stuck, stopped, step-limit, "
         "memory-limit, not-modelled, removed)\n"
         "f:10:52: /expect/log/0/event: unknown value \"hlat\" for an event; did you mean "
         "\"halt\"? (insn, fault, interrupt-pending, interrupt-accepted, exit-io, exit-cpuid, "
         "exit-msr, exit-hypercall, exit-memory, halt, message, regpage, regpage-flush, vtl-enter, "
         "vtl-return, bounce, shadow, hypercall, msr, store, vmm-write, vmm-run, vmm-exit, "
         "vmm-no-intercept, vmm-assert, vmm-hypercall, vmm-msr, vmm-error, device-read, "
         "device-write, end, not-modelled, driver-state, driver-busy, driver-write, "
         "driver-warning, driver-sleep, poll-finished, ipi-sent, ipi-landed, drain, vmm-removed, "
         "kvm-run, kvm-exit, kvm-complete, kvm-skip, kvm-inject, kvm-device, kvm-reset, userspace, "
         "mmio-read, mmio-write, vmm-notice, "
         "intercept-lost, mmio, message-queued, hypercall-input, hypercall-retry, driver-signal)\n"
         "f:11:3: /oops: unknown key \"oops\" ($schema, name, why, source, switches, guest, vtl2, "
         "devices, cpuid, msrs, hypercalls, events, limits, expect, variants, show, vps, hotplug, "
         "attention_delay, fine_steps, guest_steps, invariants, schedule, tags, xfail, "
         "golden, matrix, include)"},
    });
}

}  // namespace
}  // namespace vtlsim::runner
