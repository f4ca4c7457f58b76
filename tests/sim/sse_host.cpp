// Compares MMX, SSE to SSE4.2 and BMI instructions with the CPU that runs the tests: random and
// edge-biased operands, MXCSR with all modes and masks, all results and flags.
#include <random>

#include <fmt/format.h>

#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"
#include "tests/sim/sse_native.hpp"

using namespace vtlsim;
using namespace vtlsim::tests;
using sim::CpuState;
using sim::Reg;

namespace {

constexpr int kCases = 2000;  // of each form

enum class Lanes : u8 { integer, f32, f64 };

// Not std::uniform_int_distribution, whose results differ between libraries.
class Random {
  public:
    explicit Random(u64 seed) : engine_(seed) {}
    u64 bits() { return engine_(); }
    u64 below(u64 n) { return engine_() % n; }
    bool one_in(u64 n) { return below(n) == 0; }
    template <class T, std::size_t N>
    T pick(const T (&values)[N]) {
        return values[below(N)];
    }

  private:
    std::mt19937_64 engine_;
};

// Any width: zero, ones, one bit, its neighbours, small numbers, anything.
u64 edge_integer(Random& r, unsigned width) {
    const u64 mask = width == 64 ? ~u64{0} : (u64{1} << width) - 1;
    switch (r.below(6)) {
        case 0:
            return r.one_in(2) ? 0 : mask;
        case 1:
            return u64{1} << r.below(width);
        case 2:
            return ((u64{1} << r.below(width)) - 1) & mask;
        case 3:
            return (r.below(32) - 16) & mask;
        default:
            return r.bits() & mask;
    }
}

// Exponents about the ends, the middle, and the borders of integer ranges.
u64 edge_float(Random& r, unsigned exponent_bits, unsigned fraction_bits) {
    const u64 most = (u64{1} << exponent_bits) - 1;
    const u64 bias = most / 2;
    const u64 fraction_mask = (u64{1} << fraction_bits) - 1;
    u64 exponent = 0;
    switch (r.below(8)) {
        case 0:
            exponent = 0;
            break;
        case 1:
            exponent = most;
            break;
        case 2:
            exponent = r.one_in(2) ? r.below(fraction_bits + 3) : most - 1 - r.below(3);
            break;
        case 3:
            exponent = bias + r.pick({14u, 15u, 30u, 31u, 32u, 62u, 63u, 64u});
            break;
        case 4:
            exponent = r.below(most);
            break;
        case 5:
            exponent = bias / 2 + r.below(bias);
            break;
        default:
            exponent = bias - 3 + r.below(8);
            break;
    }
    u64 fraction = 0;
    switch (r.below(6)) {
        case 0:
            fraction = 0;
            break;
        case 1:
            fraction = fraction_mask;
            break;
        case 2:
            fraction = u64{1} << r.below(fraction_bits);
            break;
        case 3:
            fraction = (r.below(16) << (fraction_bits - 4)) & fraction_mask;
            break;
        default:
            fraction = r.bits() & fraction_mask;
            break;
    }
    if (exponent == 0 && r.one_in(3)) fraction = 0;
    if (exponent == most && r.one_in(2)) fraction = 0;
    return ((r.bits() & 1) << exponent_bits | exponent) << fraction_bits | fraction;
}

u64 edge_half(Random& r, Lanes lanes) {
    unsigned width = r.pick({8u, 16u, 32u, 64u});
    if (lanes != Lanes::integer && !r.one_in(16)) width = lanes == Lanes::f32 ? 32 : 64;
    u64 value = 0;
    for (unsigned at = 0; at < 64; at += width) {
        u64 lane = 0;
        if (lanes == Lanes::f32 && width == 32) {
            lane = edge_float(r, 8, 23);
        } else if (lanes == Lanes::f64 && width == 64) {
            lane = edge_float(r, 11, 52);
        } else {
            lane = edge_integer(r, width);
        }
        value |= lane << at;
    }
    return value;
}

struct Form {
    std::string text;
    Lanes lanes = Lanes::integer;
};

NativeRun random_start(Random& r, Lanes lanes) {
    NativeRun run;
    CpuState& s = run.state;
    s = sim::long_mode_state();
    s[Reg::rip] = Rig::kCode;
    for (const Reg reg : kNativeGprs) s[reg] = edge_integer(r, 64);
    if (r.one_in(2)) s[Reg::rax] = r.below(40) - 20;
    if (r.one_in(2)) s[Reg::rdx] = r.below(40) - 20;
    if (r.one_in(2)) s[Reg::rcx] = r.below(0x10000);
    s[Reg::rbx] = kNativeMemory;
    s[Reg::rdi] = kNativeMemory;
    s[Reg::rflags] = sim::flag::kAlwaysSet | (r.bits() & sim::flag::kStatus);
    for (unsigned i = 0; i < 4; ++i) {
        s.vec(offset(Reg::xmm0, i)) = {edge_half(r, lanes), edge_half(r, lanes)};
    }
    if (r.one_in(4)) s.vec(Reg::xmm2) = s.vec(Reg::xmm1);
    for (unsigned i = 0; i < 8; ++i) {
        s.set(offset(Reg::fpr0, i), {edge_half(r, lanes), r.bits()});
    }
    s[Reg::fsw] = r.bits() & 0x7F00 & ~u64{0x80};
    s[Reg::ftw] = r.bits() & 0xFF;
    // Rounding, FTZ, DAZ and flags at random; most runs with all exceptions masked.
    s[Reg::mxcsr] = 0x1F80 | (r.bits() & 0x6000) | (r.one_in(3) ? 0x8000 : 0) |
                    (r.one_in(3) ? 0x40 : 0) | (r.one_in(2) ? r.bits() & 0x3F : 0);
    if (r.one_in(3)) s[Reg::mxcsr] &= ~(r.bits() & 0x1F80);
    for (std::size_t at = 0; at < run.memory.size(); at += 8) {
        const u64 half = edge_half(r, lanes);
        std::memcpy(&run.memory[at], &half, 8);
    }
    return run;
}

std::string show(const CpuState& s) {
    std::string text;
    for (const Reg reg : kNativeGprs) text += fmt::format("{}={:x} ", info(reg).name, s[reg]);
    for (const Reg reg : {Reg::rflags, Reg::mxcsr, Reg::fsw, Reg::ftw}) {
        text += fmt::format("{}={:x} ", info(reg).name, s[reg]);
    }
    for (unsigned i = 0; i < 4; ++i) {
        const Vec128& v = s.vec(offset(Reg::xmm0, i));
        text += fmt::format("xmm{}={:x}_{:016x} ", i, v.hi, v.lo);
    }
    for (unsigned i = 0; i < 3; ++i) {
        const Vec128& v = s.vec(offset(Reg::fpr0, i));
        text += fmt::format("fpr{}={:x}_{:016x} ", i, v.hi, v.lo);
    }
    return text;
}

class Comparison {
  public:
    explicit Comparison(u64 flags = sim::flag::kStatus) : flags_(flags) {}

