#include "runner/conform/host.hpp"

#include <array>

#include "sim/types.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace vtlsim::runner::conform {
namespace {

#if defined(__x86_64__)
struct Leaf {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};
Leaf cpuid(unsigned leaf) {
    Leaf out;
    __get_cpuid_count(leaf, 0, &out.eax, &out.ebx, &out.ecx, &out.edx);
    return out;
}
#else
struct Leaf {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};
Leaf cpuid(unsigned) { return {}; }
#endif

struct Extension {
    ZydisISASet set;
    std::string_view name;
    unsigned leaf;
    unsigned Leaf::*reg;
    unsigned bit;
};

// SDM 2A CPUID. SSE2 and what is older belongs to 64-bit mode.
constexpr Extension kExtensions[] = {
    {ZYDIS_ISA_SET_SSE3, "SSE3", 1, &Leaf::ecx, 0},
    {ZYDIS_ISA_SET_SSE3X87, "SSE3", 1, &Leaf::ecx, 0},
    {ZYDIS_ISA_SET_SSSE3, "SSSE3", 1, &Leaf::ecx, 9},
    {ZYDIS_ISA_SET_SSSE3MMX, "SSSE3", 1, &Leaf::ecx, 9},
    {ZYDIS_ISA_SET_CMPXCHG16B, "CMPXCHG16B", 1, &Leaf::ecx, 13},
    {ZYDIS_ISA_SET_SSE4, "SSE4.1", 1, &Leaf::ecx, 19},
    {ZYDIS_ISA_SET_SSE42, "SSE4.2", 1, &Leaf::ecx, 20},
    {ZYDIS_ISA_SET_MOVBE, "MOVBE", 1, &Leaf::ecx, 22},
    {ZYDIS_ISA_SET_POPCNT, "POPCNT", 1, &Leaf::ecx, 23},
    {ZYDIS_ISA_SET_RDWRFSGS, "FSGSBASE", 7, &Leaf::ebx, 0},
    {ZYDIS_ISA_SET_BMI1, "BMI1", 7, &Leaf::ebx, 3},
    {ZYDIS_ISA_SET_BMI2, "BMI2", 7, &Leaf::ebx, 8},
    {ZYDIS_ISA_SET_ADOX_ADCX, "ADX", 7, &Leaf::ebx, 19},
    {ZYDIS_ISA_SET_CLFLUSHOPT, "CLFLUSHOPT", 7, &Leaf::ebx, 23},
    {ZYDIS_ISA_SET_CLWB, "CLWB", 7, &Leaf::ebx, 24},
    {ZYDIS_ISA_SET_LAHF, "LAHF in 64-bit mode", 0x80000001, &Leaf::ecx, 0},
    {ZYDIS_ISA_SET_LZCNT, "LZCNT", 0x80000001, &Leaf::ecx, 5},
    {ZYDIS_ISA_SET_SSE4A, "SSE4a", 0x80000001, &Leaf::ecx, 6},
};

}  // namespace

std::string_view missing_extension(const sim::Decoded& d) {
    for (const Extension& e : kExtensions) {
        if (e.set != d.insn.meta.isa_set) continue;
        return (cpuid(e.leaf).*e.reg >> e.bit & 1) != 0 ? std::string_view{} : e.name;
    }
    return {};
}

bool host_is_amd() {
    constexpr unsigned kEbx = 0x68747541;  // "Auth", of "AuthenticAMD"
    static const bool amd = cpuid(0).ebx == kEbx;
    return amd;
}

}  // namespace vtlsim::runner::conform
