#include "runner/conform/compare.hpp"

#include <fmt/format.h>

#include "runner/conform/approximate.hpp"
#include "runner/conform/forms.hpp"
#include "runner/conform/host.hpp"
#include "runner/conform/undefined.hpp"
#include "sim/exec/outcome.hpp"
#include "sim/state/bits.hpp"
#include "sim/state/registers.hpp"

namespace vtlsim::runner::conform {
namespace {

namespace flag = sim::flag;

// Flags that instructions of user mode can change; RF and TF belong to the fault's delivery.
constexpr u64 kFlags = flag::kStatus | flag::df | flag::nt | flag::ac | flag::id;
constexpr u64 kTaskSize = 0x7FFFFFFFF000;  // Linux' TASK_SIZE_MAX
constexpr u64 kC1 = 0x200, kErrorSummary = 0x80, kTop = 0x3800, kBusy = 0x8000, kInexact = 0x20,
              kUnderflow = 0x10;

std::string wide(const u8* bytes, std::size_t size) {
    std::string out = "0x";
    for (std::size_t i = size; i-- > 0;) out += fmt::format("{:02x}", bytes[i]);
    return out;
}

bool is_inexact(const State& s) { return (get<u16>(s.fx, kFsw) & kInexact) != 0; }

unsigned top_of(const State& s) { return get<u16>(s.fx, kFsw) >> 11 & 7; }

// The physical x87 register.
const u8* fpr(const State& s, unsigned i) { return &s.fx[kSt + 16 * ((i - top_of(s)) & 7)]; }

bool same_fx(const State& a, const State& b) {
    bool same = std::memcmp(&a.fx[0], &b.fx[0], kMxcsr + 4) == 0 &&
                std::memcmp(&a.fx[kXmm], &b.fx[kXmm], 256) == 0;
    for (std::size_t at = kSt; at < kXmm; at += 16) {
        same = same && std::memcmp(&a.fx[at], &b.fx[at], 10) == 0;
    }
    return same;
}

bool same_state(const Answer& native, const Answer& simulated) {
    const State& n = native.out;
    const State& s = simulated.out;
    return n.vector == s.vector && n.rip == s.rip && n.gpr == s.gpr &&
           ((n.rflags ^ s.rflags) & kFlags) == 0 && n.cr2 == s.cr2 &&
           n.error_code == s.error_code && n.selectors == s.selectors && n.fs_base == s.fs_base &&
           n.gs_base == s.gs_base && same_fx(n, s) && native.scratch == simulated.scratch;
}

class Comparer {
  public:
    Comparer(const Case& c, const Answer& native, const Answer& simulated)
        : case_(c), native_(native), simulated_(simulated), n_(native.out), s_(simulated.out) {}

    Comparison operator()() && {
        // Only now and then does anything differ at all: decode late.
        if (same_state(native_, simulated_)) return {};
        const bool lock = (case_.kinds & kind_bit(EncodingKind::illegal_lock)) != 0;
        const auto code = std::span(case_.code).first(case_.length).subspan(lock ? 1 : 0);
        if (ZYAN_SUCCESS(decode(case_.mode, code, d_))) {
            undefined_ = undefined_after(d_, case_.in, n_, s_);
            bound_ = bound_of(d_.insn.mnemonic);
        }
        if (undefined_.all) {
            out_.allowed = undefined_.reason;
            return std::move(out_);
        }
        fault();
        integer();
        x87();
        vectors();
        memory();
        return std::move(out_);
    }

  private:
    void check(std::string_view name, u64 a, u64 b) {
        if (a == b) return;
        out_.defined.push_back(
            {std::string(name), fmt::format("{:#x}", a), fmt::format("{:#x}", b)});
    }
    void check_wide(std::string name, const u8* a, const u8* b, std::size_t size) {
        if (std::memcmp(a, b, size) == 0) return;
        out_.defined.push_back({std::move(name), wide(a, size), wide(b, size)});
    }
    void loosely(std::string_view name, u64 a, u64 b, u64 ignored) {
        check(name, a & ~ignored, b & ~ignored);
        if (((a ^ b) & ignored) != 0) out_.allowed = undefined_.reason;
    }

