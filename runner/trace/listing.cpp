#include "runner/trace/listing.hpp"

namespace vtlsim::runner {

void append_listing(std::vector<SourceLine>& listing, std::string_view text,
                    const sim::AsmResult& result, u8 vtl) {
    std::vector<std::string_view> lines;
    for (std::size_t start = 0; start <= text.size();) {
        const std::size_t end = std::min(text.find('\n', start), text.size());
        lines.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    u32 last = 0;
    for (const sim::AsmLine& line : result.lines) {
        if (line.line == last || line.line == 0 || line.line > lines.size()) continue;
        last = line.line;
        listing.push_back({line.address, vtl, std::string(lines[line.line - 1])});
    }
}

}  // namespace vtlsim::runner
