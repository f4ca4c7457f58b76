// Random numbers that are the same everywhere.
#pragma once

#include "sim/types.hpp"

namespace vtlsim::runner {

// splitmix64 (Steele et al. 2014).
class Random {
  public:
    explicit Random(u64 seed) : state_(seed) {}
    u64 next() {
        u64 z = state_ += 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return z ^ z >> 31;
    }
    u64 below(u64 n) { return next() % n; }
    bool one_in(u64 n) { return below(n) == 0; }

  private:
    u64 state_;
};

}  // namespace vtlsim::runner
