// The soft floating point core against the x87 and SSE units of the host, to the bit: values,
// exception flags, C1, masked and unmasked responses. Elsewhere than on x86-64 there is nothing to
// compare with.
#if defined(__x86_64__)

#include <cstdlib>

#include <fmt/format.h>

#include "sim/fp/soft_float.hpp"
#include "tests/catch.hpp"
#include "tests/sim/fp_operands.hpp"

using namespace vtlsim;
using namespace vtlsim::sim::fp;
using vtlsim::tests::FpSource;

namespace {

constexpr u16 kC0 = 1u << 8, kC1 = 1u << 9, kC2 = 1u << 10, kC3 = 1u << 14;
constexpr u8 kAllExceptions = 0x3F;

struct Image80 {
    u64 significand = 0;
    u16 sign_exponent = 0;
    u16 padding[3] = {};
};
static_assert(sizeof(Image80) == 16);

Image80 image(Float80 f) { return {f.significand, f.sign_exponent, {}}; }
std::string text(Float80 f) {
    return fmt::format("{:04x}_{:016x}", f.sign_exponent, f.significand);
}

Context context_of(u16 fcw) {
    constexpr u8 kPrecisions[] = {24, 64, 53, 64};  // 01b is reserved
    Context c = extended(static_cast<Rounding>(fcw >> 10 & 3), kPrecisions[fcw >> 8 & 3]);
    c.trap_overflow = (fcw & kOverflow) == 0;
    c.trap_underflow = (fcw & kUnderflow) == 0;
    return c;
}

struct Answer {
    Float80 value{};
    Float80 second{};
    u16 status = 0;
    friend bool operator==(const Answer&, const Answer&) = default;
};

// Runs one x87 instruction with b in ST(1) and a in ST(0).
#define HOST_X87(name, instruction)                                                          \
    Answer name(u16 fcw, Float80 a, Float80 b) {                                             \
        Image80 x = image(a), y = image(b);                                                  \
        u16 status = 0;                                                                      \
        asm volatile("fninit\n\tfldt %1\n\tfldt %0\n\tfldcw %3\n\t" instruction              \
                     "\n\tfnstsw %2\n\tfnclex\n\tfstpt %0\n\tfstpt %1\n\tfninit"             \
                     : "+m"(x), "+m"(y), "=m"(status)                                        \
                     : "m"(fcw));                                                            \
        return {{x.significand, x.sign_exponent}, {y.significand, y.sign_exponent}, status}; \
    }

HOST_X87(host_add, "fadd %%st(1), %%st")
HOST_X87(host_sub, "fsub %%st(1), %%st")
HOST_X87(host_mul, "fmul %%st(1), %%st")
HOST_X87(host_div, "fdiv %%st(1), %%st")
HOST_X87(host_sqrt, "fsqrt")
HOST_X87(host_integral, "frndint")
HOST_X87(host_scale, "fscale")
HOST_X87(host_prem, "fprem")
HOST_X87(host_prem1, "fprem1")
HOST_X87(host_com, "fcom %%st(1)")
HOST_X87(host_ucom, "fucom %%st(1)")

constexpr u16 kStatusMask = 0x3F | kC1;

using Soft = Result (*)(const Number&, const Number&, const Context&);

// What an instruction with a register result makes of the operation's result.
Answer respond(const Result& r, u16 fcw, Float80 a) {
    Answer out{pack80(r.value), {}, r.flags};
    if ((r.flags & kPreComputation & ~fcw) != 0) {
        out.value = a;
        out.status &= kPreComputation;
    } else if (r.rounded_up) {
        out.status |= kC1;
    }
    return out;
}

// Cases of each comparison.
u64 case_count() {
    const char* text = std::getenv("VTLSIM_FP_CASES");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 20000;
}

// Calls `one` with a source of operands; it answers what is wrong.
template <class One>
void repeat(u64 seed, One one) {
    FpSource random(seed);
    unsigned failures = 0;
    const u64 count = case_count();
    for (u64 i = 0; i < count && failures < 10; ++i) {
        const std::string problem = one(random);
        if (problem.empty()) continue;
        ++failures;
        FAIL_CHECK(problem);
    }
    CHECK(failures == 0);
}

void compare_with(Answer (*host)(u16, Float80, Float80), Soft soft, u64 seed) {
    repeat(seed, [&](FpSource& random) -> std::string {
        const u16 fcw = random.control();
        const Float80 a = random.extended();
        const Float80 b = random.extended();
        Answer want = host(fcw, a, b);
        want.status &= kStatusMask;
        want.second = {};
        const Answer got = respond(soft(unpack80(a), unpack80(b), context_of(fcw)), fcw, a);
        if (got == want) return "";
        return fmt::format("fcw {:04x}, {} and {}: {} status {:x}, the host says {} {:x}", fcw,
                           text(a), text(b), text(got.value), got.status, text(want.value),
                           want.status);
    });
}

void compare_remainders(Answer (*host)(u16, Float80, Float80), Quotient kind, u64 seed) {
    repeat(seed, [&](FpSource& random) -> std::string {
        const u16 fcw = random.control();
        const Float80 a = random.extended();
        const Float80 b = random.extended();
        Answer want = host(fcw, a, b);
        want.status &= kAllExceptions | kC0 | kC1 | kC2 | kC3;
        want.second = {};
        const Remainder r = remainder(unpack80(a), unpack80(b), kind, context_of(fcw));
        Answer got = respond({r.value, r.flags, r.rounded_up}, fcw, a);
        if ((got.status & kInvalid) == 0 && (r.flags & kPreComputation & ~fcw) == 0) {
            if (!r.complete) got.status |= kC2;
            if ((r.quotient & 1) != 0) got.status |= kC1;
            if ((r.quotient & 2) != 0) got.status |= kC3;
            if ((r.quotient & 4) != 0) got.status |= kC0;
        }
        if (got == want) return "";
        return fmt::format("fcw {:04x}, {} and {}: {} status {:x}, the host says {} {:x}", fcw,
                           text(a), text(b), text(got.value), got.status, text(want.value),
                           want.status);
    });
}

void compare_comparisons(Answer (*host)(u16, Float80, Float80), bool quiet, u64 seed) {
    repeat(seed, [&](FpSource& random) -> std::string {
        const u16 fcw = 0x37F;
        const Float80 a = random.extended();
        const Float80 b = random.below(4) == 0 ? a : random.extended();
        const u16 want = host(fcw, a, b).status & (kAllExceptions | kC0 | kC1 | kC2 | kC3);
        const Comparison r = compare(unpack80(a), unpack80(b), quiet);
        constexpr u16 kCodes[] = {kC0, kC3, 0, kC0 | kC2 | kC3};
        const u16 got = static_cast<u16>(kCodes[static_cast<int>(r.relation)] | r.flags);
        if (got == want) return "";
        return fmt::format("{} and {}: {:x}, the host says {:x}", text(a), text(b), got, want);
    });
}

// Stores ST(0) as another type.
#define HOST_STORE(name, type, instruction)                          \
    u16 name(u16 fcw, Float80 a, type& out) {                        \
        const Image80 x = image(a);                                  \
        u16 status = 0;                                              \
        asm volatile("fninit\n\tfldt %2\n\tfldcw %3\n\t" instruction \
                     "\n\tfnstsw %1\n\tfnclex\n\tfninit"             \
                     : "+m"(out), "=m"(status)                       \
                     : "m"(x), "m"(fcw));                            \
        return status & kStatusMask;                                 \
    }
HOST_STORE(host_store32, u32, "fstps %0")
HOST_STORE(host_store64, u64, "fstpl %0")
HOST_STORE(host_integer16, i16, "fistps %0")
HOST_STORE(host_integer32, i32, "fistpl %0")
HOST_STORE(host_integer64, i64, "fistpll %0")
HOST_STORE(host_truncated64, i64, "fisttpll %0")

template <class T, class Pack>
void compare_stores(u16 (*host)(u16, Float80, T&), Context (*format)(Rounding), Pack pack,
                    u64 seed) {
    repeat(seed, [&](FpSource& random) -> std::string {
        const u16 fcw = random.control();
        const Float80 a = random.extended();
        constexpr T kBefore = 0x12345678;
        T want = kBefore;
        const u16 want_status = host(fcw, a, want);
        Context c = format(static_cast<Rounding>(fcw >> 10 & 3));
        c.trap_overflow = (fcw & kOverflow) == 0;
        c.trap_underflow = (fcw & kUnderflow) == 0;
        Number n = unpack80(a);
        n.denormal = false;
        const Result r = convert(n, c);
        u16 status = static_cast<u16>(r.flags | (r.rounded_up ? kC1 : 0));
        T got = pack(r.value);
        if ((r.flags & ~fcw & (kPreComputation | kOverflow | kUnderflow)) != 0) {
            // Nothing is stored, so nothing is inexact (SDM 1 8.5.4, 8.5.5).
            got = kBefore;
            status &= kPreComputation | kOverflow | kUnderflow;
            if ((status & kPreComputation & ~fcw) != 0) status &= kPreComputation;
        }
        if (got == want && status == want_status) return "";
        return fmt::format("fcw {:04x}, {}: {:x} status {:x}, the host says {:x} {:x}", fcw,
                           text(a), got, status, want, want_status);
    });
}

template <class T>
void compare_integers(u16 (*host)(u16, Float80, T&), bool truncate, u64 seed) {
    repeat(seed, [&](FpSource& random) -> std::string {
        const u16 fcw = random.control() | kAllExceptions;
        const Float80 a = random.extended();
        T want = 0;
        const u16 want_status = host(fcw, a, want);
        const Rounding rounding = truncate ? Rounding::zero : static_cast<Rounding>(fcw >> 10 & 3);
        const Integer r = to_integer(unpack80(a), sizeof(T) * 8, rounding);
        const u16 status = static_cast<u16>(r.flags | (r.rounded_up ? kC1 : 0));
        if (r.value == want && status == want_status) return "";
        return fmt::format("fcw {:04x}, {}: {:x} status {:x}, the host says {:x} {:x}", fcw,
                           text(a), r.value, status, want, want_status);
    });
}

// --- SSE ------------------------------------------------------------------------------------

constexpr u32 kDaz = 1u << 6, kFtz = 1u << 15;

#define HOST_SSE(name, type, instruction)                                                   \
    u32 name(u32 mxcsr, type a, type b, type& out) {                                        \
        const u32 reset = 0x1F80;                                                           \
        Vec128 x{a, 0}, y{b, 0};                                                            \
        asm volatile("ldmxcsr %2\n\tmovdqa %1, %%xmm0\n\tmovdqa %3, %%xmm1\n\t" instruction \
                     " %%xmm1, %%xmm0\n\tmovdqa %%xmm0, %1\n\tstmxcsr %0\n\tldmxcsr %4"     \
                     : "=m"(mxcsr), "+m"(x)                                                 \
                     : "m"(mxcsr), "m"(y), "m"(reset)                                       \
                     : "xmm0", "xmm1");                                                     \
        out = static_cast<type>(x.lo);                                                      \
        return mxcsr & kAllExceptions;                                                      \
    }
HOST_SSE(host_addss, u32, "addss")
HOST_SSE(host_subss, u32, "subss")
HOST_SSE(host_mulss, u32, "mulss")
HOST_SSE(host_divss, u32, "divss")
HOST_SSE(host_sqrtss, u32, "sqrtss")
HOST_SSE(host_addsd, u64, "addsd")
HOST_SSE(host_subsd, u64, "subsd")
HOST_SSE(host_mulsd, u64, "mulsd")
HOST_SSE(host_divsd, u64, "divsd")
HOST_SSE(host_sqrtsd, u64, "sqrtsd")
HOST_SSE(host_cvtsd2ss, u64, "cvtsd2ss")
HOST_SSE(host_cvtss2sd, u64, "cvtss2sd")
HOST_SSE(host_comisd, u64, "comisd")
HOST_SSE(host_ucomisd, u64, "ucomisd")

u32 random_mxcsr(FpSource& random) {
    u32 mxcsr = 0x1F80 | static_cast<u32>(random.below(4)) << 13;
    if (random.below(4) == 0) mxcsr |= kDaz;
    if (random.below(4) == 0) mxcsr |= kFtz;
    return mxcsr;
}

Result sqrt_of_second(const Number&, const Number& b, const Context& c) { return sqrt(b, c); }
Result convert_second(const Number&, const Number& b, const Context& c) { return convert(b, c); }

template <class T, class Unpack, class Pack>
void compare_sse(u32 (*host)(u32, T, T, T&), Soft soft, T (FpSource::*make)(), Unpack unpack,
                 Context (*format)(Rounding), Pack pack, T compared, u64 seed) {
    repeat(seed, [&](FpSource& random) -> std::string {
        const u32 mxcsr = random_mxcsr(random);
        const T a = (random.*make)();
        const T b = (random.*make)();
        T want = 0;
        const u32 want_flags = host(mxcsr, a, b, want);
        Context c = format(static_cast<Rounding>(mxcsr >> 13 & 3));
        c.flush_to_zero = (mxcsr & kFtz) != 0;
        const bool daz = (mxcsr & kDaz) != 0;
        const Result r = soft(unpack(a, daz), unpack(b, daz), c);
        const T got = static_cast<T>(pack(r.value));
        if (got == (want & compared) && r.flags == want_flags) return "";
        return fmt::format("mxcsr {:04x}, {:x} and {:x}: {:x} flags {:x}, the host says {:x} {:x}",
                           mxcsr, a, b, got, r.flags, want & compared, want_flags);
    });
}

void compare_single(u32 (*host)(u32, u32, u32, u32&), Soft soft, u64 seed) {
    compare_sse(host, soft, &FpSource::binary32, unpack32, binary32, pack32, ~u32{0}, seed);
}
void compare_double(u32 (*host)(u32, u64, u64, u64&), Soft soft, u64 seed) {
    compare_sse(host, soft, &FpSource::binary64, unpack64, binary64, pack64, ~u64{0}, seed);
}

}  // namespace

