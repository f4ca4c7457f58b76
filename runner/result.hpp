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
};
std::string_view status_name(Status status);

struct Failure {
    std::string expectation;
    std::string expected;
    std::string got;
    u64 step = 0;
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
};

// Everything that a finished world does not fulfil, in the order of the expectations.
std::vector<Failure> judge(const model::World& world, const Scenario& scenario,
                           const Variant& variant);

}  // namespace vtlsim::runner
