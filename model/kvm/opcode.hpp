// What of an instruction's opcode decides how KVM's emulator treats its memory operand.
#pragma once

#include <span>

#include "sim/state/registers.hpp"
#include "sim/types.hpp"

namespace vtlsim::model::kvm {

struct Opcode {
    u16 value = 0;              // behind the prefixes; 0F00h and the second byte of two-byte ones
    u8 rep = 0;                 // the last of F2h and F3h among the prefixes
    bool operand_size = false;  // 66h
    bool address_size = false;  // 67h
    bool wide = false;          // REX.W
    bool lock = false;          // F0h
    u8 segment = 0;             // the last segment override among the prefixes
    u8 modrm = 0;               // the byte behind the opcode, whatever it is

    // Of a memory operand that is else in `usual`.
    sim::Seg segment_or(sim::Seg usual) const;
    bool register_operand() const { return modrm >= 0xC0; }
    // Far JMP and CALL, LES to LGS: a selector behind an offset.
    bool far_pointer(bool long_code) const;

    // MOVS, CMPS, STOS, LODS, SCAS.
    bool is_string() const {
        return (value >= 0xA4 && value <= 0xA7) || (value >= 0xAA && value <= 0xAF);
    }
    bool compares() const {
        return value == 0xA6 || value == 0xA7 || value == 0xAE || value == 0xAF;
    }
    // The memory operand is read before it is written.
    bool reads_destination() const;
    bool uses_stack() const;
    bool returns_far() const { return value == 0xCA || value == 0xCB; }
    bool pushes_segment() const;
    bool pops_segment() const;
};

Opcode opcode_of(std::span<const u8> instruction, bool long_code);

}  // namespace vtlsim::model::kvm
