#include "runner/explore/subject.hpp"

#include <algorithm>

namespace vtlsim::runner::explore {
namespace {

bool can_go_on(const std::vector<ActorId>& enabled, int last) {
    return last != kNobody &&
           std::binary_search(enabled.begin(), enabled.end(), static_cast<ActorId>(last));
}

}  // namespace

ActorId default_choice(const Subject& subject, const std::vector<ActorId>& enabled, int last) {
    if (can_go_on(enabled, last)) return static_cast<ActorId>(last);
    const auto first = std::find_if(enabled.begin(), enabled.end(),
                                    [&](ActorId actor) { return !subject.optional(actor); });
    return first == enabled.end() ? enabled.front() : *first;
}

Cost cost_after(Cost cost, const Subject& subject, const std::vector<ActorId>& enabled, int last,
                ActorId choice) {
    ++cost.turns;
    if (choice == default_choice(subject, enabled, last)) return cost;
    ++cost.deviations;
    if (can_go_on(enabled, last) && !subject.passive(choice)) ++cost.preemptions;
    return cost;
}

}  // namespace vtlsim::runner::explore
