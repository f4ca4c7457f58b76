#include "runner/conform/conform.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "runner/conform/both.hpp"
#include "runner/conform/generate.hpp"
#include "runner/diagnostic.hpp"
#include "runner/exec_protocol.hpp"
#include "runner/json/reader.hpp"
#include "sim/asm/disassembler.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::runner {
namespace conform {
namespace {

// In the order of EncodingKind.
constexpr std::array<std::string_view, static_cast<std::size_t>(EncodingKind::kCount)> kKindNames{
    "64-bit", "32-bit", "registers", "memory",       "66h",     "67h",
    "REX",    "REP",    "LOCK",      "illegal LOCK", "segment", "FS or GS"};

struct Tally {
    u64 cases = 0, mismatches = 0, gaps = 0;
    std::vector<Case> failures;
    std::map<std::string_view, u64> allowed;  // by the reason
};

class Run {
  public:
    Run(const ConformOptions& options, std::FILE* progress)
        : options_(options), progress_(progress) {}

    ConformResult operator()() {
        std::string reason;
        native_ = Native::start(reason);
        if (native_ == nullptr) {
            result_.skipped = true;
            result_.report = fmt::format("skipped: {}\n", reason);
            return std::move(result_);
        }
        both_ = std::make_unique<Both>(*native_, simulated_, options_.distort);
        std::vector<ZydisMnemonic> only;
        for (const sim::InsnRow& row : sim::all_rows()) {
            const std::string name = ZydisMnemonicGetString(row.mnemonic);
            if (options_.only.empty()) all_.insert(name);
            if (std::find(options_.only.begin(), options_.only.end(), name) ==
                options_.only.end()) {
                continue;
            }
            only.push_back(row.mnemonic);
            all_.insert(name);
        }
        forms_ = enumerate_forms(only, native_->has_compat32());
        hits_.resize(forms_.run.size());
        if (!forms_.run.empty()) all_cases();
        report();
        return std::move(result_);
    }

  private:
    // The forms take turns, so that a short run is spread over all of them.
    void all_cases() {
        u64 number = 0;
        u64 next_progress = kProgressStep;
        // A form of which no case can be made is passed over in the end.
        const u64 last = options_.count * 4 + forms_.run.size();
        while (result_.cases < options_.count && number < last && !lost_) {
            std::vector<std::size_t> of;
            auto cases = native_->cases();
            const u64 wanted = std::min<u64>(cases.size(), options_.count - result_.cases);
            while (of.size() < wanted && number < last) {
                const std::size_t form = number % forms_.run.size();
                if (generate(forms_.run[form], options_.seed, number, cases[of.size()])) {
                    if (cases[of.size()].hangs) {
                        ++hangs_;
                    } else {
                        of.push_back(form);
                    }
                }
                ++number;
            }
            batch(of);
            confirm();
            if (progress_ != nullptr && result_.cases >= next_progress) {
                fmt::print(progress_, "{} cases, {} mismatches\n", result_.cases,
                           result_.mismatches);
                next_progress += kProgressStep;
            }
        }
    }

    void batch(const std::vector<std::size_t>& of) {
        native_->submit(0, of.size());
        answers_.resize(of.size());
        for (std::size_t i = 0; i < of.size(); ++i) {
            both_->simulate(native_->cases()[i], answers_[i]);
        }
        for (std::size_t first = 0; first < of.size();) {
            const std::size_t end = native_->wait(lost_);
            for (; first < end; ++first) judge(of[first], first);
            if (first == of.size()) return;
            died(of[first], native_->cases()[first]);
            if (lost_) return;
            ++first;
            native_->submit(first, of.size());
        }
    }

