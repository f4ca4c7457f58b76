// VTL2's synthetic interrupt controller, as far as intercepts need it: SINT0 and its slot in the
// SIMP page (TLFS: Inter-Partition Communication, SynIC; hyperv-vtl.md 1.5).
#pragma once

#include <vector>

#include "model/wire/message.hpp"

namespace vtlsim::model {

struct SynIc {
    // A message on its way, with what its event tells.
    struct Posted {
        HvMessage message;
        u64 serial;
        u64 rax;  // the guest's
    };

    bool enabled = false;   // SCONTROL
    bool has_page = false;  // SIMP
    bool masked = true;     // SINT0, as after reset
    u8 vector = 0;
    // Behind the message in the slot, oldest first. The TLFS gives no size; past this one a run
    // ends as not modelled.
    static constexpr std::size_t kQueue = 16;
    std::vector<Posted> queue;
};

}  // namespace vtlsim::model
