#include "runner/explore/visited.hpp"

#include <algorithm>

namespace vtlsim::runner::explore {

u32 Visited::find(const Fingerprint& state, int last) const {
    const auto found = first_.find(state);
    u32 index = found == first_.end() ? Visit::kNone : found->second;
    while (index != Visit::kNone && visits_[index].last != last) index = visits_[index].next;
    return index;
}

u32 Visited::add(const Fingerprint& state, const Visit& visit) {
    const u32 index = static_cast<u32>(visits_.size());
    visits_.push_back(visit);
    const auto [entry, is_new] = first_.try_emplace(state, index);
    if (!is_new) {
        visits_[index].next = entry->second;
        entry->second = index;
    }
    return index;
}

std::vector<ActorId> Visited::run_to(u32 index) const {
    std::vector<ActorId> run;
    for (; index != 0; index = visits_[index].parent) run.push_back(visits_[index].actor);
    std::reverse(run.begin(), run.end());
    return run;
}

}  // namespace vtlsim::runner::explore