    bool usable() const { return native_.usable(); }

    void check(const Form& form, int cases) {
        Rig rig(form.text);
        const u64 length = rig.code(Rig::kCode, form.text);
        std::vector<u8> bytes(length);
        rig.machine.read(Rig::kCode, bytes);
        native_.set_code(bytes);
        Random r(seed(form.text));
        for (int i = 0; i < cases; ++i) {
            const NativeRun start = random_start(r, form.lanes);
            NativeRun native = start;
            native_.run(native);
            if (const std::string wrong = compare(rig, start, native, length); !wrong.empty()) {
                FAIL_CHECK(form.text << ", case " << i << ": " << wrong << "\nstart  "
                                     << show(start.state) << "\nnative " << show(native.state)
                                     << "\nsim    " << show(rig.cpu.state()));
                return;
            }
            ++cases_;
        }
    }
    void check(const Form& form) { check(form, kCases); }
    // With all immediates.
    void check_immediates(const Form& form) {
        for (unsigned imm = 0; imm < 256; ++imm) {
            check({fmt::format("{}, {}", form.text, imm), form.lanes}, kCases / 64);
        }
    }
    u64 cases() const { return cases_; }

  private:
    static u64 seed(std::string_view text) {
        u64 h = 1469598103934665603u;
        for (const char c : text) h = (h ^ static_cast<u8>(c)) * 1099511628211u;
        return h;
    }

