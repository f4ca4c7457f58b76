#include "sim/exec/cpuid.hpp"

#include "sim/memory/memory.hpp"
#include "sim/state/bits.hpp"

namespace vtlsim::sim {
namespace {

// Leaf 1 EDX (SDM 2A CPUID table 3-11).
constexpr u32 kFeatureFpu = 1u << 0, kFeatureDe = 1u << 2, kFeaturePse = 1u << 3,
              kFeatureTsc = 1u << 4, kFeatureMsr = 1u << 5, kFeaturePae = 1u << 6,
              kFeatureCx8 = 1u << 8, kFeatureSep = 1u << 11, kFeatureMtrr = 1u << 12,
              kFeaturePge = 1u << 13, kFeatureCmov = 1u << 15, kFeaturePat = 1u << 16,
              kFeatureClfsh = 1u << 19, kFeatureMmx = 1u << 23, kFeatureFxsr = 1u << 24,
              kFeatureSse = 1u << 25, kFeatureSse2 = 1u << 26;
// Leaf 1 ECX.
constexpr u32 kFeatureSse3 = 1u << 0, kFeatureSsse3 = 1u << 9, kFeatureCx16 = 1u << 13,
              kFeatureSse41 = 1u << 19, kFeatureSse42 = 1u << 20, kFeatureMovbe = 1u << 22,
              kFeaturePopcnt = 1u << 23, kFeatureXsave = 1u << 26, kFeatureOsxsave = 1u << 27;
constexpr u32 kClflushLine = 8u << 8;  // EBX: in units of 8 bytes
// Leaf 7.0 EBX. Of VEX only what works on general registers, which needs no XSAVE. x87 selectors
// are not kept.
constexpr u32 kFeatureFsgsbase = 1u << 0, kFeatureBmi1 = 1u << 3, kFeatureSmep = 1u << 7,
              kFeatureBmi2 = 1u << 8, kNoX87Selectors = 1u << 13, kFeatureAdx = 1u << 19,
              kFeatureSmap = 1u << 20;
// ECX.
constexpr u32 kFeatureUmip = 1u << 2, kFeatureRdpid = 1u << 22;

// Leaf 80000001 ECX (AMD APM 3 E.4.2): ABM is LZCNT.
constexpr u32 kLahf = 1u << 0, kAbm = 1u << 5, kPrefetchw = 1u << 8;
// Leaf 80000001 EDX.
constexpr u32 kSyscall = 1u << 11, kNx = 1u << 20, kPage1Gb = 1u << 26, kRdtscp = 1u << 27,
              kLongMode = 1u << 29;

// Leaf 0Dh: x87 and SSE state, in the legacy area and the header of XSAVE.
constexpr u32 kXcr0Bits = 3, kXsaveSize = 576;

}  // namespace

CpuidResult cpuid(const CpuState& s, u32 leaf, u32 subleaf) {
    const bool long_code = (s[Reg::efer] & efer::lma) != 0 && attr::long_code(s[Reg::cs_attr]);
    switch (leaf) {
        case 0:
            return {0xD, 0x736C7476, 0x4D49534C, 0x56206D69};  // "vtls" "im V" "LSIM"
        case 1:
            return {0x00000600, kClflushLine,
                    kFeatureSse3 | kFeatureSsse3 | kFeatureCx16 | kFeatureSse41 | kFeatureSse42 |
                        kFeatureMovbe | kFeaturePopcnt | kFeatureXsave |
                        ((s[Reg::cr4] & cr4::osxsave) != 0 ? kFeatureOsxsave : 0),
                    kFeatureFpu | kFeatureDe | kFeaturePse | kFeatureTsc | kFeatureMsr |
                        kFeaturePae | kFeatureCx8 | kFeatureSep | kFeatureMtrr | kFeaturePge |
                        kFeatureCmov | kFeaturePat | kFeatureClfsh | kFeatureMmx | kFeatureFxsr |
                        kFeatureSse | kFeatureSse2};
        case 7:
            if (subleaf != 0) return {};
            return {0,
                    kFeatureFsgsbase | kFeatureBmi1 | kFeatureSmep | kFeatureBmi2 |
                        kNoX87Selectors | kFeatureAdx | kFeatureSmap,
                    kFeatureUmip | kFeatureRdpid, 0};
        case 0xD:
            return subleaf == 0 ? CpuidResult{kXcr0Bits, kXsaveSize, kXsaveSize, 0} : CpuidResult{};
        case 0x80000000:
            return {0x80000008, 0, 0, 0};
        case 0x80000001:
            // SYSCALL shows where it works, in 64-bit code (SDM 2A CPUID).
            return {0, 0, kLahf | kAbm | kPrefetchw,
                    kNx | kPage1Gb | kRdtscp | kLongMode | (long_code ? kSyscall : 0)};
        case 0x80000008:
            return {48u << 8 | kPhysicalBits, 0, 0, 0};
        default:
            return {};
    }
}

}  // namespace vtlsim::sim
