#include "runner/explore/story.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace vtlsim::runner::explore {
namespace {

// The first and the last ones are named.
constexpr std::ptrdiff_t kMaxOvertakers = 4;

bool conflict(const Turn& a, const Turn& b) {
    return std::any_of(a.accesses.begin(), a.accesses.end(), [&](const Access& x) {
        return std::any_of(b.accesses.begin(), b.accesses.end(), [&](const Access& y) {
            return x.object == y.object && (x.write || y.write);
        });
    });
}

class Teller {
  public:
    Teller(const Subject& subject, const std::vector<Turn>& turns)
        : names_(subject.actor_names()), turns_(turns) {}

    // The overtaken step is the one that the actor in the way of the deviation came to do later.
    // Of the steps that went before it, those that it conflicts with are what it came too late for.
    std::string overtaking(std::size_t at) const {
        const ActorId late = turns_[at].by_default;
        std::size_t came = at;
        while (came < turns_.size() && turns_[came].actor != late) ++came;
        std::vector<std::size_t> overtakers;
        for (std::size_t i = at; came < turns_.size() && i < came; ++i) {
            if (conflict(turns_[i], turns_[came])) overtakers.push_back(i);
        }
        if (overtakers.empty()) overtakers.push_back(at);
        if (std::ssize(overtakers) > kMaxOvertakers) {
            overtakers.erase(overtakers.begin() + 1, overtakers.end() - (kMaxOvertakers - 1));
        }
        std::string steps;
        for (std::size_t i : overtakers) {
            steps += fmt::format("{}{}'s {} at turn {}", steps.empty() ? "" : ", ",
                                 names_[turns_[i].actor], in_quotes(turns_[i].step), i);
        }
        return fmt::format("{}'s {}, due at turn {}, was overtaken by {} and {}", names_[late],
                           in_quotes(turns_[at].waiting), at, steps,
                           came < turns_.size() ? fmt::format("came at turn {}", came)
                                                : "had not come when the run ended");
    }

    std::string ending(const Violation& violation) const {
        std::string out = violation.invariant;
        if (!violation.key.empty()) out += fmt::format(" ({})", violation.key);
        out += " was broken: " + violation.what;
        if (turns_.empty()) return out;
        const Turn& turn = turns_.back();
        return fmt::format("after {}'s {} at turn {}, {}", names_[turn.actor], in_quotes(turn.step),
                           turns_.size() - 1, out);
    }

  private:
    const std::vector<std::string>& names_;
    const std::vector<Turn>& turns_;
};

}  // namespace

std::vector<std::string> story(const Subject& subject, const std::vector<Turn>& turns,
                               const Violation& violation) {
    const Teller teller(subject, turns);
    std::vector<std::string> out;
    for (std::size_t i = 0; i < turns.size(); ++i) {
        if (turns[i].actor != turns[i].by_default) out.push_back(teller.overtaking(i));
    }
    out.push_back(teller.ending(violation));
    return out;
}

}  // namespace vtlsim::runner::explore
