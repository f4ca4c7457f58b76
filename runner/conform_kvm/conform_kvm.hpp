// `vtlsim conform kvm`: the model of KVM against the /dev/kvm of the machine. docs/conform-kvm.md.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "runner/diagnostic.hpp"
#include "sim/types.hpp"

namespace vtlsim::runner {

struct ConformKvmOptions {
    std::vector<std::string> paths;  // scenarios or folders of them
    bool table = false;              // kvm-pio.md 1.11 as measured
    std::string record;              // what the real KVM did goes to this file
    std::string recording;           // such a file takes the place of /dev/kvm
    u64 random = 0;                  // so many random cases
    u64 seed = 1;
    u64 first = 0;  // the number of the first one
    bool shrink = true;
    bool fresh = false;  // a virtual machine of its own for each random case
};

struct ConformKvmResult {
    std::string report;
    std::string recording;  // the text for options.record
    u64 passed = 0, failed = 0, skipped = 0;
    u64 cases = 0;           // random ones
    bool bad_input = false;  // said in the diagnostics
};

// `progress` gets a line now and then; null: none.
ConformKvmResult conform_with_kvm(const ConformKvmOptions& options, Diagnostics& diagnostics,
                                  std::FILE* progress);

}  // namespace vtlsim::runner
