#include "cli/verbs.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "cli/output.hpp"
#include "model/switches.hpp"
#include "model/world.hpp"
#include "runner/json/reader.hpp"
#include "runner/load.hpp"
#include "runner/report.hpp"
#include "runner/trace.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::cli {
namespace {

constexpr int kBadInput = 2;
constexpr int kLimit = 3;

void print_errors(const runner::Diagnostics& diagnostics) {
    if (!diagnostics.empty()) fmt::print(stderr, "{}", diagnostics.to_string());
}

int usage_error(std::string_view message) {
    fmt::print(stderr, "vtlsim: {}\n", message);
    return kBadInput;
}

// A file that does not load, as a result: nothing in the JSON is lost.
runner::Result broken_file(const std::string& file, const runner::Diagnostics& diagnostics) {
    runner::Result r;
    r.scenario = file;
    r.file = file;
    r.status = runner::Status::error;
    for (const runner::Diagnostic& d : diagnostics.sorted()) {
        r.failures.push_back({"the file loads", "", d.to_string(), 0});
    }
    return r;
}

}  // namespace

int run_verb(const RunOptions& options) {
    runner::Diagnostics bad_paths;
    const auto files = runner::find_scenarios(options.paths, bad_paths);
    std::vector<std::optional<runner::Scenario>> scenarios;
    std::vector<runner::FileResults> results;
    scenarios.reserve(files.size());
    for (const std::string& file : files) {
        runner::Diagnostics diagnostics;
        scenarios.push_back(runner::load_scenario(file, diagnostics));
        print_errors(diagnostics);
        runner::FileResults out;
        if (const auto& scenario = scenarios.back()) {
            out.scenario = &*scenario;
            for (const runner::Variant& variant : scenario->variants) {
                out.results.push_back(runner::run_variant(*scenario, variant));
            }
        } else {
            out.results.push_back(broken_file(file, diagnostics));
        }
        results.push_back(std::move(out));
    }
    print_errors(bad_paths);
    if (!bad_paths.empty() && results.empty()) return kBadInput;
    fmt::print("{}", options.format == "json" ? runner::json_report(results)
                                              : runner::text_report(results));
    return bad_paths.empty() ? runner::exit_status(results) : kBadInput;
}

int check_verb(const CheckOptions& options) {
    runner::Diagnostics diagnostics;
    const auto files = runner::find_scenarios(options.paths, diagnostics);
    print_errors(diagnostics);
    bool bad = !diagnostics.empty();
    for (const std::string& file : files) {
        runner::Diagnostics own;
        const bool loaded = runner::load_scenario(file, own).has_value();
        print_errors(own);
        bad = bad || !loaded;
    }
    if (!bad) fmt::print("{} files are well-formed\n", files.size());
    return bad ? kBadInput : 0;
}

int trace_verb(const TraceOptions& options) {
    runner::Diagnostics diagnostics;
    const auto scenario = runner::load_scenario(options.file, diagnostics);
    print_errors(diagnostics);
    if (!scenario) return kBadInput;

    std::string wanted = options.variant;
    std::replace(wanted.begin(), wanted.end(), ',', ' ');
    const runner::Variant* variant = nullptr;
    for (const runner::Variant& v : scenario->variants) {
        if (v.label() == wanted) variant = &v;
    }
    if (variant == nullptr) {
        std::string all;
        for (const runner::Variant& v : scenario->variants) {
            std::string label = v.label();
            std::replace(label.begin(), label.end(), ' ', ',');
            all += fmt::format("\n  --variant {}", label);
        }
        if (scenario->variants.size() == 1) return usage_error("this scenario has no variants");
        return usage_error(fmt::format(
            "{} variant; the scenario has these:{}",
            options.variant.empty() ? "--variant is needed to choose a" : "there is no such", all));
    }

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

    model::World world(variant->config);
    const model::EndReason end = world.run();
    if (!write_output(options.output, runner::text_trace(*scenario, *variant, world, trace))) {
        return kBadInput;
    }
    // The trace is what was asked for; a run that did not get to its end says so.
    if (end == model::EndReason::not_modelled) return 1;
    const bool limited =
        end == model::EndReason::step_limit || end == model::EndReason::memory_limit;
    return limited && variant->expect.end != end ? kLimit : 0;
}

int list_verb(const ListOptions& options) {
    if (options.what == "switches") {
        for (const model::SwitchRow& row : model::switch_rows()) {
            fmt::print("{}: {} [{}]\n", row.name, row.meaning, row.source);
            for (std::size_t i = 0; i < row.values.size(); ++i) {
                fmt::print("  {}{}: {}\n", row.values[i].name, i == 0 ? " (default)" : "",
                           row.values[i].meaning);
            }
        }
    } else if (options.what == "events") {
        for (const model::EventRow& row : model::event_rows()) {
            std::string args;
            for (const model::ArgRow& arg : row.args) {
                if (arg.format != model::Format::hidden) args += fmt::format(" {}", arg.name);
            }
            fmt::print("{}{}: {}\n", row.name, args.empty() ? "" : fmt::format(" ({} )", args),
                       row.meaning);
        }
    } else if (options.what == "registers") {
        for (const sim::RegInfo& row : sim::registers()) {
            fmt::print("{} ({} bits) [{}]\n", row.name, row.bits, row.source);
        }
    } else {
        for (const sim::InsnRow& row : sim::all_rows()) {
            fmt::print("{} [{}]\n", ZydisMnemonicGetString(row.mnemonic), row.manual);
        }
    }
    return 0;
}

}  // namespace vtlsim::cli
