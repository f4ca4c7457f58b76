// Random guests and random userspaces for `vtlsim conform kvm --random`.
#pragma once

#include <vector>

#include "model/kvm/script.hpp"
#include "runner/random.hpp"

namespace vtlsim::runner::conform_kvm {

// Kept in parts, so that it can be made smaller.
struct RandomCase {
    using Bytes = std::vector<u8>;

    model::kvm::Mode mode = model::kvm::Mode::real16;
    std::vector<Bytes>
        code;  // instructions, from kCodeAt on; what ends the guest comes behind them
    std::vector<std::pair<sim::Reg, u64>> registers;
    std::vector<model::MemoryImage> data;
    std::vector<u8> vectors;  // have a gate; its handler writes to a port and halts
    model::kvm::Script script;

    model::kvm::Guest guest() const;
};

inline constexpr u64 kCodeAt = 0x1000;
inline constexpr u64 kMmioAt = 0xA0000;  // behind RAM; real mode reaches it through a segment
inline constexpr u16 kEndPort = 0xEE;    // of a guest at CPL 3, which cannot halt

// The same for the same seed and number, everywhere.
RandomCase random_case(u64 seed, u64 number, std::span<const model::kvm::Mode> modes);

}  // namespace vtlsim::runner::conform_kvm
