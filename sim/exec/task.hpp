// Hardware task switches (SDM 3A 8.3).
#pragma once

#include "sim/exec/descriptor.hpp"

namespace vtlsim::sim {

enum class TaskReason : u8 { jump, call, interrupt, iret };

// refused: a fault of the old task is pending and nothing has changed. faulted: the fault that is
// pending belongs to the new task, whose segments are only partly loaded.
enum class Switched : u8 { refused, faulted, done };

struct TaskSwitch {
    TaskReason reason;
    u16 selector;  // of the new TSS
    u64 rip;       // where the old task goes on
    u64 rflags;    // of the old task
    u32 ext = 0;   // EXT bit of error codes
};
Switched switch_task(Exec& x, const TaskSwitch& to);

// What an instruction that has switched tasks answers. A fault of the new task is delivered in it
// as part of the same step.
Flow after_switch(Exec& x, Switched result);

}  // namespace vtlsim::sim