TEST_CASE("soft float: x87 arithmetic agrees with the host", "[fp][host]") {
    compare_with(host_add, add, 1);
    compare_with(host_sub, sub, 2);
    compare_with(host_mul, mul, 3);
    compare_with(host_div, div, 4);
    compare_with(
        host_sqrt, [](const Number& a, const Number&, const Context& c) { return sqrt(a, c); }, 5);
}

TEST_CASE("soft float: x87 scaling and integral values agree with the host", "[fp][host]") {
    compare_with(
        host_integral,
        [](const Number& a, const Number&, const Context& c) { return round_to_integral(a, c); },
        6);
    compare_with(host_scale, scale, 7);
}

TEST_CASE("soft float: x87 remainders agree with the host", "[fp][host]") {
    compare_remainders(host_prem, Quotient::truncated, 8);
    compare_remainders(host_prem1, Quotient::nearest, 9);
}

TEST_CASE("soft float: x87 comparisons agree with the host", "[fp][host]") {
    compare_comparisons(host_com, false, 10);
    compare_comparisons(host_ucom, true, 11);
}

TEST_CASE("soft float: x87 conversions agree with the host", "[fp][host]") {
    compare_stores(host_store32, binary32, pack32, 12);
    compare_stores(host_store64, binary64, pack64, 13);
    compare_integers(host_integer16, false, 14);
    compare_integers(host_integer32, false, 15);
    compare_integers(host_integer64, false, 16);
    compare_integers(host_truncated64, true, 17);
}

