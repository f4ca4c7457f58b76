#include "sim/decode/code_cache.hpp"

#include <span>

#include "sim/exec/chain.hpp"

namespace vtlsim::sim {
namespace {

Flow stale(Exec&, const Op&) { return Flow::stale; }
Flow leave_stale_block(Exec& x, const Op& op) { return leave(x, op, Flow::stale); }

}  // namespace

void CodeCache::retire(std::unique_ptr<Block> block) {
    for (Op& op : std::span(block->ops).first(block->count)) {
        op.handler = stale;
        // The observer is asked first: Flow::stale tells the loop that it has been.
        (op.observed != nullptr ? op.observed : op.chain) = leave_stale_block;
    }
    block->link = {};
    retired_.push_back(std::move(block));
}

Block* CodeCache::find_slow(u64 physical, CodeKind kind) {
    const auto it = blocks_.find(key(physical, kind));
    if (it == blocks_.end()) return nullptr;
    fast_[slot_of(physical)] = {it->first, it->second.get()};
    return it->second.get();
}

Block* CodeCache::insert(u64 physical, CodeKind kind, Block block) {
    if (blocks_.size() >= kMaxBlocks) invalidate_all();
    const u64 k = key(physical, kind);
    block.offset = physical & kPageMask;
    Block* kept = (blocks_[k] = std::make_unique<Block>(std::move(block))).get();
    pages_[physical >> kPageShift].push_back(k);
    fast_[slot_of(physical)] = {k, kept};
    return kept;
}

void CodeCache::invalidate_page(u64 page_number) {
    const auto page = pages_.find(page_number);
    if (page == pages_.end()) return;
    for (u64 k : page->second) {
        const auto it = blocks_.find(k);
        if (it == blocks_.end()) continue;
        retire(std::move(it->second));
        blocks_.erase(it);
        fast_[slot_of(k >> kKindBits)] = {};
    }
    pages_.erase(page);
}

void CodeCache::invalidate_all() {
    for (auto& [k, block] : blocks_) retire(std::move(block));
    blocks_.clear();
    pages_.clear();
    fast_.fill(Slot{});
}

}  // namespace vtlsim::sim
