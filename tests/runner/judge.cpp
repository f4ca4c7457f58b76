// Every kind of expectation, once as it holds and once as it fails, and the statuses of runs.
// Run: build/<preset>/vtlsim_tests "[judge]"
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/catch.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

// The guest of these tests: writes 7 to port 80h, reads 5Ah from it, stores, halts.
std::string world(const std::string& more) {
    return R"({"name":"n","why":"w","source":"s","guest":{"code":{"asm":[
      "        mov     al, 7",
      "write:  out     0x80, al",
      "read:   in      al, 0x80",
      "        mov     [0x2000], al",
      "done:   hlt"]},
      "registers":{"xmm3":"0x000102030405060708090a0b0c0d0e0f"}},
      "devices":[{"port":"0x80","reads":["0x5a"]}],
      )" + more +
           "}";
}
std::string expecting(const std::string& expect) { return world("\"expect\":{" + expect + "}"); }

// "expectation | expected | got", a line for each failure.
std::string failures(const Result& result) {
    std::string out;
    for (const Failure& f : result.failures) {
        out += fmt::format("{} | {} | {}\n", f.expectation, f.expected, f.got);
    }
    return out;
}
std::string failures_of(const std::string& expect) {
    const Result result = result_of(expecting(expect));
    CHECK((result.status == Status::pass) == result.failures.empty());
    return failures(result);
}

TEST_CASE("How the run ends", "[judge]") {
    CHECK(failures_of(R"("end":"guest-halted")").empty());
    CHECK(failures_of(R"("end":"stopped")") == "end | stopped | guest-halted\n");
}

TEST_CASE("Values after the run", "[judge]") {
    CHECK(failures_of(R"("state":{"vtl0.rax":"0x5a","port.0x80.reads":1,"port.128.writes":1,
        "port.0x80.last_written":7,"vmm.exits":2,"message.port":"0x80",
        "vtl0.xmm3":"0x000102030405060708090a0b0c0d0e0f",
        "context.xmm3":"0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f"})")
              .empty());
    CHECK(failures_of(R"("state":{"vtl0.rax":"0xffff_ffff_ffff_ffff","port.0x80.reads":2,
        "vtl0.xmm3":"0x000102030405060708090a0b0c0d0e0e","vtl0.xmm4":"0x1","message.msr":1})") ==
          "vtl0.rax | 0xffffffffffffffff | 0x5a\n"
          "port.0x80.reads | 0x2 | 0x1\n"
          "vtl0.xmm3 | 0x000102030405060708090a0b0c0d0e0e | 0x000102030405060708090a0b0c0d0e0f\n"
          "vtl0.xmm4 | 0x1 | 0x0\n"
          "message.msr | 0x1 | no such field in this message\n");
}

TEST_CASE("Memory after the run", "[judge]") {
    CHECK(failures_of(R"("memory":[{"at":"0x2000","bytes":"5a 00"},{"at":"done","bytes":"f4"}])")
              .empty());
    CHECK(failures_of(R"("memory":[{"at":"0x1fff","bytes":"5a 00"},{"at":"done","bytes":"90"}])") ==
          "memory at 0x1fff | 5a 00 | 00 5a\n"
          "memory at 0x100d | 90 | f4\n");
}

TEST_CASE("Events in order", "[judge]") {
    CHECK(failures_of(R"("log":[{"event":"device-write"},{"event":"exit-io"},
        {"event":"device-read","port":"0x80","value":"0x5a","claimed":true},
        {"event":"insn","vtl":0,"at":"done"},{"event":"end","reason":"guest-halted"}])")
              .empty());
    // Each match is behind the one before.
    CHECK(failures_of(R"("log":[{"event":"device-read"},{"event":"device-write"}])") ==
          "event: device-write | after device-read port=0x80 size=1 value=0x5a claimed | no such "
          "event\n");
    CHECK(failures_of(R"("log":[{"event":"device-read","value":"0x5b"}])") ==
          "event: device-read value=0x5b | in the log | no such event\n");
    CHECK(failures_of(R"("log":[{"event":"device-read","vtl":0}])") ==
          "event: device-read vtl=0 | in the log | no such event\n");
    CHECK(failures_of(R"("log":[{"event":"exit-io","at":"write","access":"in","rep":false}])") ==
          "event: exit-io at=write access=in rep=no | in the log | no such event\n");
    // What follows an event that is not there is not looked for.
    CHECK(failures_of(R"("log":[{"event":"vmm-assert"},{"event":"bounce"}])") ==
          "event: vmm-assert | in the log | no such event\n");
}

