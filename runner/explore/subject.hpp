// What can be explored: something that at each turn has some actors with a next step each, and can
// be saved and restored. The search (search.hpp) knows no more of a world than this.
#pragma once

#include <array>
#include <compare>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/types.hpp"

namespace vtlsim::runner::explore {

// An index into Subject::actor_names(). An actor has at most one next step at a time: what can
// happen in two ways is two actors.
using ActorId = u16;

// A shared object that a step has read or written, its guard's reads included. What an object is
// (a byte of a page, an interrupt in flight, a wait queue) is the subject's to decide; two steps of
// different actors commute unless both access one object and one of them writes it.
// What decides whether a step breaks an invariant counts as read by it. A step that ends the run
// for everybody (an assert) needs no object for that: it is the last, and its violations are its
// own.
struct Access {
    u32 object = 0;
    bool write = false;
    bool operator==(const Access&) const = default;
};

using Fingerprint = std::array<u64, 2>;

// A broken invariant or a bad end. Two violations with equal name and key are the same one.
struct Violation {
    std::string invariant;  // its name
    std::string key;        // what tells violations of one invariant apart ("vp0")
    std::string what;       // for a person: the two events that conflict
    std::vector<std::pair<std::string, std::string>> evidence;  // name and value, in a fixed order
};
inline bool same_violation(const Violation& a, const Violation& b) {
    return a.invariant == b.invariant && a.key == b.key;
}

class Subject {
  public:
    struct Saved {  // opaque: a subject derives its own
        virtual ~Saved() = default;
        virtual u64 bytes() const = 0;  // memory that this save alone holds, about
    };

    virtual ~Subject() = default;

    // Fixed for the subject's life. Order is rank: where nothing else decides, the lower goes
    // first.
    virtual const std::vector<std::string>& actor_names() const = 0;
    // The actors that have a next step now, ascending. Empty: the run is over.
    virtual std::vector<ActorId> enabled() const = 0;
    // Whether the actor's step happens only if a schedule says so (an interrupt that might come, a
    // store buffer that might drain): never chosen by default while others are enabled.
    virtual bool optional(ActorId actor) const = 0;
    // Whether the actor's steps are nobody's turn (an interrupt lands, a store drains): whoever
    // went before still counts as the last one after it.
    virtual bool passive(ActorId actor) const = 0;
    // The name of the actor's next step, for schedules and stories ("status RUN").
    virtual std::string step_name(ActorId actor) const = 0;

    virtual void step(ActorId actor) = 0;
    // Of the last step: sorted, without doubles.
    virtual const std::vector<Access>& accesses() const = 0;
    // Of the last step, or of the end if nothing is enabled now.
    virtual std::vector<Violation> violations() const = 0;
    // Whether the run is over because of a limit of its own: what would have followed is not known.
    virtual bool cut() const { return false; }
    // Whether any step that the actor may still make, now or later and whatever others do, might
    // access the object in a way that conflicts with `access`. May say yes too often, never no.
    virtual bool may_conflict(ActorId actor, Access access) const = 0;

    virtual std::shared_ptr<const Saved> save() = 0;
    virtual void restore(const Saved& saved) = 0;
    // Equal for states from which the same can happen; differs for others but by chance of 2^-128.
    // Leaves out counters, logs, and which actor went last.
    virtual Fingerprint fingerprint() = 0;
};

// Makes subjects that are all alike at the start. A save of one may be restored into another, in
// another thread; one subject is used by one thread at a time.
using SubjectFactory = std::function<std::unique_ptr<Subject>()>;

constexpr int kNobody = -1;  // who went last, as long as nobody has

// Who counts as the last one after `actor` went.
inline int last_after(const Subject& subject, int last, ActorId actor) {
    return subject.passive(actor) ? last : actor;
}

// The actor that goes if no schedule says otherwise: the last one while it can (no preemption),
// else the first enabled that is not optional, else the first. `enabled` is not empty.
ActorId default_choice(const Subject& subject, const std::vector<ActorId>& enabled, int last);

// What makes one schedule smaller than another, the most important first.
struct Cost {
    u32 preemptions = 0;  // turns taken from the last actor, which could have gone on, by another
    u32 deviations = 0;   // turns at which another actor than default_choice() went
    u32 turns = 0;
    auto operator<=>(const Cost&) const = default;
};

// The cost of a run that was `cost` and goes on with `choice`, one of `enabled`.
Cost cost_after(Cost cost, const Subject& subject, const std::vector<ActorId>& enabled, int last,
                ActorId choice);

}  // namespace vtlsim::runner::explore
