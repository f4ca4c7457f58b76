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
    if (reg == Reg::rflags) return x_->rflags();
    if (reg == Reg::tsc) return x_->s[Reg::tsc] + steps_ - x_->tsc_at;
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
    auto ended = deliver(Fault{.vector = static_cast<Vector>(vector)}, true);
    if (!ended) ++steps_;
    if (ended && is_exit_or_gap(*ended)) x_->s[Reg::activity] = activity;
    return ended;
}

std::optional<Outcome> Cpu::inject_fault(const Fault& fault) { return deliver(fault, false); }

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
    CodeCache& code = x.machine->code();
    if (Block* block = code.find_slow(physical, x.code_mode)) return block;

    const u64 in_page = physical & kPageMask;
    const u8* page = x.machine->memory().page_for_read(physical >> kPageShift);
    Block block = decode_block_again({page + in_page, kPageSize - in_page}, x.code_mode);
    if (!block.ops.empty()) {
        x.machine->forget_writes(physical >> kPageShift);
        return code.insert(physical, x.code_mode, std::move(block));
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
    *crossing_ = decode_one(bytes, x.code_mode);
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
// exceed. RIP is where the run went, or on the instruction that did not retire.
Flow Cpu::run_chain(Block& block, u64 left, u64& retired) {
    Exec& x = *x_;
    x.full_budget = std::min(left, kChainSteps);
    x.budget = x.full_budget - block.count;
    x.block = &block;
    const Op& first = block.ops.front();
    const Flow flow = first.chain(x, first);
    // Of the block where it ended, all had been taken from the budget.
    const bool ended_here = flow == Flow::branch || flow == Flow::done;
    const auto at = static_cast<u64>(x.left_at - x.block->ops.data());
    const u64 executed = std::min(x.block->count, at + (ended_here ? 1 : 0));
    retired = x.full_budget - x.budget - (x.block->count - executed);
    if (!ended_here) x.s[Reg::rip] += x.left_at->offset;
    x.block = nullptr;
    return flow;
}

template <bool Observed>
std::optional<Outcome> Cpu::loop(u64& left) {
    Exec& x = *x_;
    CpuState& s = x.s;
    bool asked = false;  // the observer, about the instruction at RIP
    for (;;) {
        if (left == 0) return StepsDone{};
        if (Observed != observed()) return std::nullopt;
        x.machine->code().collect();
        const bool shadowed = s[Reg::shadow] != 0;
        const bool stack_shadow = s[Reg::shadow] == 2;
        // A debug trap of the previous instruction comes before interrupts (SDM 3A table 6-2), but
        // not between MOV SS and what follows it (SDM 3A 6.8.3).
        if (s[Reg::pending_debug] != 0 && !stack_shadow) {
            if (auto ended = take_debug_exception(s[Reg::pending_debug])) return *ended;
            --left;
            asked = false;
            continue;
        }
        if (s[Reg::nmi_pending] != 0 && s[Reg::nmi_blocked] == 0 && !stack_shadow) {
            if (auto ended = take_nmi()) return *ended;
            --left;
            asked = false;
            continue;
        }
        const bool stepping = (s[Reg::rflags] & flag::tf) != 0;
        // Every instruction that retires clears RF, before it sets its own (SDM 3B 18.3.1.1).
        const u64 resume_flag = s[Reg::rflags] & flag::rf;
        if (x.interrupt_line && !shadowed && (s[Reg::rflags] & flag::if_) != 0) {
            return InterruptWindow{};
        }
        if constexpr (Observed) {
            // After all else that can come first, before the faults of the instruction's fetch.
            const bool looks = x.watching && resume_flag == 0 && !stack_shadow;
            if (const u64 hit = looks ? code_breakpoints(s, linear_ip()) : 0; hit != 0) {
                if (auto ended = take_debug_exception(hit)) return *ended;
                --left;
                asked = false;
                continue;
            }
        }
        const u64 block_rip = s[Reg::rip];
        Flow flow = Flow::stop;
        Block* block = x.long_code ? x.cached_block(block_rip) : nullptr;
        if (block == nullptr) block = fetch();
        const u64 within = block != nullptr ? within_limit(*block) : 0;
        const bool alone = shadowed || stepping || resume_flag != 0;
        if (!Observed && !alone && within != 0 && within == block->count && within <= left) {
            u64 retired = 0;
            flow = run_chain(*block, left, retired);
            steps_ += retired;
            left -= retired;
            x.shadow_set = false;
        } else if (within != 0) {
            u64 count = std::min<u64>(left, within);
            if (alone || (Observed && x.watching)) count = 1;
            const Op* op = block->ops.data();
            const Op* const end = op + count;
            do {
                if constexpr (Observed) {
                    if (!asked && x.observer != nullptr) {
                        s[Reg::rip] = block_rip + op->offset;
                        if (x.observer->before_instruction(*this, s[Reg::rip])) {
                            steps_ += static_cast<u64>(op - block->ops.data());
                            return Paused{};
                        }
                        s[Reg::rip] = block_rip;
                    }
                    asked = false;
                }
                if (resume_flag != 0) s[Reg::rflags] &= ~resume_flag;
                flow = op->handler(x, *op);
            } while (flow == Flow::next && ++op != end);

            // How many retired, and where RIP is now.
            u64 retired = static_cast<u64>(op - block->ops.data());
            if (flow == Flow::next) {
                s[Reg::rip] = (block_rip + (end - 1)->next) & x.ip_mask;
            } else if (flow == Flow::branch || flow == Flow::done) {
                ++retired;
            } else {
                s[Reg::rip] = block_rip + op->offset;
                s[Reg::rflags] |= resume_flag;
            }
            steps_ += retired;
            left -= retired;
            asked = flow == Flow::again || flow == Flow::stale;
            if (shadowed && retired != 0 && !x.shadow_set) s[Reg::shadow] = 0;
            x.shadow_set = false;
            // Single-step trap, also between the iterations of a REP (SDM 3B 18.3.1.4).
            if (stepping) {
                if (!x.step_decided && (retired != 0 || flow == Flow::again)) {
                    s[Reg::pending_debug] |= dr6::kSingleStep;
                }
                x.step_decided = false;
            }
            if constexpr (Observed) {
                // Those of an instruction that faults are forgotten, an Exit tells of its own.
                if (retired != 0 || flow == Flow::again) take_breakpoints();
                x.breakpoints_hit = 0;
            }
            // A trap between the iterations of a REP leaves RF set (SDM 3B 18.3.1.1).
            if (flow == Flow::again && s[Reg::pending_debug] != 0) s[Reg::rflags] |= flag::rf;
        }
        if (flow == Flow::done) {
            // Only HLT retires so; a task switch may have ended in a fault of the new task.
            if (!std::holds_alternative<Halted>(x.pending)) --steps_;
            return x.pending;
        }
        if (flow != Flow::stop) continue;
        if (auto ended = take_fault()) return *ended;
        if constexpr (Observed) take_breakpoints();  // of the frame
        --left;
    }
}

void Cpu::take_breakpoints() { x_->s[Reg::pending_debug] |= std::exchange(x_->breakpoints_hit, 0); }

// B0 to B3 are those of this exception, the other bits stay until software clears them. A delivery
// that ends in an exit or a gap leaves the exception due.
std::optional<Outcome> Cpu::take_debug_exception(u64 bits) {
    CpuState& s = x_->s;
    const u64 due = std::exchange(s[Reg::pending_debug], 0);
    const u64 dr6 = std::exchange(s[Reg::dr6], (s[Reg::dr6] & ~dr6::kBreakpoints) | bits);
    const u64 activity = std::exchange(s[Reg::activity], 0);  // it ends HLT (SDM 2A HLT)
    x_->pending = Fault{.vector = Vector::db};
    auto ended = take_fault();
    if (ended && is_exit_or_gap(*ended)) {
        s[Reg::pending_debug] = due;
        s[Reg::dr6] = dr6;
        s[Reg::activity] = activity;
    }
    return ended;
}

std::optional<Outcome> Cpu::take_nmi() {
    const Fault nmi{.vector = Vector::nmi};
    CpuState& s = x_->s;
    s[Reg::nmi_pending] = 0;
    s[Reg::nmi_blocked] = 1;
    const u64 activity = std::exchange(s[Reg::activity], 0);
    if (x_->observer != nullptr) x_->observer->delivering(*this, nmi);
    auto ended = deliver(nmi, true);
    if (!ended) ++steps_;
    if (ended && is_exit_or_gap(*ended)) {
        s[Reg::nmi_pending] = 1;
        s[Reg::nmi_blocked] = 0;
        s[Reg::activity] = activity;
    }
    return ended;
}

// What `pending` holds either ends the run or is a fault that goes through the IDT: one step.
std::optional<Outcome> Cpu::take_fault() {
    const auto* fault = std::get_if<Fault>(&x_->pending);
    if (fault == nullptr) return x_->pending;
    if (!x_->deliver_faults) {
        x_->s[Reg::rip] += fault->length;
        return x_->pending;
    }
    const Fault taken = *fault;
    if (x_->observer != nullptr) x_->observer->delivering(*this, taken);
    if (auto outcome = deliver(taken, false)) return outcome;
    ++steps_;
    return std::nullopt;
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
    u64 left = limits.steps;
    std::optional<Outcome> outcome;
    while (!outcome) outcome = observed() ? loop<true>(left) : loop<false>(left);
    x_->observer = nullptr;
    return *outcome;
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
