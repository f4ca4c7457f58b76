#include "runner/explore/minimise.hpp"

#include <algorithm>

namespace vtlsim::runner::explore {
namespace {

// A deviation with a place that stays the same when others are left out before it: where the actor
// that would go had done `steps` steps.
struct Anchored {
    ActorId instead_of;
    u32 steps;
    ActorId run;
    u32 turn;  // in the run that it was taken from
};

std::vector<Anchored> anchored(const Replay& replay, std::size_t actors) {
    std::vector<Anchored> out;
    std::vector<u32> steps(actors);
    for (std::size_t i = 0; i < replay.turns.size(); ++i) {
        const Turn& turn = replay.turns[i];
        if (turn.actor != turn.by_default) {
            out.push_back(
                {turn.by_default, steps[turn.by_default], turn.actor, static_cast<u32>(i)});
        }
        ++steps[turn.actor];
    }
    return out;
}

bool is_enabled(const std::vector<ActorId>& enabled, ActorId actor) {
    return std::binary_search(enabled.begin(), enabled.end(), actor);
}

class Minimiser {
  public:
    Minimiser(Subject& subject, const Subject::Saved& start, Found found, u32 depth)
        : subject_(subject), start_(start), best_(std::move(found)), depth_(depth) {
        subject_.restore(start_);
        deviations_ = anchored(replay(subject_, best_.run, false), actors());
    }

    Found run() {
        // As in delta debugging: large pieces first, small ones until nothing goes any more. Pairs
        // and triples are there for a turn taken away and given back.
        for (std::size_t piece = deviations_.size(); piece > 3; piece /= 2) leave_out(piece, piece);
        while (leave_out(1, 1) || leave_out(2, 1) || leave_out(3, 1)) {
        }
        return std::move(best_);
    }

  private:
    std::size_t actors() const { return subject_.actor_names().size(); }

    // Tries to do without each piece of this many deviations, the next one starting `stride` later;
    // whether one could go.
    bool leave_out(std::size_t piece, std::size_t stride) {
        bool smaller = false;
        for (std::size_t begin = 0; begin < deviations_.size();) {
            std::vector<Anchored> rest = deviations_;
            const auto first = rest.begin() + static_cast<std::ptrdiff_t>(begin);
            rest.erase(first,
                       first + static_cast<std::ptrdiff_t>(std::min(piece, rest.size() - begin)));
            if (try_in_place(rest) || try_by_turn(rest)) {
                smaller = true;
            } else {
                begin += stride;
            }
        }
        return smaller;
    }

    bool try_in_place(std::vector<Anchored> rest) {
        std::vector<u32> steps(actors());
        return accept([&](const std::vector<ActorId>& enabled, ActorId by_default, u32) {
            ActorId actor = by_default;
            for (auto it = rest.begin(); it != rest.end(); ++it) {
                if (it->instead_of != by_default || it->steps != steps[by_default]) continue;
                if (!is_enabled(enabled, it->run)) continue;
                actor = it->run;
                rest.erase(it);
                break;
            }
            ++steps[actor];
            return std::optional(actor);
        });
    }

    bool try_by_turn(const std::vector<Anchored>& rest) {
        std::size_t next = 0;
        return accept([&](const std::vector<ActorId>& enabled, ActorId by_default, u32 turn) {
            if (next == rest.size() || rest[next].turn != turn) return std::optional(by_default);
            const ActorId actor = rest[next++].run;
            return is_enabled(enabled, actor) ? std::optional(actor) : std::nullopt;
        });
    }

    // Whether the chooser's run has the violation at a smaller cost: then it is the new best.
    bool accept(const Chooser& chooser) {
        subject_.restore(start_);
        const auto until_found = [&](const std::vector<ActorId>& enabled, ActorId by_default,
                                     u32 turn) -> std::optional<ActorId> {
            for (const Violation& v : subject_.violations()) {
                if (same_violation(v, best_.violation)) return std::nullopt;
            }
            return chooser(enabled, by_default, turn);
        };
        const Replay tried = replay(subject_, until_found, depth_, false);
        const Violation* violation = tried.find(best_.violation);
        if (violation == nullptr || !(tried.cost < best_.cost)) return false;
        best_.violation = *violation;
        best_.cost = tried.cost;
        best_.run.clear();
        for (const Turn& turn : tried.turns) best_.run.push_back(turn.actor);
        deviations_ = anchored(tried, actors());
        return true;
    }

    Subject& subject_;
    const Subject::Saved& start_;
    Found best_;
    u32 depth_;
    std::vector<Anchored> deviations_;  // of best_
};

}  // namespace

Found minimise(Subject& subject, const Subject::Saved& start, Found found, u32 depth) {
    return Minimiser(subject, start, std::move(found), depth).run();
}

}  // namespace vtlsim::runner::explore