    Tally& count(std::size_t form, const Case& c) {
        ++result_.cases;
        ++hits_[form];
        for (std::size_t k = 0; k < kinds_.size(); ++k) kinds_[k] += c.kinds >> k & 1u;
        Tally& tally = tallies_[ZydisMnemonicGetString(forms_.run[form].mnemonic)];
        ++tally.cases;
        return tally;
    }
    void died(std::size_t form, const Case& c) {
        ++result_.mismatches;
        ++count(form, c).mismatches;
        deaths_.push_back(
            fmt::format("the child process died or hung: {}\n  {}", text(c), exec_line(c, true)));
    }
    void judge(std::size_t form, std::size_t i) {
        const Case& c = native_->cases()[i];
        Tally& tally = count(form, c);
        if (answers_[i].not_modelled) {
            ++tally.gaps;
            ++result_.gaps;
            return;
        }
        const Comparison comparison = compare(c, native_->answers()[i], answers_[i]);
        if (!comparison.defined.empty()) {
            suspects_.push_back({&tally, c, comparison.defined[0].name});
        } else if (!comparison.allowed.empty()) {
            ++tally.allowed[comparison.allowed];
            ++result_.undefined;
        }
    }

    // An interrupt of the host's between the load and the store of a state shows through when its
    // kernel does not restore all: only what differs again is a mismatch. Between batches.
    void confirm() {
        for (const Suspect& s : suspects_) {
            const auto again = (*both_)(s.c);
            if (again && again->defined.empty()) {
                ++result_.unrepeated;
                once_.push_back(fmt::format("{}: {}", text(s.c), s.what));
                continue;
            }
            ++s.tally->mismatches;
            ++result_.mismatches;
            if (s.tally->failures.size() < kShown) s.tally->failures.push_back(s.c);
        }
        suspects_.clear();
    }

    template <class... Args>
    void add(fmt::format_string<Args...> format, Args&&... args) {
        fmt::format_to(std::back_inserter(result_.report), format, std::forward<Args>(args)...);
    }

    static std::string text(const Case& c) {
        const auto code = std::span(c.code).first(c.length);
        const bool wide = c.mode == Mode::long64;
        return fmt::format(
            "{} [{:02x}{}]",
            sim::disassemble(code, kCodePage, wide ? sim::AsmMode::bits64 : sim::AsmMode::bits32),
            fmt::join(code, " "), wide ? "" : "; 32-bit code");
    }

    void describe(const Case& c) {
        const auto comparison = (*both_)(c);
        if (!comparison) return;
        add("  {}{}\n", text(c), comparison->defined.empty() ? ": not repeated" : "");
        std::size_t shown = 0;
        for (const Difference& d : comparison->defined) {
            if (++shown > 8) break;
            add("    {}: host {}, vtlsim {}\n", d.name, d.native, d.simulated);
        }
    }

    void report() {
        add("seed {}: {} cases of {} forms of {} mnemonics; {} mismatches in defined state\n",
            options_.seed, result_.cases, forms_.run.size(), tallies_.size(), result_.mismatches);
        for (const std::string& death : deaths_) add("{}\n", death);
        if (lost_) add("no further child process could be started\n");
        for (const auto& [name, tally] : tallies_) {
            if (tally.mismatches == 0) continue;
            add("{}: {} of {} cases differ\n", name, tally.mismatches, tally.cases);
            if (lost_ || tally.failures.empty()) continue;
            for (const Case& c : tally.failures) describe(c);
            if (options_.shrink) shrink(tally.failures.front());
        }
        coverage();
        if (result_.unrepeated != 0) {
            add("differed once, and not again: {} cases\n", result_.unrepeated);
            for (const std::string& s : once_) add("  {}\n", s);
        }
        allowed();
        not_modelled();
        if (hangs_ != 0) {
            add("not run, hangs the host: {} cases of a far CALL of 32-bit code with ESP below 8\n",
                hangs_);
        }
        for (const auto& [reason, names] : forms_.left_out) {
            add("not run, {}: {}: {}\n", reason, names.size(), fmt::join(names, " "));
        }
    }

