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

constexpr bool is_null(u16 selector) { return (selector & ~3u) == 0; }
// A faulting selector's error code: its index and TI bit, with EXT if the event came from outside.
constexpr u32 selector_error(u16 selector, u32 ext = 0) { return (selector & 0xFFFCu) | ext; }
// Always false: the fault is pending.
bool selector_fault(Exec& x, Vector vector, u16 selector, u32 ext = 0);

// Reads the 8-byte descriptor of a selector. outside: beyond the table's limit or no LDT;
// failed: the read itself faulted and `pending` is set.
Lookup read_descriptor(Exec& x, u16 selector, Descriptor& out);
// The same where a selector outside of its table is a fault. False: one is pending.
bool find_descriptor(Exec& x, u16 selector, Descriptor& out, Vector outside = Vector::gp,
                     u32 ext = 0);
// A system descriptor has 16 bytes in long mode (SDM 3A 3.5, 8.2.3); outside is #GP.
bool find_system_descriptor(Exec& x, u16 selector, Descriptor& out);
// A code segment that a transfer goes to: null is #GP(0), outside #GP.
bool find_code(Exec& x, u16 selector, Descriptor& out, u32 ext = 0);

// Writes the accessed bit back if it is clear. False: `pending` is set.
bool mark_accessed(Exec& x, Descriptor& d);

}  // namespace vtlsim::sim
