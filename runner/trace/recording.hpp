// A run as data: who did what in which step, where every value lies, which steps wrote it and what
// it was made of. All viewers and formats are made from this; nothing in it is a world's own.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runner/result.hpp"

namespace vtlsim::runner::trace {

// A swim lane. Those of a VP come once for each.
struct SwimLane {
    std::string name;   // "guest"
    std::string title;  // "Guest (VTL0)"
    int vp = -1;        // -1: all VPs share it
};

// Where values lie: the live CPU, the copies that the hypervisor keeps, a page of memory.
struct Bank {
    std::string name;  // "cpu", "vtl0", "vtl2"
    std::string title;
    std::string meaning;
    int vp = 0;
};

// A register in a bank.
struct Cell {
    u16 bank = 0;
    std::string_view name;
    u16 bits = 64;
    Vec128 initial;
};

struct Field {
    std::string name;
    u32 offset = 0;
    u32 size = 0;  // bytes
};
// A structure in memory, with fields.
struct Region {
    std::string name;   // "command"
    std::string title;  // "Command page"
    int vp = -1;        // -1: the node's
    u64 address = 0;
    u32 size = 0;
    std::vector<Field> fields;  // those that are structures themselves are entered: "fx.fcw"
    std::vector<u32> messages;  // offsets of messages: their payload's fields depend on the type
};
struct Payload {
    u32 type = 0;
    std::string name;
    std::vector<Field> fields;
};

// Where something comes from: a cell, bytes of memory, or what an item says.
struct Source {
    enum class Kind : u8 { cell, memory, item } kind = Kind::cell;
    u64 where = 0;  // cell or item number, or address
    u64 size = 0;   // of memory
};

struct Write {
    u32 item = 0;
    bool memory = false;
    u64 where = 0;      // cell number, or address
    u64 size = 0;       // of memory
    Vec128 value;       // of a cell
    std::string bytes;  // of memory: what is there now, hexadecimal; empty: as before
    bool changed = true;
    std::vector<Source> sources;
};

// Something that happens: an event of the log, or the turn of an actor that leaves none.
struct Item {
    u64 step = 0;
    u16 kind = 0;  // index into kinds
    u16 lane = 0;
    u8 vp = 0;
    u8 vtl = 0;
    u64 rip = 0;
    std::string text;
    u32 turn = 0;  // index into turns
};

struct Kind {
    std::string_view name;
    std::string_view meaning;
    std::string_view to;  // the lane that it reaches, for arrows; empty: none
    bool alarm = false;   // something has gone wrong
};

// An actor's turn: some steps that nothing comes between.
struct Turn {
    std::string actor;
    std::string step;  // what the actor calls it
    u32 item = 0;      // its first
};

// Something to know about an item: who was overtaken, what broke.
struct Note {
    u32 item = 0;
    enum class Kind : u8 { order, failure } kind = Kind::order;
    std::string text;
};

// A line of code where somebody may execute: the author's, or of the VTL2 kernel.
struct CodeLine {
    u64 address = 0;
    u8 vtl = 0;
    std::string label;  // without the colon; empty: none
    std::string text;
};

struct Recording {
    std::string scenario;
    std::string variant;   // as --variant takes it
    std::string schedule;  // the file's name, if the order is not the scenario's own
    std::string why;
    std::string source;
    Result result;
    std::vector<Kind> kinds;
    std::vector<SwimLane> lanes;
    std::vector<Bank> banks;
    std::vector<Cell> cells;
    std::vector<Region> regions;
    std::vector<Payload> payloads;
    std::vector<CodeLine> code;
    std::map<u64, std::string> labels;
    std::vector<Item> items;
    std::vector<Write> writes;  // by item
    std::vector<Turn> turns;
    std::vector<Note> notes;

    // Memory that is not zero when the run starts, of the regions.
    std::vector<Write> initial_memory;
};

// Enters the code, sorted by address, with the labels that are there already.
void add_lines(Recording& recording, std::vector<SourceLine> lines);

// A note for each failure of the result, at the last item of its step; notes get sorted by item.
void add_failures(Recording& recording);

}  // namespace vtlsim::runner::trace
