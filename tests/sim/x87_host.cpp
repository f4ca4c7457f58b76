// Every x87 instruction that has a row, against the host's: random states with edge-biased
// registers, some of them empty, all control words, memory operands of their type. Compared are
// the control, status and tag words, all registers, memory, RAX and the status flags.
//
// Not compared, because AMD's processors do not do what SDM 2A says:
// - FOP, FIP and FDP, which they save only after an unmasked exception;
// - what a comparison with an unmasked exception leaves in C0, C2, C3 or EFLAGS (SDM: what was
//   there; AMD: the result);
// - C1 after FCOMI and FUCOMI (SDM: 0; AMD: what was there);
// - FLD of a denormal with DE unmasked (SDM 1 8.5.2: TOP stays; AMD: pushes it).
//
// Transcendental results may differ from the host's by one unit in the last place, and so C1; the
// host calls exact ones inexact too.
#if defined(__x86_64__) && defined(__linux__)

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#include <fmt/format.h>

#include "sim/asm/disassembler.hpp"
#include "sim/exec/cpu.hpp"
#include "tests/catch.hpp"
#include "tests/sim/fp_operands.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using vtlsim::tests::FpSource;

namespace {

constexpr u64 kCode = 0x1000, kData = 0x2000;
constexpr std::size_t kDataSize = 128;
constexpr u16 kSummary = 0x8080, kC1 = 0x200, kConditions = 0x4500;

// The image of FXSAVE64.
struct alignas(16) Fx {
    u16 fcw = 0x37F;
    u16 fsw = 0;
    u8 ftw = 0;
    u8 reserved = 0;
    u16 fop = 0;
    u64 fip = 0;
    u64 fdp = 0;
    u32 mxcsr = 0x1F80;
    u32 mxcsr_mask = 0;
    Vec128 st[8];
    u8 rest[352] = {};
};
static_assert(sizeof(Fx) == 512);

struct State {
    Fx fx;
    alignas(16) std::array<u8, kDataSize> data{};
    u64 rax = 0;
    u64 flags = 0;
    bool reached = true;  // the end of the instruction
};

// Calls code that loads the state, runs one instruction with RSI on the data, saves the state.
class HostCode {
  public:
    HostCode()
        : page_(static_cast<u8*>(
              mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
    ~HostCode() { munmap(page_, 4096); }
    HostCode(const HostCode&) = delete;
    HostCode& operator=(const HostCode&) = delete;

    bool set(std::span<const u8> insn) {
        // RDI: the State; its parts at fixed offsets.
        std::vector<u8> code{0x56};                                // push rsi
        append(code, {0x48, 0x0F, 0xAE, 0x0F});                    // fxrstor64 [rdi]
        append(code, {0x48, 0x8D, 0xB7, 0x00, 0x02, 0x00, 0x00});  // lea rsi, [rdi+200h]
        append(code, {0x48, 0x8B, 0x87, 0x80, 0x02, 0x00, 0x00});  // mov rax, [rdi+280h]
        append(code, {0xFF, 0xB7, 0x88, 0x02, 0x00, 0x00, 0x9D});  // push [rdi+288h]; popfq
        code.insert(code.end(), insn.begin(), insn.end());
        append(code, {0x9C, 0x8F, 0x87, 0x88, 0x02, 0x00, 0x00});  // pushfq; pop [rdi+288h]
        append(code, {0x48, 0x89, 0x87, 0x80, 0x02, 0x00, 0x00});  // mov [rdi+280h], rax
        append(code, {0x48, 0x0F, 0xAE, 0x07});                    // fxsave64 [rdi]
        append(code, {0xDB, 0xE3, 0x5E, 0xC3});                    // fninit; pop rsi; ret
        if (mprotect(page_, 4096, PROT_READ | PROT_WRITE) != 0) return false;
        std::memcpy(page_, code.data(), code.size());
        return mprotect(page_, 4096, PROT_READ | PROT_EXEC) == 0;
    }

    void run(State& state) const {
        static_assert(offsetof(State, data) == 0x200 && offsetof(State, rax) == 0x280 &&
                      offsetof(State, flags) == 0x288);
        asm volatile("subq $128, %%rsp\n\tcall *%1\n\taddq $128, %%rsp"  // past the red zone
                     :
                     : "D"(&state), "r"(page_)
                     : "rax", "memory", "cc", "st", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
                       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15");
    }

  private:
    static void append(std::vector<u8>& code, std::initializer_list<u8> bytes) {
        code.insert(code.end(), bytes);
    }
    u8* page_;
};

// One instruction, and what its memory operand holds.
enum class Operand { none, real32, real64, real80, integer, bcd, environment };
struct Encoding {
    std::vector<u8> bytes;
    Operand operand = Operand::none;
};

Operand operand_of(u8 opcode, unsigned reg) {
    if (opcode == 0xD8 || (opcode == 0xD9 && reg < 4)) return Operand::real32;
    if (opcode == 0xDC || (opcode == 0xDD && reg < 4 && reg != 1)) return Operand::real64;
    if (opcode == 0xDB && reg >= 5) return Operand::real80;
    if (opcode == 0xDF && (reg == 4 || reg == 6)) return Operand::bcd;
    if ((opcode == 0xD9 || opcode == 0xDD) && reg >= 4) return Operand::environment;
    return Operand::integer;
}

std::vector<Encoding> encodings() {
    std::vector<Encoding> all;
    for (unsigned opcode = 0xD8; opcode <= 0xDF; ++opcode) {
        for (unsigned reg = 0; reg < 8; ++reg) {
            const u8 op = static_cast<u8>(opcode);
            const u8 modrm = static_cast<u8>(reg << 3 | 6);  // [rsi]
            const Operand operand = operand_of(op, reg);
            all.push_back({{op, modrm}, operand});
            if (operand == Operand::environment) all.push_back({{0x66, op, modrm}, operand});
        }
        for (unsigned modrm = 0xC0; modrm <= 0xFF; ++modrm) {
            all.push_back({{static_cast<u8>(opcode), static_cast<u8>(modrm)}, Operand::none});
        }
    }
    return all;
}

class Comparison {
  public:
    explicit Comparison(const Encoding& e) : encoding_(e), cpu_(machine_.add_cpu()) {
        cpu_.set_deliver_faults(false);
        usable_ = machine_.write(kCode, e.bytes) && host_.set(e.bytes);
        name_ = disassemble(e.bytes, kCode, AsmMode::bits64);
        constexpr std::string_view kTranscendental[] = {"f2xm1", "fyl2x", "fyl2xp1", "fpatan",
                                                        "fptan", "fsin",  "fcos",    "fsincos"};
        transcendental_ = std::find(std::begin(kTranscendental), std::end(kTranscendental),
                                    name_) != std::end(kTranscendental);
    }

    const std::string& name() const { return name_; }

    bool modelled() {
        cpu_.set_state(start(State{}));
        const Outcome outcome = cpu_.run({.steps = 1});
        return !std::holds_alternative<NotModelled>(outcome) &&
               !std::holds_alternative<Fault>(outcome);
    }

    std::string run(FpSource& random) {
        if (!usable_) return "cannot make code";
        const State before = make(random);
        State want = before;
        host_.run(want);
        State got = simulate(before);
        if (transcendental_) accept_neighbours(got, want);
        const bool trapped = (want.fx.fsw & kSummary) != 0;
        tidy(want, trapped);
        tidy(got, trapped);
        std::string problem = difference(got, want);
        if (!problem.empty())
            problem = fmt::format("{}: {}\n  from {}", name_, problem, text(before));
        return problem;
    }

  private:
    static void put(State& s, std::size_t at, const void* bytes, std::size_t size) {
        std::memcpy(s.data.data() + at, bytes, size);
    }

    static fp::Float80 real80(FpSource& random) {
        if (random.below(4) != 0) return random.extended();
        // Integers, with and without fractions: what FIST, FPREM, FRNDINT and FSCALE are about.
        fp::Number n = fp::from_integer(static_cast<i64>(random.bits()) >> random.below(64));
        n.exponent -= static_cast<i32>(random.below(20));
        return fp::pack80(n);
    }

    void make_status(FpSource& random, u16 fcw, u16& fsw) const {
        fsw = static_cast<u16>(random.bits() & 0x7F7F);
        if (random.below(2) == 0) fsw &= 0x7F00;
        if ((fsw & ~fcw & 0x3F) != 0) {
            // Pending exceptions would be reported by most instructions.
            if (waits())
                fsw = static_cast<u16>(fsw & (fcw | 0x7F40));
            else
                fsw |= kSummary;
        }
    }

    bool waits() const {
        const u8 opcode = encoding_.bytes[encoding_.bytes.size() - 2];
        const u8 modrm = encoding_.bytes.back();
        const unsigned reg = modrm >> 3 & 7;
        if (modrm >= 0xC0) {
            return !(opcode == 0xDB && reg == 4) && !(opcode == 0xDF && modrm == 0xE0);
        }
        return !(opcode == 0xD9 && reg >= 6) && !(opcode == 0xDD && reg >= 6);
    }

    State make(FpSource& random) const {
        State s;
        s.fx.fcw = random.control();
        if (name_.rfind("fld ", 0) == 0) s.fx.fcw |= fp::kDenormal;
        if (transcendental_) s.fx.fcw |= fp::kInexact;
        make_status(random, s.fx.fcw, s.fx.fsw);
        // Often what the instruction likes: a free register and a full one.
        s.fx.ftw = static_cast<u8>(random.bits());
        if (random.below(4) != 0) {
            s.fx.ftw = static_cast<u8>(~(1u << ((s.fx.fsw >> 11) + 7 & 7)));
        }
        fp::Float80 last{};
        for (Vec128& r : s.fx.st) {
            fp::Float80 f = real80(random);
            // Where F2XM1 and FYL2XP1 are defined.
            const unsigned exponent = f.sign_exponent & 0x7FFF;
            const bool below_one = name_ == "f2xm1" || name_ == "fyl2xp1";
            if (below_one && exponent > 0x3FFD && exponent != 0x7FFF) f.sign_exponent &= 0x9FFF;
            if (random.below(8) == 0) f = last;
            last = f;
            r = {f.significand, f.sign_exponent};
        }
        const u64 junk = random.bits();
        put(s, 0, &junk, 8);
        put(s, 8, &junk, 8);
        make_operand(random, s);
        s.rax = random.bits();
        s.flags = (random.bits() & flag::kStatus) | flag::kAlwaysSet | flag::if_;
        return s;
    }

    void make_operand(FpSource& random, State& s) const {
        switch (encoding_.operand) {
            case Operand::none:
                break;
            case Operand::real32: {
                const u32 v = random.binary32();
                put(s, 0, &v, 4);
                break;
            }
            case Operand::real64: {
                const u64 v = random.binary64();
                put(s, 0, &v, 8);
                break;
            }
            case Operand::real80: {
                const fp::Float80 v = real80(random);
                put(s, 0, &v, 10);
                break;
            }
            case Operand::integer: {
                const i64 v = static_cast<i64>(random.fraction(64)) >> random.below(64);
                put(s, 0, &v, 8);
                break;
            }
            case Operand::bcd:
                for (u8& byte : s.data) {
                    byte = static_cast<u8>(random.below(10) << 4 | random.below(10));
                }
                s.data[9] = static_cast<u8>(random.below(2) << 7);
                break;
            case Operand::environment:
                for (u8& byte : s.data) byte = static_cast<u8>(random.bits());
                break;
        }
    }

    CpuState start(const State& s) const {
        CpuState c = long_mode_state();
        c[Reg::rip] = kCode;
        c[Reg::rsi] = kData;
        c[Reg::rax] = s.rax;
        c[Reg::rflags] = s.flags;
        c[Reg::fcw] = s.fx.fcw;
        c[Reg::fsw] = s.fx.fsw;
        c[Reg::ftw] = s.fx.ftw;
        for (unsigned i = 0; i < 8; ++i) c.vec(physical(s.fx.fsw, i)) = s.fx.st[i];
        return c;
    }

    State simulate(const State& before) {
        State after = before;
        if (!machine_.write(kData, before.data)) throw std::runtime_error("no memory");
        cpu_.set_state(start(before));
        const Outcome outcome = cpu_.run({.steps = 1});
        if (!std::holds_alternative<StepsDone>(outcome)) after.reached = false;
        const CpuState c = cpu_.state();
        machine_.read(kData, after.data);
        after.rax = c[Reg::rax];
        after.flags = c[Reg::rflags];
        after.fx.fcw = static_cast<u16>(c[Reg::fcw]);
        after.fx.fsw = static_cast<u16>(c[Reg::fsw]);
        after.fx.ftw = static_cast<u8>(c[Reg::ftw]);
        for (unsigned i = 0; i < 8; ++i) after.fx.st[i] = c.vec(physical(after.fx.fsw, i));
        return after;
    }

    static Reg physical(u16 fsw, unsigned st) { return offset(Reg::fpr0, ((fsw >> 11) + st) & 7); }

    // Makes values that are next to each other the same.
    static void accept_neighbours(State& got, const State& want) {
        for (unsigned i = 0; i < 2; ++i) {
            Vec128& a = got.fx.st[i];
            const Vec128& b = want.fx.st[i];
            const u64 ha = a.hi & 0xFFFF;
            const u64 hb = b.hi & 0xFFFF;
            const bool same_binade = ha == hb && (a.lo - b.lo == 1 || b.lo - a.lo == 1);
            const bool next_binade = (ha == hb + 1 && a.lo == u64{1} << 63 && b.lo == ~u64{0}) ||
                                     (hb == ha + 1 && b.lo == u64{1} << 63 && a.lo == ~u64{0});
            if (same_binade || next_binade) a = b;
        }
    }

    // Takes out what is not compared.
    void tidy(State& s, bool trapped) const {
        const auto starts = [&](std::string_view text) { return name_.rfind(text, 0) == 0; };
        const bool sets_eflags = starts("fcomi") || starts("fucomi");
        const bool compares =
            sets_eflags || starts("fcom") || starts("fucom") || starts("ficom") || starts("ftst");
        if (transcendental_) {
            const int underflow = s.fx.fcw & fp::kUnderflow;  // if masked, only of inexact results
            s.fx.fsw &= static_cast<u16>(~(kC1 | fp::kInexact | underflow));
        }
        if (sets_eflags) s.fx.fsw &= static_cast<u16>(~kC1);
        if (compares && trapped) {
            s.fx.fsw &= static_cast<u16>(~kConditions);
            s.flags = 0;
        }
        s.flags &= flag::kStatus;
        for (Vec128& r : s.fx.st) r.hi &= 0xFFFF;
        if (encoding_.operand == Operand::environment) {
            // FIP, FOP, FDP and the selectors.
            const bool narrow = encoding_.bytes[0] == 0x66;
            std::fill_n(s.data.begin() + (narrow ? 6 : 12), narrow ? 8 : 16, u8{0});
        }
    }

    static std::string difference(const State& got, const State& want) {
        std::string out;
        const auto add = [&](std::string_view what, u64 a, u64 b) {
            if (a != b) out += fmt::format(" {} {:x}, the host {:x};", what, a, b);
        };
        if (!got.reached) out += " did not retire;";
        add("fcw", got.fx.fcw, want.fx.fcw);
        add("fsw", got.fx.fsw, want.fx.fsw);
        add("ftw", got.fx.ftw, want.fx.ftw);
        for (unsigned i = 0; i < 8; ++i) {
            const Vec128& a = got.fx.st[i];
            const Vec128& b = want.fx.st[i];
            if (a == b) continue;
            out += fmt::format(" st{} {:x}_{:016x}, the host {:x}_{:016x};", i, a.hi, a.lo, b.hi,
                               b.lo);
        }
        add("rax", got.rax, want.rax);
        add("flags", got.flags, want.flags);
        for (std::size_t i = 0; i < kDataSize; ++i) {
            add(fmt::format("byte {}", i), got.data[i], want.data[i]);
        }
        return out;
    }

    static std::string text(const State& s) {
        std::string out = fmt::format("fcw {:x} fsw {:x} ftw {:x} flags {:x} st", s.fx.fcw,
                                      s.fx.fsw, s.fx.ftw, s.flags);
        for (const Vec128& r : s.fx.st) out += fmt::format(" {:x}_{:016x}", r.hi, r.lo);
        out += " data";
        for (std::size_t i = 0; i < 28; ++i) out += fmt::format(" {:02x}", s.data[i]);
        return out;
    }

    Encoding encoding_;
    Machine machine_;
    Cpu& cpu_;
    HostCode host_;
    std::string name_;
    bool usable_ = false;
    bool transcendental_ = false;
};

}  // namespace

TEST_CASE("x87: instructions do what the host's do", "[x87][host]") {
    const char* text = std::getenv("VTLSIM_X87_CASES");
    const u64 count = text != nullptr ? std::strtoull(text, nullptr, 10) : 300;
    u64 compared = 0;
    unsigned seed = 0;
    for (const Encoding& e : encodings()) {
        Comparison comparison(e);
        FpSource random(++seed);
        if (!comparison.modelled()) continue;
        ++compared;
        unsigned failures = 0;
        for (u64 i = 0; i < count && failures < 3; ++i) {
            const std::string problem = comparison.run(random);
            if (problem.empty()) continue;
            ++failures;
            FAIL_CHECK(problem);
        }
    }
    CHECK(compared > 400);
}

#endif
