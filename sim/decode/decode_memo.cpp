#include "sim/decode/decode_memo.hpp"

#include <algorithm>
#include <cstring>

namespace vtlsim::sim {
namespace {

struct Remembered {
    CodeKind kind;
    std::vector<u8> seen;  // all bytes that decoding looked at; empty: nothing is remembered
    Block block;
};
// One for each value of a hash; the latest stays. Bounded: 256 * 33 Ops.
using Memo = std::array<Remembered, 256>;

std::size_t slot_of(std::span<const u8> bytes, CodeKind kind) {
    std::array<u64, 2> head{};
    std::memcpy(head.data(), bytes.data(), sizeof(head));
    const u64 mixed = (head[0] * 0x9E3779B97F4A7C15 ^ head[1]) * 0xD1B54A32D192ED03;
    return (mixed >> 56 ^ static_cast<u64>(kind.mode) ^ (kind.observed ? 8 : 0)) %
           std::tuple_size_v<Memo>;
}

}  // namespace

Block decode_block_again(std::span<const u8> bytes, CodeKind kind) {
    if (bytes.size() < 16) return decode_block(bytes, kind);
    thread_local Memo memo;
    Remembered& known = memo[slot_of(bytes, kind)];
    const auto starts_with = [&](const std::vector<u8>& seen) {
        return seen.size() <= bytes.size() && std::equal(seen.begin(), seen.end(), bytes.begin());
    };
    if (known.kind == kind && !known.seen.empty() && starts_with(known.seen)) return known.block;

    Block block = decode_block(bytes, kind);
    if (block.count == 0) return block;
    // No instruction is longer, so nothing behind has been looked at. Near the end of its page the
    // page may have ended the block.
    const std::size_t seen = block.ops[block.count - 1].offset + kMaxInsnLength;
    if (seen + kMaxInsnLength <= bytes.size()) {
        known = {kind, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(seen)}, block};
    }
    return block;
}

}  // namespace vtlsim::sim
