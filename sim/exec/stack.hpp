// Pushes and pops at the stack's width: 64 bits in 64-bit mode, else 32 or 16 as SS.B says.
#pragma once

#include "sim/exec/segment.hpp"

namespace vtlsim::sim {

// A stack that may not be the current one yet (a switch to an inner level). Nothing changes until
// commit(). For at most kMaxPushes pushes.
class Stack {
  public:
    // The current stack.
    explicit Stack(Exec& x)
        : x_(x),
          base_(x.long_code ? 0 : x.s[Reg::ss_base]),
          mask_(x.stack_mask),
          top_(x.s[Reg::rsp]) {}
    // Another one, of a segment that is not loaded yet. Its accesses are the CPU's own if `system`.
    Stack(Exec& x, const Descriptor& ss, u64 top)
        : x_(x), base_(ss.base), mask_(ss.big() ? 0xFFFFFFFF : 0xFFFF), top_(top), other_(&ss) {}

    // False: a fault is pending (#SS for what lies outside of the segment). Memory changes at
    // commit(): an instruction of several pushes is done wholly or not at all.
    bool push(u64 value, unsigned size) {
        const u64 at = (top_ - size) & mask_;
        if (!reserve(at, size)) return false;
        pushes_[count_++] = {base_ + at, value, size};
        move_to(at);
        return true;
    }
    bool pop(u64& value, unsigned size) {
        if (!peek(top_, value, size)) return false;
        skip(size);
        return true;
    }
    // Reads at a place of the stack without popping.
    bool peek(u64 place, u64& value, unsigned size) {
        const u64 at = place & mask_;
        value = 0;
        return allowed(at, size, Access::read) && x_.load_slow(base_ + at, &value, size, true);
    }
    // Whether what is pushed to end at the top could be stored.
    bool writable_top(unsigned size) { return reserve(top_ & mask_, size); }
    void move_to(u64 place) { top_ = (top_ & ~mask_) | (place & mask_); }
    void skip(u64 bytes) { top_ = (top_ & ~mask_) | ((top_ + bytes) & mask_); }
    u64 top() const { return top_; }
    // Stores what has been pushed so far, for peek() to see. Cannot fail.
    void store() {
        for (std::size_t i = 0; i < count_; ++i) {
            const Push& p = pushes_[i];
            if (other_ != nullptr) {
                x_.system_store(p.linear, &p.value, p.size);
            } else if (p.size == 4) {
                x_.store(p.linear, static_cast<u32>(p.value), true);
            } else if (p.size == 2) {
                x_.store(p.linear, static_cast<u16>(p.value), true);
            } else {
                x_.store(p.linear, p.value, true);
            }
        }
        count_ = 0;
    }
    void commit() {
        store();
        x_.s[Reg::rsp] = top_;
    }

  private:
    // The most: CALL through a gate with 31 parameters, SS, RSP, CS and RIP.
    static constexpr std::size_t kMaxPushes = 35;
    struct Push {
        u64 linear;
        u64 value;
        unsigned size;
    };

    bool reserve(u64 at, unsigned size) {
        return allowed(at, size, Access::write) &&
               x_.prepare_store(base_ + at, size, other_ != nullptr);
    }
    bool allowed(u64 at, unsigned size, Access access) {
        if (other_ == nullptr) return check_access(x_, Seg::ss, at, size, access);
        const bool expand_down = (other_->attr >> 2 & 1) != 0;
        const u64 last = at + size - 1;
        if (expand_down ? at <= other_->limit || last > mask_ : last > other_->limit) {
            x_.fault(Vector::ss, 0);
            return false;
        }
        return true;
    }

    Exec& x_;
    u64 base_;
    u64 mask_;
    u64 top_;
    const Descriptor* other_ = nullptr;
    std::size_t count_ = 0;
    std::array<Push, kMaxPushes> pushes_;  // the first count_ are valid
};

}  // namespace vtlsim::sim
