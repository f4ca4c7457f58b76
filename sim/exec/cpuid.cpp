#include "sim/exec/cpuid.hpp"

namespace vtlsim::sim {
namespace {

// Leaf 1 EDX (SDM 2A CPUID table 3-11).
constexpr u32 kFeatureFpu = 1u << 0, kFeatureDe = 1u << 2, kFeaturePse = 1u << 3,
              kFeatureMsr = 1u << 5, kFeaturePae = 1u << 6, kFeatureCx8 = 1u << 8,
              kFeaturePge = 1u << 13, kFeatureCmov = 1u << 15, kFeaturePat = 1u << 16,
              kFeatureMmx = 1u << 23, kFeatureFxsr = 1u << 24, kFeatureSse = 1u << 25,
              kFeatureSse2 = 1u << 26;
// Leaf 1 ECX.
constexpr u32 kFeatureSse3 = 1u << 0, kFeatureSsse3 = 1u << 9, kFeatureCx16 = 1u << 13,
              kFeatureSse41 = 1u << 19, kFeatureSse42 = 1u << 20, kFeatureMovbe = 1u << 22,
              kFeaturePopcnt = 1u << 23;
// Leaf 7.0 EBX. Of VEX only what works on general registers, which needs no XSAVE.
constexpr u32 kFeatureBmi1 = 1u << 3, kFeatureBmi2 = 1u << 8, kFeatureAdx = 1u << 19;

// Leaf 80000001 ECX (AMD APM 3 E.4.2): ABM is LZCNT.
constexpr u32 kLahf = 1u << 0, kAbm = 1u << 5, kPrefetchw = 1u << 8;
// Leaf 80000001 EDX.
constexpr u32 kLongMode = 1u << 29, kNx = 1u << 20;

}  // namespace

CpuidResult cpuid(u32 leaf, u32 subleaf) {
    switch (leaf) {
        case 0:
            return {7, 0x736C7476, 0x4D49534C, 0x56206D69};  // "vtls" "im V" "LSIM"
        case 1:
            return {0x00000600, 0,
                    kFeatureSse3 | kFeatureSsse3 | kFeatureCx16 | kFeatureSse41 | kFeatureSse42 |
                        kFeatureMovbe | kFeaturePopcnt,
                    kFeatureFpu | kFeatureDe | kFeaturePse | kFeatureMsr | kFeaturePae |
                        kFeatureCx8 | kFeaturePge | kFeatureCmov | kFeaturePat | kFeatureMmx |
                        kFeatureFxsr | kFeatureSse | kFeatureSse2};
        case 7:
            return subleaf == 0 ? CpuidResult{0, kFeatureBmi1 | kFeatureBmi2 | kFeatureAdx, 0, 0}
                                : CpuidResult{};
        case 0x80000000:
            return {0x80000001, 0, 0, 0};
        case 0x80000001:
            return {0, 0, kLahf | kAbm | kPrefetchw, kLongMode | kNx};
        default:
            return {};
    }
}

}  // namespace vtlsim::sim
