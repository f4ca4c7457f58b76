#include "cli/verbs.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "cli/choose.hpp"
#include "cli/output.hpp"
#include "model/world.hpp"
#include "runner/json/reader.hpp"
#include "runner/load.hpp"
#include "runner/run_kvm.hpp"
#include "runner/schema.hpp"
#include "runner/trace.hpp"

namespace vtlsim::cli {
namespace {

constexpr int kBadInput = 2;
constexpr int kLimit = 3;

int trace_kvm(const runner::Scenario& scenario, const runner::Variant& chosen,
              const std::string& output, const runner::TraceOptions& trace) {
    const runner::KvmVariant& variant = scenario.kvm->variants[chosen.kvm];
    const runner::KvmRun run = runner::run_kvm(*scenario.kvm, variant);
    if (!write_output(output, runner::kvm_text_trace(*scenario.kvm, variant, run, trace))) {
        return kBadInput;
    }
    return run.end == model::EndReason::not_modelled ? 1 : 0;
}

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

int trace_verb(const TraceOptions& options) {
    runner::TraceOptions trace;
    for (const std::string& name : options.hide) {
        const model::EventRow* row = model::find_event(name);
        if (row == nullptr) {
            std::vector<std::string_view> names;
            for (const model::EventRow& r : model::event_rows()) names.push_back(r.name);
            return usage_error(fmt::format("--hide: unknown event {}{}", runner::in_quotes(name),
                                           runner::did_you_mean(name, names)));
        }
        trace.hidden.push_back(row->kind);
    }
    runner::Diagnostics diagnostics;
    const auto scenario = runner::load_scenario(options.file, diagnostics);
    print_errors(diagnostics);
    if (!scenario) return kBadInput;
    const runner::Variant* variant = choose_variant(*scenario, options.variant);
    if (variant == nullptr) return kBadInput;
    if (scenario->kvm) return trace_kvm(*scenario, *variant, options.output, trace);

    const model::WorldConfig config = scenario->config(*variant);
    model::World world(config);
    const model::EndReason end = world.run();
    if (!write_output(options.output, runner::text_trace(*scenario, *variant, world, trace))) {
        return kBadInput;
    }
    // The trace is what was asked for; a run that did not get to its end says so.
    if (end == model::EndReason::not_modelled) return 1;
    const bool limited =
        end == model::EndReason::step_limit || end == model::EndReason::memory_limit;
    return limited && scenario->expected_end(*variant) != end ? kLimit : 0;
}

int schema_verb() { return write_output("", runner::scenario_schema()) ? 0 : kBadInput; }

}  // namespace vtlsim::cli
