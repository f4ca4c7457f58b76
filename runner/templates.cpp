#include "runner/templates.hpp"

#include <filesystem>

#include "runner/limits.hpp"

namespace vtlsim::runner {

std::string_view Template::summary() const {
    const std::string_view line = text.substr(0, text.find('\n'));
    return line.substr(line.find_first_not_of("/ "));
}

std::string Template::filled(std::string_view scenario_name, std::string_view schema) const {
    std::string out(text.substr(text.find('\n') + 1));
    const auto fill = [&](std::string_view mark, std::string_view value) {
        const std::size_t at = out.find(mark);
        out.replace(at, mark.size(), value);
    };
    fill("@SCHEMA@", schema);
    fill("@NAME@", scenario_name);
    return out;
}

std::string name_for(const std::string& path) {
    std::string name = std::filesystem::path(path).stem().string();
    for (char& c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '_' || c == '.';
        if (!plain) c = '-';
    }
    return name.empty() ? "scenario" : name.substr(0, kMaxName);
}

std::string schema_for(const std::string& path) {
    namespace fs = std::filesystem;
    std::error_code error;
    fs::path folder = fs::absolute(path, error).lexically_normal().parent_path();
    std::string up;
    for (int level = 0; !error && level < 16; ++level) {
        for (const char* name : {"docs/scenario.schema.json", "scenario.schema.json"}) {
            if (fs::exists(folder / name, error)) return (up.empty() ? "./" : up) + name;
        }
        if (folder == folder.parent_path()) break;
        folder = folder.parent_path();
        up += "../";
    }
    return {};
}

}  // namespace vtlsim::runner
