#include "runner/golden.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "runner/trace/formats.hpp"
#include "runner/trace/world_recorder.hpp"

namespace vtlsim::runner {
namespace {

bool is_trace(const std::string& text) {
    const std::size_t last = text.find_last_of('\n', text.empty() ? 0 : text.size() - 2);
    return text.starts_with("# ") && last != std::string::npos &&
           text.compare(last + 1, 6, "# end=") == 0;
}

// The line behind `text`, taken off.
std::string take_line(std::string_view& text) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

}  // namespace

std::string golden_path(const Scenario& scenario, const Variant& variant) {
    const std::filesystem::path file = scenario.file;
    const std::string label = variant.label();
    const std::string name = file.stem().string() + (label.empty() ? "" : "." + label) + ".trace";
    return (file.parent_path() / name).string();
}

std::string golden_trace(const Scenario& scenario, const Variant& variant,
                         const model::World& world) {
    return text_trace(trace::recording_of(scenario, variant, world), {scenario.golden->hidden});
}

std::optional<std::string> file_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::optional<Failure> judge_golden(const std::string& path, const std::string& trace) {
    const std::string claim = "golden trace " + path;
    const auto golden = file_text(path);
    if (!golden) return Failure{claim, "this file", "there is none: --bless writes it"};
    if (*golden == trace) return std::nullopt;
    std::string_view expected = *golden, got = trace;
    std::string expected_line, got_line;
    u64 line = 0;
    do {
        ++line;
        expected_line = expected.empty() ? "the end" : take_line(expected);
        got_line = got.empty() ? "the end" : take_line(got);
    } while (expected_line == got_line && (!expected.empty() || !got.empty()));
    u64 step = 0;
    std::istringstream(got_line) >> step;  // the first column; no number in the last line
    return Failure{fmt::format("{}, line {}", claim, line), expected_line, got_line, step};
}

std::vector<std::string> orphan_traces(const std::vector<std::string>& golden_paths,
                                       const std::vector<std::string>& folders) {
    namespace fs = std::filesystem;
    std::vector<std::string> out;
    for (const std::string& folder : folders) {
        std::error_code error;
        fs::directory_iterator it(folder.empty() ? "." : folder, error);
        for (; !error && it != fs::directory_iterator(); it.increment(error)) {
            if (it->path().extension() != ".trace") continue;
            const std::string path = (fs::path(folder) / it->path().filename()).string();
            if (std::find(golden_paths.begin(), golden_paths.end(), path) != golden_paths.end()) {
                continue;
            }
            const auto text = file_text(path);
            if (text && is_trace(*text)) out.push_back(path);
        }
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

}  // namespace vtlsim::runner
