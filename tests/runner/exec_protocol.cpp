// What `vtlsim exec` answers. Run: build/<preset>/vtlsim_tests "[exec]"
#include "runner/exec_protocol.hpp"

#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runner/exec_request.hpp"
#include "tests/catch.hpp"

namespace vtlsim::runner {
namespace {

using Json = nlohmann::json;

Json ask(const std::string& line) {
    static ExecSession session;
    std::string out;
    session.answer(line, out);
    REQUIRE(out.back() == '\n');
    REQUIRE(out.find('\n') == out.size() - 1);
    return Json::parse(out);
}

// 64-bit code at 1000h.
Json ask64(std::string_view code, std::string_view regs = "", std::string_view rest = "") {
    return ask(fmt::format(
        R"({{"id":1,"mode":"long64","regs":{{"rip":"0x1000"{}}},"mem":[{{"addr":"0x1000","bytes":"{}"}}]{}}})",
        regs, code, rest));
}

std::string error_of(const std::string& line) { return ask(line).value("error", ""); }

}  // namespace

TEST_CASE("exec: a step, its flags, and registers at their width", "[exec]") {
    const Json a = ask64("4801d8", R"(,"rax":"0xffffffffffffffff","rbx":"0x1","rflags":"0x2")");
    CHECK(a["id"] == 1);
    CHECK(a["steps"] == 1);
    CHECK(a["outcome"] == Json{{"kind", "steps"}});
    CHECK(a["regs"]["rax"] == "0x0000000000000000");
    CHECK(a["regs"]["rip"] == "0x0000000000001003");
    CHECK(a["regs"]["rflags"] == "0x0000000000000057");
    CHECK(a["regs"]["cr0"] == "0x0000000080010033");
    CHECK(a["regs"]["fcw"] == "0x037f");
    CHECK(a["regs"]["ftw"] == "0xffff");
    CHECK(a["regs"]["xmm15"] == "0x00000000000000000000000000000000");
    CHECK(a["regs"]["idtr"] == Json{{"base", "0x0000000000000000"}, {"limit", "0xffff"}});
    CHECK(a["mem"].empty());
}

TEST_CASE("exec: requests do not see each other", "[exec]") {
    ask64("c6060148b8ffffffffffffffff", R"(,"rsi":"0x1000")", R"(,"max_steps":2)");
    const Json a = ask64("90");
    CHECK(a["regs"]["rax"] == "0x0000000000000000");
    CHECK(a["steps"] == 1);
    CHECK(a["mem"].empty());
}

TEST_CASE("exec: memory lists the bytes that differ, and no others", "[exec]") {
    // mov dword [rsi], 0x00ff0001 over 01 00 00 00; one byte differs. Then two apart.
    const Json a = ask64("c7060100ff00", R"(,"rsi":"0x1ffe")", "");
    CHECK(a["mem"] ==
          Json::parse(R"([{"addr":"0x1ffe","bytes":"01"},{"addr":"0x2000","bytes":"ff"}])"));
}

TEST_CASE("exec: later memory wins, and addresses are checked", "[exec]") {
    const Json a = ask(
        R"({"mode":"long64","regs":{"rip":"0x1000"},"mem":[{"addr":"0x1000","bytes":"0f0b"},{"addr":4096,"bytes":"f4"}]})");
    CHECK(a["outcome"]["kind"] == "hlt");
    CHECK(a["id"].is_null());
    CHECK(error_of(R"({"mode":"long64","mem":[{"addr":"0xfffffffffffff","bytes":"0102"}]})") ==
          "column 25: /mem/0: reaches beyond the 52 bits of physical addresses");
}

TEST_CASE("exec: page walks set A and D bits, which the answer shows", "[exec]") {
    // One 2 MiB page at 0: mov [rsi], al; PML4 at 10000h, PDPT at 11000h, PD at 12000h.
    const Json a = ask(
        R"({"mode":"long64","regs":{"rip":"0x1000","rsi":"0x3000","rax":"0x5","cr3":"0x10000"},)"
        R"("mem":[{"addr":"0x1000","bytes":"8806"},{"addr":"0x10000","bytes":"03100100"},)"
        R"({"addr":"0x11000","bytes":"03200100"},{"addr":"0x12000","bytes":"83"}]})");
    CHECK(a["outcome"]["kind"] == "steps");
    CHECK(a["mem"] ==
          Json::parse(R"([{"addr":"0x3000","bytes":"05"},{"addr":"0x10000","bytes":"23"},)"
                      R"({"addr":"0x11000","bytes":"23"},{"addr":"0x12000","bytes":"e3"}])"));
    const Json fault = ask(
        R"({"mode":"long64","regs":{"rip":"0x1000","cr3":"0x10000"},"mem":[{"addr":"0x1000","bytes":"90"}]})");
    CHECK(
        fault["outcome"] ==
        Json{{"kind", "fault"}, {"vector", 14}, {"error_code", 16}, {"cr2", "0x0000000000001000"}});
    CHECK(fault["steps"] == 0);
}

TEST_CASE("exec: how a run ends", "[exec]") {
    CHECK(ask64("90f4", "", R"(,"max_steps":9)")["steps"] == 2);
    CHECK(ask64("ebfe", "", R"(,"max_steps":9)")["outcome"]["kind"] == "steps");
    CHECK(ask64("ebfe", "", R"(,"max_steps":9,"until":"exit")")["outcome"]["kind"] == "limit");
    CHECK(ask64("ebfe", "", R"(,"max_steps":0)")["steps"] == 0);
    CHECK(ask64("0f0b")["outcome"] == Json{{"kind", "fault"}, {"vector", 6}});
    CHECK(ask64("0f01c1")["outcome"] == Json{{"kind", "hypercall"}, {"instruction", "vmcall"}});
    // No IDT worth the name, so the fault becomes a double and a triple one.
    CHECK(ask64("0f0b", "", R"(,"deliver":true)")["outcome"]["kind"] == "shutdown");
    // An interrupt of software that is not delivered leaves RIP behind it.
    const Json trap = ask64("cc");
    CHECK(trap["outcome"] == Json{{"kind", "fault"}, {"vector", 3}});
    CHECK(trap["regs"]["rip"] == "0x0000000000001001");
    CHECK(trap["steps"] == 0);
}

TEST_CASE("exec: every request ends", "[exec]") {
    // rep stosb with RCX = 2^40: the limits of iterations or of pages.
    const Json a = ask64("f3aa", R"(,"rcx":"0x10000000000","rdi":"0x4000")", R"(,"max_steps":5)");
    CHECK(a["outcome"]["kind"] == "limit");
    CHECK(a["steps"] == 0);
}

TEST_CASE("exec: ports end the run, unless it runs until HLT", "[exec]") {
    const Json out = ask64("ee", R"(,"rax":"0x41","rdx":"0x80")", R"(,"until":"exit")");
    CHECK(out["outcome"] == Json{{"kind", "io"},
                                 {"dir", "out"},
                                 {"port", 128},
                                 {"size", 1},
                                 {"count", 1},
                                 {"data", 65}});
    CHECK(out["steps"] == 0);
    CHECK(out["regs"]["rip"] == "0x0000000000001000");
    const Json in = ask64("ed66edeceef4", R"(,"rdx":"0x80")", R"(,"until":"hlt","max_steps":9)");
    CHECK(in["outcome"]["kind"] == "hlt");
    CHECK(in["regs"]["rax"] == "0x00000000ffffffff");
    CHECK(in["steps"] == 5);
}

TEST_CASE("exec: x87 registers count from the top, whatever the order of the keys", "[exec]") {
    const Json a =
        ask64("90", R"(,"st0":"0x3fff8000000000000000","st1":"0x1","fsw":"0x3800","ftw":"0x3ffc")");
    CHECK(a["regs"]["st0"] == "0x3fff8000000000000000");
    CHECK(a["regs"]["st1"] == "0x00000000000000000001");
    // R7 holds ST0, a valid number; R0 ST1, a denormal.
    CHECK(a["regs"]["ftw"] == "0x3ffe");
}

TEST_CASE("exec: segments are flat for the mode", "[exec]") {
    const auto state = [](const char* line) {
        const ExecReading r = read_exec_request(line);
        REQUIRE(r.request);
        return r.request->state;
    };
    using sim::Reg;
    const auto real = state(R"({"mode":"real16","regs":{"cs":"0x100","gs_base":"0x7"}})");
    CHECK(real[Reg::cs_base] == 0x1000);
    CHECK(real[Reg::gs_base] == 7);
    CHECK(real[Reg::ds_limit] == 0xFFFF);
    CHECK(real[Reg::cr0] == 0x60000010);
    const auto prot = state(R"({"mode":"prot32","cpl":3})");
    CHECK(prot[Reg::cr0] == 0x60000011);
    CHECK(sim::cpl(prot) == 3);
    CHECK(prot[Reg::cs_attr] == 0xC0FB);
    CHECK(state(R"({"mode":"prot16"})")[Reg::ss_attr] == 0x8093);
    CHECK(state(R"({"mode":"compat32"})")[Reg::cs_attr] == 0xC09B);
    CHECK(state(R"({"mode":"compat32"})")[Reg::efer] == 0xD00);
    CHECK(state(R"({"mode":"long64"})")[Reg::identity_map] == 1);
    CHECK(state(R"({"mode":"long64","regs":{"cr3":"0x0"}})")[Reg::identity_map] == 0);
}

TEST_CASE("exec: what cannot be served says why, with the id where there is one", "[exec]") {
    CHECK(error_of("") == "column 1: the file is empty");
    const Json mode = ask("{\"id\":[1,{\"a\":\"\\u00e9\"}],\"mode\":\"long65\"}");
    CHECK(mode["id"] == Json::parse("[1,{\"a\":\"\\u00e9\"}]"));
    CHECK(mode["error"].get<std::string>().find("did you mean \"long64\"?") != std::string::npos);
    CHECK(error_of("{\"mode\":\"long64\",\"regs\":{\"rxa\":1}}") ==
          "column 26: /regs/rxa: unknown register \"rxa\"; did you mean \"rax\"?");
    CHECK(error_of("{\"mode\":\"long64\",\"regs\":{\"ymm3\":\"0x0\"}}") ==
          "column 26: /regs/ymm3: AVX is not modelled: there are no YMM registers");
    CHECK(error_of("{\"mode\":\"real16\",\"cpl\":3}").find("expected an integer from 0 to 0") !=
          std::string::npos);
    CHECK(error_of("{\"mode\":\"real16\",\"regs\":{\"cr0\":\"0x11\"}}") ==
          "column 1: mode real16 with CR0.PE = 1");
    CHECK(error_of("{\"mode\":\"long64\",\"regs\":{\"mxcsr\":\"0x10000\"}}") ==
          "column 1: reserved bits of MXCSR are set");
    for (const std::string& bad :
         {std::string("{"), std::string("[]"), std::string("7"), std::string("\xFF\xFE"),
          std::string(1, '\0'), std::string(100000, '['), std::string("{\"id\":1e999}"),
          std::string("{\"mode\":\"long64\",\"max_steps\":-1}"),
          std::string("{\"mode\":\"long64\",\"max_step\":1}"),
          std::string("{\"mode\":\"long64\",\"regs\":{\"cs\":\"0x10000\"}}"),
          std::string("{\"mode\":\"long64\",\"mem\":[{\"addr\":\"0x0\",\"bytes\":\"9\"}]}")}) {
        CHECK(ask(bad).contains("error"));
    }
}

TEST_CASE("exec: the stream answers every line, too long ones and a last one without end",
          "[exec]") {
    std::FILE* in = std::tmpfile();
    std::FILE* out = std::tmpfile();
    REQUIRE((in != nullptr && out != nullptr));
    const std::string line = R"({"id":5,"mode":"long64","mem":[{"addr":"0xfff0","bytes":"f4"}]})";
    const std::string text = line + "\n\n" + std::string(kExecMaxLine + 1, ' ') + "\n" + line;
    REQUIRE(std::fwrite(text.data(), 1, text.size(), in) == text.size());
    REQUIRE(std::fflush(in) == 0);
    REQUIRE(lseek(fileno(in), 0, SEEK_SET) == 0);
    REQUIRE(serve_exec(fileno(in), out));
    std::rewind(out);
    std::string got;
    std::array<char, 4096> buffer;
    while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), out)) {
        got.append(buffer.data(), n);
    }
    std::fclose(in);
    std::fclose(out);
    std::vector<Json> answers;
    for (std::size_t at = 0; at < got.size();) {
        const std::size_t end = got.find('\n', at);
        answers.push_back(Json::parse(got.substr(at, end - at)));
        at = end + 1;
    }
    REQUIRE(answers.size() == 4);
    CHECK(answers[0]["outcome"]["kind"] == "hlt");
    CHECK(answers[1]["error"] == "column 1: the file is empty");
    CHECK(answers[2]["error"] == "the line is longer than 16777216 bytes");
    CHECK(answers[3] == answers[0]);
}

}  // namespace vtlsim::runner
