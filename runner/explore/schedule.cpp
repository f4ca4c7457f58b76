#include "runner/explore/schedule.hpp"

#include <fmt/format.h>

namespace vtlsim::runner::explore {

nlohmann::ordered_json schedule_json(const Schedule& schedule) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const Deviation& d : schedule) {
        nlohmann::ordered_json entry = {{"turn", d.turn}, {"run", d.run}};
        if (!d.instead_of.empty()) entry["instead_of"] = d.instead_of;
        if (!d.step.empty()) entry["step"] = d.step;
        if (!d.does.empty()) entry["does"] = d.does;
        out.push_back(std::move(entry));
    }
    return out;
}

Schedule read_schedule(const Node& node) {
    Node list = node;
    if (node.is_object()) {
        // Besides the schedule: a note, and what explore says of a violation.
        const Fields fields = node.object({"schedule", "why", "invariant", "key", "what", "length",
                                           "preemptions", "turns", "evidence", "story"});
        list = fields.required("schedule");
    }
    Schedule out;
    for (const Node& entry : list.array()) {
        const Fields fields = entry.object({"turn", "run", "instead_of", "step", "does"});
        Deviation d;
        d.position = entry.position();
        const Node turn = fields.required("turn");
        d.turn = turn.integer<u32>();
        d.run = fields.required("run").string();
        if (const auto actor = fields.optional("instead_of")) d.instead_of = actor->string();
        if (const auto step = fields.optional("step")) d.step = step->string();
        if (const auto does = fields.optional("does")) d.does = does->string();
        if (!out.empty() && d.turn <= out.back().turn) {
            turn.error(fmt::format("turn {} does not come after turn {}", d.turn, out.back().turn));
        }
        out.push_back(std::move(d));
    }
    return out;
}

namespace {

Schedule finish(const std::unique_ptr<const JsonDocument>& document, Diagnostics& diagnostics) {
    Schedule schedule = document ? read_schedule(Node(*document, diagnostics)) : Schedule();
    return diagnostics.empty() ? std::move(schedule) : Schedule();
}

}  // namespace

Schedule load_schedule(const std::string& path, Diagnostics& diagnostics) {
    return finish(JsonDocument::load(path, diagnostics), diagnostics);
}

Schedule parse_schedule(std::string text, const std::string& file, Diagnostics& diagnostics) {
    return finish(JsonDocument::parse(std::move(text), file, diagnostics), diagnostics);
}

}  // namespace vtlsim::runner::explore
