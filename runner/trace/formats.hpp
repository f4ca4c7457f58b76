// Recordings in the formats of `vtlsim trace` (docs/trace.md).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model/log/event.hpp"
#include "runner/trace/recording.hpp"

namespace vtlsim::runner::trace {

// Raised whenever a reader of the JSON would have to change.
inline constexpr int kJsonVersion = 1;

struct TextOptions {
    std::vector<model::EventKind> hidden;  // kinds that are left out
};

// A heading, one line an event in fixed columns, and a last line with the end and the hash.
std::string text_trace(const Recording& recording, const TextOptions& options);
// Everything that is in the recording.
std::string json_trace(const Recording& recording);
// One page with everything in it, for one run or two beside each other.
std::string html_trace(std::span<const Recording> recordings);
// A Markdown table: guest, hypervisor, AP and driver, VMM with its devices side by side. Turns that
// leave no event are in it, and where the run left the default order.
std::string lanes_trace(const Recording& recording, const TextOptions& options);
// A sequence diagram of what is not hidden.
std::string mermaid_trace(const Recording& recording, const TextOptions& options);
// Chrome's trace events, for the Perfetto UI: a process for each VP, a thread for each lane.
std::string perfetto_trace(const Recording& recording, const TextOptions& options);
// The swim lanes as a picture.
std::string svg_trace(const Recording& recording, const TextOptions& options);

}  // namespace vtlsim::runner::trace
