#include "cli/choose.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "cli/output.hpp"
#include "cli/verbs.hpp"

namespace vtlsim::cli {

namespace {

// "b=2,a=1" and "a=1,b=2" are the same choice.
std::vector<std::string> parts(const std::string& choice) {
    std::vector<std::string> out;
    std::size_t start = 0;
    while (start < choice.size()) {
        const std::size_t end = std::min(choice.find(',', start), choice.size());
        out.push_back(choice.substr(start, end - start));
        start = end + 1;
    }
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace

void print_errors(const runner::Diagnostics& diagnostics) {
    if (!diagnostics.empty()) write_error(diagnostics.to_string());
}

const runner::Variant* choose_variant(const runner::Scenario& scenario, const std::string& choice) {
    for (const runner::Variant& v : scenario.variants) {
        if (parts(v.label()) == parts(choice)) return &v;
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
