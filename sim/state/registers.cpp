#include "sim/state/registers.hpp"

namespace vtlsim::sim {
namespace {

// After RESET# CS is F000 with base FFFF0000 and every segment is 64 KiB, accessed, present
// (SDM 3A table 10-1); LDTR is an LDT (2) and TR a busy 32-bit TSS (Bh).
constexpr u64 segment_selector(Reg seg) { return seg == Reg::cs ? 0xF000 : 0; }
constexpr u64 segment_base(Reg seg) { return seg == Reg::cs ? 0xFFFF0000 : 0; }
constexpr u64 segment_attr(Reg seg) {
    if (seg == Reg::cs) return 0x9B;
    if (seg == Reg::ldtr) return 0x82;
    if (seg == Reg::tr) return 0x8B;
    return 0x93;
}

constexpr std::string_view kSegmentSource = "SDM 3A 3.4.3";

constexpr std::array<RegInfo, kRegCount> kRegisters = {{
#define SCALAR(id, bits, group, reset, source) {Reg::id, #id, bits, RegGroup::group, reset, source},
#define SEGMENT(id)                                                                                  \
    {Reg::id, #id, 16, RegGroup::segment, segment_selector(Reg::id), kSegmentSource},                \
        {Reg::id##_base, #id "_base", 64, RegGroup::segment, segment_base(Reg::id), kSegmentSource}, \
        {Reg::id##_limit, #id "_limit", 32, RegGroup::segment, 0xFFFF, kSegmentSource},              \
        {Reg::id##_attr, #id "_attr", 17, RegGroup::segment, segment_attr(Reg::id), kSegmentSource},
#define VECTOR(id, bits, group, source) {Reg::id, #id, bits, RegGroup::group, 0, source},
#include "sim/state/registers.def"
#undef SCALAR
#undef SEGMENT
#undef VECTOR
}};

}  // namespace

std::span<const RegInfo, kRegCount> registers() { return kRegisters; }

const RegInfo* find_register(std::string_view name) {
    for (const RegInfo& row : kRegisters) {
        if (row.name == name) return &row;
    }
    return nullptr;
}

}  // namespace vtlsim::sim
