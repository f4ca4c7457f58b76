// The event log as text in fixed columns (docs/trace.md).
#pragma once

#include <string>
#include <vector>

#include "model/log/event.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::model {
class World;
}

namespace vtlsim::runner {

struct TraceOptions {
    std::vector<model::EventKind> hidden;  // kinds that are left out
};

// A heading, one line an event, and a last line with the end and the hash.
std::string text_trace(const Scenario& scenario, const Variant& variant, const model::World& world,
                       const TraceOptions& options);

}  // namespace vtlsim::runner
