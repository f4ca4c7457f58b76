// The executor against the processor that runs the tests. Run: build/<preset>/vtlsim_tests
// "[conform]"
#include "runner/conform/conform.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runner/conform/approximate.hpp"
#include "runner/conform/generate.hpp"
#include "runner/conform/native.hpp"
#include "runner/conform/simulate.hpp"
#include "runner/exec_protocol.hpp"
#include "sim/state/bits.hpp"
#include "tests/catch.hpp"

namespace vtlsim::runner {
namespace {

using conform::Answer;
using conform::Case;
using conform::Mode;
using Json = nlohmann::json;

Case usual_case() {
    Case c;
    c.in.gpr[4] = conform::kScratchPage + 0x800;
    conform::put(c.in.fx, conform::kFcw, u16{0x37F});
    conform::put(c.in.fx, conform::kMxcsr, u32{0x1F80});
    return c;
}

Case with_code(const Case& base, std::initializer_list<u8> code) {
    Case c = base;
    std::copy(code.begin(), code.end(), c.code.begin());
    c.length = static_cast<u8>(code.size());
    return c;
}

u64 number(const Json& value) { return std::stoull(value.get<std::string>(), nullptr, 16); }

}  // namespace

TEST_CASE("conform: cases of every form, none differs in defined state", "[conform]") {
    ConformOptions options;
    options.count = 50000;
    options.seed = 2026;
#ifdef VTLSIM_ADDRESS_SANITIZER
    VTLSIM_SKIP("the sanitizer's shadow memory lies where the cases expect nothing");
#endif
    const ConformResult result = conform_host(options, nullptr);
    if (result.skipped) VTLSIM_SKIP(result.report);
    INFO(result.report);
    CHECK(result.cases == options.count);
    CHECK(result.mismatches == 0);
    CHECK(result.gaps == 0);
}

TEST_CASE("conform: the same seed makes the same report", "[conform]") {
    ConformOptions options;
    options.count = 2000;
    options.only = {"add", "shl", "imul", "daa"};
    const ConformResult first = conform_host(options, nullptr);
    if (first.skipped) VTLSIM_SKIP(first.report);
    CHECK(conform_host(options, nullptr).report == first.report);
}

// With mismatches to report, too: every tenth answer of the simulator is wrong.
TEST_CASE("conform: the same report with one job and with several", "[conform]") {
    ConformOptions options;
    options.count = 30000;
    options.seed = 7;
    const bool distorted = GENERATE(false, true);
    if (distorted) {
        options.distort = [](const Case& c, Answer& answer) {
            if (c.in.gpr[0] % 10 == 0) answer.out.gpr[0] ^= 1;
        };
    }
#ifdef VTLSIM_ADDRESS_SANITIZER
    VTLSIM_SKIP("the sanitizer's shadow memory lies where the cases expect nothing");
#endif
    const ConformResult one = conform_host(options, nullptr);
    if (one.skipped) VTLSIM_SKIP(one.report);
    CHECK((one.mismatches != 0) == distorted);
    for (const u32 jobs : std::array<u32, 2>{2, 3}) {
        options.jobs = jobs;
        const ConformResult several = conform_host(options, nullptr);
        CHECK(several.report == one.report);
        CHECK(several.cases == one.cases);
        CHECK(several.mismatches == one.mismatches);
        CHECK(several.undefined == one.undefined);
        CHECK(several.gaps == one.gaps);
    }
}

TEST_CASE("conform: a wrong answer is found and shrunk to a line for exec", "[conform]") {
    ConformOptions options;
    options.count = 4000;
    options.only = {"add", "sub"};
    options.shrink = true;
    // ADD forgets the carry where the result is zero.
    options.distort = [](const Case&, Answer& answer) {
        const bool zero = (answer.out.rflags & sim::flag::zf) != 0;
        if (zero && answer.out.vector == conform::kNoVector)
            answer.out.rflags &= ~u64{sim::flag::cf};
    };
    const ConformResult result = conform_host(options, nullptr);
    if (result.skipped) VTLSIM_SKIP(result.report);
    INFO(result.report);
    CHECK(result.mismatches > 0);
    CHECK(result.mismatches < result.cases);
    REQUIRE(!result.shrunk.empty());
    std::string answer;
    ExecSession().answer(result.shrunk[0], answer);
    const Json json = Json::parse(answer);
    REQUIRE(json.contains("regs"));
    CHECK(json["steps"] == 1);
    // The truth is the processor's: zero with a carry.
    constexpr u64 kBoth = sim::flag::zf | sim::flag::cf;
    CHECK((number(json["regs"]["rflags"]) & kBoth) == kBoth);
    CHECK(result.report.find("rflags: host") != std::string::npos);
    CHECK(result.shrunk[0].size() < 3000);
}

TEST_CASE("conform: a case's line for exec gives the simulator's answer to the case", "[conform]") {
    const conform::Forms forms = conform::enumerate_forms({}, true);
    conform::Simulated simulated;
    ExecSession session;
    unsigned tried = 0;
    for (std::size_t i = 0; i < forms.run.size(); i += 29) {
        Case c;
        Answer expected;
        if (!conform::generate(forms.run[i], 5, i, c)) continue;
        simulated.run(c, expected);
        if (expected.not_modelled) continue;
        std::string line;
        session.answer(conform::exec_line(c, true), line);
        INFO(conform::exec_line(c, false));
        const Json json = Json::parse(line);
        REQUIRE(json.contains("regs"));
        ++tried;
        const bool fault = json["outcome"]["kind"] == "fault";
        CHECK(fault == (expected.out.vector != conform::kNoVector));
        if (fault) {
            CHECK(json["outcome"]["vector"] == expected.out.vector);
            CHECK(json["outcome"].value("error_code", 0u) == expected.out.error_code);
        }
        CHECK(number(json["regs"]["rip"]) == expected.out.rip);
        CHECK(number(json["regs"]["rflags"]) == expected.out.rflags);
        CHECK(number(json["regs"]["rax"]) == expected.out.gpr[0]);
        CHECK(number(json["regs"]["rsp"]) == expected.out.gpr[4]);
        CHECK(number(json["regs"]["cs"]) == expected.out.selectors[conform::kCsIndex]);
        CHECK(number(json["regs"]["fsw"]) == conform::get<u16>(expected.out.fx, conform::kFsw));
    }
    CHECK(tried > 300);
}

TEST_CASE("conform: the host's answers are the host's", "[conform]") {
    std::string reason;
    const auto native = conform::Native::start(reason);
    if (native == nullptr) VTLSIM_SKIP(reason);
    Case add = with_code(usual_case(), {0x48, 0x01, 0xD8});
    add.in.gpr[0] = ~u64{0};
    add.in.gpr[3] = 1;
    native->cases()[0] = add;
    native->cases()[1] = with_code(usual_case(), {0x0F, 0x0B});
    native->cases()[2] = with_code(usual_case(), {0x88, 0x06});  // mov [rsi], al
    native->cases()[2].in.gpr[6] = conform::kScratchPage - 1;
    native->cases()[3] = with_code(usual_case(), {0xEB, 0x70});  // jmp, to an INT3
    native->cases()[3].transfer = true;
    native->submit(0, 4);
    bool lost = false;
    REQUIRE(native->wait(lost) == 4);
    const auto answers = native->answers();
    CHECK(answers[0].out.vector == conform::kNoVector);
    CHECK(answers[0].out.gpr[0] == 0);
    CHECK((answers[0].out.rflags & sim::flag::kStatus) ==
          (sim::flag::cf | sim::flag::pf | sim::flag::af | sim::flag::zf));
    CHECK(answers[0].out.rip == conform::kCodePage + 3);
    CHECK(answers[1].out.vector == 6);
    CHECK(answers[1].out.rip == conform::kCodePage);
    CHECK(answers[2].out.vector == 14);
    CHECK(answers[2].out.cr2 == conform::kScratchPage - 1);
    CHECK(answers[3].out.vector == 3);
    CHECK(answers[3].out.rip == conform::kCodePage + 0x73);
    if (!native->has_compat32()) VTLSIM_SKIP("no 32-bit code on this kernel");
    Case push = with_code(usual_case(), {0x60});  // pusha
    push.mode = Mode::compat32;
    push.in.gpr[0] = 0x12345678;
    native->cases()[0] = push;
    native->submit(0, 1);
    REQUIRE(native->wait(lost) == 1);
    CHECK(answers[0].out.vector == conform::kNoVector);
    CHECK(answers[0].out.gpr[4] == conform::kScratchPage + 0x7E0);
    CHECK(answers[0].scratch[0x7FC] == 0x78);
}

TEST_CASE("conform: another child takes over from one that dies", "[conform]") {
    std::string reason;
    const auto native = conform::Native::start(reason);
    if (native == nullptr) VTLSIM_SKIP(reason);
    const Case nop = with_code(usual_case(), {0x90});
    Case leave = with_code(usual_case(), {0x0F, 0x05});  // exit_group
    leave.in.gpr[0] = 231;
    native->cases()[0] = nop;
    native->cases()[1] = leave;
    native->cases()[2] = nop;
    native->submit(0, 3);
    bool lost = true;
    CHECK(native->wait(lost) == 1);
    CHECK(!lost);
    native->submit(2, 3);
    CHECK(native->wait(lost) == 3);
    CHECK(native->answers()[2].out.rip == conform::kCodePage + 1);
}

TEST_CASE("conform: forms cover each kind of operand in both modes", "[conform]") {
    const conform::Forms forms = conform::enumerate_forms({ZYDIS_MNEMONIC_ADD}, true);
    // 00-05, 80 /0, 81 /0, 82 /0, 83 /0, by prefix (none, 66, F3, F2), REX.W, kind of ModRM.rm.
    unsigned memory = 0;
    unsigned reg = 0;
    unsigned immediate = 0;
    unsigned compat = 0;
    for (const conform::Form& form : forms.run) {
        CHECK(form.mnemonic == ZYDIS_MNEMONIC_ADD);
        memory += form.memory && form.has_modrm;
        reg += form.has_modrm && !form.memory;
        immediate += form.head.back() == 0x81;
        compat += form.mode == Mode::compat32;
    }
    CHECK(memory == 7 * 8 + 8 * 4);
    CHECK(reg == memory);
    CHECK(immediate == 2 * (8 + 4));
    CHECK(compat == 4 * (2 * 8 + 2));
    CHECK(conform::enumerate_forms({ZYDIS_MNEMONIC_DAA}, false).run.empty());
    CHECK(!conform::enumerate_forms({ZYDIS_MNEMONIC_DAA}, true).run.empty());
    CHECK(!conform::enumerate_forms({ZYDIS_MNEMONIC_HLT}, true).run.empty());
    CHECK(conform::enumerate_forms({ZYDIS_MNEMONIC_SYSCALL}, true).run.empty());
}

TEST_CASE("conform: one unit in the last place, and no more", "[conform]") {
    const auto within = [](u64 a, u16 a_exponent, u64 b, u16 b_exponent) {
        std::array<u8, 10> x{};
        std::array<u8, 10> y{};
        std::memcpy(x.data(), &a, 8);
        std::memcpy(x.data() + 8, &a_exponent, 2);
        std::memcpy(y.data(), &b, 8);
        std::memcpy(y.data() + 8, &b_exponent, 2);
        return conform::within_one_ulp(x.data(), y.data()) &&
               conform::within_one_ulp(y.data(), x.data());
    };
    constexpr u64 kOne = u64{1} << 63;
    CHECK(within(kOne, 0x3FFF, kOne, 0x3FFF));
    CHECK(within(kOne + 1, 0x3FFF, kOne, 0x3FFF));
    CHECK(!within(kOne + 2, 0x3FFF, kOne, 0x3FFF));
    CHECK(within(~u64{0}, 0x3FFE, kOne, 0x3FFF));
    CHECK(!within(~u64{0} - 1, 0x3FFE, kOne, 0x3FFF));
    CHECK(!within(~u64{0}, 0x3FFE, kOne, 0xBFFF));
    CHECK(within(kOne - 1, 0, kOne, 1));
    CHECK(!within(kOne, 0x3FFF, kOne, 0xBFFF));
}

TEST_CASE("conform: approximations differ by no more than their bounds", "[conform]") {
    const auto within = [](u32 a, u32 b) {
        std::array<u32, 4> x{a, 1, 2, 3};
        std::array<u32, 4> y{b, 1, 2, 3};
        const auto* left = reinterpret_cast<const u8*>(x.data());
        const auto* right = reinterpret_cast<const u8*>(y.data());
        return conform::within_reciprocal_bound(left, right, 1) &&
               conform::within_reciprocal_bound(right, left, 4);
    };
    CHECK(within(0x3F800000, 0x3F801800));  // 3 * 2^-12
    CHECK(!within(0x3F800000, 0x3F801801));
    CHECK(!within(0x3F800000, 0xBF800000));
    CHECK(within(0, 0x00800000));
    CHECK(!within(0, 0x00800001));
    CHECK(!within(0x7F800000, 0x7F7FFFFF));
    CHECK(!within(0x7FC00000, 0x7FC00001));
}

TEST_CASE("conform: unknown instructions are named", "[conform]") {
    CHECK(check_mnemonics({"add"}).empty());
    CHECK(check_mnemonics({"imull"}) == "no instruction \"imull\"; did you mean \"imul\"?");
}

}  // namespace vtlsim::runner
