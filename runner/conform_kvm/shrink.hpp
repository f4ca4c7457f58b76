// The smallest random case that still differs.
#pragma once

#include <functional>

#include "runner/conform_kvm/random_case.hpp"

namespace vtlsim::runner::conform_kvm {

// `differs` is asked at most `tries` times; `start` differs.
RandomCase shrink(const RandomCase& start, const std::function<bool(const RandomCase&)>& differs,
                  int tries = 3000);

}  // namespace vtlsim::runner::conform_kvm
