#include "runner/explore/exhaustive.hpp"

#include <algorithm>
#include <map>

#include "runner/explore/clock.hpp"
#include "runner/explore/expand.hpp"
#include "runner/explore/pool.hpp"

namespace vtlsim::runner::explore {
namespace {

// Results are merged after so many states have been gone on from: it bounds what waits for that,
// and must not depend on the number of jobs.
constexpr std::size_t kBatch = 256;

// Dijkstra's algorithm over visits, by cost. All steps cost a turn at least, so that the visits of
// one cost are independent of each other and can be gone on from at the same time.
class Exhaustive {
  public:
    Exhaustive(const SubjectFactory& factory, const SearchOptions& options)
        : options_(options), clock_(options.seconds), pool_(std::max(options.jobs, 1u)) {
        for (u32 i = 0; i < pool_.workers(); ++i) {
            expanders_.push_back(std::make_unique<Expander>(factory(), options_, visited_));
        }
    }

    SearchResult run() {
        start();
        while (!open_.empty() && !stopped()) {
            const Cost cost = open_.begin()->first;
            // A violation found is the smallest once nothing smaller is left to be gone on from.
            if (!options_.all && smallest_ && cost >= *smallest_) break;
            std::vector<Open> level = std::move(open_.begin()->second);
            open_.erase(open_.begin());
            expand_level(cost, std::move(level));
        }
        result_.complete = open_.empty() && result_.limits.empty();
        auto& found = result_.violations;
        std::stable_sort(found.begin(), found.end(),
                         [](const Found& a, const Found& b) { return a.cost < b.cost; });
        if (!options_.all) keep_smallest(found);
        auto& ends = result_.ends;
        std::sort(ends.begin(), ends.end());
        ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
        result_.states = visited_.states();
        return std::move(result_);
    }

  private:
    struct Open {
        u32 visit;
        Fingerprint state;
        std::shared_ptr<const Subject::Saved> saved;
    };

    void start() {
        Subject& subject = expanders_[0]->subject();
        const Fingerprint state = subject.fingerprint();
        Visit first;
        first.closed = subject.enabled().empty();
        const u32 index = visited_.add(state, first);
        if (first.closed) {
            result_.schedules = 1;
            result_.ends.push_back(state);
            for (const Violation& violation : subject.violations()) note(violation, index, {});
        } else {
            open(index, state, subject.save());
        }
    }

    void open(u32 visit, const Fingerprint& state, std::shared_ptr<const Subject::Saved> saved) {
        ++result_.saves;
        result_.save_bytes += saved->bytes();
        open_bytes_ += saved->bytes();
        ++open_count_;
        result_.open_peak = std::max(result_.open_peak, open_count_);
        open_[visited_[visit].cost].push_back({visit, state, std::move(saved)});
    }

    void expand_level(const Cost& cost, std::vector<Open> level) {
        for (const Open& o : level) {
            open_bytes_ -= o.saved->bytes();
            --open_count_;
        }
        // Those that a smaller schedule has reached meanwhile are done.
        std::erase_if(level, [&](const Open& o) { return visited_[o.visit].closed; });
        if (cost.turns >= options_.depth) {
            if (!level.empty()) hit(Limit::depth);
            return;
        }
        for (const Open& o : level) visited_[o.visit].closed = true;
        std::vector<Expansion> expansions;
        for (std::size_t begin = 0; begin < level.size() && !stopped(); begin += kBatch) {
            expansions.clear();
            expansions.resize(std::min(kBatch, level.size() - begin));
            pool_.run(expansions.size(), [&](u32 worker, std::size_t i) {
                const Open& o = level[begin + i];
                expansions[i] = expanders_[worker]->expand(visited_[o.visit], o.state, *o.saved);
            });
            for (std::size_t i = 0; i < expansions.size(); ++i) {
                merge(level[begin + i], expansions[i]);
                level[begin + i].saved.reset();
            }
            check_limits();
            if (options_.progress) {
                options_.progress(
                    {visited_.states(), result_.transitions, open_count_ + level.size(), cost});
            }
        }
    }

    void merge(const Open& from, Expansion& expansion) {
        const u32 parent = from.visit;
        result_.transitions += expansion.steps;
        result_.steps_made += expansion.made;
        result_.reduced += expansion.reduced ? 1 : 0;
        result_.preemption_bound_hit |= expansion.preemptions_cut;
        if (expansion.children.empty()) ++result_.schedules;  // all had too many preemptions
        for (Child& child : expansion.children) {
            if (child.cut) hit(Limit::scenario);
            if (child.edge) visited_.add_edge(from.state, std::move(*child.edge));
            result_.max_turns = std::max(result_.max_turns, child.cost.turns);
            u32 index = visited_.find(child.state, child.last);
            const bool is_new = index == Visit::kNone;
            if (is_new) {
                Visit visit;
                visit.last = child.last;
                index = visited_.add(child.state, visit);
                if (child.over && !child.cut) result_.ends.push_back(child.state);
            }
            for (const Violation& violation : child.violations) {
                note(violation, parent, {child.actor, child.cost});
            }
            Visit& visit = visited_[index];
            if (!is_new && !(child.cost < visit.cost)) {
                ++result_.schedules;
                continue;
            }
            visit.cost = child.cost;
            visit.parent = parent;
            visit.actor = child.actor;
            if (child.over) {
                ++result_.schedules;
                visit.closed = true;
            } else {
                open(index, child.state, std::move(child.saved));
            }
        }
    }

    struct LastTurn {
        int actor = kNobody;
        Cost cost;
    };
    void note(const Violation& violation, u32 parent, const LastTurn& last) {
        auto found =
            std::find_if(result_.violations.begin(), result_.violations.end(),
                         [&](const Found& f) { return same_violation(f.violation, violation); });
        const bool is_new = found == result_.violations.end();
        if (!is_new && !(last.cost < found->cost)) return;
        if (is_new) found = result_.violations.insert(found, Found{});
        *found = {violation, visited_.run_to(parent), last.cost};
        if (last.actor != kNobody) found->run.push_back(static_cast<ActorId>(last.actor));
        if (!smallest_ || last.cost < *smallest_) smallest_ = last.cost;
    }

    void check_limits() {
        if (visited_.states() >= options_.states) hit(Limit::states);
        if (visited_.bytes() + open_bytes_ >= options_.memory) hit(Limit::memory);
        if (clock_.over()) hit(Limit::time);
    }
    bool stopped() const {
        return std::any_of(result_.limits.begin(), result_.limits.end(), [](Limit limit) {
            return limit != Limit::depth && limit != Limit::scenario;
        });
    }
    void hit(Limit limit) {
        auto& limits = result_.limits;
        if (std::find(limits.begin(), limits.end(), limit) == limits.end()) limits.push_back(limit);
    }

    const SearchOptions& options_;
    const Clock clock_;
    Pool pool_;
    Visited visited_;
    std::vector<std::unique_ptr<Expander>> expanders_;
    std::map<Cost, std::vector<Open>> open_;
    u64 open_count_ = 0;
    u64 open_bytes_ = 0;
    std::optional<Cost> smallest_;  // of a violation
    SearchResult result_;
};

}  // namespace

SearchResult search_exhaustive(const SubjectFactory& factory, const SearchOptions& options) {
    return Exhaustive(factory, options).run();
}

}  // namespace vtlsim::runner::explore
