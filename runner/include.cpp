#include "runner/include.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "runner/json/reader.hpp"
#include "runner/limits.hpp"

namespace vtlsim::runner {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kInclude = "include";

std::optional<Node> include_of(const Node& root) {
    if (!root.is_object()) return std::nullopt;
    for (const Node& member : root.members()) {
        if (member.key() == kInclude) return member;
    }
    return std::nullopt;
}

bool lies_below(const fs::path& file, const fs::path& folder) {
    const auto [in_folder, in_file] =
        std::mismatch(folder.begin(), folder.end(), file.begin(), file.end());
    return in_folder == folder.end() ||
           (std::next(in_folder) == folder.end() && in_folder->empty());
}

// The file that an entry names; empty after an error.
std::string find_fragment(const Node& entry, const std::string& scenario,
                          const LoadOptions& options) {
    const fs::path path = entry.string();
    const fs::path plain = path.lexically_normal();
    if (!entry.is_string()) return {};
    if (path.empty() || path.is_absolute() || plain.begin()->string() == "..") {
        entry.error("an included file lies below the scenario's folder, or one of --include");
        return {};
    }
    std::vector<fs::path> folders{fs::path(scenario).parent_path()};
    folders.insert(folders.end(), options.include_paths.begin(), options.include_paths.end());
    for (const fs::path& folder : folders) {
        std::error_code error;
        const fs::path file = folder / plain;
        if (!fs::exists(file, error)) continue;
        const fs::path real_folder = fs::canonical(folder.empty() ? "." : folder, error);
        const fs::path real_file = error ? fs::path() : fs::canonical(file, error);
        if (error || !lies_below(real_file, real_folder)) {
            entry.error("a link leads out of the folder that included files lie in");
            return {};
        }
        return file.string();
    }
    entry.error(fmt::format("there is no such file in the scenario's folder{}",
                            options.include_paths.empty() ? "" : " or those of --include"));
    return {};
}

}  // namespace

std::shared_ptr<const JsonDocument> with_includes(std::shared_ptr<const JsonDocument> document,
                                                  const LoadOptions& options,
                                                  Diagnostics& diagnostics) {
    const auto include = include_of(Node(*document, diagnostics));
    if (!include) return document;
    const std::size_t errors = diagnostics.count();
    std::vector<std::shared_ptr<const JsonDocument>> parts;
    const std::vector<Node> entries = include->array();
    if (entries.size() > kMaxIncludes) {
        include->error(fmt::format("more than {} included files", kMaxIncludes));
        return nullptr;
    }
    for (const Node& entry : entries) {
        const std::string file = find_fragment(entry, document->file(), options);
        if (file.empty()) continue;
        std::shared_ptr<const JsonDocument> part = JsonDocument::load(file, diagnostics);
        if (!part) continue;
        const Node root(*part, diagnostics);
        if (!root.is_object()) root.error("a fragment is an object, as a scenario is");
        if (const auto inner = include_of(root)) {
            inner->error_at_key("a fragment includes nothing itself");
        }
        parts.push_back(std::move(part));
    }
    if (diagnostics.count() != errors) return nullptr;
    parts.push_back(document);
    std::shared_ptr<const JsonDocument> merged =
        JsonDocument::merge(std::move(parts), {"$schema", "name", "why", "source"});
    if (!merged) include->error("the scenario has too many values with what it includes");
    return merged;
}

bool is_fragment(const std::string& path) { return path.ends_with(".part.json"); }

}  // namespace vtlsim::runner
