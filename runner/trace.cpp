#include "runner/trace.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "model/world.hpp"
#include "runner/format.hpp"

namespace vtlsim::runner {

std::string text_trace_lines(const model::EventLog& log,
                             const std::vector<std::pair<u64, std::string>>& named,
                             const TraceOptions& options) {
    std::map<u64, std::string> labels;
    for (const auto& [address, name] : named) labels.emplace(address, name);
    std::string out = fmt::format("{:>8}  {:>2}  {:>3}  {:<18}  {:<10}  {:<18}  {}\n", "step", "vp",
                                  "vtl", "rip", "lane", "event", "detail");
    for (const model::Event& e : log.events()) {
        if (std::find(options.hidden.begin(), options.hidden.end(), e.kind) !=
            options.hidden.end()) {
            continue;
        }
        std::string detail = detail_text(log, e);
        const auto label = labels.find(e.rip);
        if (e.kind == model::EventKind::insn && label != labels.end()) {
            detail = fmt::format("{}: {}", label->second, detail);
        }
        std::string line =
            fmt::format("{:>8}  {:>2}  {:>3}  {:<#18x}  {:<10}  {:<18}  {}", e.step, e.vp, e.vtl,
                        e.rip, lane_name(e.lane), event_row(e.kind).name, detail);
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out;
}

std::string text_trace(const Scenario& scenario, const Variant& variant, const model::World& world,
                       const TraceOptions& options) {
    std::vector<std::pair<u64, std::string>> labels = scenario.labels;
    for (const sim::AsmSymbol& s : world.vtl2_kernel().symbols) {
        if (s.is_label) labels.emplace_back(s.value, s.name);
    }
    std::string out = fmt::format("# {}{}{}\n", scenario.name, variant.choice.empty() ? "" : " ",
                                  variant.label());
    out += text_trace_lines(world.log(), labels, options);
    out += fmt::format("# end={} steps={} hash={}\n", end_reason_name(world.end()), world.steps(),
                       world.hash());
    return out;
}

}  // namespace vtlsim::runner
