#include "sim/exec/cpu.hpp"

#include <algorithm>
#include <utility>

#include "sim/decode/code_cache.hpp"
#include "sim/decode/decode_memo.hpp"
#include "sim/exec/breakpoints.hpp"
#include "sim/exec/chain.hpp"

namespace vtlsim::sim {
namespace {

// Instructions of one chain at most: what bounds the stack where compilers do not make jumps.
constexpr u64 kChainSteps = 1024;

bool is_exit_or_gap(const Outcome& outcome) {
    return std::holds_alternative<Exit>(outcome) || std::holds_alternative<NotModelled>(outcome);
}

}  // namespace

Cpu::Cpu(Machine& machine) : x_(std::make_unique<Exec>()), crossing_(std::make_unique<Block>()) {
    x_->machine = &machine;
    x_->code = &machine.code();
    x_->cpu = this;
    set_state(long_mode_state());
}
Cpu::~Cpu() = default;

CpuState Cpu::state() const {
    CpuState s = x_->s;
    s[Reg::rflags] = x_->rflags();
    s[Reg::tsc] = get(Reg::tsc);
    return s;
}

void Cpu::set_state(const CpuState& state) {
    x_->s = state;
    x_->s.scalar[kNoReg] = 0;
    x_->tsc_at = steps_;
    x_->set_rflags(state[Reg::rflags]);
    x_->watching = breakpoints_enabled(state);
    x_->flush_tlb();
}

u64 Cpu::get_other(Reg reg) const {
    if (reg == Reg::tsc) return x_->s[Reg::tsc] + steps() - x_->tsc_at;
    return x_->s.get(reg).lo;
}

void Cpu::set(Reg reg, u64 value) {
    if (reg == Reg::rflags) {
        x_->set_rflags(value);
        return;
    }
    if (reg == Reg::tsc) x_->tsc_at = steps_;
    x_->s.set(reg, {value, 0});
    switch (info(reg).group) {
        case RegGroup::control:
        case RegGroup::segment:
        case RegGroup::msr:
        case RegGroup::simulator:
            x_->flush_tlb();
            x_->update_context();
            break;
        case RegGroup::debug:
            x_->debug_registers_changed();
            break;
        default:
            break;
    }
}

void Cpu::set_address_space(u8 id) {
    x_->address_space = id;
    x_->update_context();
}

bool Cpu::interruptible() const {
    return (x_->s[Reg::rflags] & flag::if_) != 0 && x_->s[Reg::shadow] == 0;
}

std::optional<Outcome> Cpu::deliver_interrupt(u8 vector) {
    const u64 activity = std::exchange(x_->s[Reg::activity], 0);
    if (!deliver(Fault{.vector = static_cast<Vector>(vector)}, true)) {
        ++steps_;
        return std::nullopt;
    }
    if (is_exit_or_gap(x_->pending)) x_->s[Reg::activity] = activity;
    return x_->pending;
}

std::optional<Outcome> Cpu::inject_fault(const Fault& fault) {
    if (!deliver(fault, false)) return std::nullopt;
    return x_->pending;
}

namespace {

// No other state can be reached with EFLAGS.VM (SDM 3A 21.2), but it can be set from outside.
bool virtual_8086_possible(const CpuState& s) {
    for (const Seg seg : {Seg::es, Seg::cs, Seg::ss, Seg::ds, Seg::fs, Seg::gs}) {
        if (s[base_of(seg)] != s[selector_of(seg)] << 4) return false;
    }
    return (s[Reg::cr0] & cr0::pe) != 0 && cpl(s) == 3 && (s[Reg::cr4] & cr4::vme) == 0;
}

}  // namespace

// The block at RIP, decoded if need be; null: `pending` holds the fault of the fetch.
Block* Cpu::fetch() {
    Exec& x = *x_;
    if (x.code_mode == CodeMode::virtual16 && !virtual_8086_possible(x.s)) {
        x.not_modelled("EFLAGS.VM in a state that is not virtual-8086 mode, or with CR4.VME");
        return nullptr;
    }
    u64 linear = x.s[Reg::rip];
    if (!x.long_code) {
        if (linear > x.s[Reg::cs_limit]) {
            x.fault(Vector::gp, 0);
            return nullptr;
        }
        linear = (x.s[Reg::cs_base] + linear) & 0xFFFFFFFF;
    }
    if (Block* block = x.cached_block(linear)) return block;
    const u64 page_address = linear & ~kPageMask;
    const CodeTlbEntry& entry = x.tlb.code_slot(linear);
    u64 physical = 0;
    if (entry.tag == (page_address | x.context)) {
        physical = entry.page_number << kPageShift | (linear & kPageMask);
    } else {
        if (!x.translate(linear, 1, Access::execute, false, false, physical)) return nullptr;
        x.cache_execute(linear, physical);
    }
    CodeCache& code = *x.code;
    if (Block* block = code.find_slow(physical, x.code_kind())) return block;

    const u64 in_page = physical & kPageMask;
    const u8* page = x.machine->memory().page_for_read(physical >> kPageShift);
    Block block = decode_block_again({page + in_page, kPageSize - in_page}, x.code_kind());
    if (!block.ops.empty()) {
        x.machine->forget_writes(physical >> kPageShift);
        return code.insert(physical, x.code_kind(), std::move(block));
    }
    // The first instruction reaches into the next page.
    std::array<u8, kMaxInsnLength> bytes{};
    const std::size_t here = kPageSize - in_page;
    std::copy_n(page + in_page, here, bytes.begin());
    u64 next_page = 0;
    const std::size_t rest = bytes.size() - here;
    if (!x.translate(page_address + kPageSize, 1, Access::execute, false, false, next_page)) {
        return nullptr;
    }
    x.machine->memory().read(next_page, {bytes.data() + here, rest});
    *crossing_ = decode_one(bytes, x.code_kind());
    return crossing_.get();
}

// How many of a block's instructions lie within the code segment's limit. None: #GP(0) is pending.
u64 Cpu::within_limit(const Block& block) {
    if (x_->long_code) return block.count;
    const CpuState& s = x_->s;
    const auto fits = [&](const Op& op) { return s[Reg::rip] + op.next - 1 <= s[Reg::cs_limit]; };
    if (fits(block.ops[block.count - 1])) return block.count;
    u64 count = 0;
    while (fits(block.ops[count])) ++count;
    if (count == 0) x_->fault(Vector::gp, 0);
    return count;
}

// Executes the block and what follows it, up to `left` instructions, which the block does not
// exceed, and counts what retires. RIP is where the run went, or on the instruction that did not
// retire.
Flow Cpu::run_chain(Block& block, u64 left) {
    Exec& x = *x_;
    x.full_budget = std::min(left, kChainSteps);
    x.budget = x.full_budget - block.count;
    x.block = &block;
    const Op& first = block.ops.front();
    return end_chain(first.chain(x, first));
}

// The same for observed code, of which the block may have more than `left` instructions or than
// lie `within` the segment's limit. `asked`: the observer has been, about the first.
Flow Cpu::run_asking(Block& block, u64 left, u64 within, bool asked) {
    Exec& x = *x_;
    const u64 here = std::min(left, within);
    x.stop_at = here < block.count ? &block.ops[here] : nullptr;
    x.full_budget = x.stop_at != nullptr ? block.count : std::min(left, kChainSteps);
    x.budget = x.full_budget - block.count;
    x.block = &block;
    const Op& first = block.ops.front();
    x.left_at = &first;
    return end_chain(asked ? first.observed(x, first) : first.chain(x, first));
}

Flow Cpu::end_chain(Flow flow) {
    Exec& x = *x_;
    // Of the block where it ended, all had been taken from the budget.
    const bool ended_here = flow == Flow::branch || flow == Flow::done;
    const auto at = static_cast<u64>(x.left_at - x.block->ops.data());
    const u64 executed = std::min(x.block->count, at + (ended_here ? 1 : 0));
    steps_ += x.full_budget - x.budget - (x.block->count - executed);
    if (!ended_here) x.s[Reg::rip] += x.left_at->offset;
    if (flow == Flow::next) x.s[Reg::rip] &= x.ip_mask;  // stopped behind another
    x.block = nullptr;
    return flow;
}

// What comes before the instruction at RIP.
Cpu::Boundary Cpu::take_events() {
    Exec& x = *x_;
    CpuState& s = x.s;
    const auto boundary = [](bool ended) { return ended ? Boundary::ended : Boundary::taken; };
    const bool stack_shadow = s[Reg::shadow] == 2;
    // A debug trap of the previous instruction comes before interrupts (SDM 3A table 6-2), but
    // not between MOV SS and what follows it (SDM 3A 6.8.3).
    if (s[Reg::pending_debug] != 0 && !stack_shadow) {
        return boundary(take_debug_exception(s[Reg::pending_debug]));
    }
    if (s[Reg::nmi_pending] != 0 && s[Reg::nmi_blocked] == 0 && !stack_shadow) {
        return boundary(take_nmi());
    }
    if (x.interrupt_line && interruptible()) {
        x.pending = InterruptWindow{};
        return Boundary::ended;
    }
    // After all else that can come first, before the faults of the instruction's fetch.
    if (x.watching && (s[Reg::rflags] & flag::rf) == 0 && !stack_shadow) {
        if (const u64 hit = code_breakpoints(s, linear_ip()); hit != 0) {
            return boundary(take_debug_exception(hit));
        }
    }
    return Boundary::clear;
}

// Executes up to `count` instructions of the block one by one, and counts what retires. RIP is
// where the run went, or on the instruction that did not retire.
Flow Cpu::run_block(const Block& block, u64 count) {
    Exec& x = *x_;
    CpuState& s = x.s;
    const u64 block_rip = s[Reg::rip];
    const Op* const first = block.ops.data();
    const Op* const end = first + count;
    const Op* op = first;
    Flow flow = op->handler(x, *op);
    while (flow == Flow::next && ++op != end) flow = op->handler(x, *op);

    steps_ += static_cast<u64>(op - first);
    if (flow == Flow::next) {
        s[Reg::rip] = (block_rip + (end - 1)->next) & x.ip_mask;
    } else if (flow == Flow::branch || flow == Flow::done) {
        ++steps_;
    } else {
        s[Reg::rip] = block_rip + op->offset;
    }
    return flow;
}

// Executes the block's first instruction, with what TF, RF, a shadow and breakpoints ask for.
// Answers as run_block().
template <bool Observed>
Flow Cpu::run_alone(const Block& block, bool asked) {
    Exec& x = *x_;
    CpuState& s = x.s;
    const bool shadowed = s[Reg::shadow] != 0;
    const bool stepping = (s[Reg::rflags] & flag::tf) != 0;
    // Every instruction that retires clears RF, before it sets its own (SDM 3B 18.3.1.1).
    const u64 resume_flag = s[Reg::rflags] & flag::rf;
    const bool asks = Observed && !asked && x.observer != nullptr;
    if (asks && x.observer->before_instruction(*this, s[Reg::rip])) return Flow::pause;
    s[Reg::rflags] &= ~resume_flag;
    const u64 before = steps_;
    const Flow flow = run_block(block, 1);
    const bool retired = steps_ != before;
    const bool iterated = flow == Flow::again;
    if (!retired) s[Reg::rflags] |= resume_flag;
    if (shadowed && retired && !x.shadow_set) s[Reg::shadow] = 0;
    // Single-step trap, also between the iterations of a REP (SDM 3B 18.3.1.4).
    if (stepping && !std::exchange(x.step_decided, false) && (retired || iterated)) {
        s[Reg::pending_debug] |= dr6::kSingleStep;
    }
    // Those of an instruction that faults are forgotten, an Exit tells of its own.
    if (retired || iterated) take_breakpoints();
    x.breakpoints_hit = 0;
    // A trap between the iterations of a REP leaves RF set (SDM 3B 18.3.1.1).
    if (iterated && s[Reg::pending_debug] != 0) s[Reg::rflags] |= flag::rf;
    return flow;
}

// Until `limit` steps have been made since there were `start`. True: `pending` says how the run
// ended; false: the other kind of loop has to go on.
template <bool Observed>
bool Cpu::loop(u64 start, u64 limit) {
    Exec& x = *x_;
    CpuState& s = x.s;
    bool asked = false;  // the observer, about the instruction at RIP
    for (;;) {
        const u64 left = limit - (steps_ - start);
        if (left == 0) {
            x.pending = StepsDone{};
            return true;
        }
        if (Observed != observed()) return false;
        x.code->collect();
        const bool eventful = (s[Reg::pending_debug] | s[Reg::nmi_pending]) != 0 ||
                              x.interrupt_line || (Observed && x.watching);
        if (eventful) {
            const Boundary boundary = take_events();
            if (boundary == Boundary::ended) return true;
            if (boundary == Boundary::taken) {
                asked = false;
                continue;
            }
        }
        Block* block = x.long_code ? x.cached_block(s[Reg::rip]) : nullptr;
        if (block == nullptr) block = fetch();
        const u64 within = block != nullptr ? within_limit(*block) : 0;
        const bool alone = (s[Reg::shadow] | (s[Reg::rflags] & (flag::tf | flag::rf))) != 0 ||
                           (Observed && x.watching);
        Flow flow = Flow::stop;
        if (within == 0) {
            // The fetch has faulted.
        } else if (alone) {
            flow = run_alone<Observed>(*block, asked);
        } else if (Observed) {
            flow = run_asking(*block, left, within, asked);
        } else if (within == block->count && within <= left) {
            flow = run_chain(*block, left);
        } else {
            flow = run_block(*block, std::min(left, within));
        }
        if (Observed && flow == Flow::pause) {
            x.pending = Paused{};
            return true;
        }
        asked = Observed && (flow == Flow::again || flow == Flow::stale);
        x.shadow_set = false;
        if (flow == Flow::done) {
            // Only HLT retires so; a task switch may have ended in a fault of the new task.
            if (!std::holds_alternative<Halted>(x.pending)) --steps_;
            return true;
        }
        if (flow != Flow::stop) continue;
        if (take_fault()) return true;
        if constexpr (Observed) take_breakpoints();  // of the frame
    }
}

void Cpu::take_breakpoints() { x_->s[Reg::pending_debug] |= std::exchange(x_->breakpoints_hit, 0); }

// B0 to B3 are those of this exception, the other bits stay until software clears them. A delivery
// that ends in an exit or a gap leaves the exception due.
bool Cpu::take_debug_exception(u64 bits) {
    CpuState& s = x_->s;
    const u64 due = std::exchange(s[Reg::pending_debug], 0);
    const u64 dr6 = std::exchange(s[Reg::dr6], (s[Reg::dr6] & ~dr6::kBreakpoints) | bits);
    const u64 activity = std::exchange(s[Reg::activity], 0);  // it ends HLT (SDM 2A HLT)
    x_->pending = Fault{.vector = Vector::db};
    const bool ended = take_fault();
    if (ended && is_exit_or_gap(x_->pending)) {
        s[Reg::pending_debug] = due;
        s[Reg::dr6] = dr6;
        s[Reg::activity] = activity;
    }
    return ended;
}

bool Cpu::take_nmi() {
    const Fault nmi{.vector = Vector::nmi};
    CpuState& s = x_->s;
    s[Reg::nmi_pending] = 0;
    s[Reg::nmi_blocked] = 1;
    const u64 activity = std::exchange(s[Reg::activity], 0);
    if (x_->observer != nullptr) x_->observer->delivering(*this, nmi);
    const bool ended = deliver(nmi, true);
    if (!ended) ++steps_;
    if (ended && is_exit_or_gap(x_->pending)) {
        s[Reg::nmi_pending] = 1;
        s[Reg::nmi_blocked] = 0;
        s[Reg::activity] = activity;
    }
    return ended;
}

// What `pending` holds either ends the run or is a fault that goes through the IDT: one step.
bool Cpu::take_fault() {
    const auto* fault = std::get_if<Fault>(&x_->pending);
    if (fault == nullptr) return true;
    if (!x_->deliver_faults) {
        x_->s[Reg::rip] += fault->length;
        return true;
    }
    const Fault taken = *fault;
    if (x_->observer != nullptr) x_->observer->delivering(*this, taken);
    if (deliver(taken, false)) return true;
    ++steps_;
    return false;
}

void Cpu::retire_exit(const Exit& exit) {
    CpuState& s = x_->s;
    s[Reg::rip] = (s[Reg::rip] + exit.length) & x_->ip_mask;
    s[Reg::shadow] = 0;
    s[Reg::rflags] &= ~flag::rf;
    s[Reg::pending_debug] |= exit.breakpoints;
    if ((s[Reg::rflags] & flag::tf) != 0) s[Reg::pending_debug] |= dr6::kSingleStep;
    ++steps_;
}

Outcome Cpu::run(const RunLimits& limits, Observer* observer) {
    const u64 activity = x_->s[Reg::activity];
    if (activity == 2) return Shutdown{};
    if (activity == 1) {
        if (x_->interrupt_line && interruptible()) return InterruptWindow{};
        const bool nmi = x_->s[Reg::nmi_pending] != 0 && x_->s[Reg::nmi_blocked] == 0;
        if (x_->s[Reg::pending_debug] == 0 && !nmi) return Halted{};
    }
    x_->observer = observer;
    x_->breakpoints_hit = 0;
    x_->iterations_left = limits.iterations;
    const u64 start = steps_;
    while (!(observed() ? loop<true>(start, limits.steps) : loop<false>(start, limits.steps))) {
    }
    x_->observer = nullptr;
    return std::move(x_->pending);
}

std::vector<u8> Cpu::peek_code(u64 address, std::size_t size) const {
    std::vector<u8> bytes;
    while (bytes.size() < size) {
        const u64 at = address + bytes.size();
        const auto physical = peek_physical(at);
        if (!physical) break;
        const std::size_t n =
            std::min<std::size_t>(size - bytes.size(), kPageSize - (at & kPageMask));
        bytes.resize(bytes.size() + n);
        machine().read(*physical, {bytes.data() + bytes.size() - n, n});
    }
    return bytes;
}

}  // namespace vtlsim::sim
