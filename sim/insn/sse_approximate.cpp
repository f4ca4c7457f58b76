// RCPPS RCPSS RSQRTPS RSQRTSS.
//
// The manual bounds the relative error by 1.5 * 2^-12 and leaves the low bits to the
// implementation. Here they are those of the value rounded to nearest: the reciprocal of the
// operand, or of its square root to 64 bits. Nothing touches MXCSR, and nothing in it matters.
#include "sim/fp/soft_float.hpp"
#include "sim/insn/rows.hpp"
#include "sim/insn/sse_operands.hpp"

namespace vtlsim::sim {
namespace {

using fp::Kind;
using fp::Number;
using fp::Rounding;

constexpr bool kZeroDenormals = true;  // "treated as a 0.0 (of the same sign)"

Number reciprocal_of(const Number& a) {
    fp::Context c = fp::binary32(Rounding::nearest);
    c.flush_to_zero = true;  // "tiny results are always flushed to 0.0"
    return fp::div(fp::from_integer(1), a, c).value;
}

struct Reciprocal {
    static u32 lane(u32 bits) {
        return fp::pack32(reciprocal_of(fp::unpack32(bits, kZeroDenormals)));
    }
};
struct ReciprocalRoot {
    static u32 lane(u32 bits) {
        const Number a = fp::unpack32(bits, kZeroDenormals);
        return fp::pack32(reciprocal_of(fp::sqrt(a, fp::extended(Rounding::nearest)).value));
    }
};

template <class Operation>
struct PackedLanes {
    static Vec128 apply(const Vec128&, const Vec128& b, u8) {
        auto r = lanes<u32>(b);
        for (u32& lane : r) lane = Operation::lane(lane);
        return from_lanes<Vec128>(r);
    }
};
// The destination keeps the other lanes.
template <class Operation>
struct LowLane {
    static Vec128 apply(const Vec128& a, const Vec128& b, u8) {
        auto r = lanes<u32>(a);
        r[0] = Operation::lane(lanes<u32>(b)[0]);
        return from_lanes<Vec128>(r);
    }
};

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_RCPPS, translate_xmm<PackedLanes<Reciprocal>>, "SDM 2B RCPPS"},
    {ZYDIS_MNEMONIC_RCPSS, translate_xmm<LowLane<Reciprocal>, u32>, "SDM 2B RCPSS"},
    {ZYDIS_MNEMONIC_RSQRTPS, translate_xmm<PackedLanes<ReciprocalRoot>>, "SDM 2B RSQRTPS"},
    {ZYDIS_MNEMONIC_RSQRTSS, translate_xmm<LowLane<ReciprocalRoot>, u32>, "SDM 2B RSQRTSS"},
};

}  // namespace

std::span<const InsnRow> sse_approximate_rows() { return kRows; }

}  // namespace vtlsim::sim
