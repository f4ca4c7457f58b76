// The process that runs cases natively.
#pragma once

#include "runner/conform/native.hpp"

namespace vtlsim::runner::conform {

struct Shared {
    std::array<Case, Native::kBatch> cases;
    std::array<Answer, Native::kBatch> answers;
    volatile u32 at;  // the case that runs
};

struct Batch {
    u32 first, end;
};

// What the child's first byte says.
enum class Ability : char { none, only64, both, no_fsgsbase, no_ldt };

// Serves batches until the pipe ends: one byte for each.
[[noreturn]] void live_as_child(Shared& shared, int requests, int replies);

}  // namespace vtlsim::runner::conform
