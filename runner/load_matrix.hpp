// The "matrix" of a scenario file.
#pragma once

#include "runner/load_world.hpp"
#include "runner/matrix.hpp"

namespace vtlsim::runner {

// `root`: the scenario. To be called once `base`, its world, has been read without an error.
Matrix read_matrix(const Node& node, const Fields& root, const WorldReader& base);

}  // namespace vtlsim::runner
