// What userspace can do between two KVM_RUNs, as scenario files write it: the keys that each action
// takes. The loader refuses other keys, the schema lists these.
#pragma once

#include <span>
#include <string_view>

#include "model/kvm/script.hpp"

namespace vtlsim::runner {

struct KvmActionRow {
    model::kvm::ActionKind kind;
    std::string_view meaning;
    std::span<const std::string_view> required;
    std::span<const std::string_view> optional;
    u64 max_value = ~u64{0};  // of "value"

    std::string_view name() const;  // what "do" says
};

// In the order of ActionKind.
// Whether KVM's call behind the action has the register.
bool can_set(model::kvm::ActionKind kind, sim::Reg reg);

std::span<const KvmActionRow> kvm_action_rows();

// What "when" and "breakpoints" take, as the values of the model's fields.
inline constexpr std::string_view kKvmResults[] = {"ok", "eintr", "eagain", "einval"};  // Return
inline constexpr std::string_view kKvmDirections[] = {"in", "out"};
inline constexpr std::string_view kKvmMmioDirections[] = {"read", "write"};
inline constexpr std::string_view kKvmBreakpoints[] = {"execute", "write", "io", "access"};  // DR7
inline constexpr std::string_view kKvmGrades[] = {"observed", "read", "derived"};

inline constexpr u64 kMaxKvmRam = u64{64} << 20;  // final memory is compared page by page
inline constexpr u32 kMaxKvmExits = 100'000;
inline constexpr u64 kMaxKvmSteps = 10'000'000;
inline constexpr u64 kMaxRipMinus = 15;

}  // namespace vtlsim::runner