    void fault() {
        check("vector", n_.vector == kNoVector ? 256 : n_.vector,
              s_.vector == kNoVector ? 256 : s_.vector);
        check("rip", n_.rip, s_.rip);
        if (n_.vector == kNoVector || n_.vector != s_.vector) return;
        // Linux tells a user's access to the kernel's half as one to a present page.
        const bool hidden = n_.vector == static_cast<u32>(sim::Vector::pf) && n_.cr2 >= kTaskSize;
        const u32 ignored = hidden ? 1 : 0;
        loosely("error_code", n_.error_code & ~ignored, s_.error_code & ~ignored,
                undefined_.error_code ? ~u64{0} : 0);
        loosely("cr2", n_.cr2, s_.cr2, undefined_.cr2);
    }

    void integer() {
        const bool wide = case_.mode == Mode::long64;
        const u64 seen = wide ? ~u64{0} : 0xFFFFFFFF;
        const bool narrowed = wide && s_.selectors[kCsIndex] == kCs32;
        for (std::size_t i = 0; i < (wide ? 16 : 8); ++i) {
            const u64 a = n_.gpr[i] & seen;
            const u64 b = s_.gpr[i] & seen;
            if (narrowed && a != b && ((a ^ b) & 0xFFFFFFFF) == 0) {
                out_.allowed = kUpperHalves;
                continue;
            }
            constexpr std::size_t kRsp = 4;
            const bool popped = undefined_.popped && i != kRsp;
            const bool result = undefined_.destination && d_.is_reg(0) &&
                                i == static_cast<std::size_t>(ZydisRegisterGetId(d_[0].reg.value));
            loosely(sim::info(sim::gpr(i)).name, a, b, result || popped ? ~u64{0} : 0);
        }
        loosely("rflags", n_.rflags & kFlags, s_.rflags & kFlags, undefined_.flags);
        constexpr std::array<std::string_view, 6> kNames{"es", "cs", "ss", "ds", "fs", "gs"};
        for (std::size_t i = 0; i < 6; ++i) check(kNames[i], n_.selectors[i], s_.selectors[i]);
        check("fs_base", n_.fs_base, s_.fs_base);
        check("gs_base", n_.gs_base, s_.gs_base);
    }

    void x87() {
        if (undefined_.x87) {
            out_.allowed = undefined_.reason;
            return;
        }
        check("fcw", get<u16>(n_.fx, kFcw), get<u16>(s_.fx, kFcw));
        bool approximate = false;
        const unsigned new_top = top_of(n_);
        const bool pushed = undefined_.pushed && new_top == ((top_of(case_.in) - 1) & 7);
        if (pushed) out_.allowed = undefined_.reason;
        for (unsigned i = 0; i < 8; ++i) {
            const u8* a = fpr(n_, i);
            const u8* b = fpr(s_, i);
            if (std::memcmp(a, b, 10) == 0 || (pushed && i == new_top)) continue;
            if (bound_ == Bound::one_ulp && within_one_ulp(a, b)) {
                approximate = true;
            } else {
                check_wide(fmt::format("r{}", i), a, b, 10);
            }
        }
        if (approximate) out_.allowed = kOneUlp;
        // C1 is whether the result was rounded up, which depends on the result.
        u64 ignored = undefined_.fsw | (bound_ == Bound::one_ulp ? kC1 : 0) | (pushed ? kTop : 0);
        if (bound_ == Bound::one_ulp && is_inexact(n_) != is_inexact(s_)) {
            ignored |= kInexact | kUnderflow | kErrorSummary | kBusy;
            out_.allowed = kInexactFlag;
        }
        loosely("fsw", get<u16>(n_.fx, kFsw), get<u16>(s_.fx, kFsw), ignored);
        if (bound_ == Bound::one_ulp && out_.allowed.empty() &&
            get<u16>(n_.fx, kFsw) != get<u16>(s_.fx, kFsw)) {
            out_.allowed = kOneUlp;
        }
        loosely("ftw", get<u8>(n_.fx, kFtw), get<u8>(s_.fx, kFtw),
                undefined_.ftw | (pushed ? u64{1} << new_top : 0));
        // AMD stores FOP, FIP and FDP only while an unmasked exception is pending (APM 2 11.4.4).
        if (host_is_amd() && (get<u16>(n_.fx, kFsw) & kErrorSummary) == 0) return;
        pointers();
    }
    void pointers() {
        check("fop", get<u16>(n_.fx, kFop), get<u16>(s_.fx, kFop));
        pointer("fip", kFip);
        pointer("fdp", kFdp);
    }
    // An image may hold what is no address; processors with 57-bit addresses keep more of it.
    void pointer(std::string_view name, std::size_t at) {
        constexpr u64 kAddress = (u64{1} << 47) - 1;
        const u64 a = get<u64>(n_.fx, at);
        const u64 b = get<u64>(s_.fx, at);
        const bool image = d_.insn.mnemonic == ZYDIS_MNEMONIC_FXRSTOR64;
        if (image && a != b && (a & kAddress) == (b & kAddress)) {
            out_.allowed = kPointers;
        } else {
            check(name, a, b);
        }
    }

