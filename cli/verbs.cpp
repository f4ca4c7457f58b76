#include "cli/verbs.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "cli/choose.hpp"
#include "cli/output.hpp"
#include "runner/json/reader.hpp"
#include "runner/load.hpp"
#include "runner/schema.hpp"

namespace vtlsim::cli {
namespace {

constexpr int kBadInput = 2;

}  // namespace

int usage_error(std::string_view message) {
    write_error(fmt::format("vtlsim: {} (see vtlsim --help)\n", message));
    return kBadInput;
}

int check_verb(const CheckOptions& options) {
    if (options.paths.empty()) return usage_error("check needs a scenario file or a folder");
    bool good = true;
    std::size_t count = 0;
    for (const std::string& path : options.paths) {
        runner::Diagnostics bad_folder;
        const auto files = runner::find_scenarios(path, bad_folder);
        print_errors(bad_folder);
        good = good && bad_folder.empty();
        for (const std::string& file : files) {
            runner::Diagnostics diagnostics;
            good = runner::load_scenario(file, diagnostics).has_value() && good;
            print_errors(diagnostics);
            ++count;
        }
    }
    if (!good) return kBadInput;
    const std::string text =
        fmt::format("{} file{} well-formed\n", count, count == 1 ? " is" : "s are");
    return write_output("", text) ? 0 : kBadInput;
}

int schema_verb() { return write_output("", runner::scenario_schema()) ? 0 : kBadInput; }

}  // namespace vtlsim::cli
