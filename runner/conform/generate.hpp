// Random cases, each a function of the seed, the form and the case's number.
#pragma once

#include "runner/conform/forms.hpp"

namespace vtlsim::runner::conform {

// False: the random choices made no instruction of the form; another number may.
bool generate(const Form& form, u64 seed, u64 number, Case& out);

}  // namespace vtlsim::runner::conform
