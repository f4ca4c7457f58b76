#include "runner/around.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/world.hpp"
#include "runner/format.hpp"

namespace vtlsim::runner {

std::vector<std::string> events_around(const model::World& world, u64 step) {
    const auto events = world.log().events();
    const auto behind = std::upper_bound(events.begin(), events.end(), step,
                                         [](u64 s, const model::Event& e) { return s < e.step; });
    const auto at = static_cast<std::size_t>(behind - events.begin());  // events up to the step
    const std::size_t end = std::min(events.size(), at + kEventsAround / 2);
    const std::size_t start = end - std::min(end, kEventsAround);
    std::vector<std::string> out;
    for (std::size_t i = start; i < end; ++i) {
        const model::Event& e = events[i];
        out.push_back(fmt::format("{:>8}  vtl{}  {:<#18x}  {:<10}  {}", e.step, e.vtl, e.rip,
                                  lane_name(e.lane), event_text(world.log(), e)));
    }
    return out;
}

}  // namespace vtlsim::runner
