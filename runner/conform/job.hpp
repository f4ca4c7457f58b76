// One of the jobs of a run, with a child process and a simulator of its own: runs batches of cases
// on both and says what came of each.
#pragma once

#include <string_view>
#include <vector>

#include "runner/conform/both.hpp"

namespace vtlsim::runner::conform {

enum class Verdict : u8 {
    equal,
    allowed,       // differs in state that may differ
    not_modelled,  // by the simulator
    mismatch,      // differs, also when it is run alone
    behind,        // differs behind the cases before it in its batch, but not alone
    unrepeated,    // has differed, and did neither alone nor behind the same cases
    died,          // the child did
};

struct Judged {
    Verdict verdict = Verdict::equal;
    std::string_view reason = {};  // of `allowed`
    std::string what = {};         // differs first, where something does
};

class Job {
  public:
    // Null where native code cannot be run, with the reason.
    static std::unique_ptr<Job> start(const Both::Distort& distort, std::string& reason);

    bool has_compat32() const { return native_->has_compat32(); }
    // At most Native::kBatch cases. Fewer come back if no further child could be started: lost().
    std::vector<Judged> run(const std::vector<Case>& batch);
    bool lost() const { return lost_; }
    Both& both() { return both_; }

  private:
    Job(std::unique_ptr<Native> native, const Both::Distort& distort)
        : native_(std::move(native)), both_(*native_, simulated_, distort) {}
    Judged judge(const Case& c, std::size_t i);
    void confirm(const std::vector<Case>& batch, std::vector<Judged>& judged);
    bool differs_behind(const std::vector<Case>& batch, std::size_t i);

    std::unique_ptr<Native> native_;
    Simulated simulated_;
    Both both_;
    std::vector<Answer> answers_;  // the simulator's
    bool lost_ = false;
};

}  // namespace vtlsim::runner::conform
