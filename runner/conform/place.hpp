// Gives a case's operands values that make sense: addresses on the scratch page, branch targets,
// selectors, stack frames.
#pragma once

#include "runner/conform/forms.hpp"
#include "runner/conform/values.hpp"

namespace vtlsim::runner::conform {

// On the scratch page; rarely one that reaches beyond it, is unmapped or not canonical.
u64 random_address(Random& r, unsigned size);

// Makes the memory operands lie at random addresses, by their base register or displacement.
// False: there is no such address for this encoding.
bool place_operands(Random& r, Case& c, const sim::Decoded& d);

// What branches, returns, segment loads and flag loads find in their operand.
void shape_operands(Random& r, Case& c, const sim::Decoded& d);

}  // namespace vtlsim::runner::conform
