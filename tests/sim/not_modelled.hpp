// sim/insn/not_modelled.txt: the mnemonics without a row.
#pragma once

#include <string>
#include <vector>

namespace vtlsim::tests {

struct Gap {
    std::string what;
    std::string reason;
    std::vector<std::string> mnemonics;
};

const std::vector<Gap>& not_modelled();

}  // namespace vtlsim::tests
