// An instruction taken apart, for models of emulators that execute one by themselves.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "sim/state/cpu_state.hpp"

namespace vtlsim::sim {

struct InsnView {
    std::string_view mnemonic;   // as Zydis writes it: "movsd" is two instructions
    u8 length = 0;               // bytes
    u8 address_size = 8;         // bytes
    bool string = false;         // MOVS, CMPS, SCAS, LODS, STOS, INS, OUTS
    bool rep = false;            // of a string instruction: F3, or F2 where that means the same
    bool repne = false;          // F2 on CMPS and SCAS
    bool moves_segment = false;  // has a segment register for an operand
    bool legacy = true;          // no VEX or EVEX

    struct Memory {
        u64 offset = 0;  // within the segment
        Seg segment = Seg::ds;
        u8 size = 0;  // bytes; of a string instruction: of an element
        bool read = false;
        bool write = false;
    };
    // The operand in brackets, at the word that holds the bit of BT and its kind. Of a string
    // instruction only size and segment, the one that DS:SI or its override names.
    std::optional<Memory> memory;
    // Of shifts and rotates: CL or the immediate, not masked.
    u8 count = 0;
};

// Of the instruction at RIP, in the code mode of `state`; nothing if the bytes do not decode.
std::optional<InsnView> view_insn(const CpuState& state, std::span<const u8> bytes);

}  // namespace vtlsim::sim