    std::string compare(Rig& rig, const NativeRun& start, const NativeRun& native, u64 length) {
        rig.cpu.set_state(start.state);
        rig.bytes(kNativeMemory, {start.memory.begin(), start.memory.end()});
        const sim::Outcome outcome = rig.run();
        CpuState expected = native.state;
        if (!native.trapped) {
            expected[Reg::rip] += length;
            expected[Reg::tsc] += 1;
        }
        const auto* fault = std::get_if<sim::Fault>(&outcome);
        const bool trapped = fault != nullptr && fault->vector == sim::Vector::xm;
        if (trapped != native.trapped) return native.trapped ? "no #XM" : "not done";
        if (!trapped && !is<sim::StepsDone>(outcome)) return "another outcome";
        CpuState got = rig.cpu.state();
        if (((got[Reg::rflags] ^ expected[Reg::rflags]) & flags_) != 0) return "flags";
        got[Reg::rflags] = expected[Reg::rflags];
        if (!(got == expected)) return "registers";
        std::array<u8, 64> memory{};
        rig.machine.read(kNativeMemory, memory);
        return memory == native.memory ? "" : "memory";
    }

    NativeCpu native_;
    u64 flags_;
    u64 cases_ = 0;
};

// "paddb" for each combination of operands in "xmm1, xmm2" and so on.
void check_all(Comparison& c, std::initializer_list<std::string_view> names,
               std::initializer_list<std::string_view> operands, Lanes lanes = Lanes::integer) {
    for (const std::string_view name : names) {
        for (const std::string_view o : operands) c.check({fmt::format("{} {}", name, o), lanes});
    }
}
void check_all_immediates(Comparison& c, std::initializer_list<std::string_view> names,
                          std::initializer_list<std::string_view> operands,
                          Lanes lanes = Lanes::integer) {
    for (const std::string_view name : names) {
        for (const std::string_view o : operands) {
            c.check_immediates({fmt::format("{} {}", name, o), lanes});
        }
    }
}

}  // namespace

#define VTLSIM_NEEDS(comparison, feature)                                              \
    if (!(comparison).usable()) VTLSIM_SKIP("no x86-64 Linux with executable memory"); \
    if (!host_has(feature)) VTLSIM_SKIP(std::string("the host has no ") + std::string(feature))

TEST_CASE("sse host: packed integers of MMX and SSE2", "[sse][host]") {
    Comparison c;
    VTLSIM_NEEDS(c, "sse2");
    check_all(
        c, {"paddb",     "paddw",     "paddd",     "paddq",     "paddsb",    "paddsw",   "paddusb",
            "paddusw",   "psubb",     "psubw",     "psubd",     "psubq",     "psubsb",   "psubsw",
            "psubusb",   "psubusw",   "pmullw",    "pmulhw",    "pmulhuw",   "pmuludq",  "pmaddwd",
            "psadbw",    "pavgb",     "pavgw",     "pminub",    "pminsw",    "pmaxub",   "pmaxsw",
            "pcmpeqb",   "pcmpeqw",   "pcmpeqd",   "pcmpgtb",   "pcmpgtw",   "pcmpgtd",  "pand",
            "pandn",     "por",       "pxor",      "psllw",     "pslld",     "psllq",    "psrlw",
            "psrld",     "psrlq",     "psraw",     "psrad",     "packsswb",  "packssdw", "packuswb",
            "punpckhbw", "punpckhwd", "punpckhdq", "punpcklbw", "punpcklwd", "punpckldq"},
        {"xmm1, xmm2", "xmm1, xmm1", "xmm1, [rbx]", "mm1, mm2", "mm1, [rbx]"});
    check_all(c,
              {"punpckhqdq", "punpcklqdq", "andps", "andpd", "andnps", "andnpd", "orps", "orpd",
               "xorps", "xorpd", "unpcklps", "unpcklpd", "unpckhps", "unpckhpd"},
              {"xmm1, xmm2", "xmm1, [rbx]"});
    check_all_immediates(c,
                         {"psllw", "pslld", "psllq", "psrlw", "psrld", "psrlq", "psraw", "psrad"},
                         {"xmm1", "mm1"});
    check_all_immediates(c, {"pslldq", "psrldq"}, {"xmm1"});
    check_all_immediates(c, {"pshufd", "pshufhw", "pshuflw", "shufps", "shufpd"},
                         {"xmm1, xmm2", "xmm1, [rbx]"});
    check_all_immediates(c, {"pshufw"}, {"mm1, mm2", "mm1, [rbx]"});
    check_all_immediates(c, {"pinsrw"}, {"xmm1, eax", "mm1, eax", "xmm1, [rbx]", "mm1, [rbx]"});
    check_all_immediates(c, {"pextrw"}, {"eax, xmm1", "eax, mm1"});
    CHECK(c.cases() > 500000);
}

