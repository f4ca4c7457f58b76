#include "sim/exec/cpuid.hpp"

namespace vtlsim::sim {
namespace {

// Leaf 1 EDX (SDM 2A CPUID table 3-11). FXSR and SSE2 moves exist; x87 arithmetic does not yet, so
// FPU (bit 0) stays clear, and with it everything that an OS would deduce.
constexpr u32 kFeatureDe = 1u << 2, kFeaturePse = 1u << 3, kFeatureMsr = 1u << 5,
              kFeaturePae = 1u << 6, kFeaturePge = 1u << 13, kFeaturePat = 1u << 16,
              kFeatureFxsr = 1u << 24;

constexpr u32 kLongMode = 1u << 29, kNx = 1u << 20;

}  // namespace

CpuidResult cpuid(u32 leaf, u32) {
    switch (leaf) {
        case 0:
            return {1, 0x736C7476, 0x4D49534C, 0x56206D69};  // "vtls" "im V" "LSIM"
        case 1:
            return {0x00000600, 0, 0,
                    kFeatureDe | kFeaturePse | kFeatureMsr | kFeaturePae | kFeaturePge |
                        kFeaturePat | kFeatureFxsr};
        case 0x80000000:
            return {0x80000001, 0, 0, 0};
        case 0x80000001:
            return {0, 0, 0, kLongMode | kNx};
        default:
            return {};
    }
}

}  // namespace vtlsim::sim
