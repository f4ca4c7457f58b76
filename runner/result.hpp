// What came out of a run, and the verdict on it.
#pragma once

#include <string>
#include <vector>

#include "runner/scenario.hpp"

namespace vtlsim::model {
class World;
}

namespace vtlsim::runner {

enum class Status : u8 {
    pass,
    fail,
    limit,  // steps or memory ran out before a verdict
    error,  // the file is wrong, or the simulator lacks something
    xfail,  // it fails, and the scenario says why
    xpass,  // it passes, though the scenario says why it fails
};
std::string_view status_name(Status status);

struct Failure {
    std::string expectation;
    std::string expected;
    std::string got;
    u64 step = 0;
    bool is_state = false;  // `expectation` is the name of a value after the run
};

struct Result {
    std::string scenario;
    std::string file;
    std::vector<std::pair<std::string, std::string>> variant;
    Status status = Status::pass;
    std::vector<Failure> failures;
    u64 steps = 0;
    std::string hash;                // empty if nothing ran
    std::string end;                 // how the run ended; empty if nothing ran
    std::vector<std::string> shown;  // final values of Scenario::show
    std::string xfail;               // of an xfail or xpass: the reason
    // Of a run that failed: the events around the first failure, one line each.
    std::vector<std::string> around;
    std::string trace;   // as the golden one should be; only where it was asked for
    double seconds = 0;  // on this host's clock; in no report but JUnit's

    // "name", or "name[gpr_model=shadow,vmm_fix=V1]".
    std::string id() const;
    bool good() const { return status == Status::pass || status == Status::xfail; }
};

// "gpr_model=shadow,vmm_fix=V1", as --variant takes it.
std::string choice_label(const std::vector<std::pair<std::string, std::string>>& choice);

// What of one expectation a world does not fulfil, its end apart.
void judge(const model::World& world, const Expectations& expect, std::vector<Failure>& failures);

// Everything that a finished world does not fulfil, in the order of the expectations.
std::vector<Failure> judge(const model::World& world, const Scenario& scenario,
                           const Variant& variant);

}  // namespace vtlsim::runner
