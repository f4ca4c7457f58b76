#include "runner/explore/report.hpp"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "runner/explore/minimise.hpp"
#include "runner/explore/story.hpp"

namespace vtlsim::runner::explore {
namespace {

using nlohmann::ordered_json;

ReportedViolation reported(Subject& subject, const Subject::Saved& start, Found found) {
    subject.restore(start);
    const Replay run = replay(subject, found.run);
    // The search and a replay make the same steps: anything else is a defect of the subject.
    const Violation* violation = run.find(found.violation);
    if (violation == nullptr) {
        throw std::logic_error(
            fmt::format("a run that broke {} does not break it again", found.violation.invariant));
    }
    return {*violation, schedule_of(subject, run.turns), run.cost,
            story(subject, run.turns, *violation)};
}

// What walks find is often far from the smallest: a short search from the start may do better.
void replace_smaller(const SubjectFactory& factory, SearchOptions options,
                     std::vector<Found>& violations) {
    if (violations.empty()) return;
    options.mode = Mode::exhaustive;
    options.all = true;
    options.states = 10'000;
    for (Found& found : search(factory, options).violations) {
        for (Found& known : violations) {
            if (!same_violation(found.violation, known.violation)) continue;
            if (found.cost < known.cost) known = std::move(found);
            break;
        }
    }
}

u64 bytes_per_save(const SearchResult& r) { return r.saves == 0 ? 0 : r.save_bytes / r.saves; }

std::string plural(u64 count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

// Violations that one run ends in are told together.
bool same_run(const ReportedViolation& a, const ReportedViolation& b) {
    return a.cost == b.cost && schedule_json(a.schedule) == schedule_json(b.schedule);
}

std::string run_text(std::span<const ReportedViolation> group) {
    std::string out;
    for (const ReportedViolation& v : group) {
        out += fmt::format("violation  {}", v.violation.invariant);
        if (!v.violation.key.empty()) out += fmt::format(" ({})", v.violation.key);
        out += fmt::format(": {}\n", v.violation.what);
    }
    const ReportedViolation& first = group.front();
    for (const auto& [name, value] : first.violation.evidence) {
        out += fmt::format("  {} = {}\n", name, value);
    }
    out +=
        fmt::format("  schedule: {}, {}, {}\n", plural(first.cost.preemptions, "preemption"),
                    plural(first.schedule.size(), "deviation"), plural(first.cost.turns, "turn"));
    out += deviations_text(first.schedule);
    out += "  in words:\n";
    for (const std::string& line : first.story) out += fmt::format("    {}\n", line);
    return out;
}

// What was looked at, and whether that was all of it.
std::string verdict(const Exploration& e) {
    const SearchResult& r = e.search;
    std::string why;
    if (e.options.mode != Mode::exhaustive) {
        why = fmt::format("{} walks, seed {}", mode_name(e.options.mode), e.options.seed);
    }
    std::string_view before = why.empty() ? "limit hit: " : "; limit hit: ";
    for (Limit limit : r.limits) {
        why += fmt::format("{}{}", before, limit_name(limit));
        before = ", ";
    }
    if (!why.empty()) return "not complete: " + why;
    if (!r.complete) return "not complete: stopped at the first violation";
    if (r.preemption_bound_hit) {
        return fmt::format("complete for schedules of at most {}",
                           plural(*e.options.preemptions, "preemption"));
    }
    return "complete";
}

ordered_json violation_json(const ReportedViolation& v) {
    ordered_json evidence = ordered_json::object();
    for (const auto& [name, value] : v.violation.evidence) evidence[name] = value;
    return {{"invariant", v.violation.invariant},
            {"key", v.violation.key},
            {"what", v.violation.what},
            {"schedule", schedule_json(v.schedule)},
            {"length", v.schedule.size()},
            {"preemptions", v.cost.preemptions},
            {"turns", v.cost.turns},
            {"evidence", evidence},
            {"story", v.story}};
}

}  // namespace

std::string_view mode_name(Mode mode) {
    constexpr std::string_view kNames[] = {"exhaustive", "random", "pct"};
    return kNames[static_cast<std::size_t>(mode)];
}

Exploration explore(const SubjectFactory& factory, const SearchOptions& options) {
    Exploration out;
    out.options = options;
    out.search = search(factory, options);
    const auto subject = factory();
    const auto start = subject->save();
    std::vector<Found> smallest;
    for (const Found& found : out.search.violations) {
        smallest.push_back(minimise(*subject, *start, found, options.depth));
    }
    if (options.mode != Mode::exhaustive) replace_smaller(factory, options, smallest);
    for (Found& found : smallest) {
        out.violations.push_back(reported(*subject, *start, std::move(found)));
    }
    std::stable_sort(
        out.violations.begin(), out.violations.end(),
        [](const ReportedViolation& a, const ReportedViolation& b) { return a.cost < b.cost; });
    return out;
}

std::string deviations_text(const Schedule& schedule) {
    std::string out;
    for (const Deviation& d : schedule) {
        out += fmt::format("    turn {}: {} does {} instead of {}'s {}\n", d.turn, d.run,
                           in_quotes(d.does), d.instead_of, in_quotes(d.step));
    }
    return out;
}

std::string search_text(const Exploration& e) {
    const SearchResult& r = e.search;
    return fmt::format("{}, {}, {}; {}\n", plural(r.schedules, "schedule"),
                       plural(r.states, "state"), plural(r.transitions, "transition"), verdict(e));
}

std::string text_report(const Exploration& e) {
    std::string out;
    const std::span all(e.violations);
    for (std::size_t begin = 0; begin < all.size();) {
        std::size_t end = begin + 1;
        while (end < all.size() && same_run(all[begin], all[end])) ++end;
        out += run_text(all.subspan(begin, end - begin));
        begin = end;
    }
    if (e.violations.empty()) out += "no violation\n";
    return out + search_text(e);
}

nlohmann::ordered_json report_json(const Exploration& e) {
    const SearchResult& r = e.search;
    ordered_json violations = ordered_json::array();
    for (const ReportedViolation& v : e.violations) violations.push_back(violation_json(v));
    ordered_json limits = ordered_json::array();
    for (Limit limit : r.limits) limits.push_back(limit_name(limit));
    ordered_json out = {{"schedules", r.schedules},
                        {"states", r.states},
                        {"complete", r.complete},
                        {"violations", violations},
                        {"scenario", e.scenario},
                        {"mode", mode_name(e.options.mode)},
                        {"transitions", r.transitions},
                        {"steps_made", r.steps_made},
                        {"reduced_states", r.reduced},
                        {"max_turns", r.max_turns},
                        {"bytes_per_save", bytes_per_save(r)},
                        {"open_saves_peak", r.open_peak},
                        {"limits", limits}};
    if (e.options.mode != Mode::exhaustive) out["seed"] = e.options.seed;
    if (e.options.preemptions) out["preemption_bound"] = *e.options.preemptions;
    return out;
}

std::string json_report(const Exploration& e) {
    return report_json(e).dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

int exit_status(const Exploration& e) {
    if (!e.violations.empty()) return 1;
    return e.search.limits.empty() ? 0 : 3;
}

}  // namespace vtlsim::runner::explore
