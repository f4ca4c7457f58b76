#include "runner/explore/search.hpp"

#include "runner/explore/exhaustive.hpp"
#include "runner/explore/walks.hpp"

namespace vtlsim::runner::explore {

std::string_view limit_name(Limit limit) {
    constexpr std::string_view kNames[] = {"depth", "states", "memory", "time", "scenario"};
    return kNames[static_cast<std::size_t>(limit)];
}

void keep_smallest(std::vector<Found>& sorted) {
    if (sorted.empty()) return;
    const std::vector<ActorId> run = sorted[0].run;
    std::erase_if(sorted, [&](const Found& f) { return f.run != run; });
}

SearchResult search(const SubjectFactory& factory, const SearchOptions& options) {
    return options.mode == Mode::exhaustive ? search_exhaustive(factory, options)
                                            : search_walks(factory, options);
}

}  // namespace vtlsim::runner::explore
