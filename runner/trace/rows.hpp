// A recording for pictures: what is hidden is left out, and runs of instructions are one row.
#pragma once

#include "runner/trace/formats.hpp"

namespace vtlsim::runner::trace {

struct Row {
    u32 first = 0;  // items
    u32 last = 0;
    u32 count = 1;  // of items in it
    u16 lane = 0;
    int to = -1;  // the lane that it reaches; -1: none
    bool alarm = false;
    std::string text;   // "vtl-enter to=2 reason=intercept"
    std::string notes;  // of its items, a line each
};

// Instructions that follow each other in a lane are "12 instructions from ap_start".
std::vector<Row> rows_of(const Recording& recording, const TextOptions& options);

// "golden-g2 driver=racy: vmm-panic after 342 steps"
std::string title_of(const Recording& recording);

}  // namespace vtlsim::runner::trace
