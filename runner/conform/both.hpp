// Single cases on both sides, and the smallest that still differs.
#pragma once

#include <functional>
#include <optional>

#include "runner/conform/compare.hpp"
#include "runner/conform/native.hpp"
#include "runner/conform/simulate.hpp"

namespace vtlsim::runner::conform {

class Both {
  public:
    using Distort = std::function<void(const Case&, Answer&)>;
    Both(Native& native, Simulated& simulated, const Distort& distort)
        : native_(native), simulated_(simulated), distort_(distort) {}

    void simulate(const Case& c, Answer& answer) {
        simulated_.run(c, answer);
        if (distort_) distort_(c, answer);
    }
    // Nothing if the child dies of it.
    std::optional<Comparison> operator()(const Case& c);
    // With as much of the state as possible at rest, still failing.
    Case shrunk(const Case& failing);

  private:
    Native& native_;
    Simulated& simulated_;
    const Distort& distort_;
};

}  // namespace vtlsim::runner::conform
