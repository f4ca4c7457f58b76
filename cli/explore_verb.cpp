#include <chrono>
#include <unistd.h>

#include <fmt/format.h>

#include "cli/choose.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "runner/explore/matrix.hpp"
#include "runner/explore/run_schedule.hpp"
#include "runner/explore/world_subject.hpp"
#include "runner/load.hpp"
#include "runner/report.hpp"

namespace vtlsim::cli {
namespace {

using runner::explore::Progress;
using std::chrono::steady_clock;

double seconds_since(steady_clock::time_point start) {
    return std::chrono::duration<double>(steady_clock::now() - start).count();
}

// A line on standard error twice a second.
class ProgressLine {
  public:
    void show(const Progress& p) {
        if (seconds_since(shown_) < 0.5) return;
        shown_ = steady_clock::now();
        const double time = seconds_since(start_);
        write_error(
            fmt::format("{}{} states, {:.0f} transitions/s, {} open, {} preemptions, {} "
                        "deviations, turn {}, {:.0f} s{}",
                        terminal_ ? "\r\x1b[K" : "", p.states,
                        static_cast<double>(p.transitions) / time, p.open, p.cost.preemptions,
                        p.cost.deviations, p.cost.turns, time, terminal_ ? "" : "\n"));
    }
    void finish(const runner::explore::SearchResult& r) const {
        const double time = seconds_since(start_);
        write_error(fmt::format("{}{} states, {} transitions in {:.2f} s: {:.0f} transitions/s\n",
                                terminal_ ? "\r\x1b[K" : "", r.states, r.transitions, time,
                                static_cast<double>(r.transitions) / time));
    }

  private:
    const bool terminal_ = isatty(STDERR_FILENO) != 0;
    const steady_clock::time_point start_ = steady_clock::now();
    steady_clock::time_point shown_ = start_;
};

runner::explore::Mode mode_of(const std::string& name) {
    using runner::explore::Mode;
    for (Mode mode : {Mode::random, Mode::pct}) {
        if (name == mode_name(mode)) return mode;
    }
    return Mode::exhaustive;
}

int matrix_verb(const ExploreOptions& options, const runner::Scenario& scenario) {
    if (scenario.matrix == nullptr) {
        return usage_error(fmt::format("--matrix: {} has no \"matrix\"", scenario.file));
    }
    if (!options.variant.empty()) return usage_error("--matrix goes over all; no --variant");
    const bool progress = options.progress || isatty(STDERR_FILENO) != 0;
    const auto result = runner::explore::fill_matrix(
        scenario, options.search, [&](const runner::explore::Cell& cell) {
            if (!progress) return;
            write_error(fmt::format("{}, {}, {}: {} states\n", cell.guest, cell.theory, cell.fix,
                                    cell.exploration.search.states));
        });
    const std::string report = options.format == "json" ? runner::explore::matrix_json(result)
                                                        : runner::explore::matrix_text(result);
    if (!write_output(options.output, report)) return 2;
    return runner::explore::exit_status(result);
}

}  // namespace

int explore_verb(ExploreOptions options) {
    runner::Diagnostics diagnostics;
    const auto scenario = runner::load_scenario(options.file, diagnostics, options.load);
    print_errors(diagnostics);
    if (!scenario) return 2;
    if (scenario->kvm)
        return usage_error("explore: a KVM scenario has one actor: nothing to explore");
    options.search.mode = mode_of(options.mode);
    options.search.reduction = !options.no_reduction;
    if (options.matrix) return matrix_verb(options, *scenario);
    const runner::Variant* variant = choose_variant(*scenario, options.variant);
    if (variant == nullptr) return 2;

    ProgressLine line;
    const bool progress = options.progress || isatty(STDERR_FILENO) != 0;
    if (progress) options.search.progress = [&](const Progress& p) { line.show(p); };
    const model::WorldConfig config = runner::explore::exploration_config(*scenario, *variant);
    auto exploration = runner::explore::explore(
        runner::explore::world_factory(config, scenario->show), options.search);
    if (progress) line.finish(exploration.search);
    exploration.scenario = scenario->name;
    exploration.variant = variant->label();
    const std::string report = options.format == "json" ? runner::explore::json_report(exploration)
                                                        : runner::explore::text_report(exploration);
    if (!write_output(options.output, report)) return 2;
    return runner::explore::exit_status(exploration);
}

int run_scheduled_verb(const RunOptions& options) {
    if (options.paths.size() != 1) return usage_error("--schedule goes with one scenario file");
    if (options.format != "text" && options.format != "json") {
        return usage_error("--schedule: the formats are text and json");
    }
    runner::Diagnostics diagnostics;
    const auto scenario = runner::load_scenario(options.paths[0], diagnostics, options.load);
    const auto schedule = runner::explore::load_schedule(options.schedule, diagnostics);
    print_errors(diagnostics);
    if (!scenario || !diagnostics.empty()) return 2;
    if (scenario->kvm) return usage_error("--schedule: a KVM scenario has no schedule");
    const runner::Variant* variant = choose_variant(*scenario, options.selection.variant);
    if (variant == nullptr) return 2;
    auto result =
        runner::explore::run_schedule(*scenario, *variant, schedule, options.schedule, diagnostics);
    print_errors(diagnostics);
    if (!result) return 2;
    const std::vector<runner::FileResults> results = {{*scenario, {std::move(*result)}}};
    const std::string report = options.format == "json"
                                   ? runner::json_report(results)
                                   : runner::text_report(results, {.verbose = true});
    return write_output(options.output, report) ? runner::exit_status(results) : 2;
}

}  // namespace vtlsim::cli
