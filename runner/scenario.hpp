// A scenario as loaded: one world configuration per variant, and what is expected of each.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/config.hpp"
#include "model/log/event.hpp"

namespace vtlsim::runner {

// A pattern over events: a kind, and values that some of its arguments must have.
struct EventPattern {
    model::EventKind kind = model::EventKind::insn;
    std::optional<u8> vtl;
    std::optional<u64> rip;
    std::vector<std::pair<std::size_t, u64>> args;  // index into the kind's arguments, value
    std::string text;                               // as written, for messages
};

enum class LogMode : u8 {
    then,   // somewhere after the previous match
    next,   // the next event after it; instruction starts do not count unless asked for
    never,  // nowhere between the match before it and the one after it
};

struct LogClaim {
    LogMode mode = LogMode::then;
    EventPattern pattern;
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

    bool empty() const { return !end && state.empty() && memory.empty() && log.empty(); }
    // Adds the other's claims; its end replaces this one's.
    void add(const Expectations& other);
};

struct Variant {
    // The switches that tell it from the others, in the order of the file; empty for a scenario
    // without variants.
    std::vector<std::pair<std::string, std::string>> choice;
    model::WorldConfig config;
    std::vector<bool> event_optional;  // for each pinned event: whether it may fail to happen
    Expectations expect;

    // "gpr_model=shadow vmm_fix=V1"
    std::string label() const;
};

// Where an instruction of the guest comes from, for listings.
struct SourceLine {
    u64 address = 0;
    std::string text;  // the author's line, comment included
};

struct Scenario {
    std::string file;
    std::string name;
    std::string why;
    std::string source;
    std::vector<std::string> show;  // paths whose final values a table of variants prints
    std::vector<std::string> axes;  // the switches that vary, in the order of the file
    std::vector<Variant> variants;  // at least one
    std::vector<std::pair<u64, std::string>> labels;  // of the guest, by address
};

}  // namespace vtlsim::runner
