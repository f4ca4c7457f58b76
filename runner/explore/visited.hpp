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

class Visited {
  public:
    // kNone if it has not been met.
    u32 find(const Fingerprint& state, int last) const;
    // What find() did not find.
    u32 add(const Fingerprint& state, const Visit& visit);

    Visit& operator[](u32 index) { return visits_[index]; }
    const Visit& operator[](u32 index) const { return visits_[index]; }

    u64 states() const { return first_.size(); }
    // Memory, about: the map's entry has a key, a value, a link and its share of buckets.
    u64 bytes() const { return visits_.size() * sizeof(Visit) + first_.size() * 48; }

    // Who went at each turn on the best known way to the visit.
    std::vector<ActorId> run_to(u32 index) const;

  private:
    struct Hash {
        std::size_t operator()(const Fingerprint& state) const { return state[0]; }
    };
    std::vector<Visit> visits_;
    std::unordered_map<Fingerprint, u32, Hash> first_;
};

}  // namespace vtlsim::runner::explore
