// Assembly as its author wrote it, by address.
#pragma once

#include <string_view>
#include <vector>

#include "runner/scenario.hpp"
#include "sim/asm/assembler.hpp"

namespace vtlsim::runner {

// The lines of `text` that made code or data, once each.
void append_listing(std::vector<SourceLine>& listing, std::string_view text,
                    const sim::AsmResult& result, u8 vtl);

}  // namespace vtlsim::runner