    void coverage() {
        std::set<std::string> without = all_;
        for (const auto& [name, tally] : tallies_) without.erase(name);
        const auto hit = std::count_if(hits_.begin(), hits_.end(), [](u64 n) { return n != 0; });
        add("coverage: {} of {} rows, {} of {} forms\n", all_.size() - without.size(), all_.size(),
            hit, forms_.run.size());
        add("  cases by encoding:");
        for (std::size_t k = 0; k < kinds_.size(); ++k) add(" {} {};", kKindNames[k], kinds_[k]);
        add("\n");
        if (!native_->has_compat32()) {
            add("  skipped: 32-bit code, which this kernel lets no process run\n");
        }
        for (const auto& [reason, names] : forms_.left_out) {
            for (const std::string& name : names) without.erase(name);
        }
        if (!without.empty()) add("  rows that no case came to: {}\n", fmt::join(without, " "));
    }

    void shrink(const Case& failing) {
        const Case c = both_->shrunk(failing);
        const std::string line = exec_line(c, touches_memory(c));
        result_.shrunk.push_back(line);
        add("  smallest case found:\n");
        describe(c);
        std::string answer;
        ExecSession().answer(line, answer);
        add("    exec: {}\n    vtlsim: {}", line, answer);
        add("    host: the same but");
        const auto comparison = (*both_)(c);
        if (comparison) {
            for (const Difference& x : comparison->defined) add(" {}={}", x.name, x.native);
        }
        add("\n");
    }
    static bool touches_memory(const Case& c) {
        sim::Decoded d;
        if (!ZYAN_SUCCESS(decode(c.mode, std::span(c.code).first(c.length), d))) return false;
        for (unsigned i = 0; i < d.insn.operand_count; ++i) {
            if (d.is_mem(i)) return true;
        }
        return false;
    }

    void allowed() {
        std::map<std::string_view, std::string> names;
        std::map<std::string_view, u64> totals;
        for (const auto& [name, tally] : tallies_) {
            for (const auto& [reason, n] : tally.allowed) {
                totals[reason] += n;
                names[reason] += fmt::format(" {} {}/{}", name, n, tally.cases);
            }
        }
        if (totals.empty()) return;
        add("differ in state that may differ: {} cases\n", result_.undefined);
        for (const auto& [reason, n] : totals) add("  {}: {}:{}\n", reason, n, names[reason]);
    }
    void not_modelled() {
        if (result_.gaps == 0) return;
        add("not modelled: {} cases:", result_.gaps);
        for (const auto& [name, tally] : tallies_) {
            if (tally.gaps != 0) add(" {} {}/{}", name, tally.gaps, tally.cases);
        }
        add("\n");
    }

    static constexpr u64 kProgressStep = 1'000'000;
    static constexpr std::size_t kShown = 3;

    const ConformOptions& options_;
    std::FILE* progress_;
    std::unique_ptr<Native> native_;
    Simulated simulated_;
    std::unique_ptr<Both> both_;
    std::vector<Answer> answers_;  // the simulator's, of a batch
    std::set<std::string> all_;    // mnemonics that have a row
    Forms forms_;
    std::vector<u64> hits_;  // of each form
    std::array<u64, kKindNames.size()> kinds_{};
    std::map<std::string, Tally> tallies_;
    struct Suspect {
        Tally* tally;
        Case c;
        std::string what;
    };
    std::vector<Suspect> suspects_;
    std::vector<std::string> once_;
    std::vector<std::string> deaths_;
    u64 hangs_ = 0;  // cases passed over
    bool lost_ = false;
    ConformResult result_;
};

}  // namespace
}  // namespace conform

ConformResult conform_host(const ConformOptions& options, std::FILE* progress) {
    return conform::Run(options, progress)();
}

std::string check_mnemonics(const std::vector<std::string>& only) {
    std::vector<std::string_view> names;
    for (const sim::InsnRow& row : sim::all_rows()) {
        names.push_back(ZydisMnemonicGetString(row.mnemonic));
    }
    for (const std::string& name : only) {
        if (std::find(names.begin(), names.end(), name) != names.end()) continue;
        return fmt::format("no instruction {}{}", in_quotes(name), did_you_mean(name, names));
    }
    return {};
}

}  // namespace vtlsim::runner
