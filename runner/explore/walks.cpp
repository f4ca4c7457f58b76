#include "runner/explore/walks.hpp"

#include <algorithm>
#include <numeric>

#include "runner/explore/clock.hpp"
#include "runner/explore/pool.hpp"
#include "runner/random.hpp"

namespace vtlsim::runner::explore {
namespace {

// Walks are merged after so many, whatever the number of jobs.
constexpr std::size_t kBatch = 256;

// Who goes next on one walk.
class Chooser {
  public:
    virtual ~Chooser() = default;
    // One of `enabled`; `turn` counts from 0.
    virtual ActorId choose(const std::vector<ActorId>& enabled, u32 turn) = 0;
};

class Uniform : public Chooser {
  public:
    explicit Uniform(u64 seed) : random_(seed) {}
    ActorId choose(const std::vector<ActorId>& enabled, u32) override {
        return enabled[random_.below(enabled.size())];
    }

  private:
    Random random_;
};

// Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs"
// (ASPLOS 2010): with n actors and runs of k turns, a bug of depth d is met by one walk with a
// probability of at least 1 / (n k^(d-1)).
class Priorities : public Chooser {
  public:
    Priorities(u64 seed, std::size_t actors, u32 turns, u32 depth) : priority_(actors) {
        Random random(seed);
        std::iota(priority_.begin(), priority_.end(), depth);
        for (std::size_t i = actors; i > 1; --i) {
            std::swap(priority_[i - 1], priority_[random.below(i)]);
        }
        for (u32 i = 1; i < depth; ++i) {
            change_.push_back(static_cast<u32>(random.below(std::max(turns, 1u))));
        }
    }
    ActorId choose(const std::vector<ActorId>& enabled, u32 turn) override {
        const auto highest = [&] {
            return *std::max_element(enabled.begin(), enabled.end(), [&](ActorId a, ActorId b) {
                return priority_[a] < priority_[b];
            });
        };
        // At change point i the actor that would go falls to priority i, below all of the start.
        for (std::size_t i = 0; i < change_.size(); ++i) {
            if (change_[i] == turn) priority_[highest()] = static_cast<u32>(i);
        }
        return highest();
    }

  private:
    std::vector<u32> priority_;
    std::vector<u32> change_;
};

struct Walk {
    std::vector<Found> found;
    u32 turns = 0;
    bool over = false;
    bool cut = false;  // over because of a limit of the subject
    Fingerprint end{};
};

class Walker {
  public:
    Walker(std::unique_ptr<Subject> subject, const SearchOptions& options)
        : subject_(std::move(subject)), options_(options), start_(subject_->save()) {}

    // Null: by default.
    Walk walk(Chooser* chooser) {
        subject_->restore(*start_);
        Walk out;
        std::vector<ActorId> run;
        Cost cost;
        int last = kNobody;
        std::vector<ActorId> enabled = subject_->enabled();
        if (enabled.empty()) note(out, run, cost);
        while (!enabled.empty() && cost.turns < options_.depth) {
            const ActorId actor = chooser == nullptr ? default_choice(*subject_, enabled, last)
                                                     : chooser->choose(enabled, cost.turns);
            cost = cost_after(cost, *subject_, enabled, last, actor);
            subject_->step(actor);
            run.push_back(actor);
            note(out, run, cost);
            if (!options_.all && !out.found.empty()) break;
            last = last_after(*subject_, last, actor);
            enabled = subject_->enabled();
        }
        out.turns = cost.turns;
        out.over = enabled.empty();
        out.cut = subject_->cut();
        if (out.over) out.end = subject_->fingerprint();
        return out;
    }

    std::size_t actors() const { return subject_->actor_names().size(); }

  private:
    void note(Walk& out, const std::vector<ActorId>& run, const Cost& cost) {
        for (Violation& violation : subject_->violations()) {
            out.found.push_back({std::move(violation), run, cost});
        }
    }

    std::unique_ptr<Subject> subject_;
    const SearchOptions& options_;
    std::shared_ptr<const Subject::Saved> start_;
};

void hit(SearchResult& result, Limit limit) {
    auto& limits = result.limits;
    if (std::find(limits.begin(), limits.end(), limit) == limits.end()) limits.push_back(limit);
}

void merge(SearchResult& result, Walk& walk) {
    ++result.schedules;
    result.transitions += walk.turns;
    result.max_turns = std::max(result.max_turns, walk.turns);
    if (walk.over && !walk.cut) result.ends.push_back(walk.end);
    for (Found& found : walk.found) {
        const auto known = std::find_if(
            result.violations.begin(), result.violations.end(),
            [&](const Found& f) { return same_violation(f.violation, found.violation); });
        if (known == result.violations.end()) {
            result.violations.push_back(std::move(found));
        } else if (found.cost < known->cost) {
            *known = std::move(found);
        }
    }
}

}  // namespace

SearchResult search_walks(const SubjectFactory& factory, const SearchOptions& options) {
    const Clock clock(options.seconds);
    Pool pool(std::max(options.jobs, 1u));
    std::vector<std::unique_ptr<Walker>> walkers;
    for (u32 i = 0; i < pool.workers(); ++i) {
        walkers.push_back(std::make_unique<Walker>(factory(), options));
    }
    SearchResult result;
    u32 usual_turns = 0;  // what PCT calls k: of the run that no schedule changes
    if (options.mode == Mode::pct) usual_turns = walkers[0]->walk(nullptr).turns;

    std::vector<Walk> walks;
    bool done = false;
    for (u64 begin = 0; begin < options.runs && !done; begin += kBatch) {
        walks.clear();
        walks.resize(static_cast<std::size_t>(std::min<u64>(kBatch, options.runs - begin)));
        pool.run(walks.size(), [&](u32 worker, std::size_t i) {
            Walker& walker = *walkers[worker];
            const u64 seed = Random(options.seed ^ Random(begin + i).next()).next();
            if (options.mode == Mode::pct) {
                Priorities chooser(seed, walker.actors(), usual_turns, options.pct_depth);
                walks[i] = walker.walk(&chooser);
            } else {
                Uniform chooser(seed);
                walks[i] = walker.walk(&chooser);
            }
        });
        for (Walk& walk : walks) {
            const bool too_deep = !walk.over && (options.all || walk.found.empty());
            if (too_deep) hit(result, Limit::depth);
            if (walk.cut) hit(result, Limit::scenario);
            merge(result, walk);
            done = !options.all && !result.violations.empty();
            if (done) break;
        }
        if (clock.over() && !done && begin + kBatch < options.runs) {
            hit(result, Limit::time);
            done = true;
        }
        if (options.progress) {
            options.progress({result.transitions,
                              result.transitions,
                              options.runs - std::min(options.runs, begin + kBatch),
                              {0, 0, result.max_turns}});
        }
    }
    result.states = result.transitions;
    std::sort(result.ends.begin(), result.ends.end());
    result.ends.erase(std::unique(result.ends.begin(), result.ends.end()), result.ends.end());
    std::stable_sort(result.violations.begin(), result.violations.end(),
                     [](const Found& a, const Found& b) { return a.cost < b.cost; });
    return result;
}

}  // namespace vtlsim::runner::explore
