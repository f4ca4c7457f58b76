// Random cases, each a function of the seed, the form and the case's number.
#pragma once

#include "runner/conform/forms.hpp"
#include "runner/random.hpp"

namespace vtlsim::runner::conform {

class Random : public runner::Random {
  public:
    using runner::Random::Random;
    u64 edge();  // of any width, with a bias to values at the edges of types
};

// False: the random choices made no instruction of the form; another number may.
bool generate(const Form& form, u64 seed, u64 number, Case& out);

}  // namespace vtlsim::runner::conform
