// The states that a search has met, and the way back from each to the start.
#pragma once

#include <unordered_map>

#include "runner/explore/subject.hpp"

namespace vtlsim::runner::explore {

// A state together with the actor that went last: what the cost of going on depends on.
struct Visit {
    Cost cost;         // the least known
    u32 parent = 0;    // of the run that has this cost; of the first: itself
    u32 next = kNone;  // another visit of the same state
    i32 last = kNobody;
    ActorId actor = 0;    // of the turn that came from the parent
    bool closed = false;  // gone on from, or nothing to go on with: the cost is final

    static constexpr u32 kNone = 0xFFFF'FFFF;
};

// A step that has been made from a state: where it led to. Steps that broke an invariant or ran
// into a limit are made again each time.
struct Edge {
    ActorId actor = 0;
    bool over = false;        // nothing can happen any more
    bool takes_away = false;  // somebody else's next step
    Fingerprint to{};
    std::vector<Access> accesses;
};

class Visited {
  public:
    // kNone if it has not been met.
    u32 find(const Fingerprint& state, int last) const;
    // What find() did not find.
    u32 add(const Fingerprint& state, const Visit& visit);

    Visit& operator[](u32 index) { return visits_[index]; }
    const Visit& operator[](u32 index) const { return visits_[index]; }

    // The step of the actor from the state, if it has been made. Null: not known.
    const Edge* edge(const Fingerprint& from, ActorId actor) const;
    void add_edge(const Fingerprint& from, Edge edge);

    u64 states() const { return first_.size(); }
    // Memory, about: a map's entry has a key, a value, a link and its share of buckets.
    u64 bytes() const {
        return visits_.size() * sizeof(Visit) + (first_.size() + edges_.size()) * 64 + edge_bytes_;
    }

    // Who went at each turn on the best known way to the visit.
    std::vector<ActorId> run_to(u32 index) const;

  private:
    struct Hash {
        std::size_t operator()(const Fingerprint& state) const { return state[0]; }
    };
    std::vector<Visit> visits_;
    std::unordered_map<Fingerprint, u32, Hash> first_;
    std::unordered_map<Fingerprint, std::vector<Edge>, Hash> edges_;
    u64 edge_bytes_ = 0;
};

}  // namespace vtlsim::runner::explore
