#include <fmt/format.h>

#include "cli/choose.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "runner/json/reader.hpp"
#include "runner/load.hpp"
#include "runner/trace/formats.hpp"
#include "runner/trace/kvm_recorder.hpp"
#include "runner/trace/world_recorder.hpp"

namespace vtlsim::cli {
namespace {

using runner::trace::Recording;

constexpr int kBadInput = 2;
constexpr int kLimit = 3;

bool read_kinds(const std::vector<std::string>& names, std::vector<model::EventKind>& out) {
    for (const std::string& name : names) {
        const model::EventRow* row = model::find_event(name);
        if (row == nullptr) {
            std::vector<std::string_view> known;
            for (const model::EventRow& r : model::event_rows()) known.push_back(r.name);
            usage_error(fmt::format("--hide: unknown event {}{}", runner::in_quotes(name),
                                    runner::did_you_mean(name, known)));
            return false;
        }
        out.push_back(row->kind);
    }
    return true;
}

// Two of something mean two runs; one is for all of them.
template <class T>
const T& nth(const std::vector<T>& list, std::size_t i, const T& none) {
    return list.empty() ? none : list[std::min(i, list.size() - 1)];
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string printed(const std::string& format, const std::vector<Recording>& recordings,
                    const runner::trace::TextOptions& options) {
    using namespace runner::trace;
    if (format == "html") return html_trace(recordings);
    const Recording& r = recordings.front();
    if (format == "json") return json_trace(r);
    if (format == "lanes") return lanes_trace(r, options);
    if (format == "mermaid") return mermaid_trace(r, options);
    if (format == "perfetto") return perfetto_trace(r, options);
    if (format == "svg") return svg_trace(r, options);
    return text_trace(r, options);
}

}  // namespace

std::optional<Recording> record_run(const std::string& file, const std::string& variant_choice,
                                    const std::string& schedule_file, bool values, int& status,
                                    const runner::LoadOptions& load) {
    status = kBadInput;
    runner::Diagnostics diagnostics;
    const auto scenario = runner::load_scenario(file, diagnostics, load);
    print_errors(diagnostics);
    if (!scenario) return std::nullopt;
    const runner::Variant* variant = choose_variant(*scenario, variant_choice);
    if (variant == nullptr) return std::nullopt;
    if (scenario->kvm) {
        if (!schedule_file.empty() && schedule_file != "-") {
            usage_error("--schedule: a KVM scenario has one order");
            return std::nullopt;
        }
        Recording recording = runner::trace::record_kvm(*scenario->kvm, variant->kvm);
        status = recording.result.status == runner::Status::error ? 1 : 0;
        return recording;
    }
    runner::explore::Schedule schedule;
    runner::trace::RecordOptions options;
    options.values = values;
    if (!schedule_file.empty() && schedule_file != "-") {
        schedule = runner::explore::load_schedule(schedule_file, diagnostics);
        print_errors(diagnostics);
        if (!diagnostics.empty()) return std::nullopt;
        options.schedule = &schedule;
        options.schedule_file = base_name(schedule_file);
    }
    auto recording = runner::trace::record(*scenario, *variant, options, diagnostics);
    print_errors(diagnostics);
    if (!recording) return std::nullopt;
    // The trace is what was asked for; a run that did not get to its end says so.
    const runner::Status verdict = recording->result.status;
    status = verdict == runner::Status::error ? 1 : verdict == runner::Status::limit ? kLimit : 0;
    return recording;
}

int trace_verb(const TraceOptions& options) {
    runner::trace::TextOptions text;
    if (!read_kinds(options.hide, text.hidden)) return kBadInput;
    const std::size_t runs =
        std::max({options.files.size(), options.variants.size(), options.schedules.size()});
    if (runs > 2) return usage_error("trace shows one run, or two beside each other");
    if (runs == 2 && options.format != "html") {
        return usage_error("two runs beside each other need --format html");
    }
    std::vector<Recording> recordings;
    int status = 0;
    for (std::size_t i = 0; i < runs; ++i) {
        int own = 0;
        const std::string none;
        auto recording = record_run(nth(options.files, i, none), nth(options.variants, i, none),
                                    nth(options.schedules, i, none), options.format != "text", own,
                                    options.load);
        if (!recording) return own;
        status = std::max(status, own);
        recordings.push_back(std::move(*recording));
    }
    if (!write_output(options.output, printed(options.format, recordings, text))) return kBadInput;
    return status;
}

}  // namespace vtlsim::cli
