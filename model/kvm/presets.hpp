// The perturbations P0 to P14 by name (the switch `act`; kvm-pio.md 1.1), as additions to a guest
// and its script.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/kvm/script.hpp"
#include "model/kvm/switches.hpp"

namespace vtlsim::model::kvm {

using GuestLabels = std::vector<std::pair<u64, std::string>>;

// What the guest lacks for it, in sentences.
std::vector<std::string> preset_problems(Act act, const GuestLabels& labels);
// The script's own rules come first at an exit.
void apply_preset(Act act, const GuestLabels& labels, Guest& guest, Script& script);

}  // namespace vtlsim::model::kvm
