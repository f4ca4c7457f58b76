#include "runner/select.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace vtlsim::runner {
namespace {

// Greedy with one step back to the last `*`: linear in text times pattern.
bool wildcard_match(std::string_view text, std::string_view pattern) {
    std::size_t t = 0, p = 0, star = std::string_view::npos, resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) &&
            pattern[p] != '*') {
            ++t;
            ++p;
        } else if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

std::vector<std::string_view> sorted_parts(std::string_view choice) {
    std::vector<std::string_view> out;
    while (!choice.empty()) {
        const std::size_t end = std::min(choice.find(','), choice.size());
        out.push_back(choice.substr(0, end));
        choice.remove_prefix(std::min(end + 1, choice.size()));
    }
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace

bool matches_filter(std::string_view text, std::string_view pattern) {
    if (pattern.find_first_of("*?") == std::string_view::npos) {
        return text.find(pattern) != std::string_view::npos;
    }
    return wildcard_match(text, pattern);
}

std::optional<Shard> Shard::parse(std::string_view text) {
    Shard shard;
    const char* end = text.data() + text.size();
    const auto index = std::from_chars(text.data(), end, shard.index);
    if (index.ec != std::errc() || index.ptr == end || *index.ptr != '/') return std::nullopt;
    const auto count = std::from_chars(index.ptr + 1, end, shard.count);
    const bool good = count.ec == std::errc() && count.ptr == end && shard.index >= 1 &&
                      shard.index <= shard.count;
    return good ? std::optional(shard) : std::nullopt;
}

bool same_choice(std::string_view a, std::string_view b) {
    return sorted_parts(a) == sorted_parts(b);
}

bool Selection::takes(const ScenarioHead& scenario, const Variant& v) const {
    const std::string label = v.label();
    const std::string id =
        label.empty() ? scenario.name : fmt::format("{}[{}]", scenario.name, label);
    const bool named =
        filters.empty() || std::any_of(filters.begin(), filters.end(), [&](const std::string& f) {
            return matches_filter(id, f) || matches_filter(scenario.file, f);
        });
    const bool tagged =
        tags.empty() || std::any_of(tags.begin(), tags.end(), [&](const std::string& tag) {
            return std::find(scenario.tags.begin(), scenario.tags.end(), tag) !=
                   scenario.tags.end();
        });
    return named && tagged && (variant.empty() || same_choice(label, variant));
}

}  // namespace vtlsim::runner
