// The verbs of those who write scenarios: check, fmt, new.
#include <filesystem>

#include <fmt/format.h>

#include "cli/choose.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "runner/format_json.hpp"
#include "runner/json/reader.hpp"
#include "runner/load.hpp"
#include "runner/sarif.hpp"
#include "runner/schema.hpp"
#include "runner/suite.hpp"
#include "runner/templates.hpp"
#include "runner/text_diff.hpp"

namespace vtlsim::cli {

int check_verb(const CheckOptions& options) {
    if (options.paths.empty()) return usage_error("check needs a scenario file or a folder");
    runner::Diagnostics all;
    const auto files = runner::load_files(options.paths, 1, options.load);
    for (const runner::LoadedFile& file : files) {
        if (options.format == "text") print_errors(file.diagnostics);
        all.append(file.diagnostics);
    }
    if (options.format == "sarif") {
        return write_output("", runner::sarif_report(all)) && all.empty() ? 0 : 2;
    }
    if (!all.empty()) return 2;
    const std::string text =
        fmt::format("{} file{} well-formed\n", files.size(), files.size() == 1 ? " is" : "s are");
    return write_output("", text) ? 0 : 2;
}

int format_verb(const FormatOptions& options) {
    if (options.paths.empty()) return usage_error("fmt needs a scenario file or a folder");
    bool good = true;
    std::size_t changed = 0;
    std::string out;
    for (const std::string& path : options.paths) {
        runner::Diagnostics bad_folder;
        const auto files = runner::find_scenarios(path, bad_folder, true);
        print_errors(bad_folder);
        good = good && bad_folder.empty();
        for (const std::string& file : files) {
            runner::Diagnostics diagnostics;
            const auto document = runner::JsonDocument::load(file, diagnostics);
            print_errors(diagnostics);
            good = good && document && diagnostics.empty();
            if (!document || !diagnostics.empty()) continue;
            const std::string text = runner::format_json(document->text());
            if (text == document->text()) continue;
            ++changed;
            if (options.check) {
                out += fmt::format("--- {0}\n+++ {0} as `vtlsim fmt` writes it\n{1}", file,
                                   runner::text_diff(document->text(), text));
            } else {
                good = write_output(file, text) && good;
                out += file + '\n';
            }
        }
    }
    if (!write_output("", out) || !good) return 2;
    return options.check && changed != 0 ? 1 : 0;
}

int new_verb(const NewOptions& options) {
    if (options.list) {
        std::string out;
        for (const runner::Template& t : runner::templates()) {
            out += fmt::format("{:<18} {}\n", t.name, t.summary());
        }
        return write_output("", out) ? 0 : 2;
    }
    if (options.name.empty() || options.file.empty()) {
        return usage_error("new needs the name of a template (--list) and a file");
    }
    const runner::Template* wanted = nullptr;
    std::vector<std::string_view> names;
    for (const runner::Template& t : runner::templates()) {
        names.push_back(t.name);
        if (t.name == options.name) wanted = &t;
    }
    if (wanted == nullptr) {
        return usage_error(fmt::format("new: there is no template {}{}",
                                       runner::in_quotes(options.name),
                                       runner::did_you_mean(options.name, names)));
    }
    std::error_code error;
    if (std::filesystem::exists(options.file, error)) {
        return usage_error(fmt::format("new: {} is there already", options.file));
    }
    std::string schema = runner::schema_for(options.file);
    if (schema.empty()) {
        // So that an editor explains without any setting.
        const auto beside =
            std::filesystem::path(options.file).parent_path() / "scenario.schema.json";
        if (!write_output(beside.string(), runner::scenario_schema())) return 2;
        schema = "./scenario.schema.json";
    }
    return write_output(options.file, wanted->filled(runner::name_for(options.file), schema)) ? 0
                                                                                              : 2;
}

}  // namespace vtlsim::cli
