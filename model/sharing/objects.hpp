// What actors of different CPUs share, in the pieces that the search over schedules tells apart:
// two steps of different actors commute unless both touch one object and one of them writes it.
#pragma once

#include <optional>
#include <vector>

#include "sim/types.hpp"

namespace vtlsim::model {

enum class Object : u8 {
    cpu_status,       // of a VP, in the control page
    needs_attention,  // in the control page
    vp_state,         // of a VP, in the driver
    needs_vp_scan,    // in the driver
    vp_pages,         // of a VP: command page, register page, run page, assist page
    apic,             // of a VP: what is requested, and which VTL an interrupt would meet
    request_ipi,      // in flight to a VP
    attention_ipi,    // in flight to the base CPU
    isr,              // the driver's interrupt handler waits to run
    poll_wake,        // the poller's wait queue
    sync_wake,        // of a VP: the wait queue of a synchronous command
    finished,         // of a VP: what the poller tells the VMM's thread
    store_buffer,     // of a CPU (memory_order tso)
    devices,
    guest_ram,
};

// A number for each object; `index` is a VP's or a CPU's.
constexpr u32 object_id(Object object, unsigned index = 0) {
    return static_cast<u32>(object) << 8 | index;
}
constexpr Object object_kind(u32 id) { return static_cast<Object>(id >> 8); }
constexpr unsigned object_index(u32 id) { return id & 0xFF; }

struct Access {
    u32 object = 0;
    bool write = false;
    bool operator==(const Access&) const = default;
    auto operator<=>(const Access&) const = default;
};

// The shared object at a physical address; nothing for what only one CPU uses, and for what nobody
// writes once the world runs.
std::optional<u32> object_at(u64 address);

}  // namespace vtlsim::model
