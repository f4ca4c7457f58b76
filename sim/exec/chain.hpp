// Threaded execution: every handler calls the next one, and a block that ends goes on in the block
// that follows, without a loop in between. Compilers make jumps of these calls when they optimise;
// where they do not, the stack's use is bounded, for a chain has a budget of instructions.
//
// A chain looks at nothing between instructions: whoever changes what the loop of Cpu::run asks for
// (interrupts, traps, the translation of code) sets RIP and returns Flow::branch, which ends it.
#pragma once

#include "sim/decode/code_cache.hpp"
#include "sim/exec/exec.hpp"

namespace vtlsim::sim {

inline Block* Exec::cached_block(u64 address) {
    const CodeTlbEntry& entry = tlb.code_slot(address);
    if (entry.tag != tag(address)) return nullptr;
    const u64 physical = entry.page_number << kPageShift | (address & kPageMask);
    if (Block* found = code->find(physical, code_kind())) return found;
    return code->find_slow(physical, code_kind());
}

// Back to the loop: `op` is what a `flow` other than next is about.
inline Flow leave(Exec& x, const Op& op, Flow flow) {
    x.left_at = &op;
    return flow;
}

// An instruction that goes on with the next one of its block.
template <Handler Body>
[[gnu::flatten]] Flow chained(Exec& x, const Op& op) {
    const Flow flow = Body(x, op);
    if (flow != Flow::next) [[unlikely]]
        return leave(x, op, flow);
    const Op& next = (&op)[1];
    return next.chain(x, next);
}

// The same for a handler that is known at run time only.
Flow chain_any(Exec& x, const Op& op);

// Asks the run's observer, and goes on as Op::observed does.
Flow chain_asking(Exec& x, const Op& op);

// What set_handlers() puts into an Op.
struct Handlers {
    Handler alone = nullptr;
    Handler chain = nullptr;
    const Handler* with_jcc = nullptr;
};
template <Handler Body>
constexpr Handlers threaded() {
    return {Body, chained<Body>};
}
inline bool set_handlers(Op& op, const Handlers& handlers) {
    op.handler = handlers.alone;
    op.chain = handlers.chain;
    op.with_jcc = handlers.with_jcc;
    return op.handler != nullptr;
}

// --- from block to block, in 64-bit code only: elsewhere segment limits come first ---------------

// `op` was the last of its block, and RIP is that of `next`.
inline Flow enter(Exec& x, const Op& op, Block& next) {
    if (x.budget < next.count) [[unlikely]]
        return leave(x, op, Flow::branch);
    x.budget -= next.count;
    x.block = &next;
    const Op& first = next.ops.front();
    return first.chain(x, first);
}

// Where no link leads: sets RIP, looks for the block and remembers it. A target that is not
// canonical is #GP(0) on the branch itself (SDM 2A JMP).
Flow find_target(Exec& x, const Op& op, u64 target, std::size_t link);

// To a target that is always the same distance away.
inline Flow go_near(Exec& x, const Op& op, u64 target, std::size_t link) {
    Block* next = x.block->link[link];
    if (next == nullptr) [[unlikely]]
        return find_target(x, op, target, link);
    x.s[Reg::rip] = target;
    return enter(x, op, *next);
}

template <unsigned Code>
inline Flow go_near_if(Exec& x, const Op& op) {
    const u64 next = x.next_rip(op);
    if (condition<Code>(x.flags)) return go_near(x, op, next + op.imm, 1);
    return go_near(x, op, next, 0);
}

// Body makes the flags and stores nothing to memory, which could change the Jcc behind it.
template <Handler Body, unsigned Code>
[[gnu::flatten]] Flow with_jcc(Exec& x, const Op& op) {
    const Flow flow = Body(x, op);
    if (flow != Flow::next) [[unlikely]]
        return leave(x, op, flow);
    return go_near_if<Code>(x, (&op)[1]);
}
template <Handler Body, std::size_t... Codes>
constexpr std::array<Handler, 16> with_each_jcc(std::index_sequence<Codes...>) {
    return {with_jcc<Body, Codes>...};
}
template <Handler Body>
inline constexpr std::array<Handler, 16> kWithJcc =
    with_each_jcc<Body>(std::make_index_sequence<16>());
template <Handler Body>
constexpr Handlers threaded_with_jcc() {
    return {Body, chained<Body>, kWithJcc<Body>.data()};
}

// To any target, which is canonical: the last one is remembered.
inline Flow go_anywhere(Exec& x, const Op& op, u64 target) {
    Block* next = x.block->link[1];
    const bool known = next != nullptr && (target ^ x.s[Reg::rip]) >> kPageShift == 0 &&
                       (target & kPageMask) == next->offset;
    if (!known) return find_target(x, op, target, 1);
    x.s[Reg::rip] = target;
    return enter(x, op, *next);
}

// The end of a block that no branch ends.
Flow fall_through(Exec& x, const Op& op);

}  // namespace vtlsim::sim
