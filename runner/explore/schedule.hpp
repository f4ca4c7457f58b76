// A schedule as people write it down: only the turns at which another actor goes than the default
// policy would let go (default_choice in subject.hpp).
//
//     {"schedule": [{"turn": 17, "run": "vmm0", "instead_of": "vp0", "step": "HLT",
//                    "does": "claim ASYNC"}]}
//
// The same entries can stand in a scenario's own "schedule".
#pragma once

#include <nlohmann/json.hpp>

#include "runner/explore/subject.hpp"
#include "runner/json/reader.hpp"

namespace vtlsim::runner::explore {

struct Deviation {
    u32 turn = 0;     // counted from 0; ascending in a schedule
    std::string run;  // the actor that goes
    // What is expected, for a schedule to notice that it was made for something else; empty: not
    // checked.
    std::string instead_of;  // the actor that would go
    std::string step;        // which step it would make
    std::string does;        // which step the one that goes makes
    Position position;       // in the file, for messages
};
using Schedule = std::vector<Deviation>;

nlohmann::ordered_json schedule_json(const Schedule& schedule);

// An array of deviations, or an object that has one under "schedule": a violation out of explore's
// report is one. Empty, after messages to `diagnostics`, if there is something wrong.
Schedule read_schedule(const Node& node);
Schedule load_schedule(const std::string& path, Diagnostics& diagnostics);
Schedule parse_schedule(std::string text, const std::string& file, Diagnostics& diagnostics);

}  // namespace vtlsim::runner::explore