TEST_CASE("sse host: moves of MMX and SSE2", "[sse][host]") {
    Comparison c;
    VTLSIM_NEEDS(c, "sse2");
    check_all(c, {"pmovmskb"}, {"eax, xmm1", "eax, mm1"});
    c.check({"db 0x66, 0x48, 0x0f, 0xd7, 0xc1"});  // pmovmskb rax, xmm1
    check_all(c, {"paddb", "movdqa", "pshufb"}, {"xmm9, xmm1", "xmm1, xmm10", "xmm15, [rbx]"});
    check_all(c, {"movmskps", "movmskpd"}, {"eax, xmm1"});
    check_all(c, {"movd"},
              {"xmm1, eax", "eax, xmm1", "mm1, eax", "eax, mm1", "mm1, dword [rbx]",
               "dword [rbx], mm1", "xmm1, dword [rbx]", "dword [rbx], xmm1"});
    check_all(c, {"movq"},
              {"xmm1, rax", "rax, xmm1", "mm1, rax", "rax, mm1", "mm1, [rbx]", "[rbx], mm1",
               "mm1, mm2", "xmm1, xmm2", "xmm1, [rbx]", "[rbx], xmm1"});
    check_all(c, {"movq2dq"}, {"xmm1, mm2"});
    check_all(c, {"movdq2q"}, {"mm1, xmm2"});
    check_all(c, {"movhlps", "movlhps", "movss", "movsd"}, {"xmm1, xmm2"});
    check_all(c, {"movss", "movsd", "movlps", "movlpd", "movhps", "movhpd"},
              {"xmm1, [rbx]", "[rbx], xmm1"});
    check_all(c, {"movaps", "movapd", "movups", "movupd", "movdqa", "movdqu"},
              {"xmm1, xmm2", "xmm1, [rbx]", "[rbx], xmm1"});
    check_all(c, {"movntps", "movntpd", "movntdq"}, {"[rbx], xmm1"});
    check_all(c, {"movntq"}, {"[rbx], mm1"});
    check_all(c, {"maskmovdqu"}, {"xmm1, xmm2"});
    check_all(c, {"maskmovq"}, {"mm1, mm2"});
    c.check({"emms"});
    CHECK(c.cases() > 100000);
}

TEST_CASE("sse host: SSE3 and SSSE3", "[sse][host]") {
    Comparison c;
    VTLSIM_NEEDS(c, "ssse3");
    check_all(c, {"movddup", "movshdup", "movsldup"}, {"xmm1, xmm2", "xmm1, [rbx]"});
    c.check({"lddqu xmm1, [rbx + 3]"});
    check_all(c,
              {"pshufb", "phaddw", "phaddd", "phaddsw", "phsubw", "phsubd", "phsubsw", "pmaddubsw",
               "pmulhrsw", "psignb", "psignw", "psignd", "pabsb", "pabsw", "pabsd"},
              {"xmm1, xmm2", "xmm1, xmm1", "xmm1, [rbx]", "mm1, mm2", "mm1, [rbx]"});
    check_all_immediates(c, {"palignr"}, {"xmm1, xmm2", "xmm1, [rbx]", "mm1, mm2", "mm1, [rbx]"});
    CHECK(c.cases() > 100000);
}

