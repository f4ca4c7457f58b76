#include "runner/scenario.hpp"

#include <algorithm>

#include "model/vtl2/layout.hpp"
#include "model/vtl2/vtl2_kernel.hpp"
#include "runner/result.hpp"

namespace vtlsim::runner {
namespace {

// Stands for a label that the variant's VTL2 kernel lacks: no instruction starts there, and the
// verdict will say that the event did not happen.
constexpr u64 kNoAddress = ~u64{0};

}  // namespace

std::string Variant::label() const { return choice_label(choice); }

model::WorldConfig Scenario::config(const Variant& variant) const {
    model::WorldConfig config = world;
    config.switches = variant.switches;
    if (std::all_of(event_notes.begin(), event_notes.end(),
                    [](const EventNote& note) { return note.vtl2_label.empty(); })) {
        return config;
    }
    const sim::AsmResult kernel = model::assemble_vtl2_kernel(config.switches);
    for (std::size_t i = 0; i < event_notes.size(); ++i) {
        if (event_notes[i].vtl2_label.empty()) continue;
        const sim::AsmSymbol* symbol = kernel.find(event_notes[i].vtl2_label);
        // The kernels of the VPs differ in nothing but addresses.
        config.events[i].address =
            symbol != nullptr ? symbol->value + config.events[i].vp * model::layout::kVpStride
                              : kNoAddress;
    }
    return config;
}

std::optional<model::EndReason> Scenario::expected_end(const Variant& variant) const {
    std::optional<model::EndReason> end;
    for (std::size_t i : variant.expect) {
        if (expectations[i].end) end = expectations[i].end;
    }
    return end;
}

}  // namespace vtlsim::runner
