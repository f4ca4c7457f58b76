// Expectations with `"unlisted": "unchanged"`: what a scenario does not name is as it was.
#pragma once

#include <vector>

#include "runner/result.hpp"

namespace vtlsim::runner {

// Registers of VTL0, of every VP, and guest RAM, that none of the variant's expectations names and
// that are not what the guest started with. Left out are RIP, the time stamp counter and what the
// CPU does (activity, shadow of an interrupt). Of memory the first few places are reported.
std::vector<Failure> judge_unlisted(const model::World& world, const Scenario& scenario,
                                    const Variant& variant);

}  // namespace vtlsim::runner
