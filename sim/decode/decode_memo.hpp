// Blocks that this thread has decoded before, for whatever machine: what bytes mean depends on the
// bytes and the kind of code alone. Fresh machines and restored snapshots need not ask Zydis again.
#pragma once

#include "sim/decode/decoder.hpp"

namespace vtlsim::sim {

// As decode_block().
Block decode_block_again(std::span<const u8> bytes, CodeKind kind);

}  // namespace vtlsim::sim
