#include "runner/suite.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>

#include <fmt/format.h>

#include "model/world.hpp"
#include "runner/determinism.hpp"
#include "runner/golden.hpp"
#include "runner/parallel.hpp"

namespace vtlsim::runner {
namespace {

std::string key_of(const std::string& file, const std::string& id) {
    return fmt::format("{}\t{}", file, id);
}

std::string key_of(const std::vector<LoadedFile>& files, const Case& c) {
    const Scenario& s = *files[c.file].scenario;
    const std::string label = s.variants[c.variant].label();
    return key_of(s.file, label.empty() ? s.name : fmt::format("{}[{}]", s.name, label));
}

// The cases of `first` before the others, each group in its own order.
std::vector<std::size_t> run_order(const std::vector<LoadedFile>& files,
                                   const std::vector<Case>& cases,
                                   const std::vector<std::string>& first) {
    std::vector<std::size_t> order(cases.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    if (first.empty()) return order;
    std::stable_partition(order.begin(), order.end(), [&](std::size_t i) {
        return std::find(first.begin(), first.end(), key_of(files, cases[i])) != first.end();
    });
    return order;
}

void add_failure(Result& result, Failure failure) {
    result.failures.push_back(std::move(failure));
    // A known failure is no excuse for another trace, or for runs that are not alike.
    if (result.good()) result.status = Status::fail;
}

Result run_case(const LoadedFile& file, const Case& c, const SuiteOptions& options) {
    const Scenario& scenario = *file.scenario;
    const Variant& variant = scenario.variants[c.variant];
    const auto start = std::chrono::steady_clock::now();
    std::string trace;
    Result result = run_variant(scenario, variant, [&](const model::World& world) {
        if (scenario.golden) trace = golden_trace(scenario, variant, world);
    });
    for (u64 i = 1; i < options.repeat; ++i) {
        const Result again = run_variant(scenario, variant);
        if (again.hash == result.hash && again.status == result.status) continue;
        add_failure(result, {fmt::format("run {} of {} is like the first", i + 1, options.repeat),
                             fmt::format("{}, hash {}", status_name(result.status), result.hash),
                             fmt::format("{}, hash {}", status_name(again.status), again.hash),
                             again.steps});
        break;
    }
    if (scenario.golden && options.keep_traces) {
        result.trace = std::move(trace);
    } else if (scenario.golden) {
        if (auto failure = judge_golden(golden_path(scenario, variant), trace)) {
            add_failure(result, std::move(*failure));
        }
    }
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    result.seconds = time.count();
    return result;
}

}  // namespace

std::vector<LoadedFile> load_files(const std::vector<std::string>& paths, unsigned jobs,
                                   const LoadOptions& options) {
    std::vector<LoadedFile> files;
    for (const std::string& path : paths) {
        Diagnostics bad_folder;
        for (std::string& file : find_scenarios(path, bad_folder)) {
            files.push_back({std::move(file), std::nullopt, {}});
        }
        if (!bad_folder.empty()) files.push_back({path, std::nullopt, bad_folder});
    }
    parallel_for(files.size(), jobs, [&](std::size_t i) {
        LoadedFile& file = files[i];
        if (file.diagnostics.empty())
            file.scenario = load_scenario(file.file, file.diagnostics, options);
        return true;
    });
    return files;
}

std::vector<Case> select_cases(const std::vector<LoadedFile>& files, const Selection& selection) {
    std::vector<Case> out;
    u64 number = 0;
    for (std::size_t f = 0; f < files.size(); ++f) {
        if (!files[f].scenario) continue;
        const Scenario& scenario = *files[f].scenario;
        for (std::size_t v = 0; v < scenario.variants.size(); ++v) {
            if (!selection.takes(scenario, scenario.variants[v])) continue;
            if (number++ % selection.shard.count + 1 == selection.shard.index)
                out.push_back({f, v});
        }
    }
    return out;
}

SuiteResult run_suite(const std::vector<LoadedFile>& files, const std::vector<Case>& cases,
                      const SuiteOptions& options) {
    std::vector<std::optional<Result>> results(cases.size());
    std::size_t ran = cases.size();  // up to this place in the order of the runs
    const auto order = run_order(files, cases, options.first);
    const auto watch = [&](std::size_t done) {
        if (options.progress) options.progress(done, cases.size());
    };
    const auto work = [&](std::size_t i) {
        const Case& c = cases[order[i]];
        Result& result = results[order[i]].emplace(run_case(files[c.file], c, options));
        return !options.fail_fast || result.good();
    };
    using Watch = std::function<void(std::size_t)>;
    parallel_for(cases.size(), options.jobs, work, options.progress ? Watch(watch) : Watch());
    if (options.fail_fast) {
        // A thread may have gone on behind a failure of another one.
        for (std::size_t i = 0; i < ran; ++i) {
            if (!results[order[i]]->good()) ran = i + 1;
        }
        for (std::size_t i = ran; i < order.size(); ++i) results[order[i]].reset();
    }
    if (options.verify_determinism) {
        std::vector<VariantOf> runs;
        for (const Case& c : cases) {
            const Scenario& scenario = *files[c.file].scenario;
            runs.push_back({&scenario, &scenario.variants[c.variant]});
        }
        const auto differences = verify_determinism(runs, options.jobs);
        for (std::size_t i = 0; i < cases.size(); ++i) {
            if (results[i] && differences[i]) add_failure(*results[i], *differences[i]);
        }
    }

    SuiteResult out;
    out.not_run = order.size() - ran;
    std::size_t next = 0;
    for (std::size_t f = 0; f < files.size(); ++f) {
        if (!files[f].scenario) {
            out.files.push_back(bad_file(files[f].file, files[f].diagnostics));
            continue;
        }
        FileResults file{*files[f].scenario, {}};
        for (; next < cases.size() && cases[next].file == f; ++next) {
            if (results[next]) file.results.push_back(std::move(*results[next]));
        }
        if (!file.results.empty()) out.files.push_back(std::move(file));
    }
    return out;
}

std::string failed_key(const Result& result) { return key_of(result.file, result.id()); }

std::string failed_list(const std::vector<FileResults>& files) {
    std::string out;
    for (const FileResults& file : files) {
        for (const Result& r : file.results) {
            if (file.scenario && !r.good()) out += failed_key(r) + '\n';
        }
    }
    return out;
}

std::vector<std::string> read_failed_list(const std::string& path) {
    std::vector<std::string> out;
    std::ifstream file(path, std::ios::binary);
    for (std::string line; std::getline(file, line) && out.size() < 100'000;) out.push_back(line);
    return out;
}

}  // namespace vtlsim::runner
