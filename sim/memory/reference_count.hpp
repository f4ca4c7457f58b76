// A count of owners, which may be in several threads.
#pragma once

#include <atomic>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#include "sim/types.hpp"

namespace vtlsim::sim {

class ReferenceCount {  // one owner at first
  public:
    void add() {
        if (one_thread()) {
            count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        } else {
            count_.fetch_add(1, std::memory_order_relaxed);
        }
    }
    // True: that was the last owner.
    bool drop() {
        if (shared()) {
            if (!one_thread()) return count_.fetch_sub(1, std::memory_order_acq_rel) == 1;
            count_.store(count_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
            return false;
        }
        return true;
    }
    bool shared() const { return count_.load(std::memory_order_acquire) != 1; }

  private:
    // A locked instruction costs several ordinary ones, and snapshots count by the hundred.
    static bool one_thread() {
#if __has_include(<sys/single_threaded.h>)
        return __libc_single_threaded != 0;
#else
        return false;
#endif
    }

    std::atomic<u32> count_{1};
};

}  // namespace vtlsim::sim
