#include "cli/choose.hpp"

#include <fmt/format.h>

#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "runner/select.hpp"

namespace vtlsim::cli {

void print_errors(const runner::Diagnostics& diagnostics) {
    if (!diagnostics.empty()) write_error(diagnostics.to_string());
}

const runner::Variant* choose_variant(const runner::Scenario& scenario, const std::string& choice) {
    for (const runner::Variant& v : scenario.variants) {
        if (runner::same_choice(v.label(), choice)) return &v;
    }
    if (scenario.axes.empty()) {
        usage_error(fmt::format("--variant: {} has no variants", scenario.file));
        return nullptr;
    }
    usage_error(choice.empty()
                    ? "--variant is needed: this scenario has several; the first is " +
                          scenario.variants[0].label()
                    : fmt::format("--variant: there is no {}; the first is {}",
                                  runner::in_quotes(choice), scenario.variants[0].label()));
    return nullptr;
}

}  // namespace vtlsim::cli