TEST_CASE("sse host: integers of SSE4.1", "[sse][host]") {
    Comparison c;
    VTLSIM_NEEDS(c, "sse4.1");
    check_all(c, {"pminsb",   "pminsd",     "pminuw",   "pminud",   "pmaxsb",   "pmaxsd",
                  "pmaxuw",   "pmaxud",     "pmulld",   "pmuldq",   "pcmpeqq",  "packusdw",
                  "ptest",    "phminposuw", "pblendvb", "blendvps", "blendvpd", "pmovsxbw",
                  "pmovsxbd", "pmovsxbq",   "pmovsxwd", "pmovsxwq", "pmovsxdq", "pmovzxbw",
                  "pmovzxbd", "pmovzxbq",   "pmovzxwd", "pmovzxwq", "pmovzxdq"},
              {"xmm1, xmm2", "xmm1, xmm1", "xmm1, [rbx]"});
    c.check({"movntdqa xmm1, [rbx]"});
    check_all_immediates(c, {"mpsadbw", "pblendw", "blendps", "blendpd", "insertps"},
                         {"xmm1, xmm2", "xmm1, [rbx]"});
    check_all_immediates(c, {"pextrb", "pextrw", "pextrd", "extractps"}, {"[rbx], xmm1"});
    check_all_immediates(c, {"pextrb", "pextrd", "extractps"}, {"eax, xmm1"});
    check_all_immediates(c, {"pextrq"}, {"rax, xmm1", "[rbx], xmm1"});
    c.check_immediates({"db 0x66, 0x0f, 0x3a, 0x15, 0xc8"});        // pextrw eax, xmm1
    c.check_immediates({"db 0x66, 0x48, 0x0f, 0x3a, 0x15, 0xc8"});  // pextrw rax, xmm1
    c.check_immediates({"db 0x66, 0x48, 0x0f, 0x3a, 0x14, 0xc8"});  // pextrb rax, xmm1
    check_all_immediates(c, {"pinsrb", "pinsrd"}, {"xmm1, eax", "xmm1, [rbx]"});
    check_all_immediates(c, {"pinsrq"}, {"xmm1, rax", "xmm1, [rbx]"});
    CHECK(c.cases() > 200000);
}

TEST_CASE("sse host: text and CRC of SSE4.2", "[sse][host]") {
    Comparison c;
    VTLSIM_NEEDS(c, "sse4.2");
    c.check({"pcmpgtq xmm1, xmm2"});
    c.check({"pcmpgtq xmm1, [rbx]"});
    check_all_immediates(c, {"pcmpestri", "pcmpestrm", "pcmpistri", "pcmpistrm"},
                         {"xmm1, xmm2", "xmm1, [rbx]", "xmm1, [rbx + 3]"});
    // REX.W: lengths in RAX and RDX.
    for (unsigned imm = 0; imm < 256; ++imm) {
        for (const char* opcode : {"0x60", "0x61"}) {
            c.check({fmt::format("db 0x66, 0x48, 0x0f, 0x3a, {}, 0xca, {}", opcode, imm)},
                    kCases / 64);
        }
    }
    check_all(c, {"crc32"},
              {"eax, cl", "eax, ch", "eax, cx", "eax, ecx", "rax, cl", "rax, rcx",
               "eax, byte [rbx]", "eax, word [rbx]", "eax, dword [rbx]", "rax, qword [rbx]"});
    CHECK(c.cases() > 100000);
}

TEST_CASE("sse host: arithmetic of floating point", "[sse][host]") {
    Comparison c;
    VTLSIM_NEEDS(c, "sse3");
    const auto both = {"xmm1, xmm2", "xmm1, xmm1", "xmm1, [rbx]"};
    for (const char* name : {"add", "sub", "mul", "div", "sqrt", "min", "max"}) {
        for (const char* operands : both) {
            for (const char* suffix : {"ps", "ss", "pd", "sd"}) {
                c.check({fmt::format("{}{} {}", name, suffix, operands),
                         suffix[1] == 's' ? Lanes::f32 : Lanes::f64});
            }
        }
    }
    check_all(c, {"addsubps", "haddps", "hsubps", "comiss", "ucomiss"},
              {"xmm1, xmm2", "xmm1, [rbx]"}, Lanes::f32);
    check_all(c, {"addsubpd", "haddpd", "hsubpd", "comisd", "ucomisd"},
              {"xmm1, xmm2", "xmm1, [rbx]"}, Lanes::f64);
    for (unsigned predicate = 0; predicate < 8; ++predicate) {
        for (const char* operands : {"xmm1, xmm2", "xmm1, [rbx]"}) {
            for (const char* name : {"cmpps", "cmpss"}) {
                c.check({fmt::format("{} {}, {}", name, operands, predicate), Lanes::f32});
            }
            for (const char* name : {"cmppd", "cmpsd"}) {
                c.check({fmt::format("{} {}, {}", name, operands, predicate), Lanes::f64});
            }
        }
    }
    CHECK(c.cases() > 300000);
}

