// The devices behind the VMM: ports scripted by the scenario.
#pragma once

#include <map>

#include "model/board.hpp"

namespace vtlsim::model {

class Devices {
  public:
    explicit Devices(Board& board) : board_(board) {}

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
        std::map<std::pair<u16, u8>, u64> served;  // by port and size: values given from a script
    };
    const State& state() const { return state_; }
    void set_state(const State& state) { state_ = state; }

    // Where a script is: the index of the value that the next read gives.
    std::size_t position(const PortScript& script) const;

  private:
    const PortScript* script(u16 port, u8 size) const;
    static constexpr std::size_t kNoPlugin = ~std::size_t{0};
    std::size_t plugin_at(u16 port, u8 size) const;

    Board& board_;
    State state_;
};

}  // namespace vtlsim::model
