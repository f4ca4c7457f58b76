// The events of a log near a step, for messages.
#pragma once

#include <string>
#include <vector>

#include "sim/types.hpp"

namespace vtlsim::model {
class World;
}

namespace vtlsim::runner {

// At most so many, half of them before the step's last event.
inline constexpr std::size_t kEventsAround = 10;
std::vector<std::string> events_around(const model::World& world, u64 step);

}  // namespace vtlsim::runner
