#include "runner/explore/matrix.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runner/explore/replay.hpp"
#include "runner/explore/run_schedule.hpp"
#include "runner/explore/world_subject.hpp"

namespace vtlsim::runner::explore {
namespace {

bool holds(const Relation& r, const model::World& world) {
    const auto left = world.value(r.left);
    const auto right = world.value(r.right);
    if (!left || !right) return false;
    const u64 mask = ~u64{0} >> (64 - r.bits);
    return ((left->lo ^ (right->lo + r.plus)) & mask) == 0;
}

bool holds(const Predicate& p, const model::World& world) {
    if (p.expect.end && *p.expect.end != world.end()) return false;
    std::vector<Failure> failures;
    judge(world, p.expect, failures);
    return failures.empty() && std::all_of(p.relations.begin(), p.relations.end(),
                                           [&](const Relation& r) { return holds(r, world); });
}

class Filler {
  public:
    Filler(const Scenario& scenario, const SearchOptions& options)
        : matrix_(*scenario.matrix), options_(options), as_guest_(scenario) {
        as_guest_.matrix.reset();
        observed_ =
            std::string(model::invariant_rows()[static_cast<std::size_t>(matrix_.observed)].name);
    }

    void use(const MatrixGuest& guest) {
        guest_ = &guest;
        as_guest_.world = guest.world;
        as_guest_.event_notes = guest.event_notes;
    }

    Cell fill(std::size_t theory, std::size_t fix, const model::Switches& usual) const {
        Cell cell;
        cell.guest = guest_->name;
        cell.theory = matrix_.theories[theory].name;
        cell.fix = matrix_.fixes[fix].name;
        const auto expected = guest_->expect.find({theory, fix});
        if (expected != guest_->expect.end()) cell.expected = expected->second;
        Variant variant;
        variant.switches = matrix_.switches(*guest_, theory, fix);
        for (const model::SwitchRow& row : model::switch_rows()) {
            const u8 value = row.get(variant.switches);
            if (value == row.get(usual)) continue;
            cell.switches.emplace_back(row.name, row.values[value].name);
        }
        const model::WorldConfig config = exploration_config(as_guest_, variant);
        cell.exploration = explore(world_factory(config, {}), options_);
        const ReportedViolation* seen = find_observed(cell.exploration);
        cell.observed = answer(seen != nullptr, cell.exploration);
        if (seen != nullptr) {
            for (const Predicate& p : matrix_.evidence) {
                cell.evidence.emplace_back(p.name, judge_one(p, config, *seen, theory, fix));
            }
        }
        for (const Predicate& p : guest_->facts) {
            if (cell.exploration.violations.empty()) break;
            cell.facts.emplace_back(
                p.name, judge_one(p, config, cell.exploration.violations.front(), theory, fix));
        }
        return cell;
    }

  private:
    static Answer answer(bool found, const Exploration& e) {
        if (found) return Answer::yes;
        return e.search.complete ? Answer::no : Answer::unknown;
    }
    const ReportedViolation* find_observed(const Exploration& e) const {
        const auto found = std::find_if(
            e.violations.begin(), e.violations.end(),
            [&](const ReportedViolation& v) { return v.violation.invariant == observed_; });
        return found == e.violations.end() ? nullptr : &*found;
    }

    Answer judge_one(const Predicate& p, const model::WorldConfig& config,
                     const ReportedViolation& violation, std::size_t theory,
                     std::size_t fix) const {
        if (p.of == Predicate::Of::elsewhere) {
            Variant variant;
            variant.switches = matrix_.switches(*guest_, theory, fix, &p.elsewhere);
            model::WorldConfig there = exploration_config(as_guest_, variant);
            there.invariants = {matrix_.observed};
            SearchOptions options = options_;
            options.all = false;
            const Exploration e = explore(world_factory(there, {}), options);
            if (find_observed(e) != nullptr) return Answer::no;
            return e.search.complete ? Answer::yes : Answer::unknown;
        }
        model::World world(config);
        if (p.of == Predicate::Of::default_order) {
            world.run();
        } else {
            WorldSubject subject(world);
            replay(subject, violation.schedule, violation.cost.turns, false);
        }
        return holds(p, world) ? Answer::yes : Answer::no;
    }

    const Matrix& matrix_;
    const SearchOptions& options_;
    Scenario as_guest_;
    const MatrixGuest* guest_ = nullptr;
    std::string observed_;
};

}  // namespace

std::string_view answer_name(Answer answer) {
    constexpr std::string_view kNames[] = {"no", "yes", "unknown"};
    return kNames[static_cast<std::size_t>(answer)];
}

bool Cell::fits() const {
    return observed == Answer::yes &&
           std::all_of(evidence.begin(), evidence.end(),
                       [](const auto& e) { return e.second == Answer::yes; });
}

std::string Cell::word() const {
    if (observed == Answer::yes) {
        std::string out = "observed:";
        for (const auto& [name, answer] : evidence) {
            if (answer == Answer::no) continue;
            out += fmt::format(" {}{}", name, answer == Answer::unknown ? "?" : "");
        }
        return out.ends_with(':') ? "observed: no evidence" : out;
    }
    const std::string_view open = exploration.search.complete ? "" : "?";
    return fmt::format("{}{}", exploration.violations.empty() ? "nothing" : "other", open);
}

Answer Cell::as_expected() const {
    const std::string is = word();
    if (is == *expected) return Answer::yes;
    if (is.find('?') == std::string::npos) return Answer::no;
    // More of it can only break more.
    if (*expected == "nothing") return is == "nothing?" ? Answer::unknown : Answer::no;
    if (*expected == "other") return observed == Answer::yes ? Answer::no : Answer::unknown;
    return Answer::unknown;
}

MatrixResult fill_matrix(const Scenario& scenario, SearchOptions options,
                         const std::function<void(const Cell&)>& done) {
    const Matrix& matrix = *scenario.matrix;
    options.all = true;
    if (!options.preemptions) options.preemptions = matrix.preemptions;
    MatrixResult out{&scenario, options, {}};
    Filler filler(scenario, out.options);
    for (const MatrixGuest& guest : matrix.guests) {
        filler.use(guest);
        for (std::size_t theory : guest.theories) {
            for (std::size_t fix : guest.fixes) {
                out.cells.push_back(filler.fill(theory, fix, scenario.world.switches));
                done(out.cells.back());
            }
        }
    }
    return out;
}

int exit_status(const MatrixResult& result) {
    int status = 0;
    for (const Cell& cell : result.cells) {
        constexpr int kOfAnswer[] = {1, 0, 3};  // no, yes, unknown
        const int own = cell.expected ? kOfAnswer[static_cast<std::size_t>(cell.as_expected())]
                                      : exit_status(cell.exploration);
        if (own == 1) return 1;
        status = std::max(status, own);
    }
    return status;
}

}  // namespace vtlsim::runner::explore
