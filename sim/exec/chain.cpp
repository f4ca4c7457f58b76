#include "sim/exec/chain.hpp"

#include "sim/exec/cpu.hpp"

namespace vtlsim::sim {
namespace {

Flow go_on(Exec& x, const Op& op, u64 target, std::size_t link) {
    const bool same_page = (target ^ x.s[Reg::rip]) >> kPageShift == 0;
    x.s[Reg::rip] = target;
    Block* next = x.cached_block(target);
    if (next == nullptr) return leave(x, op, Flow::branch);
    if (same_page) x.block->link[link] = next;
    return enter(x, op, *next);
}

}  // namespace

Flow chain_any(Exec& x, const Op& op) {
    const Flow flow = op.handler(x, op);
    if (flow != Flow::next) return leave(x, op, flow);
    const Op& next = (&op)[1];
    return next.chain(x, next);
}

Flow chain_asking(Exec& x, const Op& op) {
    if (&op == x.stop_at) return leave(x, op, Flow::next);
    u64& rip = x.s[Reg::rip];
    const u64 block_rip = rip;
    rip += op.offset;
    x.left_at = &op;
    const bool pauses = x.observer->before_instruction(*x.cpu, rip);
    rip = block_rip;
    if (pauses) [[unlikely]]
        return Flow::pause;
    return op.observed(x, op);
}

Flow find_target(Exec& x, const Op& op, u64 target, std::size_t link) {
    if (!Exec::canonical(target)) return leave(x, op, x.fault(Vector::gp, 0));
    return go_on(x, op, target, link);
}

Flow fall_through(Exec& x, const Op& op) {
    const u64 rip = x.s[Reg::rip] + op.offset;
    if (!x.long_code) {
        x.s[Reg::rip] = rip & x.ip_mask;
        return leave(x, op, Flow::branch);
    }
    Block* next = x.block->link[0];
    if (next == nullptr) return go_on(x, op, rip, 0);
    x.s[Reg::rip] = rip;
    return enter(x, op, *next);
}

}  // namespace vtlsim::sim
