// Makes a recording of a world's run.
#pragma once

#include "model/world.hpp"
#include "runner/explore/schedule.hpp"
#include "runner/trace/recording.hpp"

namespace vtlsim::runner::trace {

// Runs the variant to its end and judges it. With a schedule (that of explore) instead of the
// scenario's own order; nothing, after a message, if that does not fit.
struct RecordOptions {
    const explore::Schedule* schedule = nullptr;
    std::string schedule_file;
    // False: only what happens, not where values lie, for very long runs.
    bool values = true;
};
// More items with values than this are refused.
inline constexpr std::size_t kMaxItems = 1'000'000;
std::optional<Recording> record(const Scenario& scenario, const Variant& variant,
                                const RecordOptions& options, Diagnostics& diagnostics);

// What the log of a finished world tells, without the values.
Recording recording_of(const Scenario& scenario, const Variant& variant, const model::World& world);

}  // namespace vtlsim::runner::trace
