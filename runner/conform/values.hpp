// Random values with a bias to the edges of types.
#pragma once

#include "runner/conform/case.hpp"
#include "runner/random.hpp"

namespace vtlsim::runner::conform {

class Random : public runner::Random {
  public:
    using runner::Random::Random;
    u64 edge();  // of any width, with a bias to values at the edges of types
};

// Eight bytes of the kind 0 to 3: an edge(), a binary64, two binary32, noise.
u64 lane(Random& r, unsigned kind);
// x87 and SSE state as FXSAVE stores it.
void random_fpu(Random& r, std::array<u8, 512>& fx);

}  // namespace vtlsim::runner::conform
