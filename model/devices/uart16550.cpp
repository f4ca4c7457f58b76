#include "model/devices/uart16550.hpp"

namespace vtlsim::model {

namespace {

constexpr u8 kDivisorLatch = 0x80;  // of the line control register
constexpr u8 kLoopback = 0x10;      // of the modem control register
constexpr u8 kFifosOn = 0x01;
// Modem status: deltas in the low half, lines in the high one.
constexpr u8 kDeltaCts = 0x01, kDeltaDsr = 0x02, kDeltaDcd = 0x08;
constexpr u8 kCts = 0x10, kDsr = 0x20, kDcd = 0x80;

}  // namespace

Uart16550::State Uart16550::reset(bool connected) {
    State state;
    if (connected) state.modem_status = kDcd | kDsr | kCts | kDeltaDcd | kDeltaDsr | kDeltaCts;
    return state;
}

std::optional<u8> Uart16550::read(State& state, u8 offset) {
    const bool latch = (state.line_control & kDivisorLatch) != 0;
    switch (offset) {
        case uart::data:
            return latch ? state.divisor_low : 0;  // nothing is ever received
        case uart::interrupt_enable:
            return latch ? state.divisor_high : 0;
        case uart::identification: {
            constexpr u8 kNonePending = 0x01, kFifos = 0xC0;
            return (state.fifo_control & kFifosOn) != 0 ? kNonePending | kFifos : kNonePending;
        }
        case uart::line_control:
            return state.line_control;
        case uart::modem_control:
            return state.modem_control;
        case uart::line_status:
            return u8{0x60};  // transmitter empty: what is sent is gone at once
        case uart::modem_status: {
            const u8 value = state.modem_status;
            state.modem_status &= 0xF0;
            return value;
        }
        case uart::scratch:
            return state.scratch;
        default:
            return std::nullopt;
    }
}

bool Uart16550::write(State& state, u8 offset, u8 value) {
    const bool latch = (state.line_control & kDivisorLatch) != 0;
    switch (offset) {
        case uart::data:
            if (latch) state.divisor_low = value;
            return true;
        case uart::interrupt_enable:
            if (latch) state.divisor_high = value;
            return latch || value == 0;  // its interrupts are not modelled
        case uart::identification:       // FIFO control
            state.fifo_control = value;
            return true;
        case uart::line_control:
            state.line_control = value;
            return true;
        case uart::modem_control:
            state.modem_control = value;
            return (value & kLoopback) == 0;
        case uart::line_status:
        case uart::modem_status:
            return true;  // read-only
        case uart::scratch:
            state.scratch = value;
            return true;
        default:
            return false;
    }
}

}  // namespace vtlsim::model
