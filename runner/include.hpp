// "include": fragments of scenarios in files of their own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runner/diagnostic.hpp"
#include "runner/json/document.hpp"

namespace vtlsim::runner {

struct LoadOptions {
    std::vector<std::string> include_paths;  // folders to look in behind the scenario's own
};

// The document with the fragments that its root includes merged in before it; as it is without any.
// A fragment lies below the scenario's folder or an include path, links followed; it includes
// nothing itself. Null after an error.
std::shared_ptr<const JsonDocument> with_includes(std::shared_ptr<const JsonDocument> document,
                                                  const LoadOptions& options,
                                                  Diagnostics& diagnostics);

// "x.part.json": a fragment by its name, which is no scenario of its own.
bool is_fragment(const std::string& path);

}  // namespace vtlsim::runner
