// What every value of a recording is at any point of the run, and who wrote it last.
#pragma once

#include <map>
#include <optional>

#include "runner/trace/recording.hpp"

namespace vtlsim::runner::trace {

class State {
  public:
    // The recording must outlive it.
    explicit State(const Recording& recording);

    // Behind the item; of memory at most 16 bytes.
    Vec128 value(const Source& place, u32 item) const;
    // The last write of any part of the place up to the item; null: none.
    const Write* last_write(const Source& place, u32 item) const;
    std::span<const Write> writes_of(u32 item) const;

    // "cpu.rax", "context.rax", "vp1.vtl0.rip", "0x9000": nothing if there is no such place then.
    std::optional<Source> place(std::string_view name, u32 item) const;
    std::string name(const Source& place, u32 item) const;
    // A register's copies in a VP, as names and places: live CPU first.
    std::vector<Source> copies(std::string_view reg, int vp, u32 item) const;

    // One step back of a value's way: where the last write took it from, and before which item to
    // look there. Nothing where it was made.
    struct Link {
        const Write* write;
        std::optional<Source> from;
    };
    Link origin(const Source& place, u32 item) const;

  private:
    struct Named {
        std::string name;
        Source place;
    };
    std::vector<Named> fields(const Region& region, u32 item) const;
    u32 type_at(u64 address, u32 item) const;

    const Recording& r_;
    std::vector<std::vector<const Write*>> cells_;
    std::map<u64, std::vector<const Write*>> words_;  // by address of 8 bytes
    std::vector<std::size_t> first_write_;            // of each item, and one behind the last
};

}  // namespace vtlsim::runner::trace
