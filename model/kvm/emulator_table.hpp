// Which instructions KVM's emulator has.
#pragma once

#include "model/kvm/opcode.hpp"

namespace vtlsim::model::kvm {

// False: emulation fails, which at CPL 0 is KVM_EXIT_INTERNAL_ERROR, else #UD. Measured on Linux
// 6.18 by one run of every opcode and ModRM.reg, with a memory and with a register operand
// (docs/conform-kvm.md). `protect`: CR0.PE.
bool emulator_has(const Opcode& op, bool long_code, bool protect);

}  // namespace vtlsim::model::kvm
