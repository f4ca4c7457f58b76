// The devices behind the VMM: scripted ports, counters, 16550s.
#pragma once

#include <map>

#include "model/board.hpp"
#include "model/devices/uart16550.hpp"

namespace vtlsim::model {

class Devices {
  public:
    explicit Devices(Board& board);

    // A port without a device reads as all ones and ignores writes, as OpenVMM's chipset does.
    u32 read(u16 port, u8 size);
    void write(u16 port, u8 size, u32 value);

    struct Counts {
        u64 reads = 0;
        u64 writes = 0;
        u32 last_written = 0;
    };
    // All accesses to a port so far, with or without a device there.
    Counts counts(u16 port) const;

    struct State {
        std::map<u16, Counts> counts;
        std::map<std::pair<u16, u8>, u64> served;  // by port and size: values given
        std::vector<Uart16550::State> uarts;       // as WorldConfig::uarts
    };
    const State& state() const { return state_; }
    void set_state(const State& state) { state_ = state; }

    // What decides the next value that a port gives: how many it has given, as far as that matters.
    u64 position(const PortScript& script) const;

  private:
    const PortScript* script(u16 port, u8 size) const;
    // The 16550 at a port, as an index.
    std::optional<std::size_t> uart(u16 port, u8 size) const;
    static constexpr std::size_t kNoPlugin = ~std::size_t{0};
    std::size_t plugin_at(u16 port, u8 size) const;

    Board& board_;
    State state_;
};

}  // namespace vtlsim::model
