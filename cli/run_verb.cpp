#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>

#include "cli/choose.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "runner/golden.hpp"
#include "runner/report.hpp"
#include "runner/text_diff.hpp"
#include "sim/memory/memory.hpp"

namespace vtlsim::cli {
namespace {

bool is_set(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0';
}

// XML Schema's dateTime of now, UTC.
std::string timestamp() {
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm utc{};
    gmtime_r(&now, &utc);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    return text.data();
}

std::string report(const RunOptions& options, const runner::SuiteResult& result) {
    if (options.format == "json") return runner::json_report(result.files);
    if (options.format == "junit") return runner::junit_report(result.files, timestamp());
    if (options.format == "tap") return runner::tap_report(result.files);
    const bool terminal = options.output.empty() && isatty(STDOUT_FILENO) != 0;
    return runner::text_report(result.files, {.verbose = options.verbose,
                                              .color = terminal && !is_set("NO_COLOR"),
                                              .not_run = result.not_run});
}

std::string list(const std::vector<runner::LoadedFile>& files,
                 const std::vector<runner::Case>& cases) {
    std::string out;
    for (const runner::Case& c : cases) {
        const runner::Scenario& s = *files[c.file].scenario;
        const std::string label = s.variants[c.variant].label();
        out += fmt::format("{}{}  {}\n", s.name, label.empty() ? "" : fmt::format("[{}]", label),
                           s.file);
    }
    return out;
}

// The folders whose traces all belong to what has run: those given, not single files.
std::vector<std::string> whole_folders(const RunOptions& options,
                                       const std::vector<runner::LoadedFile>& files) {
    std::vector<std::string> out;
    if (!options.selection.everything()) return out;
    for (const std::string& path : options.paths) {
        std::error_code no_matter;
        if (!std::filesystem::is_directory(path, no_matter)) continue;
        out.push_back(path);
        for (const runner::LoadedFile& file : files) {
            if (!file.file.starts_with(path)) continue;
            std::string folder = std::filesystem::path(file.file).parent_path().string();
            if (folder != out.back()) out.push_back(std::move(folder));
        }
    }
    return out;
}

// Writes the traces of the results and says what changed.
bool bless(const RunOptions& options, const std::vector<runner::LoadedFile>& files,
           const std::vector<runner::Case>& cases, runner::SuiteResult& result) {
    std::string out;
    std::vector<std::string> paths;
    for (const runner::Case& c : cases) {
        const runner::Scenario& s = *files[c.file].scenario;
        if (!s.golden) continue;
        const runner::Variant& v = s.variants[c.variant];
        const std::string path = runner::golden_path(s, v);
        paths.push_back(path);
        for (const runner::FileResults& file : result.files) {
            for (const runner::Result& r : file.results) {
                if (r.file != s.file || r.variant != v.choice) continue;
                const auto old = runner::file_text(path);
                if (old == r.trace) continue;
                if (!write_output(path, r.trace)) return false;
                out += fmt::format("--- {}{}\n+++ {}\n{}", path, old ? "" : " (new)", path,
                                   runner::text_diff(old.value_or(""), r.trace));
            }
        }
    }
    for (const std::string& path : runner::orphan_traces(paths, whole_folders(options, files))) {
        if (std::remove(path.c_str()) == 0) out += fmt::format("deleted {}\n", path);
    }
    write_error(out);
    return true;
}

// A budget of the command line only ever makes the scenario's own smaller.
void cut_limits(const RunOptions& options, std::vector<runner::LoadedFile>& files) {
    for (runner::LoadedFile& file : files) {
        if (!file.scenario) continue;
        model::Limits& limits = file.scenario->world.limits;
        if (options.max_steps) limits.steps = std::min(limits.steps, *options.max_steps);
        if (options.max_memory) {
            limits.pages = std::min(limits.pages, *options.max_memory / sim::kPageSize);
        }
    }
}

}  // namespace

int run_verb(RunOptions options) {
    if (options.paths.empty()) return usage_error("run needs a scenario file or a folder");
    if (!options.schedule.empty()) return run_scheduled_verb(options);
    if (options.bless && is_set("CI")) {
        return usage_error("--bless is not for CI: bless where you look at the difference");
    }
    if (!options.shard.empty()) {
        const auto shard = runner::Shard::parse(options.shard);
        if (!shard) return usage_error("--shard: i/n with 1 <= i <= n, as in 2/5");
        options.selection.shard = *shard;
    }
    options.suite.jobs =
        options.jobs != 0 ? options.jobs : std::max(1u, std::thread::hardware_concurrency());
    auto files = runner::load_files(options.paths, options.suite.jobs, options.load);
    for (const runner::LoadedFile& file : files) print_errors(file.diagnostics);
    const auto cases = runner::select_cases(files, options.selection);
    const bool all_good = std::all_of(files.begin(), files.end(),
                                      [](const auto& file) { return file.scenario.has_value(); });
    if (cases.empty() && all_good && options.selection.shard.count == 1) {
        return usage_error("no scenario is like that");
    }
    if (options.list) {
        if (!write_output(options.output, list(files, cases))) return 2;
        return all_good ? 0 : 2;
    }

    cut_limits(options, files);
    options.suite.keep_traces = options.bless;
    if (options.failed_first) options.suite.first = runner::read_failed_list(options.state_file);
    bool shown = false;
    if (isatty(STDERR_FILENO) != 0) {
        options.suite.progress = [&](std::size_t done, std::size_t total) {
            write_error(fmt::format("\r\x1b[K{} of {}", done, total));
            shown = true;
        };
    }
    auto result = runner::run_suite(files, cases, options.suite);
    if (shown) write_error("\r\x1b[K");
    if (options.failed_first &&
        !write_output(options.state_file, runner::failed_list(result.files))) {
        return 2;
    }
    if (options.bless && !bless(options, files, cases, result)) return 2;
    if (!write_output(options.output, report(options, result))) return 2;
    // A shard without a case is no mistake.
    return result.files.empty() && all_good ? 0 : runner::exit_status(result.files);
}

}  // namespace vtlsim::cli
