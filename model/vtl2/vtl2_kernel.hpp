// The VTL2 kernel's machine code, assembled from the .asm files of this folder.
#pragma once

#include <string>
#include <vector>

#include "model/switches.hpp"
#include "sim/asm/assembler.hpp"

namespace vtlsim::model {

// What the VTL2 kernel and the rest of the world agree on, as assembly symbols: page addresses,
// wire field offsets, register names, command numbers; the addresses are those of the VP.
const std::vector<std::pair<std::string, u64>>& vtl2_symbols(unsigned vp = 0);

// The kernel for these switches (vp_runner, vmm_fix, fx_cr2_restore choose its text).
// Each VP has its own copy: only the addresses differ.
sim::AsmResult assemble_vtl2_kernel(const Switches& switches, unsigned vp = 0);

// The text itself, for listings: the lines that the switches leave out are gone.
std::string vtl2_kernel_text(const Switches& switches);

// The hypercall page: the plain stub at 0, the VTL-return stub at layout::kVtlReturnOffset.
std::vector<u8> hypercall_page(StubBytes stub);

}  // namespace vtlsim::model