TEST_CASE("sse host: conversions", "[sse][host]") {
    Comparison c;
    VTLSIM_NEEDS(c, "sse2");
    check_all(c, {"cvtdq2ps", "cvtdq2pd"}, {"xmm1, xmm2", "xmm1, [rbx]"});
    check_all(c, {"cvtpi2ps", "cvtpi2pd"}, {"xmm1, mm2", "xmm1, [rbx]"});
    check_all(c, {"cvtsi2ss", "cvtsi2sd"},
              {"xmm1, eax", "xmm1, rax", "xmm1, dword [rbx]", "xmm1, qword [rbx]"});
    check_all(c, {"cvtps2dq", "cvttps2dq", "cvtps2pd", "cvtss2sd"}, {"xmm1, xmm2", "xmm1, [rbx]"},
              Lanes::f32);
    check_all(c, {"cvtpd2dq", "cvttpd2dq", "cvtpd2ps", "cvtsd2ss"}, {"xmm1, xmm2", "xmm1, [rbx]"},
              Lanes::f64);
    check_all(c, {"cvtps2pi", "cvttps2pi"}, {"mm1, xmm2", "mm1, [rbx]"}, Lanes::f32);
    check_all(c, {"cvtpd2pi", "cvttpd2pi"}, {"mm1, xmm2", "mm1, [rbx]"}, Lanes::f64);
    check_all(c, {"cvtss2si", "cvttss2si"}, {"eax, xmm2", "rax, xmm2", "eax, [rbx]", "rax, [rbx]"},
              Lanes::f32);
    check_all(c, {"cvtsd2si", "cvttsd2si"}, {"eax, xmm2", "rax, xmm2", "eax, [rbx]", "rax, [rbx]"},
              Lanes::f64);
    CHECK(c.cases() > 100000);
}

TEST_CASE("sse host: rounding and dot products of SSE4.1", "[sse][host]") {
    Comparison c;
    VTLSIM_NEEDS(c, "sse4.1");
    check_all_immediates(c, {"roundps", "roundss"}, {"xmm1, xmm2", "xmm1, [rbx]"}, Lanes::f32);
    check_all_immediates(c, {"roundpd", "roundsd"}, {"xmm1, xmm2", "xmm1, [rbx]"}, Lanes::f64);
    check_all_immediates(c, {"dpps"}, {"xmm1, xmm2", "xmm1, [rbx]"}, Lanes::f32);
    check_all_immediates(c, {"dppd"}, {"xmm1, xmm2", "xmm1, [rbx]"}, Lanes::f64);
    CHECK(c.cases() > 90000);
}

TEST_CASE("sse host: BMI1", "[sse][host]") {
    Comparison c(sim::flag::cf | sim::flag::zf | sim::flag::of);  // SF: BEXTR leaves it undefined
    VTLSIM_NEEDS(c, "bmi");
    check_all(c, {"bextr"},
              {"eax, ecx, edx", "rax, rcx, rdx", "rax, [rbx], rcx", "eax, [rbx], ecx"});
    Comparison signs(sim::flag::cf | sim::flag::zf | sim::flag::of | sim::flag::sf);
    check_all(signs, {"andn"},
              {"eax, ecx, edx", "rax, rcx, rdx", "rax, rcx, [rbx]", "eax, ecx, [rbx]"});
    check_all(signs, {"blsi", "blsmsk", "blsr"},
              {"eax, ecx", "rax, rcx", "eax, [rbx]", "rax, [rbx]"});
    CHECK(c.cases() + signs.cases() >= 20 * u64{kCases});
}

TEST_CASE("sse host: BMI2 and ADX", "[sse][host]") {
    Comparison c(sim::flag::cf | sim::flag::zf | sim::flag::of | sim::flag::sf);
    VTLSIM_NEEDS(c, "bmi2");
    check_all(c, {"bzhi", "sarx", "shlx", "shrx"},
              {"eax, ecx, edx", "rax, rcx, rdx", "rax, [rbx], rcx", "eax, [rbx], ecx"});
    check_all(
        c, {"pdep", "pext", "mulx"},
        {"eax, ecx, edx", "rax, rcx, rdx", "rax, rcx, [rbx]", "eax, ecx, [rbx]", "rax, rax, rcx"});
    check_all_immediates(c, {"rorx"}, {"eax, ecx", "rax, rcx", "rax, [rbx]", "eax, [rbx]"});
    Comparison all;
    check_all(all, {"adcx", "adox"}, {"eax, ecx", "rax, rcx", "eax, [rbx]", "rax, [rbx]"});
    CHECK(c.cases() + all.cases() > 80000);
}
