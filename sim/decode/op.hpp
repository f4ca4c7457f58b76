// A decoded instruction in the form that is executed.
#pragma once

#include "sim/state/cpu_state.hpp"

namespace vtlsim::sim {

struct Exec;
struct Op;

inline constexpr std::size_t kMaxInsnLength = 15;  // bytes (SDM 2A 2.3.11)

// How code bytes are read: EFER.LMA, CR0.PE, EFLAGS.VM, and CS's L and D bits.
enum class CodeMode : u8 { real16, real32, prot16, prot32, compat16, compat32, long64, virtual16 };
constexpr bool is_32bit(CodeMode m) {
    return m == CodeMode::real32 || m == CodeMode::prot32 || m == CodeMode::compat32;
}

// What a handler tells the loop that called it.
enum class Flow : u8 {
    next,    // retired, go on with the following Op
    branch,  // retired, RIP is set: leave the block
    again,   // not retired: some iterations of a REP are done, RIP stays
    stale,   // not executed: its bytes have changed since they were decoded
    stop,    // not retired: Exec::pending says why, RIP stays
    done,    // retired, RIP is set, and Exec::pending ends the run (HLT, faults of a new task)
    pause,   // not executed: the observer pauses the run before it (no handler answers this)
};
using Handler = Flow (*)(Exec&, const Op&);

// Registers are slots of CpuState::scalar, so an address is base + (index << scale) + disp with
// no test for what is absent. 8-bit registers are byte offsets into the scalar array, which makes
// AH..BH ordinary.
struct Op {
    Handler handler = nullptr;  // executes this instruction alone
    Handler chain = nullptr;    // this one and all that follows, as far as exec/chain.hpp lets it
    u64 imm = 0;                // sign-extended; relative branches: the displacement
    u64 disp = 0;               // RIP-relative: already relative to the start of the block
    u64 address_mask = ~u64{0};
    u8 base = kNoReg;
    u8 index = kNoReg;
    u8 scale = 0;              // shift count, 0 to 3
    u8 segment_base = kNoReg;  // slot of the hidden base that is added, if any
    u8 dst = 0;
    u8 src = 0;
    u8 size = 0;                 // operand size, bytes
    u8 length = 0;               // of the instruction, bytes
    u16 offset = 0;              // of the instruction from the block's first byte
    u16 next = 0;                // offset + length
    bool stack_segment = false;  // non-canonical addresses fault with #SS instead of #GP
    bool rep = false;            // F3
    bool repne = false;          // F2
    bool is_jcc = false;         // `src` is then the condition code
    u8 address_size = 8;         // bytes
    Seg segment = Seg::ds;       // of the memory operand
    u16 mnemonic = 0;            // ZydisMnemonic, for messages
    // Outside of 64-bit mode: what the memory operand's segment is checked for before `inner` runs.
    u16 checked_size = 0;  // bytes
    bool checked_write = false;
    Handler inner = nullptr;
    // What `chain` is when a Jcc follows, by condition code; null for most.
    const Handler* with_jcc = nullptr;
    // Of observed code, in which `chain` asks the observer first: what comes then.
    Handler observed = nullptr;
};

static_assert(sizeof(Op) <= 88);

}  // namespace vtlsim::sim
