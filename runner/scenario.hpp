// A scenario as loaded: one world configuration per variant, and what is expected of each.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/config.hpp"
#include "model/log/event.hpp"
#include "runner/relations.hpp"

namespace vtlsim::runner {

// A pattern over events: a kind, and values that some of its arguments must have.
struct EventPattern {
    model::EventKind kind = model::EventKind::insn;
    std::optional<u8> vtl;
    std::optional<u64> rip;
    std::string vtl2_label;                         // instead of rip: a label of the VTL2 kernel
    std::vector<std::pair<std::size_t, u64>> args;  // index into the kind's arguments, value
    // The same for addresses given as the name of the wire field there (model::name_of_address).
    std::vector<std::pair<std::size_t, std::string>> fields;
    std::string text;  // for messages
};

enum class LogMode : u8 {
    then,       // somewhere after the previous match
    next,       // the next event after it; instruction starts do not count unless asked for
    never,      // nowhere between the match before it and the one after it
    any_order,  // each of several somewhere after the previous match, by different events
    count,      // so often between the match before it and the one after it
};

struct LogClaim {
    LogMode mode = LogMode::then;
    EventPattern pattern;
    std::vector<EventPattern> patterns;  // of any_order
    u64 min = 0, max = 0;                // of count
};

struct StateClaim {
    std::string path;  // model/fields.hpp
    Vec128 value;
};

struct MemoryClaim {
    u64 address = 0;
    std::vector<u8> bytes;
};

struct Expectations {
    std::optional<model::EndReason> end;
    std::vector<StateClaim> state;
    std::vector<MemoryClaim> memory;
    std::vector<LogClaim> log;
    std::vector<ValueRelation> relations;
    bool unlisted_unchanged = false;

    bool empty() const {
        return !end && state.empty() && memory.empty() && log.empty() && relations.empty() &&
               !unlisted_unchanged;
    }
};

// What messages and the judge need of a pinned event beside what the world does with it.
struct EventNote {
    std::string text;        // "interrupt before again"
    std::string vtl2_label;  // of the place; empty for the guest's places and for numbers
    bool may_not_happen = false;
};

struct Variant {
    // The switches that tell it from the others, in the order of the file; empty for a scenario
    // without variants.
    std::vector<std::pair<std::string, std::string>> choice;
    model::Switches switches;
    std::vector<std::size_t> expect;  // indices into Scenario::expectations
    std::size_t kvm = 0;              // index into KvmScenario::variants, if it is one
    // Why it is known to fail; empty if it has to pass.
    std::string xfail;

    // "gpr_model=shadow,vmm_fix=V1", as --variant takes it.
    std::string label() const;
};

struct Matrix;  // runner/matrix.hpp

// What reports say about a scenario.
struct ScenarioHead {
    std::string file;
    std::string name;
    std::string why;
    std::string source;
    std::vector<std::string> show;  // paths whose final values a table of variants prints
    std::vector<std::string> axes;  // the switches that vary, in the order of the file
    std::vector<std::string> tags;
};

// A golden trace: the file that lies beside the scenario's, and must be what the run prints.
struct GoldenTrace {
    std::vector<model::EventKind> hidden;
};

struct KvmScenario;

// A line of assembly as its author wrote it, comment included.
struct SourceLine {
    u64 address = 0;
    u8 vtl = 0;
    std::string text;
};

struct Scenario : ScenarioHead {
    // Set for a KVM scenario (load_kvm.hpp): it has no world, and nothing but the head and the
    // variants' choices is filled in here.
    std::shared_ptr<const KvmScenario> kvm;
    // Its switches, and the addresses of events at labels of the VTL2 kernel, are a variant's:
    // config() fills them in.
    model::WorldConfig world;
    std::vector<EventNote> event_notes;               // for each pinned event
    std::vector<std::pair<u64, std::string>> labels;  // of the guest, by address
    std::vector<SourceLine> listing;                  // of the assembly in the file
    std::vector<Expectations> expectations;
    std::vector<Variant> variants;         // at least one
    std::shared_ptr<const Matrix> matrix;  // null: the scenario asks for none
    std::optional<GoldenTrace> golden;

    model::WorldConfig config(const Variant& variant) const;
    // Where the run has to end; the last of the variant's expectations that says so counts.
    std::optional<model::EndReason> expected_end(const Variant& variant) const;
};

}  // namespace vtlsim::runner
