// Pushes and pops at the stack's width: 64 bits in 64-bit mode, else 32 or 16 as SS.B says.
#pragma once

#include "sim/exec/segment.hpp"

namespace vtlsim::sim {

// A stack that may not be the current one yet (a switch to an inner level). Nothing of the
// processor's state changes until commit().
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

    // False: a fault is pending (#SS for what lies outside of the segment).
    bool push(u64 value, unsigned size) {
        const u64 at = (top_ - size) & mask_;
        if (!allowed(at, size, Access::write)) return false;
        const u64 linear = base_ + at;
        const bool stored = other_ != nullptr ? x_.system_store(linear, &value, size)
                                              : x_.store_slow(linear, &value, size, true);
        if (stored) top_ = (top_ & ~mask_) | at;
        return stored;
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
    // Whether a push at the top would be allowed; nothing is stored.
    bool writable_top(unsigned size) {
        const u64 at = top_ & mask_;
        return allowed(at, size, Access::write) && x_.probe(base_ + at, size, Access::write, true);
    }
    void move_to(u64 place) { top_ = (top_ & ~mask_) | (place & mask_); }
    void skip(u64 bytes) { top_ = (top_ & ~mask_) | ((top_ + bytes) & mask_); }
    u64 top() const { return top_; }
    void commit() { x_.s[Reg::rsp] = top_; }

  private:
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
};

}  // namespace vtlsim::sim
