// `vtlsim conform kvm --random N`.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "runner/conform_kvm/compare.hpp"
#include "runner/conform_kvm/random_case.hpp"

namespace vtlsim::runner::conform_kvm {

struct RandomOptions {
    u64 seed = 1;
    u64 first = 0;  // number of the first case
    u64 count = 0;
    bool shrink = true;
    bool fresh = false;  // a virtual machine of its own for each case
};

struct RandomResult {
    u64 cases = 0;         // compared
    u64 differences = 0;   // cases in which model and KVM differ
    u64 gaps = 0;          // the model lacks something, or this KVM refused an ioctl
    u64 unsteady = 0;      // differences where the same case gave other answers on fresh machines
    u64 unrepeatable = 0;  // a machine used before and a fresh one gave different answers
    u64 exits = 0;         // of the real KVM, in all
    std::string report;
    // The smallest case of each kind of difference.
    std::vector<RandomCase> smallest;
};

RandomResult run_random(RealKvm& kvm, const KvmFacts& facts, const RandomOptions& options,
                        std::FILE* progress);

}  // namespace vtlsim::runner::conform_kvm
