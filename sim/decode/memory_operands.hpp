// What memory an instruction of 64-bit code is about to touch, hidden operands included: for models
// that have to know before it executes.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <unordered_map>

#include "sim/state/cpu_state.hpp"

namespace vtlsim::sim {

struct MemoryOperand {
    u64 address = 0;  // linear; of a REP string instruction: of the first element
    u32 size = 0;     // bytes; of a REP string instruction: of all elements, whatever DF
    bool read = false;
    bool write = false;
};

struct InsnMemory {
    std::array<MemoryOperand, 4> operands{};
    std::size_t count = 0;
    // A full barrier for stores: locked, or serialising (SDM 3A 8.2.5, 8.3), as far as it executes
    // without an exit.
    bool drains_stores = false;
};

// Keeps what it has decoded by address, and looks whether the bytes are still the same.
class InsnMemoryDecoder {
  public:
    InsnMemoryDecoder();
    ~InsnMemoryDecoder();
    // `bytes` are those at RIP, up to 15. Nothing is said of bytes that do not decode.
    InsnMemory look(const CpuState& state, std::span<const u8> bytes);

  private:
    struct Decoded;
    std::unordered_map<u64, std::unique_ptr<Decoded>> known_;
};

}  // namespace vtlsim::sim