TEST_CASE("Arguments by name", "[judge]") {
    CHECK(failures_of(R"("log":[{"event":"message","type":"io_port_intercept"},
        {"event":"message","type":"0x80010000"},{"event":"store","field":"message.type"}])") !=
          "");  // there are two messages, and stores behind both
    CHECK(failures_of(R"("log":[{"event":"message","type":"io_port_intercept"},
        {"event":"store","field":"message.type"}, {"event":"vmm-run","command":"run-vp"}])")
              .empty());
    CHECK(failures_of(R"("log":[{"event":"message","type":"msr_intercept"}])") ==
          "event: message type=msr_intercept | in the log | no such event\n");
    CHECK(failures_of(R"("log":[{"event":"store","field":"hcl_run.cancel"}])") ==
          "event: store field=hcl_run.cancel | in the log | no such event\n");
    CHECK(failures_of(R"("log":[{"event":"shadow","reg":"rcx","was":1,"is":"0x12"}])") ==
          "event: shadow reg=rcx was=0x1 is=0x12 | in the log | no such event\n");
}

TEST_CASE("The next event", "[judge]") {
    CHECK(failures_of(R"("log":[{"event":"exit-io"},{"next":{"event":"message"}}])").empty());
    // Starts of instructions are passed over, unless asked for.
    CHECK(failures_of(R"("log":[{"event":"insn","at":"read"},
        {"next":{"event":"exit-io","access":"in"}}])")
              .empty());
    CHECK(failures_of(R"("log":[{"event":"insn","at":"done"},{"next":{"event":"halt"}},
        {"next":{"event":"end"}}])")
              .empty());
    CHECK(failures_of(R"("log":[{"event":"exit-io"},{"next":{"event":"vtl-enter"}}])") ==
          "next event: vtl-enter | vtl-enter | message type=io_port_intercept serial=1 rax=0x7\n");
    CHECK(failures_of(R"("log":[{"event":"exit-io"},{"next":{"event":"insn"}}])") ==
          "next event: insn | insn | message type=io_port_intercept serial=1 rax=0x7\n");
    CHECK(failures_of(R"("log":[{"event":"end"},{"next":{"event":"end"}}])") ==
          "next event: end | end | the end of the log\n");
}

TEST_CASE("Events that must not be there", "[judge]") {
    CHECK(failures_of(R"("log":[{"never":{"event":"vmm-assert"}}])").empty());
    // Only between the matches around it.
    CHECK(failures_of(R"("log":[{"event":"device-write"},{"never":{"event":"device-write"}},
        {"never":{"event":"bounce"}},{"event":"device-read"}])")
              .empty());
    CHECK(failures_of(R"("log":[{"never":{"event":"device-read"}},{"event":"device-write"},
        {"event":"device-read"},{"never":{"event":"device-read"}}])")
              .empty());
    CHECK(failures_of(R"("log":[{"never":{"event":"device-read"}}])") ==
          "never: device-read | no such event | device-read port=0x80 size=1 value=0x5a claimed\n");
    CHECK(failures_of(R"("log":[{"event":"device-write"},
        {"never":{"event":"exit-io","access":"in"}},{"event":"device-read"}])") ==
          "never: exit-io access=in | no such event | exit-io port=0x80 size=1 access=in "
          "data=0x0\n");
    CHECK(failures_of(R"("log":[{"event":"insn","at":"read"},{"never":{"event":"insn","at":"read"}},
        {"next":{"event":"exit-io"}}])")
              .empty());
}

TEST_CASE("Places in the VTL2 kernel", "[judge]") {
    CHECK(failures_of(R"("log":[{"event":"insn","at":"vtl2:park"},
        {"event":"insn","at":"vtl2:run_vp_intercept"}])")
              .empty());
    // A label of another switch's kernel can never be reached.
    const std::string driver = R"("switches":{"vp_runner":"kernel_driver"},)";
    CHECK(
        errors_of(world(driver +
                        R"("expect":{"log":[{"event":"insn","at":"vtl2:run_vp_intercept"}]})")) ==
        "f:9:86: /expect/log/0/at: the VTL2 kernel has label \"run_vp_intercept\" only with other "
        "switches than these");
    const std::string stop = R"("events":[{"do":"stop","before":"vtl2:run_vp_intercept"}],)";
    CHECK(
        errors_of(world(stop + driver + R"("expect":{"end":"guest-halted"})")) ==
        "f:9:39: /events/0/before: the VTL2 kernel has label \"run_vp_intercept\" only with other "
        "switches than these");
}

