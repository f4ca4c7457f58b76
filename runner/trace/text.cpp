#include <algorithm>

#include <fmt/format.h>

#include "runner/trace/formats.hpp"

namespace vtlsim::runner::trace {

std::string text_trace(const Recording& r, const TextOptions& options) {
    std::string out =
        fmt::format("# {}{}{}\n", r.scenario, r.variant.empty() ? "" : " ", r.variant);
    out += fmt::format("{:>8}  {:>2}  {:>3}  {:<18}  {:<10}  {:<18}  {}\n", "step", "vp", "vtl",
                       "rip", "lane", "event", "detail");
    constexpr auto kInsn = static_cast<u16>(model::EventKind::insn);
    for (const Item& i : r.items) {
        // The log's events alone: turns without one are not part of it.
        if (i.kind >= model::event_rows().size() ||
            std::find(options.hidden.begin(), options.hidden.end(),
                      static_cast<model::EventKind>(i.kind)) != options.hidden.end()) {
            continue;
        }
        const auto label = r.labels.find(i.rip);
        const bool named = i.kind == kInsn && label != r.labels.end();
        std::string line =
            fmt::format("{:>8}  {:>2}  {:>3}  {:<#18x}  {:<10}  {:<18}  {}{}{}", i.step, i.vp,
                        i.vtl, i.rip, r.lanes[i.lane].name, r.kinds[i.kind].name,
                        named ? label->second : "", named ? ": " : "", i.text);
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    out += fmt::format("# end={} steps={} hash={}\n", r.result.end, r.result.steps, r.result.hash);
    return out;
}

}  // namespace vtlsim::runner::trace
