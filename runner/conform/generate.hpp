// Random cases, each a function of the seed, the form and the case's number.
#pragma once

#include "runner/conform/forms.hpp"

namespace vtlsim::runner::conform {

// splitmix64 (Steele et al. 2014): the same numbers everywhere.
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
    u64 edge();  // of any width, with a bias to values at the edges of types

  private:
    u64 state_;
};

// False: the random choices made no instruction of the form; another number may.
bool generate(const Form& form, u64 seed, u64 number, Case& out);

}  // namespace vtlsim::runner::conform
