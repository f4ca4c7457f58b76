// Decoded code in basic blocks, keyed by physical address and code mode.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "sim/decode/op.hpp"
#include "sim/memory/memory.hpp"

namespace vtlsim::sim {

// Straight-line code: ends after the first instruction that may leave it, at the end of the page,
// or after kMaxOps.
struct Block {
    static constexpr std::size_t kMaxOps = 32;
    std::vector<Op> ops;
};

class CodeCache {
  public:
    const Block* find(u64 physical, CodeMode mode) const {
        const Slot& slot = fast_[slot_of(physical)];
        return slot.key == key(physical, mode) ? slot.block : nullptr;
    }
    // A block found by the slow way, or null.
    const Block* find_slow(u64 physical, CodeMode mode);
    const Block* insert(u64 physical, CodeMode mode, Block block);

    bool has_code(u64 page_number) const { return pages_.count(page_number) != 0; }
    // The page's bytes are about to change. A block that is being executed stays allocated until
    // collect(), with handlers that leave it.
    void invalidate_page(u64 page_number);
    void invalidate_all();
    // Frees what invalidation left behind. Call while no block is executing.
    void collect() { retired_.clear(); }

  private:
    struct Slot {
        u64 key = ~u64{0};
        const Block* block = nullptr;
    };
    static constexpr std::size_t kSlots = 1024;
    static constexpr std::size_t kMaxBlocks = 1 << 16;  // then everything is dropped
    static std::size_t slot_of(u64 physical) {
        return (physical ^ physical >> kPageShift) % kSlots;
    }
    static u64 key(u64 physical, CodeMode mode) { return physical << 3 | static_cast<u64>(mode); }

    std::array<Slot, kSlots> fast_{};
    std::unordered_map<u64, std::unique_ptr<Block>> blocks_;
    std::unordered_map<u64, std::vector<u64>> pages_;  // page number -> keys
    std::vector<std::unique_ptr<Block>> retired_;
};

}  // namespace vtlsim::sim
