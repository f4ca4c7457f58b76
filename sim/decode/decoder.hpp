// Bytes to Ops: Zydis decodes, the instruction rows choose the handler.
#pragma once

#include <span>

#include "sim/decode/code_cache.hpp"

namespace vtlsim::sim {

// The block that starts at bytes[0] and does not reach past the end of `bytes` (the rest of a
// page). Empty when already the first instruction would. Undefined or unmodelled instructions
// become Ops that say so when they are reached.
Block decode_block(std::span<const u8> bytes, CodeKind kind);

// One instruction, from as many bytes as an instruction can have.
Block decode_one(std::span<const u8, kMaxInsnLength> bytes, CodeKind kind);

}  // namespace vtlsim::sim
