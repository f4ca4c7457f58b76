// Names of everything a scenario can expect a value of: registers of a VTL, fields of the wire
// structures, device and VMM counters.
//
//   vtl0.rax  vtl2.rip          a register as that VTL sees it
//   context.rax  context.xmm6   the VMM's picture of the guest (CpuContext, FXSAVE area included)
//   message.type  message.rip   the message as the VMM reads it; payload fields by message type
//   assist.entry_reason         the VP assist page; assist.message.rax is the hypervisor's copy
//   regpage.rsp  command.has_error  control.cpu_status  hcl_run.cancel
//   port.0x3fe.reads  .writes  .last_written
//   vmm.exits  hypervisor.messages
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/wire/wire.hpp"

namespace vtlsim::model {

class World;

// Whether the path can name a value in some state; if not, `why` gets a sentence with the nearest
// right name.
bool known_path(std::string_view path, std::string& why);

// The name of the wire field that starts at a physical address ("context.rax"); an address in hex
// where none does.
std::string name_of_address(u64 address);

}  // namespace vtlsim::model
