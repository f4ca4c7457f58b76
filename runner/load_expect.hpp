// Expectations as scenario files write them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/json/reader.hpp"
#include "runner/labels.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::runner {

Expectations read_expectations(const Node& node, const Labels& labels);

// Its parts that KVM scenarios have, too: "end", "memory" and "log".
model::EndReason read_end(const Node& node);
std::vector<MemoryClaim> read_memory_claims(const Node& node, const Labels& labels);
std::vector<LogClaim> read_log_claims(const Node& node, const Labels& labels);

// One entry of "log".
LogClaim read_log_claim(const Node& node, const Labels& labels);

// Reports a path that names no value (model/fields.hpp) at the node or, if it has one, its key.
bool check_path(const Node& node, const std::string& path);

// Whether patterns can name a value for arguments of this format: not for texts and code.
bool can_be_expected(model::Format format);

// The names of message types, and of the fields of the pages that VTL2 shares (sorted), as event
// patterns take them.
const std::vector<std::pair<std::string_view, u32>>& message_types();
const std::vector<std::string>& field_names();

}  // namespace vtlsim::runner
