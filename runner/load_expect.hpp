// Expectations as scenario files write them.
#pragma once

#include <string>

#include "runner/json/reader.hpp"
#include "runner/load_world.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::runner {

Expectations read_expectations(const Node& node, const Labels& labels);

// Reports a path that names no value (model/fields.hpp) at the node or, if it has one, its key.
bool check_path(const Node& node, const std::string& path);

}  // namespace vtlsim::runner
