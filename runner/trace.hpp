// The event log as text in fixed columns (docs/trace.md).
#pragma once

#include <string>
#include <vector>

#include "model/log/event.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::model {
class World;
class EventLog;
}  // namespace vtlsim::model

namespace vtlsim::runner {

struct TraceOptions {
    std::vector<model::EventKind> hidden;  // kinds that are left out
};

// The lines of the events; `named`: labels by address.
std::string text_trace_lines(const model::EventLog& log,
                             const std::vector<std::pair<u64, std::string>>& named,
                             const TraceOptions& options);
// A heading, one line an event, and a last line with the end and the hash.
std::string text_trace(const Scenario& scenario, const Variant& variant, const model::World& world,
                       const TraceOptions& options);

}  // namespace vtlsim::runner