TEST_CASE("soft float: SSE arithmetic agrees with the host", "[fp][host]") {
    compare_single(host_addss, add, 20);
    compare_single(host_subss, sub, 21);
    compare_single(host_mulss, mul, 22);
    compare_single(host_divss, div, 23);
    compare_single(host_sqrtss, sqrt_of_second, 24);
    compare_double(host_addsd, add, 25);
    compare_double(host_subsd, sub, 26);
    compare_double(host_mulsd, mul, 27);
    compare_double(host_divsd, div, 28);
    compare_double(host_sqrtsd, sqrt_of_second, 29);
}

TEST_CASE("soft float: SSE conversions agree with the host", "[fp][host]") {
    compare_sse(host_cvtsd2ss, convert_second, &FpSource::binary64, unpack64, binary32, pack32,
                u64{0xFFFFFFFF}, 30);
    const auto unpack_low = [](u64 bits, bool daz) {
        return unpack32(static_cast<u32>(bits), daz);
    };
    compare_sse(host_cvtss2sd, convert_second, &FpSource::binary64, unpack_low, binary64, pack64,
                ~u64{0}, 31);
    for (const bool quiet : {false, true}) {
        repeat(quiet ? 33 : 32, [&](FpSource& random) -> std::string {
            const u32 mxcsr = random_mxcsr(random);
            const bool daz = (mxcsr & kDaz) != 0;
            const u64 a = random.binary64();
            const u64 b = random.below(4) == 0 ? a : random.binary64();
            u64 unused = 0;
            const u32 want = (quiet ? host_ucomisd : host_comisd)(mxcsr, a, b, unused);
            const u32 got = compare(unpack64(a, daz), unpack64(b, daz), quiet).flags;
            if (got == want) return "";
            return fmt::format("mxcsr {:04x}, {:x} and {:x}: {:x}, the host says {:x}", mxcsr, a, b,
                               got, want);
        });
    }
}

#endif
