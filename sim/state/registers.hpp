// Register numbers, names and facts, all generated from registers.def.
#pragma once

#include <span>
#include <string_view>

#include "sim/types.hpp"

namespace vtlsim::sim {

enum class RegGroup : u8 {
    gpr,
    instruction,
    segment,
    table,
    control,
    debug,
    msr,
    fpu,
    sse,
    activity,
    simulator,
};

enum class Reg : u8 {
#define SCALAR(id, bits, group, reset, source) id,
#define SEGMENT(id) id, id##_base, id##_limit, id##_attr,
#define VECTOR(id, bits, group, source) id,
#include "sim/state/registers.def"
#undef SCALAR
#undef SEGMENT
#undef VECTOR
};

struct RegInfo {
    Reg reg;
    std::string_view name;
    u16 bits;  // width of the value, not of its storage
    RegGroup group;
    u64 reset;  // value after RESET#
    std::string_view source;
};

inline constexpr std::size_t kScalarCount = static_cast<std::size_t>(Reg::fpr0);
inline constexpr std::size_t kRegCount = static_cast<std::size_t>(Reg::xmm15) + 1;
inline constexpr std::size_t kVectorCount = kRegCount - kScalarCount;

constexpr std::size_t index_of(Reg reg) { return static_cast<std::size_t>(reg); }
constexpr bool is_vector(Reg reg) { return index_of(reg) >= kScalarCount; }

// `base` + n in list order, for families (gpr(3) is rbx, xmm 7 is offset(Reg::xmm0, 7)).
constexpr Reg offset(Reg base, std::size_t n) { return static_cast<Reg>(index_of(base) + n); }
constexpr Reg gpr(std::size_t n) { return offset(Reg::rax, n); }

// Segment registers in the encoding's order (SDM 2A, Sreg): es cs ss ds fs gs, then ldtr tr.
enum class Seg : u8 { es, cs, ss, ds, fs, gs, ldtr, tr };
constexpr Reg selector_of(Seg s) { return offset(Reg::es, 4 * static_cast<std::size_t>(s)); }
constexpr Reg base_of(Seg s) { return offset(selector_of(s), 1); }
constexpr Reg limit_of(Seg s) { return offset(selector_of(s), 2); }
constexpr Reg attr_of(Seg s) { return offset(selector_of(s), 3); }
static_assert(selector_of(Seg::tr) == Reg::tr && attr_of(Seg::gs) == Reg::gs_attr);

// All rows in list order; row i describes the register numbered i.
std::span<const RegInfo, kRegCount> registers();
inline const RegInfo& info(Reg reg) { return registers()[index_of(reg)]; }

// The register of that name, or nullptr.
const RegInfo* find_register(std::string_view name);

}  // namespace vtlsim::sim
