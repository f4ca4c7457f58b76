// The x87 unit as its instructions see it: stack, status, exceptions (SDM 1 chapter 8).
#pragma once

#include "sim/exec/exec.hpp"
#include "sim/fp/soft_float.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::sim::x87 {

// FSW (SDM 1 8.1.3). Its bits 0-5 are fp::kInvalid..kInexact.
inline constexpr u16 kExceptions = 0x3F, kStackFault = 1u << 6, kSummary = 1u << 7, kC0 = 1u << 8,
                     kC1 = 1u << 9, kC2 = 1u << 10, kC3 = 1u << 14, kBusy = 1u << 15;
inline constexpr u16 kConditions = kC0 | kC1 | kC2 | kC3;

inline u16 fcw(const Exec& x) { return static_cast<u16>(x.s[Reg::fcw]); }
inline u16 fsw(const Exec& x) { return static_cast<u16>(x.s[Reg::fsw]); }
inline unsigned top(const Exec& x) { return fsw(x) >> 11 & 7; }
inline unsigned physical(const Exec& x, unsigned st) { return (top(x) + st) & 7; }

// --- before an instruction -----------------------------------------------------------------------

// #NM (SDM 3A table 13-1). False: `pending` is set.
bool usable(Exec& x);
// Also reports what earlier instructions left pending (SDM 1 8.7): #MF, with CR0.NE only.
bool ready(Exec& x);
// A non-control instruction is going to retire: FOP and FIP, and of those with a memory operand FDP
// (SDM 1 8.1.8). Selectors are not kept: they are stored as 0 (CPUID.7.EBX[13]).
void note(Exec& x, const Op& op);
void note_memory(Exec& x, const Op& op);

// --- stack ---------------------------------------------------------------------------------------

inline bool empty(const Exec& x, unsigned st) {
    return (x.s[Reg::ftw] >> physical(x, st) & 1) == 0;
}
fp::Float80 st(const Exec& x, unsigned st);
// Also makes it not empty.
void set_st(Exec& x, unsigned st, fp::Float80 value);
void set_empty(Exec& x, unsigned st);
void move_top(Exec& x, unsigned by);  // modulo 8
void push(Exec& x, fp::Float80 value);
void pop(Exec& x);

// --- exceptions ----------------------------------------------------------------------------------

// Sets flags and C1, and ES for what is unmasked. False: one of IE, DE, ZE is unmasked, and the
// instruction is to change nothing else; other flags that came with it are then not set.
bool raise(Exec& x, u16 flags, bool c1);
inline bool stack_underflow(Exec& x) { return raise(x, fp::kInvalid | kStackFault, false); }
inline bool stack_overflow(Exec& x) { return raise(x, fp::kInvalid | kStackFault, true); }
// ES and B to what FSW and FCW say.
void update_summary(Exec& x);
void set_conditions(Exec& x, u16 bits);  // C0, C2 and C3 only

fp::Rounding rounding(const Exec& x);
// Precision, rounding and traps of FCW.
fp::Context context(const Exec& x);
fp::Float80 indefinite();

// --- translation ---------------------------------------------------------------------------------

// op.imm = FOP; the address of a memory operand, with op.size its bytes, or the register number of
// the ModRM byte in op.src. op.dst is the register to write: that of ModRM in DC, DD, DE and DF.
void set_operands(const Decoded& d, Op& op);

// A memory operand as a number.
struct Real32 {
    using Type = u32;
    static fp::Number number(u32 bits) { return fp::unpack32(bits); }
};
struct Real64 {
    using Type = u64;
    static fp::Number number(u64 bits) { return fp::unpack64(bits); }
};
template <class T>
struct Integer {
    using Type = T;
    static fp::Number number(T value) { return fp::from_integer(value); }
};

}  // namespace vtlsim::sim::x87
