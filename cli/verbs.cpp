#include "cli/verbs.hpp"

#include <fmt/format.h>

#include "cli/output.hpp"
#include "runner/schema.hpp"

namespace vtlsim::cli {
namespace {

constexpr int kBadInput = 2;

}  // namespace

int usage_error(std::string_view message) {
    write_error(fmt::format("vtlsim: {} (see vtlsim --help)\n", message));
    return kBadInput;
}

int schema_verb() { return write_output("", runner::scenario_schema()) ? 0 : kBadInput; }

}  // namespace vtlsim::cli
