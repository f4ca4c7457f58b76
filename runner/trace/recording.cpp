#include "runner/trace/recording.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace vtlsim::runner::trace {

void add_lines(Recording& out, std::vector<SourceLine> lines) {
    std::stable_sort(lines.begin(), lines.end(), [](const SourceLine& a, const SourceLine& b) {
        return a.address < b.address;
    });
    for (SourceLine& line : lines) {
        const auto label = out.labels.find(line.address);
        out.code.push_back({line.address, line.vtl, label == out.labels.end() ? "" : label->second,
                            std::move(line.text)});
    }
}

void add_failures(Recording& out) {
    for (const Failure& f : out.result.failures) {
        u32 item = out.items.empty() ? 0 : static_cast<u32>(out.items.size() - 1);
        while (item > 0 && out.items[item].step > f.step) --item;
        out.notes.push_back(
            {item, Note::Kind::failure,
             fmt::format("{}: expected {}, got {}", f.expectation, f.expected, f.got)});
    }
    std::stable_sort(out.notes.begin(), out.notes.end(),
                     [](const Note& a, const Note& b) { return a.item < b.item; });
}

}  // namespace vtlsim::runner::trace
