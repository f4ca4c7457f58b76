// A 16550 as a guest without interrupts sees it (PC16550D data sheet): modem status as OpenVMM's
// (hyperv-vtl.md 1.8; openvmm: vm/devices/serial/serial_16550).
#pragma once

#include <optional>

#include "sim/types.hpp"

namespace vtlsim::model {

// Registers by offset from the base port.
namespace uart {
inline constexpr u8 data = 0, interrupt_enable = 1, identification = 2, line_control = 3,
                    modem_control = 4, line_status = 5, modem_status = 6, scratch = 7;
inline constexpr u16 kPorts = 8;
}  // namespace uart

class Uart16550 {
  public:
    struct State {
        u8 divisor_low = 0x0C, divisor_high = 0;  // 9600 baud
        u8 fifo_control = 0, line_control = 0, modem_control = 0, scratch = 0;
        u8 modem_status = 0;
        friend bool operator==(const State&, const State&) = default;
    };

    // A connected peer raises DCD, DSR and CTS, and their delta bits, which reads clear.
    static State reset(bool connected);
    // Nothing: this register's use is not modelled.
    static std::optional<u8> read(State& state, u8 offset);
    static bool write(State& state, u8 offset, u8 value);
};

}  // namespace vtlsim::model
