#include "runner/conform_kvm/random.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "runner/conform_kvm/shrink.hpp"

namespace vtlsim::runner::conform_kvm {
namespace {

// So often a case runs on a fresh machine too: what proves that using machines again changes
// nothing.
constexpr u64 kFreshEvery = 256;
constexpr std::size_t kKinds = 8;  // of differences that are made smaller and shown
constexpr u64 kProgressEvery = 5000;
constexpr u32 kTimeLimit = 500;  // ms
constexpr int kRepetitions = 4;  // of a difference, in new machines

// A difference without its numbers: one kind of difference shows in many cases.
std::string kind_of(const std::string& difference) {
    std::string out;
    bool number = false;
    for (char c : difference) {
        const bool digit = std::isxdigit(static_cast<unsigned char>(c)) != 0 &&
                           (number || std::isdigit(static_cast<unsigned char>(c)) != 0);
        if (digit && !number) out += '#';
        if (!digit) out += c;
        number = digit || (number && c == 'x');
    }
    return out;
}

class Runner {
  public:
    Runner(RealKvm& kvm, const KvmFacts& facts, const RandomOptions& options, std::FILE* progress)
        : kvm_(kvm), facts_(facts), options_(options), progress_(progress) {}

    RandomResult run() {
        const std::vector<model::kvm::Mode> modes = facts_.usable();
        for (u64 i = 0; i < options_.count; ++i) {
            const u64 number = options_.first + i;
            one(random_case(options_.seed, number, modes), number);
            if (progress_ != nullptr && (i + 1) % kProgressEvery == 0) {
                std::fputs(fmt::format("{} of {} cases, {} differences\n", i + 1, options_.count,
                                       out_.differences)
                               .c_str(),
                           progress_);
            }
        }
        report();
        return std::move(out_);
    }

  private:
    RealOptions options(bool fresh) const {
        RealOptions out;
        out.fresh = fresh || options_.fresh;
        out.time_limit_ms = kTimeLimit;
        return out;
    }

    Both run(const RandomCase& c, bool fresh) {
        return run_both(kvm_, facts_, c.guest(), c.script, options(fresh));
    }

    void not_compared(const Both& both) {
        ++out_.gaps;
        ++gaps_[both.model.problem.empty() ? both.real.problem : both.model.problem];
    }

    // A difference counts if this KVM does the same again and again in machines of its own.
    bool repeatable(const RandomCase& c, Both& both, u64 number) {
        const Both first = std::exchange(both, run(c, true));
        if (both.real.end == model::kvm::ScriptEnd::steps) return true;  // memory is not compared
        for (int i = 0; i < kRepetitions; ++i) {
            const model::kvm::Transcript again = kvm_.run(c.guest(), c.script, options(true));
            const auto differs = first_difference(both.real, again, false);
            if (!differs || both.gap) continue;
            ++out_.unsteady;
            details_ += fmt::format("case {} of seed {}: this KVM differs with itself: {}\n",
                                    number, options_.seed, *differs);
            return false;
        }
        if (first_difference(first.real, both.real, false)) {
            ++out_.unrepeatable;
            details_ +=
                fmt::format("case {} of seed {} on a used and on a fresh machine: {}\n", number,
                            options_.seed, *first_difference(first.real, both.real, false));
        }
        return true;
    }

    void one(const RandomCase& c, u64 number) {
        Both both = run(c, false);
        if (both.gap) return not_compared(both);
        if ((both.difference || number % kFreshEvery == 0) && !repeatable(c, both, number)) return;
        if (both.gap) return not_compared(both);
        ++out_.cases;
        ++modes_[mode_name(c.mode)];
        out_.exits += both.real.observations.size();
        for (const auto& o : both.real.observations) ++exits_[exit_kind(o.exit)];
        if (!both.difference) return;
        ++out_.differences;
        const std::string kind = kind_of(*both.difference);
        const bool known = kinds_[kind]++ != 0 || out_.smallest.size() == kKinds;
        if (known && options_.shrink) return;
        details_ += fmt::format("case {} of seed {}, {}: {}\n", number, options_.seed,
                                mode_name(c.mode), *both.difference);
        RandomCase small = c;
        if (options_.shrink) {
            small = shrink(c, [&](const RandomCase& candidate) {
                return run(candidate, false).difference && run(candidate, true).difference;
            });
            both = run(small, true);
            details_ += fmt::format("  smallest: {}\n",
                                    both.difference.value_or("no difference on a fresh machine"));
        }
        details_ += transcripts_text(both);
        out_.smallest.push_back(std::move(small));
    }

    static std::string exit_kind(const model::kvm::RunExit& exit) {
        const std::string text = exit_text(exit);
        std::size_t end = text.find(' ');
        if (text.starts_with("io") || text.starts_with("mmio")) end = text.find(' ', end + 1);
        return text.substr(0, end);
    }

    template <typename Map>
    static std::string counts(const Map& map) {
        std::string out;
        for (const auto& [name, count] : map) {
            out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, name);
        }
        return out;
    }

    void report() {
        out_.report =
            fmt::format("random: {} cases of seed {} compared ({}), {} exits ({})\n", out_.cases,
                        options_.seed, counts(modes_), out_.exits, counts(exits_));
        for (const auto& [why, count] : gaps_) {
            out_.report += fmt::format("  {} cases not compared: {}\n", count, why);
        }
        if (out_.unsteady != 0) {
            out_.report += fmt::format("  {} cases not compared: this KVM differs with itself\n",
                                       out_.unsteady);
        }
        if (out_.unrepeatable != 0) {
            out_.report +=
                fmt::format("  {} cases went otherwise on a fresh machine\n", out_.unrepeatable);
        }
        for (const auto& [kind, count] : kinds_) {
            out_.report += fmt::format("  {} differences: {}\n", count, kind);
        }
        out_.report += details_;
        out_.report += fmt::format("{} differences in {} cases\n", out_.differences, out_.cases);
    }

    RealKvm& kvm_;
    const KvmFacts& facts_;
    const RandomOptions& options_;
    std::FILE* progress_;
    RandomResult out_;
    std::map<std::string, u64> gaps_, kinds_, exits_;
    std::map<std::string_view, u64> modes_;
    std::string details_;
};

}  // namespace

RandomResult run_random(RealKvm& kvm, const KvmFacts& facts, const RandomOptions& options,
                        std::FILE* progress) {
    return Runner(kvm, facts, options, progress).run();
}

}  // namespace vtlsim::runner::conform_kvm
