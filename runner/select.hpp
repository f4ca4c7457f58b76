// Which of the scenarios' variants a command is about.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/scenario.hpp"

namespace vtlsim::runner {

// `*` stands for any text, `?` for any character; without either the pattern may stand anywhere.
bool matches_filter(std::string_view text, std::string_view pattern);

struct Shard {
    u64 index = 1;  // from 1
    u64 count = 1;
    // "2/5"; nothing if it is not like that.
    static std::optional<Shard> parse(std::string_view text);
};

struct Selection {
    std::vector<std::string> filters;  // one of them has to match the id or the file
    std::vector<std::string> tags;     // the scenario has to have one of them
    std::string variant;               // switches in any order; empty: all
    Shard shard;
    bool everything() const {
        return filters.empty() && tags.empty() && variant.empty() && shard.count == 1;
    }
    // Without the shard, which counts what this lets through.
    bool takes(const ScenarioHead& scenario, const Variant& variant) const;
};

// "b=2,a=1" and "a=1,b=2" are the same choice.
bool same_choice(std::string_view a, std::string_view b);

}  // namespace vtlsim::runner