    void vectors() {
        check("mxcsr", get<u32>(n_.fx, kMxcsr), get<u32>(s_.fx, kMxcsr));
        for (std::size_t i = 0; i < 16; ++i) {
            const u8* a = &n_.fx[kXmm + 16 * i];
            const u8* b = &s_.fx[kXmm + 16 * i];
            if (std::memcmp(a, b, 16) == 0) continue;
            const bool result = bound_ == Bound::reciprocal && i == vector_destination();
            if (result && within_reciprocal_bound(a, b, lanes())) {
                out_.allowed = kReciprocal;
            } else {
                check_wide(fmt::format("xmm{}", i), a, b, 16);
            }
        }
    }
    std::size_t vector_destination() const {
        return static_cast<std::size_t>(ZydisRegisterGetId(d_[0].reg.value));
    }

    unsigned lanes() const {
        return d_.insn.mnemonic == ZYDIS_MNEMONIC_RCPSS ||
                       d_.insn.mnemonic == ZYDIS_MNEMONIC_RSQRTSS
                   ? 1
                   : 4;
    }

    void memory() {
        if (native_.scratch == simulated_.scratch) return;
        for (std::size_t i = 0; i < kPage; ++i) {
            if (native_.scratch[i] == simulated_.scratch[i]) continue;
            if (undefined_.destination && d_.is_mem(0)) {
                out_.allowed = undefined_.reason;
                break;
            }
            if (undefined_.pushes && is_below_stack(i)) {
                out_.allowed = undefined_.reason;
                continue;
            }
            if (is_mxcsr_mask(i)) {
                out_.allowed = kMxcsrMask;
                continue;
            }
            check(fmt::format("mem[{:#x}]", kScratchPage + i), native_.scratch[i],
                  simulated_.scratch[i]);
        }
    }

    // Within ENTER's pushes, the most that there are.
    bool is_below_stack(std::size_t i) const {
        constexpr u64 kMost = 33 * 8;
        const u64 distance = case_.in.gpr[4] - (kScratchPage + i);
        return distance - 1 < kMost;
    }
    // The upper half of MXCSR_MASK in an FXSAVE image, whose upper bits are of AMD's extensions.
    bool is_mxcsr_mask(std::size_t i) const {
        return (d_.insn.mnemonic == ZYDIS_MNEMONIC_FXSAVE ||
                d_.insn.mnemonic == ZYDIS_MNEMONIC_FXSAVE64) &&
               i % 16 >= 14 && simulated_.scratch[i] == 0;
    }

    static constexpr std::string_view kUpperHalves =
        "upper halves of registers after a change to 32-bit code (SDM 1 3.4.1.1)";
    static constexpr std::string_view kPointers =
        "FXRSTOR of FIP and FDP that are not canonical (SDM 1 10.5.1)";
    static constexpr std::string_view kMxcsrMask =
        "MXCSR_MASK's upper half, which says what the processor has (SDM 1 11.6.6)";
    static constexpr std::string_view kOneUlp =
        "x87 transcendental functions: neighbouring results (SDM 1 8.3.10)";
    static constexpr std::string_view kInexactFlag =
        "x87 transcendental functions: exact results that the processor calls inexact, or the "
        "other way "
        "(SDM 1 4.9.1.6)";
    static constexpr std::string_view kReciprocal =
        "approximations within 1.5 * 2^-12 each (SDM 2B RCPPS, RSQRTPS)";

    const Case& case_;
    const Answer& native_;
    const Answer& simulated_;
    const State& n_;
    const State& s_;
    sim::Decoded d_;
    Undefined undefined_;
    Bound bound_ = Bound::none;
    Comparison out_;
};

}  // namespace

Comparison compare(const Case& c, const Answer& native, const Answer& simulated) {
    return Comparer(c, native, simulated)();
}

}  // namespace vtlsim::runner::conform
