// The processor's answer and the simulator's, part by part.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runner/conform/case.hpp"

namespace vtlsim::runner::conform {

// One part of the state that differs.
struct Difference {
    std::string name;
    std::string native;
    std::string simulated;
};

struct Comparison {
    std::vector<Difference> defined;
    // Where the rest differs: what allows it, of undefined.hpp, or approximate.hpp's bound.
    std::string_view allowed;
    bool equal() const { return defined.empty() && allowed.empty(); }
};

Comparison compare(const Case& c, const Answer& native, const Answer& simulated);

}  // namespace vtlsim::runner::conform
