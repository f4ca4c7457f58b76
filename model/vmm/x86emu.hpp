// What OpenVMM's instruction emulator makes of an instruction, as far as it can be said without a
// world (openvmm: vm/x86/x86emu/src/emulator.rs and emulator/; docs/sidecar.md, "The emulator").
#pragma once

#include <variant>

#include "sim/decode/insn_view.hpp"
#include "sim/exec/outcome.hpp"

namespace vtlsim::model::x86emu {

enum class Verdict : u8 {
    emulates,
    unsupported,  // touches memory by an operand, and is none of those that it knows: #UD
    not_for_it,   // has no memory operand in its text (stack, MASKMOVQ, descriptor tables)
};
Verdict verdict(const sim::InsnView& insn);

// Status flags that it writes; others keep their value where the architecture leaves them
// undefined.
u64 flags_written(const sim::InsnView& insn);

// Whether it accesses the operand of an instruction that is no string instruction: CMOVcc reads
// only when the condition holds, a shift by nothing does not write.
bool reads(const sim::InsnView& insn, u64 rflags);
bool writes(const sim::InsnView& insn);
// Of CMPXCHG and its wide forms: writes only if `rflags`, after it, has ZF.
bool writes_if_equal(const sim::InsnView& insn);

struct Executed {
    sim::CpuState state;
    Vec128 operand{};  // after it
};
// The instruction's outcome with `operand` for what lies at `gva`: what it leaves, or its fault, or
// something else that no known instruction does.
std::variant<Executed, sim::Fault, std::monostate> execute(const sim::CpuState& state,
                                                           std::span<const u8> bytes, u64 gva,
                                                           u8 size, Vec128 operand);
// The status flags of CMP.
u64 compare_flags(u64 left, u64 right, u8 size);

}  // namespace vtlsim::model::x86emu
