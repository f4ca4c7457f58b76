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

const Edge* Visited::edge(const Fingerprint& from, ActorId actor) const {
    const auto found = edges_.find(from);
    if (found == edges_.end()) return nullptr;
    for (const Edge& edge : found->second) {
        if (edge.actor == actor) return &edge;
    }
    return nullptr;
}

void Visited::add_edge(const Fingerprint& from, Edge edge) {
    std::vector<Edge>& edges = edges_[from];
    const bool known = std::any_of(edges.begin(), edges.end(),
                                   [&](const Edge& e) { return e.actor == edge.actor; });
    if (known) return;
    edge_bytes_ += sizeof(Edge) + edge.accesses.size() * sizeof(Access);
    edges.push_back(std::move(edge));
}

std::vector<ActorId> Visited::run_to(u32 index) const {
    std::vector<ActorId> run;
    for (; index != 0; index = visits_[index].parent) run.push_back(visits_[index].actor);
    std::reverse(run.begin(), run.end());
    return run;
}

}  // namespace vtlsim::runner::explore
