// Built by tests/scripts/install.sh against an installed vtlsim.
#include <iostream>

#include "model/asm_text.hpp"
#include "sim/types.hpp"
#include "vtlsim_version.hpp"

int main() {
    static_assert(sizeof(vtlsim::Vec128) == 16);
    std::cout << vtlsim::kVersion << '\n';
}
