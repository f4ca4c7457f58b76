// A VTL's local APIC, as far as vectors go: IRR, ISR, priorities (SDM 3A 11.8; TLFS: one APIC per
// VTL). The task priority is the VTL's CR8.
#pragma once

#include <optional>

#include "sim/types.hpp"

namespace vtlsim::model {

class Apic {
  public:
    void request(u8 vector) { set(irr_, vector); }
    // The vector that would be taken now: the highest requested, if its class is above both the
    // task priority and what is in service.
    std::optional<u8> deliverable(u64 cr8) const;
    // Moves it from requested to in service.
    void accept(u8 vector);
    // Ends the highest in service; nothing if there is none.
    std::optional<u8> end_of_interrupt();

  private:
    using Bits = std::array<u64, 4>;
    static void set(Bits& bits, u8 vector) { bits[vector / 64] |= u64{1} << vector % 64; }
    static void clear(Bits& bits, u8 vector) { bits[vector / 64] &= ~(u64{1} << vector % 64); }
    static std::optional<u8> highest(const Bits& bits);

    Bits irr_{};
    Bits isr_{};
};

}  // namespace vtlsim::model
