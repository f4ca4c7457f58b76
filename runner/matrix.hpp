// Theory x fix x evidence: what a scenario's "matrix" asks. runner/explore/matrix.hpp answers.
#pragma once

#include <map>

#include "runner/scenario.hpp"

namespace vtlsim::runner {

// A theory or a fix: a setting of switches with a name.
struct NamedSwitches {
    std::string name;
    std::string why;
    std::vector<std::pair<const model::SwitchRow*, u8>> values;

    void apply(model::Switches& switches) const {
        for (const auto& [row, value] : values) row->set(switches, value);
    }
};

// value(left) == value(right) + plus, in the low `bits` bits.
struct Relation {
    std::string left;
    std::string right;
    u64 plus = 0;
    unsigned bits = 64;
};

// Something that was seen, or that is asked of a run.
struct Predicate {
    enum class Of : u8 {
        violation,  // the smallest run that breaks what was observed (of a guest's facts: anything)
        default_order,  // the run that no schedule disturbs
        elsewhere,      // under other switches what was observed cannot be reached
    };
    std::string name;
    std::string why;
    Of of = Of::violation;
    Expectations expect;
    std::vector<Relation> relations;
    NamedSwitches elsewhere;
};

// One of the guests to try: its world, and which theories and fixes it is for.
struct MatrixGuest {
    std::string name;
    std::string why;
    model::WorldConfig world;
    std::vector<EventNote> event_notes;
    std::vector<std::size_t> theories;
    std::vector<std::size_t> fixes;
    std::vector<Predicate> facts;
    // What the table has to say, by theory and fix; not necessarily of each cell.
    std::map<std::pair<std::size_t, std::size_t>, std::string> expect;
};

struct Matrix {
    model::Invariant observed = model::Invariant::no_vmm_panic;
    std::vector<NamedSwitches> theories;
    std::vector<NamedSwitches> fixes;  // their switches go over a theory's
    std::vector<Predicate> evidence;
    std::vector<MatrixGuest> guests;
    std::optional<u32> preemptions;  // bound of each search

    // A cell's switches; those of `over` go over all.
    model::Switches switches(const MatrixGuest& guest, std::size_t theory, std::size_t fix,
                             const NamedSwitches* over = nullptr) const;
};

}  // namespace vtlsim::runner
