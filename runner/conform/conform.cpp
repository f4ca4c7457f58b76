#include "runner/conform/conform.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "runner/conform/generate.hpp"
#include "runner/conform/job.hpp"
#include "runner/diagnostic.hpp"
#include "runner/exec_protocol.hpp"
#include "runner/explore/pool.hpp"
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
        for (u32 i = 0; i < std::max(options_.jobs, 1u); ++i) {
            std::string reason;
            jobs_.push_back(Job::start(options_.distort, reason));
            if (jobs_.back() != nullptr) continue;
            result_.skipped = true;
            result_.report = fmt::format("skipped: {}\n", reason);
            return std::move(result_);
        }
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
        forms_ = enumerate_forms(only, jobs_[0]->has_compat32());
        hits_.resize(forms_.run.size());
        if (!forms_.run.empty()) all_cases();
        report();
        return std::move(result_);
    }

  private:
    struct Batch {
        std::vector<std::size_t> forms;
        std::vector<Case> cases;
        std::vector<Judged> judged;
        u64 hangs = 0;  // cases passed over
        bool lost = false;
    };

    // The cases of the numbers from `number` on, which is moved, up to as many as wanted.
    Batch generate_batch(u64& number, u64 end, u64 wanted) const {
        Batch batch;
        for (; batch.cases.size() < wanted && number < end; ++number) {
            const std::size_t form = number % forms_.run.size();
            Case c;
            if (!generate(forms_.run[form], options_.seed, number, c)) continue;
            if (c.hangs) {
                ++batch.hangs;
                continue;
            }
            batch.forms.push_back(form);
            batch.cases.push_back(c);
        }
        return batch;
    }

    // The forms take turns, so that a short run is spread over all of them. Which cases are run
    // does not depend on the number of jobs, nor does what is reported of them.
    void all_cases() {
        // A form of which no case can be made is passed over in the end.
        const u64 last = options_.count * 4 + forms_.run.size();
        const std::size_t round = jobs_.size() * 8;
        const u64 numbers =
            round * Native::kBatch;  // of a round, each of which makes a case or none
        explore::Pool pool(static_cast<u32>(jobs_.size()));
        u64 number = 0;
        while (!lost_ && options_.count - result_.cases >= numbers && number + numbers <= last) {
            std::vector<Batch> batches(round);
            pool.run(round, [&](u32 worker, std::size_t i) {
                u64 from = number + i * Native::kBatch;
                batches[i] = generate_batch(from, from + Native::kBatch, Native::kBatch);
                run(batches[i], *jobs_[worker]);
            });
            for (const Batch& batch : batches) count(batch);
            number += numbers;
        }
        while (!lost_ && result_.cases < options_.count && number < last) {
            const u64 wanted = std::min<u64>(Native::kBatch, options_.count - result_.cases);
            Batch batch = generate_batch(number, last, wanted);
            run(batch, *jobs_[0]);
            count(batch);
        }
    }

    static void run(Batch& batch, Job& job) {
        if (!job.lost()) batch.judged = job.run(batch.cases);
        batch.lost = job.lost();
    }

    void count(const Batch& batch) {
        hangs_ += batch.hangs;
        lost_ = lost_ || batch.lost;
        for (std::size_t i = 0; i < batch.judged.size(); ++i) {
            count(batch.forms[i], batch.cases[i], batch.judged[i]);
        }
        if (progress_ == nullptr || result_.cases < next_progress_) return;
        fmt::print(progress_, "{} cases, {} mismatches\n", result_.cases, result_.mismatches);
        next_progress_ += kProgressStep;
    }

    void count(std::size_t form, const Case& c, const Judged& judged) {
        ++result_.cases;
        ++hits_[form];
        for (std::size_t k = 0; k < kinds_.size(); ++k) kinds_[k] += c.kinds >> k & 1u;
        Tally& tally = tallies_[ZydisMnemonicGetString(forms_.run[form].mnemonic)];
        ++tally.cases;
        const auto mismatch = [&] {
            ++tally.mismatches;
            ++result_.mismatches;
        };
        switch (judged.verdict) {
            case Verdict::equal:
                return;
            case Verdict::allowed:
                ++tally.allowed[judged.reason];
                ++result_.undefined;
                return;
            case Verdict::not_modelled:
                ++tally.gaps;
                ++result_.gaps;
                return;
            case Verdict::mismatch:
                mismatch();
                if (tally.failures.size() < kShown) tally.failures.push_back(c);
                return;
            case Verdict::behind:
                mismatch();
                strays_.push_back(fmt::format("differs only behind the cases before it: {}: {}",
                                              text(c), judged.what));
                return;
            case Verdict::died:
                mismatch();
                strays_.push_back(fmt::format("the child process died or hung: {}\n  {}", text(c),
                                              exec_line(c, true)));
                return;
            case Verdict::unrepeated:
                ++result_.unrepeated;
                once_.push_back(fmt::format("{}: {}", text(c), judged.what));
                return;
        }
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
        const auto comparison = both()(c);
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
        for (const std::string& stray : strays_) add("{}\n", stray);
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
        if (!jobs_[0]->has_compat32()) {
            add("  skipped: 32-bit code, which this kernel lets no process run\n");
        }
        for (const auto& [reason, names] : forms_.left_out) {
            for (const std::string& name : names) without.erase(name);
        }
        if (!without.empty()) add("  rows that no case came to: {}\n", fmt::join(without, " "));
    }

    void shrink(const Case& failing) {
        const Case c = both().shrunk(failing);
        const std::string line = exec_line(c, touches_memory(c));
        result_.shrunk.push_back(line);
        add("  smallest case found:\n");
        describe(c);
        std::string answer;
        ExecSession().answer(line, answer);
        add("    exec: {}\n    vtlsim: {}", line, answer);
        add("    host: the same but");
        const auto comparison = both()(c);
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

    Both& both() { return jobs_[0]->both(); }

    static constexpr u64 kProgressStep = 1'000'000;
    static constexpr std::size_t kShown = 3;

    const ConformOptions& options_;
    std::FILE* progress_;
    std::vector<std::unique_ptr<Job>> jobs_;
    u64 next_progress_ = kProgressStep;
    std::set<std::string> all_;  // mnemonics that have a row
    Forms forms_;
    std::vector<u64> hits_;  // of each form
    std::array<u64, kKindNames.size()> kinds_{};
    std::map<std::string, Tally> tallies_;
    std::vector<std::string> once_;
    std::vector<std::string> strays_;  // mismatches that cannot be shown by running them again
    u64 hangs_ = 0;                    // cases passed over
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
