// Runs cases on the simulator as Native runs them on the processor.
#pragma once

#include <string>

#include "runner/conform/case.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::runner::conform {

class Simulated {
  public:
    Simulated();
    void run(const Case& c, Answer& answer);

  private:
    sim::Machine machine_;
    sim::Cpu& cpu_;
    bool fits_ = true;    // all was written
    bool ports_ = false;  // the TSS is mapped
};

// The case as a request of `vtlsim exec`, with the scratch page if the instruction may use it.
std::string exec_line(const Case& c, bool with_memory);

}  // namespace vtlsim::runner::conform
