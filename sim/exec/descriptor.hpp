// Segment descriptors in the GDT and LDT (SDM 3A 3.4.5).
#pragma once

#include "sim/exec/exec.hpp"

namespace vtlsim::sim {

struct Descriptor {
    u64 base = 0;
    u32 limit = 0;    // bytes, granularity applied
    u64 attr = 0;     // VMX access-rights layout, as the hidden part holds it
    u64 address = 0;  // linear, of the descriptor itself
    u64 upper = 0;    // the second half of a system descriptor in long mode

    bool present() const { return (attr >> 7 & 1) != 0; }
    bool code_or_data() const { return (attr >> 4 & 1) != 0; }
    bool code() const { return code_or_data() && (attr >> 3 & 1) != 0; }
    bool conforming() const { return (attr >> 2 & 1) != 0; }
    bool writable_data() const {
        return code_or_data() && (attr >> 3 & 1) == 0 && (attr >> 1 & 1) != 0;
    }
    unsigned type() const { return static_cast<unsigned>(attr & 0xF); }
    unsigned dpl() const { return static_cast<unsigned>(attr >> 5 & 3); }
    bool long_code() const { return attr::long_code(attr); }
    bool big() const { return (attr >> 14 & 1) != 0; }
};

enum class Lookup : u8 { found, outside, failed };

// Reads the 8-byte descriptor of a selector. outside: beyond the table's limit or no LDT;
// failed: the read itself faulted and `pending` is set.
Lookup read_descriptor(Exec& x, u16 selector, Descriptor& out);

// The same for a system descriptor: 16 bytes in long mode (SDM 3A 3.5, 8.2.3).
Lookup read_system_descriptor(Exec& x, u16 selector, Descriptor& out);

// Writes the accessed bit back if it is clear. False: `pending` is set.
bool mark_accessed(Exec& x, Descriptor& d);

}  // namespace vtlsim::sim
