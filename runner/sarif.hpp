// Diagnostics for code hosts.
#pragma once

#include <string>

#include "runner/diagnostic.hpp"

namespace vtlsim::runner {

// SARIF 2.1.0, one run; columns count code points.
std::string sarif_report(const Diagnostics& diagnostics);

}  // namespace vtlsim::runner
