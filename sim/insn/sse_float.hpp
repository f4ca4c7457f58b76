// One SSE floating-point instruction's dealings with MXCSR: modes, sticky flags, #XM.
#pragma once

#include "sim/fp/soft_float.hpp"
#include "sim/insn/sse_operands.hpp"

namespace vtlsim::sim {

namespace mxcsr {
inline constexpr u64 daz = 1u << 6, ftz = 1u << 15;
inline constexpr unsigned kMaskShift = 7, kRoundingShift = 13;
}  // namespace mxcsr

// Collects the flags of all lanes. Bits is u32 for binary32, u64 for binary64.
class FpUnit {
  public:
    explicit FpUnit(Exec& x) : x_(x), mxcsr_(x.s[Reg::mxcsr]) {}

    fp::Rounding rounding() const {
        return static_cast<fp::Rounding>(mxcsr_ >> mxcsr::kRoundingShift & 3);
    }
    template <class Bits>
    fp::Context context() const {
        fp::Context c = sizeof(Bits) == 4 ? fp::binary32(rounding()) : fp::binary64(rounding());
        c.trap_overflow = (masks() & fp::kOverflow) == 0;
        c.trap_underflow = (masks() & fp::kUnderflow) == 0;
        c.flush_to_zero = (mxcsr_ & mxcsr::ftz) != 0;
        return c;
    }
    fp::Number unpack(u32 bits) const { return fp::unpack32(bits, (mxcsr_ & mxcsr::daz) != 0); }
    fp::Number unpack(u64 bits) const { return fp::unpack64(bits, (mxcsr_ & mxcsr::daz) != 0); }
    template <class Bits>
    static Bits pack(const fp::Number& n) {
        if constexpr (sizeof(Bits) == 4) {
            return fp::pack32(n);
        } else {
            return fp::pack64(n);
        }
    }

    // A lane's result: its flags are collected. With an unmasked exception no value is needed, and
    // that of a trapped overflow would not fit its format.
    template <class Bits>
    Bits take(const fp::Result& r) {
        raise(r.flags);
        return (r.flags & ~masks()) != 0 ? Bits{0} : pack<Bits>(r.value);
    }
    void raise(u8 flags) { flags_ |= flags; }

    // Ends a step of the instruction, most have one only. False: an unmasked exception; the later
    // steps are not made. An unmasked pre-computation exception of any lane comes before all
    // results of its step, so their flags are not seen (SDM 1 11.5.3).
    bool settle() {
        const u8 unmasked = static_cast<u8>(flags_ & ~masks());
        if ((unmasked & fp::kPreComputation) != 0) flags_ &= fp::kPreComputation;
        settled_ |= flags_;
        flags_ = 0;
        trapped_ = trapped_ || unmasked != 0;
        return !trapped_;
    }

    // Makes the flags sticky. False: an unmasked exception, #XM or, without CR4.OSXMMEXCPT, #UD;
    // the instruction then writes nothing.
    bool finish() {
        settle();
        x_.s[Reg::mxcsr] |= settled_;
        if (!trapped_) return true;
        x_.fault((x_.s[Reg::cr4] & cr4::osxmmexcpt) != 0 ? Vector::xm : Vector::ud);
        return false;
    }

  private:
    u8 masks() const { return static_cast<u8>(mxcsr_ >> mxcsr::kMaskShift & 0x3F); }

    Exec& x_;
    u64 mxcsr_;
    u8 flags_ = 0;    // of the step
    u8 settled_ = 0;  // of those before
    bool trapped_ = false;
};

}  // namespace vtlsim::sim
