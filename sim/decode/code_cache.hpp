// Decoded code in basic blocks, keyed by physical address and kind of code.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "sim/decode/op.hpp"
#include "sim/memory/memory.hpp"

namespace vtlsim::sim {

// What the bytes are decoded for.
struct CodeKind {
    CodeMode mode = CodeMode::long64;
    bool observed = false;  // the chain asks the run's observer before each instruction
    bool operator==(const CodeKind&) const = default;
};

// Straight-line code: ends after the first instruction that may leave it, at the end of the page,
// or after kMaxOps.
struct Block {
    static constexpr std::size_t kMaxOps = 32;
    std::vector<Op> ops;  // one more than `count`: the last is where the chain goes on or ends
    u64 count = 0;        // of instructions
    u64 offset = 0;       // of the first byte in its page
    // Where execution went on in the same page, which is dropped together with this one: of a
    // branch not taken or a fall through, and of a branch taken.
    std::array<Block*, 2> link{};
};

class CodeCache {
  public:
    Block* find(u64 physical, CodeKind kind) const {
        const Slot& slot = fast_[slot_of(physical)];
        return slot.key == key(physical, kind) ? slot.block : nullptr;
    }
    // A block found by the slow way, or null.
    Block* find_slow(u64 physical, CodeKind kind);
    Block* insert(u64 physical, CodeKind kind, Block block);

    bool has_code(u64 page_number) const { return pages_.count(page_number) != 0; }
    // The page's bytes are about to change. A block that is being executed stays allocated until
    // collect(), with handlers that leave it.
    void invalidate_page(u64 page_number);
    // The same for every page about which `changed` (of a page number) says so.
    template <class Changed>
    void invalidate_changed(Changed changed) {
        for (auto page = pages_.begin(); page != pages_.end();) {
            const u64 page_number = (page++)->first;
            if (changed(page_number)) invalidate_page(page_number);
        }
    }
    // Frees what invalidation left behind. Call while no block is executing.
    void collect() { retired_.clear(); }

  private:
    struct Slot {
        u64 key = 0;
        Block* block = nullptr;
    };
    static constexpr std::size_t kSlots = 512;
    static constexpr std::size_t kMaxBlocks = 1 << 16;  // then everything is dropped
    static std::size_t slot_of(u64 physical) {
        return (physical ^ physical >> kPageShift) % kSlots;
    }
    void invalidate_all();
    void retire(std::unique_ptr<Block> block);
    static constexpr unsigned kKindBits = 4;
    static u64 key(u64 physical, CodeKind kind) {
        const u64 observed = kind.observed ? 8 : 0;
        return physical << kKindBits | observed | static_cast<u64>(kind.mode);
    }

    std::array<Slot, kSlots> fast_{};
    std::unordered_map<u64, std::unique_ptr<Block>> blocks_;
    std::unordered_map<u64, std::vector<u64>> pages_;  // page number -> keys
    std::vector<std::unique_ptr<Block>> retired_;
};

}  // namespace vtlsim::sim