TEST_CASE("Pinned events have to happen", "[judge]") {
    const auto pinned = [](const std::string& more) {
        return failures(result_of(world(
            R"("expect":{"state":{"port.0x80.writes":1}},"events":[{"do":"interrupt","vector":48,)"
            R"("transient":true,)" +
            more + "}]")));
    };
    CHECK(pinned(R"("before":"read")").empty());
    CHECK(pinned(R"("before":"read","nth":2)") ==
          "pinned event 0: interrupt before read | it happens before start 2 of the instruction | "
          "the instruction started 1 time\n");
    CHECK(pinned(R"("before":"0x5000")") ==
          "pinned event 0: interrupt before 0x5000 | it happens before start 1 of the instruction "
          "| the instruction started 0 times\n");
    CHECK(pinned(R"("before":"read","nth":2,"may_not_happen":true)").empty());
}

TEST_CASE("Expectations of variants come on top, each list of events from the start of the log",
          "[judge]") {
    const Scenario scenario = loaded(world(R"(
        "expect":{"end":"guest-halted","log":[{"event":"device-read"}]},
        "variants":{"switches":{"vmm_fix":["V0","V2"]},"expect":[
          {"when":{"vmm_fix":"V2"},"expect":{"log":[{"event":"device-write"}]}},
          {"when":{"vmm_fix":["V0","V2"]},"expect":{"end":"stopped"}},
          {"when":{"vmm_fix":"V0"},"expect":{"end":"guest-halted","state":{"vmm.exits":9}}}]})"));
    CHECK(failures(run_variant(scenario, scenario.variants.at(0))) == "vmm.exits | 0x9 | 0x2\n");
    CHECK(failures(run_variant(scenario, scenario.variants.at(1))) ==
          "end | stopped | guest-halted\n");
}

TEST_CASE("All failures are told, with the step they are about", "[judge]") {
    const Result result = result_of(
        expecting(R"("end":"stuck","state":{"vtl0.rax":1},"memory":[{"at":0,"bytes":"01"}],
            "log":[{"never":{"event":"device-write"}},{"event":"device-read","value":9}])"));
    CHECK(failures(result) ==
          "end | stuck | guest-halted\n"
          "vtl0.rax | 0x1 | 0x5a\n"
          "memory at 0x0 | 01 | 00\n"
          "event: device-read value=0x9 | in the log | no such event\n");
    CHECK(result.failures[0].step == result.steps);
    const Result never = result_of(expecting(R"("log":[{"never":{"event":"end"}}])"));
    CHECK(never.failures.at(0).step == never.steps);
    CHECK(never.end == "guest-halted");
    CHECK(never.hash.size() == 16);
}

TEST_CASE("A run that is cut off is neither passed nor failed, unless that is expected",
          "[judge]") {
    const auto endless = [](const std::string& more) {
        return R"({"name":"n","why":"w","source":"s","guest":{"code":{"asm":"a: jmp a"}},)" + more +
               "}";
    };
    const Result cut =
        result_of(endless(R"("limits":{"steps":500},"expect":{"state":{"vtl0.rax":1}})"));
    CHECK(cut.status == Status::limit);
    CHECK(failures(cut) == "the run ends | within 500 steps | step-limit\n");
    CHECK(cut.steps == 500);
    const Result wanted =
        result_of(endless(R"("limits":{"steps":500},"expect":{"end":"step-limit"})"));
    CHECK(wanted.status == Status::pass);
    const Result wrong = result_of(
        endless(R"("limits":{"steps":500},"expect":{"end":"step-limit","state":{"vtl0.rax":1}})"));
    CHECK(wrong.status == Status::fail);
    CHECK(failures(wrong) == "vtl0.rax | 0x1 | 0x0\n");
    const Result memory =
        result_of(endless(R"("limits":{"memory":4096},"expect":{"end":"guest-halted"})"));
    CHECK(memory.status == Status::limit);
    CHECK(failures(memory) == "the run ends | within 4096 bytes of memory | memory-limit\n");
}

TEST_CASE("No scenario passes on what is not modelled", "[judge]") {
    for (const std::string expect :
         {R"({"end":"not-modelled"})", R"({"log":[{"event":"not-modelled"}]})",
          R"({"state":{"vtl0.rax":0}})"}) {
        const Result result = result_of(
            R"({"name":"n","why":"w","source":"s","guest":{"code":{"asm":"getsec"}},"expect":)" +
            expect + "}");
        CHECK(result.status == Status::error);
        REQUIRE(result.failures.size() == 1);
        CHECK(result.failures[0].expectation == "everything is modelled");
        CHECK(result.failures[0].expected == "no gap");
        CHECK(result.failures[0].got.find("getsec") != std::string::npos);
    }
}

}  // namespace
}  // namespace vtlsim::runner
